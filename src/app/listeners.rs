//! The sockets of a proxy, open before anything else starts, so that a port in use is told at once.

use crate::app::certificates;
use crate::app::failure::StartError;
use crate::app::given::{Given, Held, Key};
use crate::app::unix;
use crate::config::Settings;
use crate::config::settings::{Listen, ListenAddress};
use crate::message::forwarded::Scheme;
use crate::proxy::{Door, Terms};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

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
    /// How its clients speak.
    pub terms: Arc<Terms>,
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
            Some((door, file)) => Listener::new(listen, door, file),
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

/// Where clients are served, and how they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where.
    pub address: ListenAddress,
    /// In the clear, or inside TLS.
    pub scheme: Scheme,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.scheme) {
            (ListenAddress::Tcp(address), scheme) => write!(f, "{}://{address}", scheme.name()),
            (unix @ ListenAddress::Unix(_), Scheme::Http) => unix.fmt(f),
            (unix @ ListenAddress::Unix(_), Scheme::Https) => write!(f, "{unix} (TLS)"),
        }
    }
}

impl Listeners {
    /// Holds of all of them, which were opened for these settings.
    pub(super) fn hold(&self, settings: &Settings) -> io::Result<Vec<Held>> {
        let server = &settings.server;
        let clients = server.listen.iter().zip(&self.clients);
        let clients = clients.map(|(listen, listener)| {
            let (key, file) = (Key::Listen, listener.file.as_ref());
            match &listener.door {
                Door::Tcp(socket) => Held::new(key, &listen.address, socket, file),
                Door::Unix(socket) => Held::new(key, &listen.address, socket, file),
            }
        });
        let admin = Held::new(Key::Admin, &server.admin, &self.admin, None);
        clients.chain([admin]).collect()
    }
}

impl Listener {
    fn bind(listen: &Listen) -> Result<Self, StartError> {
        let (door, file) = match &listen.address {
            ListenAddress::Tcp(address) => (Door::Tcp(bind("server.listen", *address)?), None),
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
                (Door::Unix(listener), Some(file))
            }
        };
        Self::new(listen, door, file)
    }

    fn new(
        listen: &Listen,
        door: Door,
        file: Option<unix::SocketFile>,
    ) -> Result<Self, StartError> {
        let tls = listen.tls.as_ref().map(certificates::load).transpose();
        let tls = tls.map_err(|source| StartError::Tls {
            address: listen.address.to_string(),
            source,
        })?;
        let terms = Arc::new(Terms {
            tls,
            h2c: listen.h2c,
            proxy_protocol: listen.proxy_protocol,
        });
        Ok(Self { door, terms, file })
    }

    /// Where it is: its own port where the settings left the choice to the system.
    pub(super) fn address(&self) -> io::Result<Served> {
        let address = match (&self.door, &self.file) {
            (Door::Tcp(listener), _) => ListenAddress::Tcp(listener.local_addr()?),
            (Door::Unix(_), Some(file)) => ListenAddress::Unix(file.path().to_owned()),
            (Door::Unix(listener), None) => {
                let address = listener.local_addr()?;
                ListenAddress::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned())
            }
        };
        let scheme = match self.terms.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        };
        Ok(Served { address, scheme })
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
