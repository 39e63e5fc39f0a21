//! The sockets of a proxy, open before anything else starts, so that a port in use is told at once.

use crate::app::failure::StartError;
use crate::app::given::Given;
use crate::app::unix;
use crate::config::Settings;
use crate::config::settings::{Listen, ListenAddress};
use crate::proxy::Door;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may stand and wait to be accepted; the kernel takes `net.core.somaxconn` where that is less. One that finds this queue full is
/// not refused, but tried again by its client after 1 s, 3 s, and so on: the 128 of the standard library make a burst of clients wait for seconds.
const BACKLOG: i32 = 4096;

/// The sockets of a proxy.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub clients: Vec<Listener>,
    /// For the admin API.
    pub admin: TcpListener,
}

/// One socket for clients.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub door: Door,
    /// Its file, if it has one: removed with this.
    pub file: Option<unix::SocketFile>,
}

impl Listeners {
    /// Opens what `server.listen` and `server.admin` name.
    ///
    /// # Errors
    /// [`StartError::Listen`] names the address that can't be opened.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        Self::open(settings, Given::default())
    }

    /// The same, but for what this process was given.
    ///
    /// # Errors
    /// [`StartError::Listen`], or [`StartError::Given`] for a socket that no key claims.
    pub fn open(settings: &Settings, given: Given) -> Result<Self, StartError> {
        let given = given.assign(settings)?;
        let listen = settings.server.listen.iter().zip(given.clients);
        let clients = listen.map(|(listen, given)| match given {
            Some(door) => Ok(Listener { door, file: None }),
            None => Listener::bind(listen),
        });
        Ok(Self {
            clients: clients.collect::<Result<_, _>>()?,
            admin: match given.admin {
                Some(Door::Tcp(listener)) => listener,
                Some(Door::Unix(_)) | None => bind("server.admin", settings.server.admin)?,
            },
        })
    }
}

impl Listener {
    fn bind(listen: &Listen) -> Result<Self, StartError> {
        Ok(match &listen.address {
            ListenAddress::Tcp(address) => Self {
                door: Door::Tcp(bind("server.listen", *address)?),
                file: None,
            },
            ListenAddress::Unix(path) => {
                let opened = unix::listen(path, listen.mode).and_then(|opened| {
                    rustix::net::listen(&opened.0, BACKLOG)?;
                    Ok(opened)
                });
                let (listener, file) = opened.map_err(|source| StartError::Listen {
                    key: "server.listen",
                    address: listen.address.to_string(),
                    source,
                })?;
                Self {
                    door: Door::Unix(listener),
                    file: Some(file),
                }
            }
        })
    }

    /// Where it is: its own port where the settings left the choice to the system.
    pub(super) fn address(&self) -> io::Result<ListenAddress> {
        Ok(match (&self.door, &self.file) {
            (Door::Tcp(listener), _) => ListenAddress::Tcp(listener.local_addr()?),
            (Door::Unix(_), Some(file)) => ListenAddress::Unix(file.path().to_owned()),
            (Door::Unix(listener), None) => {
                let address = listener.local_addr()?;
                ListenAddress::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned())
            }
        })
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    listen(address).map_err(|source| StartError::Listen {
        key,
        address: address.to_string(),
        source,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // To listen again only moves the bound of the queue.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    #[test]
    fn a_burst_of_clients_stands_before_one_of_them_is_accepted() {
        let listener = bind("server.listen", (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
        let at_most = somaxconn.map_or(128, |number| number.trim().parse().unwrap());
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(5));
        // Nobody accepts, so that one that finds the queue full never stands.
        let clients: Result<Vec<_>, _> = (0..at_most.min(300)).map(connect).collect();
        clients.unwrap();
    }
}
