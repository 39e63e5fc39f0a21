//! The thread of the samples, and the way to it. Its disk may be full, hang or break: nobody waits for it but who reads samples.

use crate::store::samples::FILE;
use crate::store::samples::book::joined;
use crate::store::samples::bounded::batch_bytes;
use crate::store::samples::disk::{Batch, Disk, Encoded};
use crate::store::samples::gate::{Gate, Group};
use crate::store::samples::page::{Page, Query};
use crate::store::samples::raw::RawSample;
use crate::store::scribe::thread::clock;
use crate::store::scribe::{FileError, Patience, Scribe, Work, file};
use crate::store::{Redactor, StateDir};
use flate2::{Compress, Compression};
use jiff::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Samples that may wait to be written.
const QUEUE: usize = 1_024;
/// Bytes of bodies that may wait to be written.
const QUEUE_BYTES: usize = 16 << 20;
/// How long samples gather before they are written together: each time costs the disk a sync, and the processor what many samples do.
const PAUSE: Duration = Duration::from_secs(5);
/// How often old samples are looked for while nothing comes.
const IDLE: Duration = Duration::from_secs(30);
/// For a page to come, which may wait for a commit.
const ANSWER: Duration = Duration::from_secs(8);

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the file.
    pub max_size: u64,
    /// Age of a sample.
    pub max_age: Duration,
}

/// Why a sample was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostSample {
    /// Too many, or too much, waited to be written.
    Queue,
    /// It would have taken more than a sixteenth of the ring.
    Size,
    /// The file could not be written, or is another process's.
    Write,
}

/// Why samples can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// The file can't be.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing came within a few seconds.
    #[error("the disk of the samples is slow")]
    Slow,
    /// The file is left to another process, or the thread has ended.
    #[error("the samples are another process's by now")]
    GivenUp,
}

/// Who counts samples that were not kept.
pub type Count = dyn Fn(LostSample, u64) + Send + Sync;

/// The samples of a proxy.
pub struct Samples {
    gate: Arc<Mutex<Gate>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    lost: Arc<Count>,
    scribe: Scribe<Message>,
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples").finish_non_exhaustive()
    }
}

enum Message {
    Sample(Group, Box<RawSample>),
    Page(Query, SyncSender<Result<Page, SamplesError>>),
    Bound(Bounds),
}

impl Samples {
    /// Starts the thread. A file that is there is looked through; none is made before there is something to keep.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn start(
        state: Arc<StateDir>,
        redactor: Arc<Redactor>,
        bounds: Bounds,
        lost: Arc<Count>,
    ) -> std::io::Result<Arc<Self>> {
        let (scribe, inbox) = Scribe::hire(QUEUE);
        let samples = Self {
            gate: Arc::default(),
            waiting: Arc::default(),
            lost,
            scribe,
        };
        let writer = Writer {
            path: state.path().join(FILE),
            state,
            redactor,
            bounds,
            gate: Arc::clone(&samples.gate),
            waiting: Arc::clone(&samples.waiting),
            lost: Arc::clone(&samples.lost),
            disk: None,
            given_up: false,
            patience: Patience::default(),
            compress: Compress::new(Compression::fast(), true),
            batch: Batch::default(),
            batch_bytes: 0,
            since: None,
        };
        inbox.start("cf-samples", writer)?;
        Ok(Arc::new(samples))
    }

    /// Counts a pair that differed at the first look, and says whether a sample should be made of it.
    #[must_use]
    pub fn wants(&self, group: Group, at: Timestamp) -> Option<Group> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.pass(group, at)
    }

    /// Hands a sample over, or counts that it is lost.
    pub fn offer(&self, group: Group, sample: Box<RawSample>) {
        let bytes = sample.weight();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= QUEUE_BYTES;
        let sent = fits && self.scribe.offer(Message::Sample(group, sample));
        if !sent {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            (self.lost)(LostSample::Queue, 1);
        }
    }

    /// Reads samples, those included that wait to be written. Blocks.
    ///
    /// # Errors
    /// Where the file can't be read in time.
    pub fn page(&self, query: Query) -> Result<Page, SamplesError> {
        let (reply, answer) = sync_channel(1);
        if !self.scribe.hand(Message::Page(query, reply)) {
            return Err(SamplesError::GivenUp);
        }
        answer
            .recv_timeout(ANSWER)
            .map_err(|_| SamplesError::Slow)?
    }

    /// Other bounds from now on. Blocks while the queue is full.
    pub fn bound(&self, bounds: Bounds) {
        // A thread that has ended keeps nothing.
        let _ = self.scribe.hand(Message::Bound(bounds));
    }

    /// Writes what there is, and leaves the file to another process. Blocks until that is done.
    pub fn give_up(&self) {
        self.scribe.give_up();
    }

    /// The other process is gone.
    pub fn take_back(&self) {
        self.scribe.take_back();
    }

    /// Writes what there is, if that can be done within this time. Nothing is kept any more then.
    pub fn finish(&self, patience: Duration) {
        self.scribe.finish(patience);
    }
}

