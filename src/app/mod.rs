//! The one place that wires threads, watching and signals: [`fn@start`] turns settings and listeners into a [`Running`] proxy.
//!
//! Threads: workers serve, one acceptor hands them connections, the lab compares at lower priority, control does the rest.

mod certificates;
mod control;
mod failure;
mod files;
mod given;
mod handover;
mod listeners;
mod running;
mod samples;
mod sides;
mod signals;
mod start;
mod supervisor;
mod threads;
#[cfg(feature = "otel")]
mod traces;
mod unix;
mod watch;

pub use certificates::TlsError;
pub use failure::StartError;
pub use given::Given;
pub use handover::{Predecessor, Program, VARIABLE as HANDOVER};
pub use listeners::{Listener, Listeners, Served};
pub use running::Running;
pub use start::{Start, start};
pub use supervisor::Supervisor;
pub use unix::SocketFile;
pub use watch::{ConfigFile, Reading, check, read};
