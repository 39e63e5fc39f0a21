//! Sockets that this process did not open but was given, by the service manager (socket activation, `sd_listen_fds(3)`) or the process
//! before; and its own ones, held for the next.
//!
//! A manager's socket serves the address of the file where it listens; one that is named `listen` or `admin` serves the key of that name
//! also if it listens elsewhere. One that no key claims is an error: connections would stand in its queue for ever. A socket of the process
//! before serves the address that it was opened for, if the file still has it.

use crate::app::failure::StartError;
use crate::app::unix::{Ownership, SocketFile};
use crate::config::Settings;
use crate::config::settings::ListenAddress;
use crate::proxy::Door;
use listenfd::ListenFd;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::absolute;

/// A key of `[server]` that names addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Listen,
    Admin,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Admin => "admin",
        }
    }
}

/// One socket.
#[derive(Debug)]
struct Socket {
    door: Door,
    claim: Claim,
}

/// What a socket is for.
#[derive(Debug)]
enum Claim {
    /// What the manager calls it, and where it listens.
    Named {
        name: String,
        address: ListenAddress,
    },
    /// The key and the address of the file for which the process before opened it; whether its file is to be removed in the end.
    Held { key: Key, place: String, file: bool },
}

/// The sockets that a process was given.
#[derive(Debug, Default)]
pub struct Given {
    sockets: Vec<Socket>,
}

impl Given {
    /// What the service manager gave, with the names that it gave them (`LISTEN_FDNAMES`).
    ///
    /// # Errors
    /// [`StartError::Given`] where one does not listen for TCP or at a Unix socket.
    pub fn activated(mut fds: ListenFd, names: &str) -> Result<Self, StartError> {
        let mut names = names.split(':');
        let sockets = (0..fds.len()).map(|index| {
            let name = names.next().unwrap_or_default();
            let unfit = |why: String| StartError::Given {
                name: name.to_owned(),
                why,
            };
            let door = take(&mut fds, index).map_err(|error| unfit(error.to_string()))?;
            if rustix::net::sockopt::socket_acceptconn(fd(&door)) != Ok(true) {
                return Err(unfit("it does not listen".to_owned()));
            }
            let claim = Claim::Named {
                name: name.to_owned(),
                address: address(&door).map_err(|error| unfit(error.to_string()))?,
            };
            Ok(Socket { door, claim })
        });
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
        })
    }

    /// Adds one of the process before, as [`Held::told`] tells of it.
    pub(super) fn add(&mut self, told: &str, fd: OwnedFd) -> io::Result<()> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        let words: Vec<_> = told.splitn(4, ' ').collect();
        let &["socket", key, file, place] = words.as_slice() else {
            return Err(wrong());
        };
        let keys = [Key::Listen, Key::Admin];
        let key = keys.into_iter().find(|known| known.name() == key);
        let door = if place.starts_with("unix:") {
            Door::Unix(UnixListener::from(fd))
        } else {
            Door::Tcp(TcpListener::from(fd))
        };
        let claim = Claim::Held {
            key: key.ok_or_else(wrong)?,
            place: place.to_owned(),
            file: file == "own",
        };
        self.sockets.push(Socket { door, claim });
        Ok(())
    }

    /// Takes what serves an address; by its place first, for every address, and then by its name.
    pub(super) fn assign(mut self, settings: &Settings) -> Result<Assigned, StartError> {
        let server = &settings.server;
        let mut wanted: Vec<(Key, ListenAddress, Option<Serving>)> = Vec::new();
        for listen in &server.listen {
            wanted.push((Key::Listen, listen.address.clone(), None));
        }
        wanted.push((Key::Admin, ListenAddress::Tcp(server.admin), None));
        for fits in [Claim::is_for, Claim::is_named] {
            for (key, address, found) in wanted.iter_mut().filter(|(.., found)| found.is_none()) {
                let place = self
                    .sockets
                    .iter()
                    .position(|socket| fits(&socket.claim, *key, address));
                *found = place.map(|place| self.sockets.remove(place).serving(address));
            }
        }
        for socket in self.sockets {
            match socket.claim {
                Claim::Named { name, address } => {
                    let why = format!(
                        "it listens at {address}, which neither server.listen nor server.admin names"
                    );
                    return Err(StartError::Given { name, why });
                }
                Claim::Held { key, place, .. } => {
                    tracing::info!("server.{} names {place} no more", key.name());
                }
            }
        }
        let admin = wanted.pop().and_then(|(.., found)| found);
        Ok(Assigned {
            clients: wanted.into_iter().map(|(.., found)| found).collect(),
            admin: admin.map(|(door, _)| door),
        })
    }
}

