//! What comes before a client's first request: the word of a balancer, the handshake of TLS, the choice of HTTP/1 or HTTP/2.
//!
//! It runs on the worker, never on the acceptor, which others wait for.

use crate::message::forwarded::{Address, Scheme};
use crate::proxy::preamble::Preamble;
use crate::proxy::socket::{Protocol, Socket};
use crate::proxy::tls::Tls;
use crate::proxy::worker::Worker;
use crate::telemetry::Rejected;
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// What HTTP/2 begins with (RFC 9113 §3.4). In HTTP/1 it is no request that anybody makes.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How the clients of a listener speak.
#[derive(Debug, Default)]
pub struct Terms {
    /// Inside TLS.
    pub tls: Option<Tls>,
    /// Outside of it HTTP/2 too, from the first byte.
    pub h2c: bool,
    /// Through a balancer that says first who asks.
    pub proxy_protocol: bool,
}

impl Terms {
    fn is_plain(&self) -> bool {
        self.tls.is_none() && !self.h2c && !self.proxy_protocol
    }
}

/// A client that may ask.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) socket: Socket,
    pub(super) address: Address,
    pub(super) protocol: Protocol,
}

/// Makes a connection one that requests come by. `None`, and counted, if its client does not keep to the terms.
pub(super) async fn greet(
    socket: Socket,
    peer: IpAddr,
    terms: &Terms,
    worker: &Worker,
) -> Option<Guest> {
    if terms.is_plain() {
        return Some(Guest {
            socket,
            address: Address::new(peer, Scheme::Http),
            protocol: Protocol::Http1,
        });
    }
    match Box::pin(follow(socket, peer, terms, worker)).await {
        Ok(guest) => Some(guest),
        Err(Departure::Refused(reason, error)) => {
            worker.telemetry().process().rejected(reason);
            tracing::debug!(%error, %peer, reason = reason.name(), "a connection was refused");
            None
        }
        Err(Departure::Left) => None,
    }
}

/// Why a connection ends before its first request.
#[derive(Debug)]
enum Departure {
    Refused(Rejected, io::Error),
    /// Its client said nothing.
    Left,
}

async fn follow(
    socket: Socket,
    peer: IpAddr,
    terms: &Terms,
    worker: &Worker,
) -> Result<Guest, Departure> {
    let (tls_timeout, idle_timeout) = {
        let limits = &worker.plan().settings.limits;
        (limits.tls_timeout, limits.idle_timeout)
    };
    let (socket, peer) = if terms.proxy_protocol {
        let first = First(tls_timeout, Rejected::ProxyProtocol);
        let (socket, source) = first.of(socket, introduction).await?;
        (socket, source.unwrap_or(peer))
    } else {
        (socket, peer)
    };
    let (socket, protocol, scheme) = match &terms.tls {
        Some(tls) => {
            let first = First(tls_timeout, Rejected::Tls);
            let (socket, protocol) = first.of(socket, |socket| tls.accept(socket)).await?;
            (socket, protocol, Scheme::Https)
        }
        None if terms.h2c => {
            let asked = timeout(idle_timeout, prior_knowledge(socket)).await;
            let (socket, protocol) = asked
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(|_| Departure::Left)?;
            (socket, protocol, Scheme::Http)
        }
        None => (socket, Protocol::Http1, Scheme::Http),
    };
    Ok(Guest {
        socket,
        address: Address::new(peer, scheme),
        protocol,
    })
}

/// What a client has to say first: how long it may take, and what it is counted as if it does not.
struct First(Duration, Rejected);

impl First {
    /// Who leaves before the first byte has only looked whether somebody listens, as balancers do.
    async fn of<T, F>(self, socket: Socket, read: impl FnOnce(Socket) -> F) -> Result<T, Departure>
    where
        F: Future<Output = io::Result<T>>,
    {
        let Self(time, reason) = self;
        let refused = |error| Departure::Refused(reason, error);
        let said = async {
            if socket.begins().await {
                read(socket).await.map_err(refused)
            } else {
                Err(Departure::Left)
            }
        };
        let late = |_| Err(refused(io::ErrorKind::TimedOut.into()));
        timeout(time, said).await.unwrap_or_else(late)
    }
}

/// Reads the header of the PROXY protocol: the connection after it, and whose it is.
async fn introduction(mut socket: Socket) -> io::Result<(Socket, Option<IpAddr>)> {
    let mut bytes = BytesMut::with_capacity(256);
    loop {
        match Preamble::read(&bytes) {
            Preamble::Whole { length, source } => {
                let rest = bytes.split_off(length);
                return Ok((socket.with(rest.freeze()), source));
            }
            Preamble::Bad => return Err(io::ErrorKind::InvalidData.into()),
            Preamble::Incomplete => {}
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether a connection begins as HTTP/2 does.
async fn prior_knowledge(mut socket: Socket) -> io::Result<(Socket, Protocol)> {
    let mut bytes = BytesMut::with_capacity(PREFACE.len());
    while bytes.len() < PREFACE.len() && PREFACE.starts_with(&bytes) {
        let mut rest = (&mut socket).take((PREFACE.len() - bytes.len()) as u64);
        if rest.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    let protocol = if bytes == PREFACE {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    Ok((socket.with(Bytes::from(bytes)), protocol))
}
