//! Where a backend listens, and how it shakes hands inside TLS.

use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ServerConfig};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// Where a backend listens.
pub(super) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self::Tcp(TcpListener::bind(address).unwrap())
    }

    pub(super) fn unix(path: &Path) -> Self {
        Self::Unix(UnixListener::bind(path).unwrap())
    }

    /// Of one that is not at a path.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => Some(listener.local_addr().unwrap()),
            Self::Unix(_) => None,
        }
    }

    pub(super) fn open(self) -> OpenDoor {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true).unwrap();
                OpenDoor::Tcp(tokio::net::TcpListener::from_std(listener).unwrap())
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true).unwrap();
                OpenDoor::Unix(tokio::net::UnixListener::from_std(listener).unwrap())
            }
        }
    }
}

pub(super) enum OpenDoor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// A connection, of whatever kind.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl OpenDoor {
    pub(super) async fn accept(&self) -> Box<dyn Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// What a backend inside TLS has learned from a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// The name that was asked for.
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<Vec<u8>>,
    /// The client's own certificate.
    pub(crate) client: Option<CertificateDer<'static>>,
    /// It took up an earlier session.
    pub(crate) resumed: bool,
}

/// A backend inside TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Mutex<Arc<ServerConfig>>,
    handshakes: Mutex<Vec<Handshake>>,
    refused: AtomicUsize,
}

impl Tls {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self {
            config: Mutex::new(Arc::new(config)),
            handshakes: Mutex::default(),
            refused: AtomicUsize::new(0),
        }
    }

    /// How connections to come shake hands.
    pub(crate) fn shake_hands_with(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }

    /// Every handshake so far that came to its end.
    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.lock().unwrap().clone()
    }

    /// How many did not.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Shakes hands; `None` if that fails. A peer that is refused is told so: a connection closed with bytes unread would be reset.
    pub(super) async fn secure(&self, stream: Box<dyn Connection>) -> Option<Box<dyn Connection>> {
        let config = Arc::clone(&self.config.lock().unwrap());
        let mut stream = match TlsAcceptor::from(config)
            .accept(stream)
            .into_fallible()
            .await
        {
            Ok(stream) => stream,
            Err((_, mut stream)) => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
                return None;
            }
        };
        let session = stream.get_mut().1;
        let certificates = session.peer_certificates();
        self.handshakes.lock().unwrap().push(Handshake {
            name: session.server_name().map(ToOwned::to_owned),
            protocol: session.alpn_protocol().map(<[u8]>::to_vec),
            client: certificates.map(|chain| chain[0].clone().into_owned()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        });
        Some(Box::new(stream))
    }
}
