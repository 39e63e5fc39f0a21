//! The thread of the samples, and the way to it: a bounded queue and `try_send`. Its disk may be full, hang or break: nobody waits for it but who reads samples.

use crate::store::samples::FILE;
use crate::store::samples::book::joined;
use crate::store::samples::disk::{Batch, Disk, Encoded, SamplesError};
use crate::store::samples::gate::{Gate, Group};
use crate::store::samples::page::{Page, Query};
use crate::store::samples::raw::RawSample;
use crate::store::{Redactor, StateDir};
use jiff::Timestamp;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Samples that may wait to be written.
const QUEUE: usize = 1_024;
/// Bytes of bodies that may wait to be written.
const QUEUE_BYTES: usize = 16 << 20;
/// How long samples gather before they are written together: each time costs the disk a sync.
const PAUSE: Duration = Duration::from_secs(1);
/// How often old samples are looked for while nothing comes.
const IDLE: Duration = Duration::from_secs(30);
/// How long a file that can't be used is left alone, at first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
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

/// Who counts samples that were not kept.
pub type Count = dyn Fn(LostSample, u64) + Send + Sync;

/// The samples of a proxy.
pub struct Samples {
    gate: Arc<Mutex<Gate>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    lost: Arc<Count>,
    queue: SyncSender<Message>,
    /// Told, by being closed, that the thread has ended.
    ended: Mutex<Receiver<()>>,
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
    /// The file is another process's from now on; told when it is closed.
    GiveUp(SyncSender<()>),
    TakeBack,
    Stop,
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
        let (queue, messages) = sync_channel(QUEUE);
        let (ending, ended) = sync_channel(0);
        let samples = Self {
            gate: Arc::default(),
            waiting: Arc::default(),
            lost,
            queue,
            ended: Mutex::new(ended),
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
            failing: None,
            batch: Batch::default(),
            batch_bytes: 0,
            since: None,
        };
        Builder::new()
            .name("cf-samples".to_owned())
            .spawn(move || {
                let _until_ended = ending;
                // It gives way to everybody else; where it can't, it runs like any other thread.
                let _ = rustix::process::nice(10);
                writer.run(&messages);
            })?;
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
        let sent = fits
            && match self.queue.try_send(Message::Sample(group, sample)) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            };
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
        self.queue
            .send(Message::Page(query, reply))
            .map_err(|_| SamplesError::GivenUp)?;
        answer
            .recv_timeout(ANSWER)
            .map_err(|_| SamplesError::Slow)?
    }

    /// Other bounds from now on. Blocks while the queue is full.
    pub fn bound(&self, bounds: Bounds) {
        // A thread that has ended keeps nothing.
        let _ = self.queue.send(Message::Bound(bounds));
    }

    /// Writes what there is, and leaves the file to another process. Blocks until that is done.
    pub fn give_up(&self) {
        let (done, told) = sync_channel(1);
        if self.queue.send(Message::GiveUp(done)).is_ok() {
            let _ = told.recv();
        }
    }

    /// The other process is gone.
    pub fn take_back(&self) {
        let _ = self.queue.send(Message::TakeBack);
    }

    /// Writes what there is, if that can be done within this time. Nothing is kept any more then.
    pub fn finish(&self, patience: Duration) {
        if self.queue.try_send(Message::Stop).is_ok() {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            // Whether it has ended or hangs on its disk: nobody waits for it any longer.
            let _ = ended.recv_timeout(patience);
        }
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
    /// Since the file can't be used: when it is tried again, and how long to wait then.
    failing: Option<(Instant, Duration)>,
    batch: Batch,
    batch_bytes: usize,
    /// Since when the batch has samples.
    since: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        if self.path.exists() {
            self.open();
            self.commit();
        }
        loop {
            let wait = self
                .since
                .map_or(IDLE, |since| PAUSE.saturating_sub(elapsed(since)));
            match messages.recv_timeout(wait) {
                Ok(Message::Sample(group, sample)) => self.take(&group, &sample),
                Ok(Message::Page(query, reply)) => {
                    self.commit();
                    // Who asked may have given up.
                    let _ = reply.send(self.page(&query));
                }
                Ok(Message::Bound(bounds)) => {
                    self.bounds = bounds;
                    if let Some(disk) = &mut self.disk {
                        disk.bound(bounds.max_size);
                    }
                    self.commit();
                }
                Ok(Message::GiveUp(done)) => {
                    self.commit();
                    self.disk = None;
                    self.given_up = true;
                    let _ = done.send(());
                }
                Ok(Message::TakeBack) => self.given_up = false,
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return self.commit();
                }
                Err(RecvTimeoutError::Timeout) => self.commit(),
            }
            let due = self.since.is_some_and(|since| elapsed(since) >= PAUSE);
            if due || self.batch_bytes >= self.most() {
                self.commit();
            }
        }
    }

    /// Bytes of a sample, and of a batch: a commit needs room for all of it beside what goes.
    fn most(&self) -> usize {
        let part = usize::try_from(self.bounds.max_size / 16).unwrap_or(usize::MAX);
        part.min(4 << 20)
    }

    fn take(&mut self, group: &Group, sample: &RawSample) {
        self.waiting.fetch_sub(sample.weight(), Ordering::Relaxed);
        let at = sample.at.as_millisecond();
        let sample = sample.hidden(group, &self.redactor);
        let encoded = Encoded::new(joined(&group.route, &group.cause), at, &sample);
        let Some(encoded) = encoded.filter(|encoded| encoded.bytes.len() <= self.most()) else {
            return (self.lost)(LostSample::Size, 1);
        };
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
        let is_due = self.failing.is_none_or(|(next, _)| next <= clock());
        if self.disk.is_none() && some > 0 && !self.given_up && is_due {
            self.open();
        }
        let Some(disk) = &mut self.disk else {
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
        let mut done = disk.commit(&batch);
        if let Err(SamplesError::Full(_)) = done {
            // More of it is in use than was reckoned with: there are gaps between the samples.
            self.disk = None;
            done = Disk::open(&self.path, self.bounds.max_size).and_then(|mut disk| {
                disk.shrink()?;
                self.disk.insert(disk).commit(&batch)
            });
        }
        match done {
            Ok(_) => self.well(),
            Err(error) => {
                (self.lost)(LostSample::Write, some);
                self.fail(&error);
            }
        }
    }

    fn open(&mut self) {
        let made = self.state.make();
        let opened = match made {
            Ok(()) => Disk::open(&self.path, self.bounds.max_size),
            Err(error) => Err(SamplesError::Storage {
                path: self.path.clone(),
                what: error.to_string(),
            }),
        };
        match opened {
            Ok(disk) => self.disk = Some(disk),
            Err(error @ SamplesError::Damaged { .. }) => {
                // What is in it can't be trusted; it stays for whoever wants to look, until the next one takes its place.
                let aside = self.path.with_extension("redb.damaged");
                tracing::error!(%error, aside = %aside.display(), "the samples are damaged: they are put aside, and begun anew");
                if fs::rename(&self.path, &aside).is_err() {
                    return self.fail(&error);
                }
                match Disk::open(&self.path, self.bounds.max_size) {
                    Ok(disk) => self.disk = Some(disk),
                    Err(error) => self.fail(&error),
                }
            }
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
            return match self.failing {
                Some(_) => Err(SamplesError::Storage {
                    path: self.path.clone(),
                    what: "it can't be used, as the log says".to_owned(),
                }),
                None => Ok(Page::default()),
            };
        };
        let page = disk.page(query);
        if let Err(error) = &page {
            self.fail(error);
        }
        page
    }

    /// The file can't be used: it is closed, and tried again after a while.
    fn fail(&mut self, error: &SamplesError) {
        self.disk = None;
        let (first, most) = PATIENCE;
        let patience = match self.failing {
            Some((_, last)) => (last * 2).min(most),
            None => {
                tracing::error!(%error, "samples can't be kept: they are lost, and counted, until they can");
                first
            }
        };
        self.failing = Some((clock() + patience, patience));
    }

    fn well(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!(file = %self.path.display(), "samples are kept again");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "samples gather for a while")]
fn clock() -> Instant {
    Instant::now()
}

fn elapsed(since: Instant) -> Duration {
    clock().saturating_duration_since(since)
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