/// What serves an address, and its file if that is ours to remove.
pub(super) type Serving = (Door, Option<SocketFile>);

/// Who serves which address; `None` for those that are still to be opened.
#[derive(Debug)]
pub(super) struct Assigned {
    /// In the order of `server.listen`.
    pub(super) clients: Vec<Option<Serving>>,
    /// For `server.admin`.
    pub(super) admin: Option<Door>,
}

impl Socket {
    fn serving(self, wanted: &ListenAddress) -> Serving {
        let file = match (self.claim, wanted) {
            (Claim::Held { file: true, .. }, ListenAddress::Unix(path)) => {
                // One that somebody has removed meanwhile need not be removed again.
                SocketFile::of_another(path).ok()
            }
            (Claim::Held { .. } | Claim::Named { .. }, _) => None,
        };
        (self.door, file)
    }
}

impl Claim {
    fn is_for(&self, wanted: Key, at: &ListenAddress) -> bool {
        match self {
            Self::Named { name, address } => {
                let other = match wanted {
                    Key::Listen => Key::Admin,
                    Key::Admin => Key::Listen,
                };
                name != other.name() && same(address, at)
            }
            Self::Held { key, place, .. } => *key == wanted && *place == at.to_string(),
        }
    }

    fn is_named(&self, wanted: Key, at: &ListenAddress) -> bool {
        let Self::Named { name, address } = self else {
            return false;
        };
        let same_kind = matches!(
            (address, at),
            (ListenAddress::Tcp(_), ListenAddress::Tcp(_))
                | (ListenAddress::Unix(_), ListenAddress::Unix(_))
        );
        name == wanted.name() && same_kind
    }
}

fn address(door: &Door) -> io::Result<ListenAddress> {
    Ok(match door {
        Door::Tcp(listener) => ListenAddress::Tcp(listener.local_addr()?),
        Door::Unix(listener) => {
            let address = listener.local_addr()?;
            ListenAddress::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned())
        }
    })
}

fn fd(door: &Door) -> BorrowedFd<'_> {
    match door {
        Door::Tcp(listener) => listener.as_fd(),
        Door::Unix(listener) => listener.as_fd(),
    }
}

/// A hold of one of this process's own sockets. It listens until all holds are gone, so a stop lets go of this one first.
#[derive(Debug)]
pub(super) struct Held {
    key: Key,
    place: String,
    fd: OwnedFd,
    /// Whose the socket's file is, if it has one.
    file: Option<Ownership>,
}

impl Held {
    /// A hold of a socket that was opened for this address of the file.
    pub(super) fn new(
        key: Key,
        place: &impl ToString,
        socket: &impl AsFd,
        file: Option<&SocketFile>,
    ) -> io::Result<Self> {
        Ok(Self {
            key,
            place: place.to_string(),
            fd: socket.as_fd().try_clone_to_owned()?,
            file: file.map(SocketFile::ownership),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// In words, for the next process.
    pub(super) fn told(&self) -> String {
        let file = if self.file.is_some() { "own" } else { "none" };
        format!("socket {} {file} {}", self.key.name(), self.place)
    }

    /// The next process has it, with its file.
    pub(super) fn give_away(self) {
        if let Some(file) = self.file {
            file.give_up();
        }
    }

    /// The process before has let go of its file.
    pub(super) fn take_up(&self) {
        if let Some(file) = &self.file {
            file.take_up();
        }
    }
}

/// What stands at this place, whatever listens there.
fn take(fds: &mut ListenFd, index: usize) -> io::Result<Door> {
    let door = match fds.take_tcp_listener(index) {
        Ok(listener) => listener.map(Door::Tcp),
        Err(_) => fds.take_unix_listener(index)?.map(Door::Unix),
    };
    door.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// `[::]` is where systemd listens for a port alone, and takes what comes to `0.0.0.0` too.
fn same(given: &ListenAddress, wanted: &ListenAddress) -> bool {
    let any = |address: &SocketAddr| address.ip().is_unspecified();
    match (given, wanted) {
        (ListenAddress::Tcp(given), ListenAddress::Tcp(wanted)) => {
            given == wanted || (given.port() == wanted.port() && any(given) && any(wanted))
        }
        (ListenAddress::Unix(given), ListenAddress::Unix(wanted)) => {
            absolute(wanted).is_ok_and(|wanted| *given == wanted)
        }
        (ListenAddress::Tcp(_), ListenAddress::Unix(_))
        | (ListenAddress::Unix(_), ListenAddress::Tcp(_)) => false,
    }
}
