//! Where clients come in, and what their bytes come through: TCP or a Unix socket.
//!
//! A client at a Unix socket has no address; it counts as 127.0.0.1: only who is on this machine, and may write to the file, gets in.

use bytes::Bytes;
use rustix::net::RecvFlags;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A socket that listens.
#[derive(Debug)]
pub enum Door {
    /// For an address and a port.
    Tcp(std::net::TcpListener),
    /// For a path.
    Unix(std::os::unix::net::UnixListener),
}

impl Door {
    /// Makes it one of this thread's runtime.
    ///
    /// # Errors
    /// Where the runtime can't take it.
    pub fn open(self) -> io::Result<OpenDoor> {
        Ok(match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                OpenDoor::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                OpenDoor::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        })
    }
}

/// A socket that a runtime accepts from.
#[derive(Debug)]
pub enum OpenDoor {
    /// For an address and a port.
    Tcp(tokio::net::TcpListener),
    /// For a path.
    Unix(tokio::net::UnixListener),
}

impl OpenDoor {
    /// The next client, and its address.
    pub(super) async fn accept(&self) -> io::Result<(Visitor, IpAddr)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Visitor::Tcp(stream.into_std()?), peer.ip())
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
                (Visitor::Unix(stream.into_std()?), peer)
            }
        })
    }
}

/// A client's connection on its way from one runtime to another.
#[derive(Debug)]
pub(super) enum Visitor {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Visitor {
    /// Makes it one of this thread's runtime.
    pub(super) fn enter(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                Socket::Tcp(tokio::net::TcpStream::from_std(stream)?)
            }
            Self::Unix(stream) => Socket::Unix(tokio::net::UnixStream::from_std(stream)?),
        })
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
    /// One of the others inside TLS.
    Tls(Box<TlsStream<Self>>),
    /// One of the others, and what was read of it already.
    Begun(Box<Begun>),
}

/// A connection of which some bytes were read before it was known how it speaks.
#[derive(Debug)]
pub(super) struct Begun {
    ahead: Bytes,
    socket: Socket,
}

/// How a connection speaks: told once, before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Socket {
    /// Gives back what was read.
    pub(super) fn with(self, ahead: Bytes) -> Self {
        if ahead.is_empty() {
            return self;
        }
        Self::Begun(Box::new(Begun {
            ahead,
            socket: self,
        }))
    }
}

impl Socket {
    /// Waits for the first byte; whether there will be one. Nothing is read.
    pub(super) async fn begins(&self) -> bool {
        fn peek(socket: impl AsFd) -> io::Result<bool> {
            let mut byte = [0];
            let (came, _) = rustix::net::recv(socket, &mut byte, RecvFlags::PEEK)?;
            Ok(came > 0)
        }
        let read = Interest::READABLE;
        match self {
            Self::Tcp(stream) => stream.async_io(read, || peek(stream)).await,
            Self::Unix(stream) => stream.async_io(read, || peek(stream)).await,
            Self::Tls(_) | Self::Begun(_) => Ok(true),
        }
        .unwrap_or(false)
    }

    /// Ends it so that its end can't be taken for the end of an answer, where the kind of socket can tell the two apart.
    pub(super) fn reset(self) {
        match self {
            // A connection that is broken already needs no reset.
            Self::Tcp(stream) => drop(stream.set_zero_linger()),
            Self::Unix(stream) => drop(stream),
            Self::Tls(stream) => stream.into_inner().0.reset(),
            Self::Begun(begun) => begun.socket.reset(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Begun(begun) if begun.ahead.is_empty() => {
                Pin::new(&mut begun.socket).poll_read(cx, buf)
            }
            Self::Begun(begun) => {
                let length = begun.ahead.len().min(buf.remaining());
                buf.put_slice(&begun.ahead.split_to(length));
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // The system keeps nothing back.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Begun(begun) => Pin::new(&mut begun.socket).poll_shutdown(cx),
        }
    }
}
