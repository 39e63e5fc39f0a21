//! Where an endpoint is, and how one gets there.

use crate::config::settings::Url;
use crate::upstream::names::Names;
use crate::upstream::stream::Stream;
use std::io;
use std::path::PathBuf;
use tokio::net::{TcpStream, UnixStream};

/// Where an endpoint is.
#[derive(Debug)]
pub enum Place {
    /// At addresses and a port.
    Net(Names),
    /// At the path of a Unix socket.
    Unix(PathBuf),
}

impl Place {
    pub(super) fn new(url: &Url) -> Self {
        match url {
            Url::Http(authority) => Self::Net(Names::new(authority, url.default_port())),
            Url::Unix(path) => Self::Unix(path.clone()),
        }
    }

    /// Looks a name up again, if it is one that somebody has asked for.
    pub async fn refresh(&self) {
        match self {
            Self::Net(names) => names.refresh().await,
            Self::Unix(_) => {}
        }
    }

    /// A connection, to the first of the addresses that can be had.
    pub(super) async fn dial(&self) -> io::Result<Stream> {
        match self {
            Self::Net(names) => dial(names).await.map(Stream::Tcp),
            Self::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        }
    }
}

async fn dial(names: &Names) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in names.addresses().await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A head and a small body go out in two writes; waiting for more to send would only add latency.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
