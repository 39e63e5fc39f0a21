//! How long a part of the demo lives: until it is told to end, and no longer than the demo that started it.
//!
//! A child holds the reading end of a pipe as its standard input, and the demo the writing end. However the demo ends, by SIGKILL too, the kernel closes the pipe, and the child reads the end of it.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Whose end is also this process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nobody's: it was started by hand.
    Own,
    /// The demo's, which holds the other end of standard input.
    Child,
}

impl Life {
    /// Returns once SIGINT or SIGTERM has come, or the demo has ended.
    pub async fn end(self) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = self.parent_gone() => {}
        }
        Ok(())
    }

    async fn parent_gone(self) {
        match self {
            Self::Own => std::future::pending().await,
            Self::Child => {
                let (sender, closed) = oneshot::channel::<()>();
                // A thread of its own: tokio's standard input would keep the runtime from ending.
                std::thread::spawn(move || {
                    // Any error means as much as the end does: nobody is there.
                    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                    drop(sender);
                });
                // The sender sends nothing: its end is the message.
                let _ = closed.await;
            }
        }
    }
}
