//! The bytes under hyper's client: a connection on which [`super::plain`] may have sent the request, and read a part of the answer, already.

use crate::telemetry;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What is held for as long as a connection is open: the permit of its endpoint, and its place in the gauge.
pub(super) type Held = (OwnedSemaphorePermit, telemetry::Held);

/// A connection, and what hyper must be shown, and kept from, before it.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    /// The beginning of an answer, for whoever has sent a request.
    before: Bytes,
    sending: Sending,
}

/// What becomes of the bytes that are written.
#[derive(Debug)]
enum Sending {
    /// They are sent.
    Open,
    /// They were sent before and go nowhere; who reads before that waits.
    Again(Option<Waker>),
    /// Some of them were written. What is read is the answer to them; with its first byte the line is open.
    Spoken,
}

impl Line {
    /// A connection at rest.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            before: Bytes::new(),
            sending: Sending::Open,
        }
    }

    /// A connection whose request was sent, and whose answer has begun.
    pub(super) fn in_the_middle(stream: TcpStream, before: Bytes) -> Self {
        Self {
            stream,
            before,
            sending: Sending::Again(None),
        }
    }

    /// The connection, if hyper has seen all that was read of it.
    pub(super) fn into_stream(self) -> Option<TcpStream> {
        let shown = self.before.is_empty() && matches!(self.sending, Sending::Open);
        shown.then_some(self.stream)
    }

    /// The connection, and what was read of it that hyper has not seen.
    pub(super) fn into_rest(self) -> (TcpStream, Bytes) {
        (self.stream, self.before)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Sending::Again(waiting) = &mut this.sending {
            *waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        this.sending = Sending::Open;
        if !this.before.is_empty() {
            let length = this.before.len().min(buf.remaining());
            buf.put_slice(&this.before[..length]);
            this.before.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &mut this.sending {
            Sending::Open => return Pin::new(&mut this.stream).poll_write_vectored(cx, slices),
            Sending::Again(waiting) => {
                if let Some(waiting) = waiting.take() {
                    waiting.wake();
                }
                this.sending = Sending::Spoken;
            }
            Sending::Spoken => {}
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP stream keeps nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
