//! A tunnel through one stream of a connection that speaks HTTP/2 (RFC 8441): what a side is asked for in place of an upgrade, and the side's end of it.
//!
//! HTTP/2 has no handshake of WebSockets: the client's key stays here, and is answered here.

use crate::message::websocket::accept;
use crate::upstream::pool::shared::Slot;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The only protocol that a side is asked for.
const WEBSOCKET: &str = "websocket";
/// Bytes that are handed over at once.
const PIECE: usize = 16 * 1024;

/// What an accepting answer has to say to a client's key.
#[derive(Debug)]
pub(super) struct Promise(HeaderValue);

impl Promise {
    /// Makes a request for a WebSocket an extended CONNECT, if it is one.
    pub(super) fn make(protocols: &HeaderValue, head: &mut Request<()>) -> Option<Self> {
        let asked = protocols.as_bytes().trim_ascii();
        if !asked.eq_ignore_ascii_case(WEBSOCKET.as_bytes()) || head.uri().scheme().is_none() {
            return None;
        }
        let key = head.headers().get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
        let answer = HeaderValue::try_from(accept(key)).ok()?;
        head.headers_mut().remove(SEC_WEBSOCKET_KEY);
        *head.method_mut() = Method::CONNECT;
        head.extensions_mut()
            .insert(Protocol::from_static(WEBSOCKET));
        Some(Self(answer))
    }

    /// Makes an answer that accepts one that switches. Whether it accepts.
    pub(super) fn keep<T>(&self, answer: &mut Response<T>) -> bool {
        if !answer.status().is_success() {
            return false;
        }
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.0.clone());
        true
    }
}

/// The side's end of a tunnel.
#[derive(Debug)]
pub(super) struct Lane {
    sink: SendStream<Bytes>,
    stream: RecvStream,
    unread: Bytes,
    ended: bool,
    _place: Slot,
}

impl Lane {
    pub(super) fn new(sink: SendStream<Bytes>, stream: RecvStream, place: Slot) -> Self {
        Self {
            sink,
            stream,
            unread: Bytes::new(),
            ended: false,
            _place: place,
        }
    }
}

impl AsyncRead for Lane {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => this.unread = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread.split_to(count));
        // It only fails on a stream that is over.
        let _ = this.stream.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lane {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sink = &mut self.get_mut().sink;
        sink.reserve_capacity(bytes.len().min(PIECE));
        while sink.capacity() == 0 {
            match ready!(sink.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = bytes.len().min(sink.capacity());
        let sent = sink.send_data(Bytes::copy_from_slice(&bytes[..count]), false);
        Poll::Ready(sent.map(|()| count).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::replace(&mut this.ended, true) {
            return Poll::Ready(Ok(()));
        }
        let sent = this.sink.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(io::Error::other))
    }
}
