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
        let told = within(tls_timeout, introduction(socket)).await;
        let (socket, source) =
            told.map_err(|error| Departure::Refused(Rejected::ProxyProtocol, error))?;
        (socket, source.unwrap_or(peer))
    } else {
        (socket, peer)
    };
    let (socket, protocol, scheme) = match &terms.tls {
        Some(tls) => {
            let (socket, protocol) = within(tls_timeout, tls.accept(socket))
                .await
                .map_err(|error| Departure::Refused(Rejected::Tls, error))?;
            (socket, protocol, Scheme::Https)
        }
        None if terms.h2c => {
            let (socket, protocol) = within(idle_timeout, prior_knowledge(socket))
                .await
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

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
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
