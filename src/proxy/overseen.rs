//! The bytes of a connection that speaks HTTP/2, as they pass between the library and the socket: what its client lets wait, and what the library
//! refuses by itself.
//!
//! The library hands over heads that are whole, takes answers as fast as its buffers are, and says 431 without a word to anybody. Only here is seen
//! that a head has begun, that a socket takes nothing, and that an answer was handed over whose client has no room for it. No clock is read:
//! time is counted in looks, which are taken now and then. What a client makes the library do for next to nothing is counted as its bytes come, and ends
//! the connection before the library has them.

use crate::proxy::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PING, Passing, RST_STREAM,
    SETTINGS, Scanner,
};
use crate::proxy::heads::Heads;
use crate::proxy::turns::Turns;
use crate::telemetry::{Rejected, Telemetry};
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes of what a client begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// PINGs and SETTINGS, all of which must be answered, that a client may send between two looks beyond the frames of requests and answers that pass meanwhile.
/// One that measures its way sends a PING for some of the DATA that it gets.
const MOST_ASKED: u32 = 1_000;

/// How long requests of which none is answered keep others from beginning.
const TURN: Duration = Duration::from_millis(25);
/// Bytes that a request has at the least: a frame's head, and one of fields.
const LEAST_REQUEST: usize = 10;

/// What passes, by both ends of it: the I/O and the connection's looks. Both run in one task.
#[derive(Debug)]
pub(super) struct Oversight(Mutex<Passed>);

#[derive(Debug)]
struct Passed {
    telemetry: Arc<Telemetry>,
    inbound: Scanner,
    outbound: Scanner,
    /// The client has said something.
    begun: bool,
    /// A block of fields goes on in the next frame.
    in_block: bool,
    /// Looks that have found the same head incomplete.
    in_head: u32,
    /// Looks that have found the socket full.
    full: Option<u32>,
    /// Answers whose head was written and whose end was not: the stream, and looks since something of it was.
    open: Vec<(u32, u32)>,
    /// PINGs and SETTINGS since the last look, but for as many frames of requests and answers.
    asked: u32,
    heads: Heads,
    turns: Turns,
    /// Who reads, while the next request must not begin.
    reader: Option<Waker>,
    /// The client has asked for more than it may.
    abused: bool,
}

/// What a look has found: for how many looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// One and the same head has not come whole.
    pub(super) head: u32,
    /// The socket has taken nothing.
    pub(super) socket: u32,
}

