//! A process gives its listening sockets and its durable state to the next one, without a moment in which nobody serves.
//!
//! The old process starts its own program again, whatever stands there by now, and speaks with it over a socket that is the new one's stdin:
//!
//! | old | new |
//! |---|---|
//! | `socket KEY FILE PLACE`, with the descriptor, for each; `all` | reads and checks the file, opens what it was not given |
//! | | `state?` |
//! | changes nothing any more: the admin API and the file are left alone; `state` | reads the override, starts its threads, accepts |
//! | | `ready` |
//! | accepts no more, and drains; `yours` | tells the service manager |
//!
//! Until `ready` the old process serves, and goes on if the new one fails. Both accept from one queue, so no connection is lost in it.
//! If it is the old one that dies, the new one goes on as if it had been given everything.

mod channel;
mod predecessor;
mod successor;

pub use predecessor::Predecessor;
pub use successor::Program;
pub(super) use successor::{Handed, Successor};

use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The variable that tells a process that its stdin is the way to the one before it.
pub const VARIABLE: &str = "CROSSFADE_HANDOVER";

/// Why the next process did not take over.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoverError {
    /// It could not be started.
    #[error("it can't be started")]
    Start(#[source] io::Error),
    /// It can't be spoken with.
    #[error("it can't be spoken with")]
    Channel(#[from] io::Error),
    /// It was gone before it was ready.
    #[error("it ended before it was ready")]
    Ended,
    /// It took too long.
    #[error("it was silent for {0:?}")]
    Silent(Duration),
    /// It is another program.
    #[error("it said {0:?}")]
    Unexpected(String),
}

/// What the control thread is asked for: to change nothing, neither by the admin API nor from the file, and to leave `state_dir` alone.
#[derive(Debug)]
pub(super) struct Pause {
    /// Told once it is so.
    pub(super) paused: oneshot::Sender<()>,
    /// Told when it is for good; fails if all is as before.
    pub(super) over: oneshot::Receiver<()>,
}

/// A pause. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Paused {
    over: oneshot::Sender<()>,
}

impl Paused {
    /// Blocks until the control thread has paused.
    fn begin(control: &mpsc::UnboundedSender<Pause>) -> Result<Self, HandoverError> {
        let (paused, wait) = oneshot::channel();
        let (over, ends) = oneshot::channel();
        let pause = Pause { paused, over: ends };
        let told = control.send(pause).is_ok() && wait.blocking_recv().is_ok();
        if !told {
            return Err(io::Error::other("the control thread has ended").into());
        }
        Ok(Self { over })
    }

    fn for_good(self) {
        // A thread that has ended changes nothing either.
        let _ = self.over.send(());
    }
}
