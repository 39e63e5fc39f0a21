//! Sockets that this process did not open but was given: by the service manager (socket activation, `sd_listen_fds(3)`).
//!
//! A socket serves the address of the file where it listens; one that is named `listen` or `admin` serves the key of that name
//! also if it listens elsewhere. One that no key claims is an error: connections would stand in its queue for ever.

use crate::app::failure::StartError;
use crate::config::Settings;
use crate::config::settings::ListenAddress;
use crate::proxy::Door;
use listenfd::ListenFd;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::absolute;

/// A key of `[server]` that names addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
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
    name: String,
    address: ListenAddress,
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
            let socket = Socket::new(door, name).map_err(|error| unfit(error.to_string()))?;
            if rustix::net::sockopt::socket_acceptconn(socket.fd()) != Ok(true) {
                return Err(unfit("it does not listen".to_owned()));
            }
            Ok(socket)
        });
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
        })
    }

    /// Takes what serves an address; by its place first, for every address, and then by its name.
    pub(super) fn assign(mut self, settings: &Settings) -> Result<Assigned, StartError> {
        let server = &settings.server;
        let mut wanted: Vec<(Key, ListenAddress, Option<Door>)> = Vec::new();
        for listen in &server.listen {
            wanted.push((Key::Listen, listen.address.clone(), None));
        }
        wanted.push((Key::Admin, ListenAddress::Tcp(server.admin), None));
        for fits in [Socket::listens_at, Socket::is_named] {
            for (key, address, found) in wanted.iter_mut().filter(|(.., found)| found.is_none()) {
                let place = self
                    .sockets
                    .iter()
                    .position(|socket| fits(socket, *key, address));
                *found = place.map(|place| self.sockets.remove(place).door);
            }
        }
        if let Some(socket) = self.sockets.pop() {
            return Err(StartError::Given {
                why: format!(
                    "it listens at {}, which neither server.listen nor server.admin names",
                    socket.address
                ),
                name: socket.name,
            });
        }
        let admin = wanted.pop().and_then(|(.., found)| found);
        Ok(Assigned {
            clients: wanted.into_iter().map(|(.., found)| found).collect(),
            admin,
        })
    }
}

/// Who serves which address; `None` for those that are still to be opened.
#[derive(Debug)]
pub(super) struct Assigned {
    /// In the order of `server.listen`.
    pub(super) clients: Vec<Option<Door>>,
    /// For `server.admin`.
    pub(super) admin: Option<Door>,
}

impl Socket {
    fn new(door: Door, name: &str) -> io::Result<Self> {
        let address = match &door {
            Door::Tcp(listener) => ListenAddress::Tcp(listener.local_addr()?),
            Door::Unix(listener) => {
                let address = listener.local_addr()?;
                ListenAddress::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned())
            }
        };
        Ok(Self {
            door,
            name: name.to_owned(),
            address,
        })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.door {
            Door::Tcp(listener) => listener.as_fd(),
            Door::Unix(listener) => listener.as_fd(),
        }
    }

    fn listens_at(&self, key: Key, wanted: &ListenAddress) -> bool {
        let other = match key {
            Key::Listen => Key::Admin,
            Key::Admin => Key::Listen,
        };
        self.name != other.name() && same(&self.address, wanted)
    }

    fn is_named(&self, key: Key, wanted: &ListenAddress) -> bool {
        let kinds = (&self.address, wanted);
        let same_kind = matches!(
            kinds,
            (ListenAddress::Tcp(_), ListenAddress::Tcp(_))
                | (ListenAddress::Unix(_), ListenAddress::Unix(_))
        );
        self.name == key.name() && same_kind
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
