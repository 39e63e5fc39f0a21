//! What a service manager has put into the environment of `run`: sockets, where to tell how it goes, how often.

use crate::app::{Given, Supervisor};
use anyhow::{Context, Result};
use listenfd::ListenFd;

/// What a service manager wants of the process; nothing where there is none.
pub(super) struct Surroundings {
    pub(super) sockets: Given,
    pub(super) supervisor: Supervisor,
}

impl Surroundings {
    /// Reads the environment. To be called once, while the process has one thread: what says which descriptors are sockets is taken away, so
    /// that nobody else takes them.
    pub(super) fn read() -> Result<Self> {
        let names = text("LISTEN_FDNAMES").unwrap_or_default();
        let sockets = Given::activated(ListenFd::from_env(), &names)?;
        let (usec, of) = (text("WATCHDOG_USEC"), text("WATCHDOG_PID"));
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let supervisor = Supervisor::new(socket.as_deref(), usec.as_deref(), of.as_deref())
            .context("NOTIFY_SOCKET")?;
        Ok(Self {
            sockets,
            supervisor,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where `run` reads the environment"
)]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
