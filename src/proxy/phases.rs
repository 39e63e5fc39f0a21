//! What a client's connection is doing: idle, in a head, being served, or waiting for its client to read.
//!
//! hyper has one timer for a head and for idleness, and none for writes. [`Watched`] sits between hyper and the socket and notes what was read and
//! written; [`Busy`] marks the requests between. No clock is read here: `deadlines` does that, when the phase has changed.
//!
//! Everything that touches a [`Pulse`] runs on one thread, so that plain loads and stores are enough where nobody counts.

use crate::proxy::exit::Exit;
use http::{Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is asked.
    Idle,
    /// A head has begun, and is not there yet.
    Head,
    /// A request is under way, and its client is not waited for.
    Serving,
    /// The client has to read before more can be written.
    Writing,
}

/// What a connection's I/O, its requests and its limits know of each other.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests that are served, and bodies that are still read.
    busy: AtomicU32,
    /// Requests begun so far.
    begun: AtomicU32,
    /// Bytes have come that may be the beginning of the next head.
    read: AtomicBool,
    /// Bytes that found no room when they were written last; 0 while there is room.
    blocked: AtomicUsize,
    /// Writes that found room.
    written: AtomicU32,
    /// Where the connection leads after its last answer.
    pub(super) exit: Exit,
    /// The end of the answer is the end of the connection, for all that the client knows.
    ends_by_closing: AtomicBool,
    /// Wakes the task that moves the connection.
    waker: Mutex<Option<Waker>>,
}

impl Pulse {
    /// A request has begun: its head is there.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Busy {
        self.begun
            .store(self.begun.load(Relaxed).wrapping_add(1), Relaxed);
        self.read.store(false, Relaxed);
        self.ends_by_closing
            .store(version == Version::HTTP_10, Relaxed);
        Busy::new(Arc::clone(self))
    }

    /// What the connection does, and a number that is another one when it does so anew, or has got on with it.
    pub(super) fn phase(&self) -> (Phase, u32) {
        if self.blocked.load(Relaxed) > 0 {
            (Phase::Writing, self.written.load(Relaxed))
        } else if self.busy.load(Relaxed) > 0 {
            (Phase::Serving, 0)
        } else if self.read.load(Relaxed) {
            (Phase::Head, self.begun.load(Relaxed))
        } else {
            (Phase::Idle, self.begun.load(Relaxed))
        }
    }

    /// Whether a request is under way, to the last byte of its answer.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.phase().0, Phase::Serving | Phase::Writing)
    }

    /// Bytes that wait for the client to read.
    pub(super) fn blocked(&self) -> usize {
        self.blocked.load(Relaxed)
    }

    /// Whether the client of the latest request would take a clean end of the connection for a whole answer.
    pub(super) fn ends_by_closing(&self) -> bool {
        self.ends_by_closing.load(Relaxed)
    }

    /// Who is to be woken when the rest of a body keeps the connection busy no more: that may end in another task.
    pub(super) fn is_moved_by(&self, waker: &Waker) {
        let mut known = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(waker.clone());
    }

    fn wrote(&self) {
        self.written
            .store(self.written.load(Relaxed).wrapping_add(1), Relaxed);
        self.blocked.store(0, Relaxed);
    }

    fn found_no_room(&self, bytes: usize) {
        self.blocked.store(bytes.max(1), Relaxed);
    }
}

/// A request, or the rest of its body, that keeps a connection busy until it is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pulse>);

impl Busy {
    fn new(pulse: Arc<Pulse>) -> Self {
        pulse.busy.fetch_add(1, Relaxed);
        Self(pulse)
    }

    /// What the connection does.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.0
    }

    /// What was read was a body, not the beginning of a head; and nobody reads it any more.
    pub(super) fn leave_body(&self) {
        self.0.read.store(false, Relaxed);
        let waker = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// A request that is being answered, and then the body of its answer: the connection is busy until that is handed over.
#[derive(Debug)]
pub(super) struct Lasting<T> {
    inner: T,
    busy: Option<Busy>,
}

impl<T> Lasting<T> {
    pub(super) fn new(inner: T, busy: Busy) -> Self {
        Self {
            inner,
            busy: Some(busy),
        }
    }
}

impl<F, B, E> Future for Lasting<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<Lasting<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = ready!(Pin::new(&mut this.inner).poll(cx))?;
        let busy = this.busy.take();
        Poll::Ready(Ok(response.map(|inner| Lasting { inner, busy })))
    }
}

impl<B: Body + Unpin> Body for Lasting<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A client's connection under watch.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    pulse: Arc<Pulse>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }

    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> Watched<T> {
    fn note(&self, written: Poll<io::Result<usize>>, bytes: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(_) => self.pulse.wrote(),
            Poll::Pending => self.pulse.found_no_room(bytes),
        }
        written
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = ready!(Pin::new(&mut this.inner).poll_read(cx, buffer));
        this.pulse.read.store(true, Relaxed);
        Poll::Ready(read)
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.note(written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        let bytes = match written {
            Poll::Ready(_) => 0,
            Poll::Pending => slices.iter().map(|slice| slice.len()).sum(),
        };
        this.note(written, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        if flushed.is_pending() {
            this.pulse.found_no_room(1);
        } else if this.pulse.blocked() > 0 {
            this.pulse.wrote();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.inner).poll_shutdown(cx);
        if closed.is_pending() {
            this.pulse.found_no_room(1);
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_begins_anew_with_each_request_and_each_write() {
        let pulse = Arc::new(Pulse::default());
        let idle = pulse.phase();
        assert_eq!(idle.0, Phase::Idle);
        pulse.read.store(true, Relaxed);
        assert_eq!(pulse.phase().0, Phase::Head);
        let busy = pulse.begin(Version::HTTP_11);
        let body = busy.clone();
        assert_eq!(pulse.phase().0, Phase::Serving);
        pulse.found_no_room(10);
        let writing = pulse.phase();
        assert_eq!((writing.0, pulse.blocked()), (Phase::Writing, 10));
        pulse.wrote();
        pulse.found_no_room(10);
        assert_ne!(pulse.phase(), writing, "it has got on");
        pulse.wrote();
        drop(busy);
        pulse.read.store(true, Relaxed);
        assert_eq!(pulse.phase().0, Phase::Serving, "the body is still read");
        body.leave_body();
        drop(body);
        assert_eq!(pulse.phase().0, Phase::Idle, "what came was a body");
        assert_ne!(pulse.phase(), idle, "another idleness");
    }
}
