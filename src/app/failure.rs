//! What can keep a proxy from starting.

use crate::app::certificates::TlsError;
use std::io;

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("{key}: can't listen on {address}")]
    Listen {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A socket that this process was given is of no use.
    #[error("the socket \"{name}\" that was given to this process can't be used: {why}")]
    Given {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
    /// The certificates of a listener can't be used.
    #[error("server.listen: the certificates of {address}")]
    Tls {
        /// The listener's address.
        address: String,
        /// Why not.
        #[source]
        source: TlsError,
    },
    /// The process that was to hand over can't be spoken with, or does not.
    #[error("the process before does not hand over")]
    Predecessor(#[source] io::Error),
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Randomness(#[from] getrandom::Error),
    /// A thread or a runtime can't be made.
    #[error("a thread can't be started")]
    Thread(#[from] io::Error),
}
