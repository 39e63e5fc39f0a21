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
use crate::telemetry::{Rejected, Telemetry};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of what a client begins with (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// PINGs and SETTINGS, all of which must be answered, that a client may send between two looks beyond the frames of requests and answers that pass meanwhile.
/// One that measures its way sends a PING for some of the DATA that it gets.
const MOST_ASKED: u32 = 1_000;

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

    fn came(&mut self, bytes: &[u8]) {
        self.begun = true;
        let Self {
            inbound,
            in_block,
            in_head,
            open,
            asked,
            heads,
            ..
        } = self;
        inbound.pass(bytes, |passing| {
            let frame = match passing {
                Passing::Frame(frame) => frame,
                Passing::Payload(payload) => return heads.pass(payload),
            };
            heads.begin(frame);
            match frame.kind {
                HEADERS | CONTINUATION => *in_block = !frame.has(END_HEADERS),
                RST_STREAM => {
                    open.retain(|(stream, _)| *stream != frame.stream);
                    heads.end(frame.stream);
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
            if ends(frame) {
                heads.end(frame.stream);
            }
            if follow(open, frame) {
                telemetry.process().rejected(Rejected::HeadTooLarge);
            }
        });
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
}

impl<T> Overseen<T> {
    pub(super) fn new(inner: T, oversight: &Arc<Oversight>) -> Self {
        Self {
            inner,
            oversight: Arc::clone(oversight),
        }
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            let mut passed = this.oversight.lock();
            passed.came(came);
            if passed.abused {
                // Nothing is answered any more: what waits for the client may find no room.
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        read
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
