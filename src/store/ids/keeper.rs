//! The thread that keeps what is known of identities. Its disk may be full, hang or break: then it is known in memory, and written when that can be done.

use crate::compare::Ids;
use crate::compare::ids::Secret;
use crate::store::StateDir;
use crate::store::ids::FILE;
use crate::store::ids::disk::{Disk, Pages};
use crate::store::scribe::thread::clock;
use crate::store::scribe::{FileError, Patience, Scribe, Work, file};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long changes gather before they are written together: each time costs the disk a sync.
const PAUSE: Duration = Duration::from_secs(1);
/// For the file to be read at the start.
const START: Duration = Duration::from_secs(10);
/// Pairings that are taken out of a table at once: who learns waits for that.
const PORTION: usize = 8_192;

/// The way to the thread.
#[derive(Debug)]
pub struct Keeper {
    scribe: Arc<Scribe<Changed>>,
}

/// There is something to be read or written.
struct Changed;

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
        let (scribe, inbox) = Scribe::hire(16);
        let scribe = Arc::new(scribe);
        let (read, ready) = sync_channel(1);
        let bell = Arc::clone(&scribe);
        let ids = Arc::new(Ids::kept(move || {
            // Where too many wait the thread has enough to wake up for.
            let _ = bell.offer(Changed);
        }));
        ids.bound(names);
        let writer = Writer {
            path: state.path().join(FILE),
            state,
            ids: Arc::clone(&ids),
            key,
            disk: None,
            owner: Owner::Us,
            patience: Patience::default(),
            due: None,
            read,
        };
        inbox.start("cf-ids", writer)?;
        if ready.recv_timeout(START).is_err() {
            tracing::warn!("identities are not read yet: until they are, nothing is known of them");
        }
        Ok((ids, Arc::new(Self { scribe })))
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
    patience: Patience,
    /// When there is something to be written: from then on.
    due: Option<Instant>,
    /// Told when what was written before is known.
    read: SyncSender<()>,
}

impl Work for Writer {
    type Message = Changed;

    fn begin(&mut self) {
        self.load();
        // Who waits may have lost patience.
        let _ = self.read.try_send(());
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn take(&mut self, _: Changed) {
        self.load();
        self.due.get_or_insert_with(|| clock() + PAUSE);
    }

    fn write(&mut self) {
        self.commit();
    }

    fn end(&mut self) {
        self.commit_now();
    }

    fn give_up(&mut self) {
        self.commit_now();
        self.disk = None;
        self.owner = Owner::Another;
    }

    fn take_back(&mut self) {
        if self.owner == Owner::Another {
            self.owner = Owner::Us;
        }
        // The other one may have written something else.
        self.ids.rewrite();
        self.due = Some(clock());
    }
}

impl Writer {
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

    /// Opens the file. One that is there has the key, unless another is in use already.
    fn open(&mut self) -> Result<Disk, FileError> {
        let disk = file::open(&self.state, &self.path, "identities", |path| {
            Disk::open(path, self.key)
        })?;
        if disk.key() != self.key {
            if self.ids.is_revealed() {
                return Err(FileError::Storage {
                    path: self.path.clone(),
                    what: "it goes by another key".to_owned(),
                });
            }
            self.key = disk.key();
        }
        Ok(disk)
    }

    /// What is in the file is not known, so nothing is written over it.
    fn forgo(&mut self, error: &FileError) {
        tracing::error!(%error, "what is known of identities can't be read: it is learnt anew, and not kept, until the next start");
        self.disk = None;
        self.owner = Owner::Nobody;
    }

    /// The same for the last time, whatever happened before.
    fn commit_now(&mut self) {
        self.patience.hurry(clock());
        self.commit();
    }

    /// Writes what has changed, or says that it can't.
    fn commit(&mut self) {
        self.due = None;
        let changed = self.ids.changed();
        if changed.is_empty() || self.owner != Owner::Us {
            return;
        }
        self.due = self.patience.until(clock());
        if self.due.is_some() {
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
                if self.patience.succeed() {
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
    fn fail(&mut self, error: &FileError) {
        let now = clock();
        if self.patience.fail(now) {
            tracing::error!(%error, "identities can't be kept: they are known in memory alone, until they can");
        }
        self.due = self.patience.until(now);
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
