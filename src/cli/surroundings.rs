//! What whoever started `run` has put into its environment: sockets, the process to take over from, where to tell how it goes.

use crate::app::{Given, HANDOVER, Predecessor, Program, Supervisor};
use anyhow::{Context, Result};
use listenfd::ListenFd;

/// What a service manager or the process before wants of this one; nothing where there is none.
pub(super) struct Surroundings {
    pub(super) sockets: Given,
    /// The process from which this one takes over.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) supervisor: Supervisor,
    /// How this program was called.
    pub(super) program: Program,
}

impl Surroundings {
    /// Reads the environment. To be called once, while the process has one thread: what says which descriptors are sockets is taken away, so
    /// that nobody else takes them.
    pub(super) fn read() -> Result<Self> {
        let (predecessor, sockets) = if text(HANDOVER).is_some() {
            let (predecessor, sockets) = Predecessor::at_stdin()?;
            (Some(predecessor), sockets)
        } else {
            let names = text("LISTEN_FDNAMES").unwrap_or_default();
            (None, Given::activated(ListenFd::from_env(), &names)?)
        };
        let (usec, of) = (text("WATCHDOG_USEC"), text("WATCHDOG_PID"));
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let supervisor = Supervisor::new(socket.as_deref(), usec.as_deref(), of.as_deref())
            .context("NOTIFY_SOCKET")?;
        let mut arguments = std::env::args_os();
        let path = arguments.next().context("a program has a name")?;
        let program = Program {
            path,
            arguments: arguments.collect(),
        };
        Ok(Self {
            sockets,
            predecessor,
            supervisor,
            program,
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
