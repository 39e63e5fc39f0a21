//! A service manager, as far as a service tells it things.

use crate::harness::PATIENCE;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Listens at a socket of its own.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// One whose socket lies in a folder.
    pub(crate) fn at(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// Says to a program where it is.
    pub(crate) fn name_to(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path);
    }

    /// What it is told next.
    #[track_caller]
    pub(crate) fn told(&self) -> String {
        let mut buffer = [0; 200];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Whether it was told more already.
    pub(crate) fn hears_more(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let more = self.socket.recv(&mut [0; 200]).is_ok();
        self.socket.set_nonblocking(false).unwrap();
        more
    }
}
