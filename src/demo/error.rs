//! Why the demo or a part of it can't start or go on, told so that one knows what to do.

use crate::app::StartError;
use crate::side::Side;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why the demo or a part of it ended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The sample can't be written.
    #[error("{}: the sample cannot be written there", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has errors.
    #[error("{} can't be used\n\n{problems}", file.display())]
    Settings {
        /// The file.
        file: PathBuf,
        /// All of them with their places, as `check` shows them.
        problems: String,
    },
    /// A side is not on this machine, or can't be found.
    #[error(
        "[{side}] url names {url}, {problem}: the demo starts its own services and loads them, so both sides must be \
         loopback addresses such as 127.0.0.1:7001"
    )]
    NotLoopback {
        /// The side.
        side: Side,
        /// What the url names.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The load has nothing to connect to.
    #[error("server.listen names no address with a port, which the demo's load connects to")]
    NoPort,
    /// An address to listen on is taken.
    #[error(
        "{address} is in use: stop what listens there (`ss -ltnp` shows it; another demo perhaps), or change {key} in {}",
        file.display()
    )]
    InUse {
        /// The address.
        address: String,
        /// The key of the file that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// An address to listen on can't be had.
    #[error("cannot listen on {address}, which {key} in {} names", file.display())]
    Listen {
        /// The address.
        address: String,
        /// The key of the file that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A child process can't be started.
    #[error("cannot start the child process \"{name}\"")]
    Spawn {
        /// Which one.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A child process ended before it was ready.
    #[error("the child process \"{name}\" ended at once ({how}): {said}")]
    Child {
        /// Which one.
        name: &'static str,
        /// Its exit status.
        how: String,
        /// What it said last.
        said: String,
    },
    /// The proxy can't start.
    #[error("the proxy cannot start")]
    Proxy(#[source] StartError),
    /// The operating system refused something that every program needs.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl DemoError {
    /// Whether a file or an argument can't be used, rather than that something failed.
    #[must_use]
    pub fn is_unusable(&self) -> bool {
        match self {
            Self::Settings { .. } | Self::NotLoopback { .. } | Self::NoPort => true,
            Self::Write { .. }
            | Self::InUse { .. }
            | Self::Listen { .. }
            | Self::Spawn { .. }
            | Self::Child { .. }
            | Self::Proxy(_)
            | Self::System { .. } => false,
        }
    }

    /// The whole of it in one line, causes included.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// For `map_err`: names what was tried.
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The error of a bind: "in use" says what to do about it.
    pub fn listen(
        address: String,
        key: &'static str,
        file: impl Into<PathBuf>,
        source: io::Error,
    ) -> Self {
        let file = file.into();
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::InUse { address, key, file }
        } else {
            Self::Listen {
                address,
                key,
                file,
                source,
            }
        }
    }
}
