//! Unix sockets for clients: a file left by a process that died is replaced, one that somebody listens at is not; ours goes with us.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The file of a socket that listens. Dropped, it is removed, unless another file stands in its place by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    ownership: Ownership,
}

/// Whose a socket's file is. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ownership {
    given_up: Arc<AtomicBool>,
}

impl Ownership {
    /// Another process removes the file in the end.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// This process does.
    pub(super) fn take_up(&self) {
        self.given_up.store(false, Relaxed);
    }
}

impl SocketFile {
    /// The file at a path, which is another process's until it is taken up.
    pub(super) fn of_another(path: &Path) -> io::Result<Self> {
        let file = Self::at(path)?;
        file.ownership.give_up();
        Ok(file)
    }

    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
            ownership: Ownership::default(),
        })
    }

    pub(super) fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.ownership.given_up.load(Relaxed)
            && identity(&self.path).is_ok_and(|own| own == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "the socket {} can't be removed", self.path.display());
        }
    }
}

/// Listens at a path.
///
/// # Errors
/// Where somebody listens there already, the path is of a file that is no socket, or the system refuses.
pub(super) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    let file = SocketFile::at(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((listener, file))
}

/// Removes the socket of a process that has ended. Only a refused connection says that nobody listens: a full queue, for one, is another error.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        let message = "a file that is no socket stands there";
        return Err(io::Error::new(ErrorKind::AlreadyExists, message));
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) | Err(_) => {
            let message = "somebody listens there already";
            Err(io::Error::new(ErrorKind::AddrInUse, message))
        }
    }
}

/// Connects without waiting: a process that has stopped accepting must not stop this one.
fn connect(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for wanted in [0o600, 0o666] {
            let opened = listen(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
            UnixStream::connect(&path).unwrap();
            drop(opened);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_a_dead_process_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // Closed without being removed, as a killed process leaves it.
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _file) = listen(&path, 0o600).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_is_alive_or_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (alive, file) = listen(&path, 0o600).unwrap();
        let refused = |path: &Path| listen(path, 0o600).unwrap_err().kind();
        assert_eq!(refused(&path), ErrorKind::AddrInUse);
        // Nor where it has stopped accepting, and its queue is full.
        rustix::net::listen(&alive, 1).unwrap();
        let waiting: Vec<_> = std::iter::repeat_with(|| connect(&path))
            .take_while(Result::is_ok)
            .collect();
        assert!(!waiting.is_empty());
        assert_eq!(refused(&path), ErrorKind::AddrInUse);
        drop(file);
        for other in ["file", "folder"] {
            let other = folder.path().join(other);
            fs::create_dir(&other).unwrap();
            if other.ends_with("file") {
                fs::remove_dir(&other).unwrap();
                fs::write(&other, "text").unwrap();
            }
            assert_eq!(refused(&other), ErrorKind::AlreadyExists);
            assert!(other.exists());
        }
    }

    #[test]
    fn another_socket_at_the_path_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (_listener, file) = listen(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        let _next = UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
