//! The thread, and the way to it.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What the thread does.
pub trait Work: Send + 'static {
    /// What is handed to it.
    type Message: Send + 'static;

    /// Before anything else.
    fn begin(&mut self);

    /// When there is something to do though nothing was handed over; `None` if never.
    fn due(&self) -> Option<Instant>;

    /// Something was handed over.
    fn take(&mut self, message: Self::Message);

    /// Does what is due.
    fn write(&mut self);

    /// Writes what there is, for the last time.
    fn end(&mut self);

    /// Writes what there is; then the file is another process's.
    fn give_up(&mut self);

    /// The other process is gone.
    fn take_back(&mut self);
}

/// The way to the thread.
pub struct Scribe<M> {
    queue: SyncSender<Order<M>>,
    /// Told, by being closed, that the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// What the thread does not have yet.
pub struct Inbox<M> {
    orders: Receiver<Order<M>>,
    ending: SyncSender<()>,
}

enum Order<M> {
    Take(M),
    /// Told when the file is closed.
    GiveUp(SyncSender<()>),
    TakeBack,
    Stop,
}

impl<M> fmt::Debug for Scribe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scribe").finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Inbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Scribe<M> {
    /// A way on which so many may wait, to a thread that is still to be started.
    #[must_use]
    pub fn hire(places: usize) -> (Self, Inbox<M>) {
        let (queue, orders) = sync_channel(places);
        let (ending, ended) = sync_channel(0);
        let ended = Mutex::new(ended);
        (Self { queue, ended }, Inbox { orders, ending })
    }

    /// Hands something over, and never waits. `false` if too many wait already, or nobody is there.
    #[must_use]
    pub fn offer(&self, message: M) -> bool {
        match self.queue.try_send(Order::Take(message)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Hands something over. Blocks while too many wait. `false` if nobody is there.
    #[must_use]
    pub fn hand(&self, message: M) -> bool {
        self.queue.send(Order::Take(message)).is_ok()
    }

    /// Writes what there is, and leaves the file to another process. Blocks until that is done.
    pub fn give_up(&self) {
        let (done, told) = sync_channel(1);
        if self.queue.send(Order::GiveUp(done)).is_ok() {
            let _ = told.recv();
        }
    }

    /// The other process is gone.
    pub fn take_back(&self) {
        let _ = self.queue.send(Order::TakeBack);
    }

    /// Writes what there is, if that can be done within this time. Nothing is kept any more then.
    pub fn finish(&self, patience: Duration) {
        if self.queue.try_send(Order::Stop).is_ok() {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            // Whether it has ended or hangs on its disk: nobody waits for it any longer.
            let _ = ended.recv_timeout(patience);
        }
    }
}

impl<M: Send + 'static> Inbox<M> {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where there is none to be had.
    pub fn start(self, name: &str, work: impl Work<Message = M>) -> io::Result<()> {
        let Self { orders, ending } = self;
        Builder::new().name(name.to_owned()).spawn(move || {
            let _until_ended = ending;
            // Dropped before that, with its file.
            let mut work = work;
            // It gives way to everybody else; where it can't, it runs like any other thread.
            let _ = rustix::process::nice(10);
            work.begin();
            run(&mut work, &orders);
            work.end();
        })?;
        Ok(())
    }
}

/// Works until it is to stop, or nobody can hand anything over.
fn run<W: Work>(work: &mut W, orders: &Receiver<Order<W::Message>>) {
    loop {
        let order = match work.due() {
            Some(due) => orders.recv_timeout(due.saturating_duration_since(clock())),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(Order::Take(message)) => work.take(message),
            Ok(Order::GiveUp(done)) => {
                work.give_up();
                let _ = done.send(());
            }
            Ok(Order::TakeBack) => work.take_back(),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => work.write(),
        }
    }
}

/// The time by which a thread waits, and tries again.
#[expect(
    clippy::disallowed_methods,
    reason = "what changes gathers for a while"
)]
#[must_use]
pub fn clock() -> Instant {
    Instant::now()
}
