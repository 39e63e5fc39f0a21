//! The way from the request path to the writer: a bounded queue and `try_send`.

use crate::config::settings;
use crate::route::bucket::{BUCKETS, Share};
use crate::telemetry::access::record::Record;
use crate::telemetry::access::writer::{Common, Message, Writer};
use crate::telemetry::labels::LostLine;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// Lines that may wait to be written. One takes at most some 9 KiB, hardly ever more than a few hundred bytes.
pub(super) const QUEUE: usize = 4096;

/// A proxy's access log.
#[derive(Debug, Default)]
pub struct AccessLog {
    common: Arc<Common>,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    queue: SyncSender<Message>,
    /// Told, by being closed, that it has ended.
    ended: Receiver<()>,
}

impl AccessLog {
    /// The way to a log as the file has it. The writer is started the first time; `None`, and said aloud, if it can't be.
    #[must_use]
    pub fn open(&self, settings: &settings::AccessLog) -> Option<Arc<Sink>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (queue, lines) = sync_channel(QUEUE);
            let (ending, ended) = sync_channel(0);
            let writer = Writer::new(Arc::clone(&self.common));
            let started = Builder::new().name("cf-access".to_owned()).spawn(move || {
                let _until_ended = ending;
                writer.run(&lines);
            });
            match started {
                Ok(_) => *thread = Some(Thread { queue, ended }),
                Err(error) => tracing::error!(%error, "there is no thread for the access log"),
            }
        }
        let thread = thread.as_ref()?;
        Some(Arc::new(Sink {
            sample: settings.sample,
            file: settings.file.as_deref().map(Arc::from),
            queue: thread.queue.clone(),
            common: Arc::clone(&self.common),
        }))
    }

    /// The file is opened anew before the next line: it may have been renamed.
    pub fn reopen(&self) {
        self.common.reopen.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Lines that were not written.
    #[must_use]
    pub fn lost(&self, why: LostLine) -> u64 {
        self.common.lost[why as usize].value()
    }

    /// Writes what was told so far, if it can be written within this time. Nothing is written any more then.
    pub fn finish(&self, patience: Duration) {
        self.common.stop.store(true, Ordering::Relaxed);
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            // Whether it has ended or hangs on its disk: nobody waits for it any longer.
            let _ = thread.ended.recv_timeout(patience);
        }
    }

    fn wake(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            // One that has lines to write is awake.
            let _ = thread.queue.try_send(Message::Look);
        }
    }
}

/// The way to one file, or to stdout.
#[derive(Debug)]
pub struct Sink {
    sample: Share,
    file: Option<Arc<Path>>,
    queue: SyncSender<Message>,
    common: Arc<Common>,
}

impl Sink {
    /// Whether the next request gets a line.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.sample.contains(fastrand::u16(..BUCKETS))
    }

    /// Hands a line over, or counts that it is lost.
    pub fn tell(&self, record: Box<Record>) {
        let place = self.file.clone();
        match self.queue.try_send(Message::Line { place, record }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.common.lose(LostLine::Queue, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
