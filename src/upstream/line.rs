//! The bytes under hyper's client: a connection on which [`super::plain`] may have sent the request, and read a part of the answer, already.

use crate::telemetry;
use crate::upstream::stream::Stream;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

/// What is held for as long as a connection is open: the permit of its endpoint, and its place in the gauge.
pub(super) type Held = (OwnedSemaphorePermit, telemetry::Held);

/// A connection, and what hyper must be shown, and kept from, before it.
#[derive(Debug)]
pub(super) struct Line {
    stream: Stream,
    /// The beginning of an answer, for whoever has sent a request.
    before: Bytes,
    sending: Sending,
    patience: Arc<Patience>,
}

/// How much may come before the head of an answer. hyper bounds each head, but not how many of them only say that the answer is to come.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Bytes that may come yet; 0 where nobody waits for a head.
    left: AtomicUsize,
}

impl Patience {
    /// Bytes that may come before the head of an answer, and with it.
    const BYTES: usize = 1 << 20;

    /// A request is sent.
    pub(super) fn begin(&self) {
        self.left.store(Self::BYTES, Relaxed);
    }

    /// Its answer has begun.
    pub(super) fn end(&self) {
        self.left.store(0, Relaxed);
    }

    /// Takes what has come; whether it was too much.
    fn is_over(&self, come: usize) -> bool {
        let left = self.left.load(Relaxed);
        if left == 0 {
            return false;
        }
        // What is over stays over.
        self.left.store(left.saturating_sub(come).max(1), Relaxed);
        left <= come
    }
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
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            before: Bytes::new(),
            sending: Sending::Open,
            patience: Arc::default(),
        }
    }

    /// A connection whose request was sent, and whose answer has begun.
    pub(super) fn in_the_middle(stream: Stream, before: Bytes) -> Self {
        Self {
            stream,
            before,
            sending: Sending::Again(None),
            patience: Arc::default(),
        }
    }

    /// How much may come before an answer.
    pub(super) fn patience(&self) -> Arc<Patience> {
        Arc::clone(&self.patience)
    }

    /// The connection, if hyper has seen all that was read of it.
    pub(super) fn into_stream(self) -> Option<Stream> {
        let shown = self.before.is_empty() && matches!(self.sending, Sending::Open);
        shown.then_some(self.stream)
    }

    /// The connection, and what was read of it that hyper has not seen.
    pub(super) fn into_rest(self) -> (Stream, Bytes) {
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
        let filled = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.patience.is_over(buf.filled().len() - filled) {
            let error = "no end of heads that say that the answer is to come";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
