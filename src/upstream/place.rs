//! Where an endpoint is, and how one gets there.

use crate::config::settings::Url;
use crate::upstream::names::Names;
use crate::upstream::stream::Stream;
use crate::upstream::tls::{Tls, is_handshake};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpStream, UnixStream};

/// Where an endpoint is.
#[derive(Debug)]
pub enum Place {
    /// At addresses and a port, maybe inside TLS.
    Net(Names, Option<Secured>),
    /// At the path of a Unix socket.
    Unix(PathBuf),
}

/// TLS with an endpoint.
#[derive(Debug)]
pub struct Secured {
    tls: Arc<Tls>,
    /// What its certificate must be for.
    name: ServerName<'static>,
}

impl Place {
    /// Where a url leads; `tls` is that of the side, which one of https has.
    pub(super) fn new(url: &Url, tls: Option<&Arc<Tls>>) -> Self {
        match url {
            Url::Unix(path) => Self::Unix(path.clone()),
            Url::Http(authority) => Self::Net(Names::new(authority, url.default_port()), None),
            Url::Https(authority) => {
                let tls = tls.expect("a side with a url of https has TLS");
                let secured = Secured {
                    tls: Arc::clone(tls),
                    name: tls.name_at(authority.host()),
                };
                Self::Net(Names::new(authority, url.default_port()), Some(secured))
            }
        }
    }

    /// Looks a name up again, if it is one that somebody has asked for.
    pub async fn refresh(&self) {
        match self {
            Self::Net(names, _) => names.refresh().await,
            Self::Unix(_) => {}
        }
    }

    /// A connection, to the first of the addresses that can be had.
    pub(super) async fn dial(&self) -> io::Result<Stream> {
        let (names, secured) = match self {
            Self::Net(names, secured) => (names, secured.as_ref()),
            Self::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in names.addresses().await? {
            match reach(address, secured).await {
                Ok(stream) => return Ok(stream),
                // That somebody is there, but not who should be, says more than that nobody is at another address.
                Err(error) if !is_handshake(&last) => last = error,
                Err(_) => {}
            }
        }
        Err(last)
    }
}

async fn reach(address: SocketAddr, secured: Option<&Secured>) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    // A head and a small body go out in two writes; waiting for more to send would only add latency.
    stream.set_nodelay(true)?;
    match secured {
        None => Ok(Stream::Tcp(stream)),
        Some(Secured { tls, name }) => {
            let stream = tls.shake_hands(name, stream).await?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}