/// What the thread works with.
struct Writer {
    path: PathBuf,
    state: Arc<StateDir>,
    redactor: Arc<Redactor>,
    bounds: Bounds,
    gate: Arc<Mutex<Gate>>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<Count>,
    disk: Option<Disk>,
    given_up: bool,
    patience: Patience,
    compress: Compress,
    batch: Batch,
    batch_bytes: usize,
    /// Since when the batch has samples.
    since: Option<Instant>,
}

impl Work for Writer {
    type Message = Message;

    fn begin(&mut self) {
        if self.path.exists() {
            self.open();
            self.commit();
        }
    }

    fn due(&self) -> Option<Instant> {
        Some(match self.since {
            Some(since) => since + PAUSE,
            None => clock() + IDLE,
        })
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Sample(group, sample) => {
                self.gather(&group, &sample);
                if self.since.is_some_and(|since| since + PAUSE <= clock()) {
                    self.commit();
                }
            }
            Message::Page(query, reply) => {
                self.commit();
                // Who asked may have given up.
                let _ = reply.send(self.page(&query));
            }
            Message::Bound(bounds) => {
                self.bounds = bounds;
                if let Some(disk) = &mut self.disk {
                    disk.bound(bounds.max_size);
                }
                self.commit();
            }
        }
    }

    fn write(&mut self) {
        self.commit();
    }

    fn end(&mut self) {
        self.commit();
    }

    fn give_up(&mut self) {
        self.commit();
        self.disk = None;
        self.given_up = true;
    }

    fn take_back(&mut self) {
        self.given_up = false;
    }
}

impl Writer {
    /// Bytes of a sample, and of a batch.
    fn most(&self) -> usize {
        usize::try_from(batch_bytes(self.bounds.max_size)).unwrap_or(usize::MAX)
    }

    fn gather(&mut self, group: &Group, sample: &RawSample) {
        self.waiting.fetch_sub(sample.weight(), Ordering::Relaxed);
        let at = sample.at.as_millisecond();
        let sample = sample.hidden(group, &self.redactor);
        let group = joined(&group.route, &group.cause);
        let encoded = Encoded::new(group, at, &sample, &mut self.compress);
        let Some(encoded) = encoded.filter(|encoded| encoded.bytes.len() <= self.most()) else {
            return (self.lost)(LostSample::Size, 1);
        };
        if self.batch_bytes + encoded.bytes.len() > self.most() {
            self.commit();
        }
        self.batch_bytes += encoded.bytes.len();
        self.batch.samples.push(encoded);
        self.since.get_or_insert_with(clock);
    }

    /// Writes what has gathered, or counts it as lost; and takes out what is old.
    fn commit(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.since = None;
        let some = batch.samples.len() as u64;
        let is_due = self.patience.until(clock()).is_none();
        if self.disk.is_none() && some > 0 && !self.given_up && is_due {
            self.open();
        }
        let Some(disk) = self.disk.take() else {
            if some > 0 {
                (self.lost)(LostSample::Write, some);
            }
            return;
        };
        batch.before = oldest(self.bounds.max_age);
        let pairs = self
            .gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_pairs();
        batch.pairs = pairs
            .into_iter()
            .map(|(group, pairs)| (joined(&group.route, &group.cause), pairs))
            .collect();
        match disk.commit(&batch) {
            Ok(disk) => {
                self.disk = Some(disk);
                self.well();
            }
            Err(error) => {
                (self.lost)(LostSample::Write, some);
                self.fail(&error);
            }
        }
    }

    fn open(&mut self) {
        let opened = file::open(&self.state, &self.path, "the samples", |path| {
            Disk::open(path, self.bounds.max_size)
        });
        match opened {
            Ok(disk) => self.disk = Some(disk),
            Err(error) => self.fail(&error),
        }
    }

    fn page(&mut self, query: &Query) -> Result<Page, SamplesError> {
        if self.given_up {
            return Err(SamplesError::GivenUp);
        }
        if self.disk.is_none() && self.path.exists() {
            self.open();
        }
        let Some(disk) = &self.disk else {
            return match self.patience.is_failing() {
                true => Err(FileError::Storage {
                    path: self.path.clone(),
                    what: "it can't be used, as the log says".to_owned(),
                }
                .into()),
                false => Ok(Page::default()),
            };
        };
        let page = disk.page(query);
        if let Err(error) = &page {
            self.fail(error);
        }
        Ok(page?)
    }

    /// The file can't be used: it is closed, and tried again after a while.
    fn fail(&mut self, error: &FileError) {
        self.disk = None;
        if self.patience.fail(clock()) {
            tracing::error!(%error, "samples can't be kept: they are lost, and counted, until they can");
        }
    }

    fn well(&mut self) {
        if self.patience.succeed() {
            tracing::info!(file = %self.path.display(), "samples are kept again");
        }
    }
}

/// The time that is just too old, in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "samples have an age that outlives the process"
)]
fn oldest(age: Duration) -> i64 {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::now().as_millisecond().saturating_sub(age)
}
