//! The thread that keeps what is known of identities. Its disk may be full, hang or break: then it is known in memory, and written when that can be done.

use crate::compare::Ids;
use crate::compare::ids::Secret;
use crate::store::StateDir;
use crate::store::ids::FILE;
use crate::store::ids::disk::{Disk, Pages};
use crate::store::samples::SamplesError;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long changes gather before they are written together: each time costs the disk a sync.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a file that can't be used is left alone, at first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// For the file to be read at the start.
const START: Duration = Duration::from_secs(10);
/// Pairings that are taken out of a table at once: who learns waits for that.
const PORTION: usize = 8_192;

/// The way to the thread.
pub struct Keeper {
    queue: SyncSender<Message>,
    /// Told, by being closed, that the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

enum Message {
    /// There is something to be read or written.
    Changed,
    /// The file is another process's from now on; told when it is closed.
    GiveUp(SyncSender<()>),
    TakeBack,
    Stop,
}

impl Keeper {
    /// Starts the thread, and waits until it has read what is known under these names; not for ever.
    ///
    /// # Errors
    /// Where there is no thread, or no randomness, to be had.
    pub fn start<'n>(
        state: Arc<StateDir>,
        names: impl Iterator<Item = (&'n str, usize)>,
    ) -> io::Result<(Arc<Ids>, Arc<Self>)> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let (queue, messages) = sync_channel(16);
        let (ending, ended) = sync_channel(0);
        let (read, ready) = sync_channel(1);
        let bell = queue.clone();
        // Where the queue is full the thread has enough to wake up for.
        let ids = Arc::new(Ids::kept(move || drop(bell.try_send(Message::Changed))));
        ids.bound(names);
        let mut writer = Writer {
            path: state.path().join(FILE),
            state,
            ids: Arc::clone(&ids),
            key,
            disk: None,
            owner: Owner::Us,
            failing: None,
            due: None,
        };
        Builder::new().name("cf-ids".to_owned()).spawn(move || {
            let _until_ended = ending;
            // It gives way to everybody else; where it can't, it runs like any other thread.
            let _ = rustix::process::nice(10);
            writer.load();
            // Who waits may have lost patience.
            let _ = read.send(());
            writer.run(&messages);
        })?;
        if ready.recv_timeout(START).is_err() {
            tracing::warn!("identities are not read yet: until they are, nothing is known of them");
        }
        let keeper = Self {
            queue,
            ended: Mutex::new(ended),
        };
        Ok((ids, Arc::new(keeper)))
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

/// Whose the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Us,
    /// The process that takes over.
    Another,
    /// It is not ours to write: what is in it was not read, or goes by another key.
    Nobody,
}

/// What the thread works with.
struct Writer {
    path: PathBuf,
    state: Arc<StateDir>,
    ids: Arc<Ids>,
    /// That of the file, once it was read; else of the one that is made.
    key: [u8; 32],
    disk: Option<Disk>,
    owner: Owner,
    /// Since the file can't be written: when it is tried again, and how long to wait then.
    failing: Option<(Instant, Duration)>,
    /// When there is something to be written: from then on.
    due: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let message = match self.due {
                Some(due) => messages.recv_timeout(due.saturating_duration_since(clock())),
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Changed) => {
                    self.load();
                    self.due.get_or_insert_with(|| clock() + PAUSE);
                }
                Ok(Message::GiveUp(done)) => {
                    self.commit_now();
                    self.disk = None;
                    self.owner = Owner::Another;
                    let _ = done.send(());
                }
                Ok(Message::TakeBack) => {
                    if self.owner == Owner::Another {
                        self.owner = Owner::Us;
                    }
                    // The other one may have written something else.
                    self.ids.rewrite();
                    self.due = Some(clock());
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return self.commit_now();
                }
                Err(RecvTimeoutError::Timeout) => self.commit(),
            }
        }
    }

    /// Reads what is kept of names of which it was not read yet.
    fn load(&mut self) {
        let names = self.ids.unloaded();
        if names.is_empty() {
            return;
        }
        if self.owner == Owner::Us && self.disk.is_none() && self.path.exists() {
            match self.open() {
                Ok(disk) => self.disk = Some(disk),
                Err(error) => self.forgo(&error),
            }
        }
        self.ids.reveal(Secret::new(self.key));
        for name in names {
            let rows = self.disk.as_ref().map(|disk| disk.read(&name));
            let (rows, evicted) = match rows {
                Some(Ok(rows)) => rows,
                Some(Err(error)) => {
                    self.forgo(&error);
                    Default::default()
                }
                None => Default::default(),
            };
            self.ids.load(&name, rows, evicted);
        }
    }

    /// Opens the file; one that is damaged is put aside. One that is there has the key, unless another is in use already.
    fn open(&mut self) -> Result<Disk, SamplesError> {
        let storage = |what: String| SamplesError::Storage {
            path: self.path.clone(),
            what,
        };
        self.state
            .make()
            .map_err(|error| storage(error.to_string()))?;
        let disk = match Disk::open(&self.path, self.key) {
            Err(error @ SamplesError::Damaged { .. }) => {
                let aside = self.path.with_extension("redb.damaged");
                tracing::error!(%error, aside = %aside.display(), "identities are damaged: they are put aside, and learnt anew");
                fs::rename(&self.path, &aside).map_err(|error| storage(error.to_string()))?;
                Disk::open(&self.path, self.key)
            }
            opened => opened,
        }?;
        if disk.key() != self.key {
            if self.ids.is_revealed() {
                return Err(storage("it goes by another key".to_owned()));
            }
            self.key = disk.key();
        }
        Ok(disk)
    }

    /// What is in the file is not known, so nothing is written over it.
    fn forgo(&mut self, error: &SamplesError) {
        tracing::error!(%error, "what is known of identities can't be read: it is learnt anew, and not kept, until the next start");
        self.disk = None;
        self.owner = Owner::Nobody;
    }

    /// The same for the last time, whatever happened before.
    fn commit_now(&mut self) {
        if let Some((next, _)) = &mut self.failing {
            *next = clock();
        }
        self.commit();
    }

    /// Writes what has changed, or says that it can't.
    fn commit(&mut self) {
        self.due = None;
        let changed = self.ids.changed();
        if changed.is_empty() || self.owner != Owner::Us {
            return;
        }
        if let Some((next, _)) = self.failing
            && clock() < next
        {
            self.due = Some(next);
            return;
        }
        let done = match self.disk.take() {
            Some(disk) => Ok(disk),
            None => self.open(),
        };
        let done = done.and_then(|disk| {
            disk.write(|pages| {
                let mut names = changed.iter();
                names.try_for_each(|name| write(&self.ids, name, pages))
            })?;
            Ok(disk)
        });
        match done {
            Ok(disk) => {
                self.disk = Some(disk);
                if self.failing.take().is_some() {
                    tracing::info!(file = %self.path.display(), "identities are kept again");
                }
            }
            Err(error) => {
                // Nobody knows what of it was written.
                self.ids.rewrite();
                self.fail(&error);
            }
        }
    }

    /// The file can't be written: it is closed, and tried again after a while.
    fn fail(&mut self, error: &SamplesError) {
        let (first, most) = PATIENCE;
        let patience = match self.failing {
            Some((_, last)) => (last * 2).min(most),
            None => {
                tracing::error!(%error, "identities can't be kept: they are known in memory alone, until they can");
                first
            }
        };
        let next = clock() + patience;
        self.failing = Some((next, patience));
        self.due = Some(next);
    }
}

/// Writes what has changed under a name.
fn write(ids: &Ids, name: &str, pages: &mut Pages<'_>) -> Result<(), redb::Error> {
    loop {
        let changes = ids.take(name, PORTION);
        pages.evicted(name, changes.evicted)?;
        if changes.all {
            pages.clear(name)?;
            let mut from = Some(0);
            while let Some(place) = from {
                let (rows, next) = ids.rows(name, place, PORTION);
                rows.iter().try_for_each(|row| pages.put(name, row))?;
                from = next;
            }
        }
        for old in changes.gone {
            pages.remove(name, old)?;
        }
        changes
            .put
            .iter()
            .try_for_each(|row| pages.put(name, row))?;
        if !changes.more {
            return Ok(());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "changes gather for a while")]
fn clock() -> Instant {
    Instant::now()
}