impl Oversight {
    /// Of a connection that may have so many streams at once.
    pub(super) fn new(telemetry: &Arc<Telemetry>, streams: u32) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Passed {
            telemetry: Arc::clone(telemetry),
            inbound: Scanner::after(PREFACE),
            outbound: Scanner::after(0),
            begun: false,
            in_block: false,
            in_head: 0,
            full: None,
            open: Vec::new(),
            asked: 0,
            heads: Heads::new(streams),
            turns: Turns::new(streams),
            reader: None,
            abused: false,
        })))
    }

    /// Whether the connection ends because its client has asked for more than it may.
    pub(super) fn is_abused(&self) -> bool {
        self.lock().abused
    }

    /// Counts a look.
    pub(super) fn look(&self) -> Waiting {
        let mut passed = self.lock();
        if passed.is_in_head() {
            passed.in_head += 1;
        }
        for (_, looks) in &mut passed.open {
            *looks += 1;
        }
        passed.asked = 0;
        let socket = passed.full.as_mut().map_or(0, |looks| {
            *looks += 1;
            *looks
        });
        Waiting {
            head: passed.in_head,
            socket,
        }
    }

    /// Answers that have not ended, and of which nothing was written for so many looks.
    pub(super) fn stuck(&self, looks: u32) -> usize {
        let passed = self.lock();
        let stuck = passed.open.iter().filter(|(_, since)| *since >= looks);
        stuck.count()
    }

    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passed {
    fn is_in_head(&self) -> bool {
        self.begun && (self.in_block || self.inbound.is_in_frame())
    }

    /// Whether the next frame must wait, since it may begin a request that is not to begin yet.
    fn is_held(&self) -> bool {
        !self.turns.have_room(1) && !self.in_block && self.inbound.is_between()
    }

    /// Takes what comes, as far as requests may begin; how much that is.
    fn take(&mut self, bytes: &[u8]) -> usize {
        // One may have begun before, and one begin that ends behind.
        if self.turns.have_room(2 + bytes.len() / LEAST_REQUEST) {
            self.came(bytes);
            return bytes.len();
        }
        let mut taken = 0;
        while taken < bytes.len() && !self.is_held() {
            let rest = &bytes[taken..];
            let frame = &rest[..self.inbound.of_frame(rest)];
            self.came(frame);
            taken += frame.len();
        }
        taken
    }

    fn came(&mut self, bytes: &[u8]) {
        self.begun = true;
        let Self {
            inbound,
            in_block,
            in_head,
            open,
            asked,
            heads,
            turns,
            ..
        } = self;
        inbound.pass(bytes, |passing| {
            let frame = match passing {
                Passing::Frame(frame) => frame,
                Passing::Payload(payload) => return heads.pass(payload),
            };
            if heads.begin(frame) {
                turns.begin(frame.stream);
            }
            match frame.kind {
                HEADERS | CONTINUATION => *in_block = !frame.has(END_HEADERS),
                RST_STREAM => {
                    open.retain(|(stream, _)| *stream != frame.stream);
                    heads.end(frame.stream);
                    turns.end(frame.stream);
                }
                SETTINGS | PING if !frame.has(ACK) => *asked += 1,
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) {
                *asked = asked.saturating_sub(1);
            }
            if !*in_block && frame.kind != CONTINUATION {
                *in_head = 0;
            }
        });
        if !self.is_in_head() {
            self.in_head = 0;
        }
        self.abused |= self.asked > MOST_ASKED || self.heads.are_too_much();
    }

    /// An error if the client has asked for more than it may.
    fn verdict(&self) -> io::Result<()> {
        if self.abused {
            // Nothing is answered any more: what waits for the client may find no room.
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn flushed(&mut self, whole: bool) {
        self.full = if whole { None } else { self.full.or(Some(0)) };
    }

    fn went(&mut self, bytes: &[u8]) {
        let Self {
            outbound,
            open,
            telemetry,
            asked,
            heads,
            turns,
            ..
        } = self;
        outbound.pass(bytes, |passing| {
            let Passing::Frame(frame) = passing else {
                return;
            };
            if !matches!(frame.kind, DATA | HEADERS | RST_STREAM) {
                return;
            }
            *asked = asked.saturating_sub(1);
            if frame.kind != DATA {
                turns.end(frame.stream);
            }
            if ends(frame) {
                heads.end(frame.stream);
            }
            if follow(open, frame) {
                telemetry.process().rejected(Rejected::HeadTooLarge);
            }
        });
        if !self.is_held()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }
}

/// Whether a frame of an answer is its last one.
fn ends(frame: Frame) -> bool {
    frame.kind == RST_STREAM || frame.has(END_STREAM)
}

/// Follows the streams that are answered; whether this is the library's own refusal of a head: `:status` alone, where all others have a date.
fn follow(open: &mut Vec<(u32, u32)>, frame: Frame) -> bool {
    let known = open.iter().position(|(stream, _)| *stream == frame.stream);
    match known {
        Some(place) if ends(frame) => drop(open.swap_remove(place)),
        Some(place) => open[place].1 = 0,
        None if frame.kind != HEADERS => {}
        None if ends(frame) => return frame.has(END_HEADERS) && frame.has_one_field(),
        None => open.push((frame.stream, 0)),
    }
    false
}

/// A client's connection under oversight.
#[derive(Debug)]
pub(super) struct Overseen<T> {
    inner: T,
    oversight: Arc<Oversight>,
    /// What has come, and waits until requests may begin.
    held: Bytes,
    /// The end of the turn.
    turn: Option<Pin<Box<Sleep>>>,
}

impl<T> Overseen<T> {
    pub(super) fn new(inner: T, oversight: &Arc<Oversight>) -> Self {
        Self {
            inner,
            oversight: Arc::clone(oversight),
            held: Bytes::new(),
            turn: None,
        }
    }

    /// Waits until the next frame may come.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut passed = self.oversight.lock();
            if !passed.is_held() {
                return Poll::Ready(());
            }
            passed.reader = Some(cx.waker().clone());
            drop(passed);
            let turn = self.turn.get_or_insert_with(|| Box::pin(sleep(TURN)));
            ready!(turn.as_mut().poll(cx));
            let (now, end) = (Instant::now(), turn.deadline());
            turn.as_mut().reset(now + TURN);
            let late = now.saturating_duration_since(end);
            self.oversight.lock().turns.next(late);
        }
    }

    /// Hands over what was held, as far as requests may begin.
    fn release(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let room = self.held.len().min(buffer.remaining());
        let mut passed = self.oversight.lock();
        let taken = passed.take(&self.held[..room]);
        buffer.put_slice(&self.held.split_to(taken));
        passed.verdict()
    }

    fn wrote<'a>(
        &self,
        written: Poll<io::Result<usize>>,
        slices: impl IntoIterator<Item = &'a [u8]>,
    ) -> Poll<io::Result<usize>> {
        let mut passed = self.oversight.lock();
        match &written {
            Poll::Pending => passed.full = passed.full.or(Some(0)),
            Poll::Ready(Ok(written)) => {
                passed.full = None;
                let mut left = *written;
                for slice in slices {
                    let part = &slice[..slice.len().min(left)];
                    left -= part.len();
                    passed.went(part);
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Overseen<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_turn(cx));
        if !this.held.is_empty() {
            return Poll::Ready(this.release(buffer));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        if came.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut passed = this.oversight.lock();
        passed.turns.came(came.len());
        let taken = passed.take(came);
        this.held = Bytes::copy_from_slice(&came[taken..]);
        buffer.set_filled(before + taken);
        Poll::Ready(passed.verdict())
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Overseen<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.wrote(written, [bytes])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.wrote(written, slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        // Inside TLS bytes are taken before they are written.
        this.oversight.lock().flushed(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
