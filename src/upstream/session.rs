//! One HTTP/2 connection to a side, which many requests share.
//!
//! It is h2's own client and not hyper's: hyper takes a reset in the middle of an answer for its end where the reason is NO_ERROR or CANCEL, and does not
//! tell what a side has provably not processed. Invariant: a session begins when the side's SETTINGS have come, so that no stream is ever opened beyond
//! what the side allows, and that whoever does not speak HTTP/2 is a connection that could not be made.

use crate::config::settings::Multiplexing;
use crate::upstream::alarm::Alarm;
use crate::upstream::failure::Fault;
use crate::upstream::line::Held;
use crate::upstream::stream::Stream;
use crate::upstream::vigil::{Finding, Vigil};
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The longest head of an answer, in bytes; each field counts 32 more (RFC 9113 §6.5.2).
const MAX_HEAD: u32 = 64 * 1024;
/// Bytes of a request's body that wait for the side to take them.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset here, and whose last frames may still come. Clients that leave make them.
const RESET_STREAMS: usize = 1_000;
/// No window is larger (RFC 9113 §6.9.1).
const MOST_WINDOW: usize = (1 << 31) - 1;
/// How many streams a side allows that has not told: no side can tell so many.
const UNTOLD: usize = usize::MAX - 1;

/// Why a connection can't be used.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the side does not speak HTTP/2")]
    NoHttp2(#[source] h2::Error),
    #[error("the side has closed the connection")]
    Closed,
    #[error("the side allows no requests on a new connection")]
    NoStreams,
}

/// A connection that is shared. Dropping it does not close it: its task lives until it is closed, here or there.
pub(super) struct Session {
    sender: SendRequest<Bytes>,
    /// Streams that there may be at once, whatever the side allows.
    most: usize,
    driver: Mutex<Option<Driver>>,
    heard: Arc<AtomicUsize>,
    active: AtomicUsize,
    served: AtomicBool,
    retired: AtomicBool,
    /// When it was opened.
    pub(super) born: Instant,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("active", &self.active)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

/// What moves a connection's bytes, and what goes with it.
struct Driver {
    connection: Connection<Heard<Stream>, Bytes>,
    pings: PingPong,
    vigil: Vigil,
    alarm: Alarm,
    due: Instant,
    /// Of its task.
    waker: Waker,
    _held: Held,
}

/// What a client of HTTP/2 says of itself.
pub(super) fn builder(limits: &Multiplexing, in_flight: usize) -> Builder {
    let mut builder = Builder::new();
    // Requests have nothing to do with each other: one whose client does not read must not keep the others' bytes from coming.
    let window = (limits.stream_window as usize).saturating_mul(in_flight);
    builder
        .enable_push(false)
        .initial_max_send_streams(UNTOLD)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(window.min(MOST_WINDOW) as u32)
        .max_header_list_size(MAX_HEAD)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

impl Session {
    /// Speaks HTTP/2 over a new connection, and waits for what the side allows.
    pub(super) async fn open(
        stream: Stream,
        held: Held,
        limits: &Multiplexing,
        in_flight: usize,
    ) -> Result<Arc<Self>, Fault> {
        let heard = Arc::new(AtomicUsize::new(0));
        let line = Heard {
            line: stream,
            reads: Arc::clone(&heard),
        };
        let unfit = |unfit| Fault::Connect(io::Error::other(unfit));
        let (sender, mut connection) = builder(limits, in_flight)
            .handshake(line)
            .await
            .map_err(|error| unfit(Unfit::NoHttp2(error)))?;
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(Unfit::NoHttp2(error))),
            Poll::Ready(Ok(())) => Poll::Ready(Err(Unfit::Closed)),
            Poll::Pending => match sender.current_max_send_streams() {
                UNTOLD => Poll::Pending,
                0 => Poll::Ready(Err(Unfit::NoStreams)),
                _ => Poll::Ready(Ok(())),
            },
        })
        .await
        .map_err(unfit)?;
        let pings = connection
            .ping_pong()
            .expect("nobody has asked for it before");
        let vigil = Vigil::new(limits.ping, limits.ping_timeout);
        let now = Instant::now();
        let driver = Driver {
            connection,
            pings,
            due: now + vigil.pause(),
            vigil,
            alarm: Alarm::default(),
            waker: Waker::noop().clone(),
            _held: held,
        };
        let session = Arc::new(Self {
            sender,
            most: in_flight,
            driver: Mutex::new(Some(driver)),
            heard,
            active: AtomicUsize::new(0),
            served: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            born: now,
        });
        session.start();
        Ok(session)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the task that moves a connection's bytes belongs to the runtime of its pool"
    )]
    fn start(self: &Arc<Self>) {
        let session = Arc::clone(self);
        tokio::spawn(poll_fn(move |cx| {
            let mut place = session.driver();
            let Some(driver) = place.as_mut() else {
                return Poll::Ready(());
            };
            let over = driver.poll(cx, &session.heard);
            if over.is_ready() {
                *place = None;
            }
            over
        }));
    }

    /// A handle for one request, if the connection takes one more.
    pub(super) fn enter(&self) -> Option<SendRequest<Bytes>> {
        let most = self.most.min(self.sender.current_max_send_streams());
        if self.active.load(Relaxed) >= most || !self.is_open() {
            return None;
        }
        // A side that has said GOAWAY takes no more.
        let mut sender = self.sender.clone();
        let mut quiet = Context::from_waker(Waker::noop());
        if matches!(sender.poll_ready(&mut quiet), Poll::Ready(Err(_))) {
            self.retire();
            return None;
        }
        self.active.fetch_add(1, Relaxed);
        Some(sender)
    }

    /// A request that has entered is over.
    pub(super) fn leave(&self) {
        let last = self.active.fetch_sub(1, Relaxed) == 1;
        if last && self.retired.load(Relaxed) {
            self.close();
        }
    }

    /// Whether nobody uses it.
    pub(super) fn is_idle(&self) -> bool {
        self.active.load(Relaxed) == 0
    }

    /// It takes no further request, and closes with the last one.
    pub(super) fn retire(&self) {
        self.retired.store(true, Relaxed);
        if self.is_idle() {
            self.close();
        }
    }

    /// Whether it may take requests.
    pub(super) fn is_open(&self) -> bool {
        if self.retired.load(Relaxed) {
            return false;
        }
        let mut place = self.driver();
        let Some(driver) = place.as_mut() else {
            return false;
        };
        // Where nobody waits for the connection its task may not have seen yet that the side has closed it.
        let over = self.is_idle() && driver.look().is_ready();
        if over && let Some(driver) = place.take() {
            driver.waker.wake_by_ref();
        }
        !over
    }

    /// Whether it has answered.
    pub(super) fn has_served(&self) -> bool {
        self.served.load(Relaxed)
    }

    /// It has answered.
    pub(super) fn serves(&self) {
        self.served.store(true, Relaxed);
    }

    /// How often something has come.
    pub(super) fn heard(&self) -> usize {
        self.heard.load(Relaxed)
    }

    /// Nobody needs it any more.
    fn close(&self) {
        let closed = self.driver().take();
        if let Some(driver) = closed {
            driver.waker.wake_by_ref();
        }
    }

    fn driver(&self) -> MutexGuard<'_, Option<Driver>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>, heard: &AtomicUsize) -> Poll<()> {
        if !self.waker.will_wake(cx.waker()) {
            self.waker.clone_from(cx.waker());
        }
        loop {
            if Pin::new(&mut self.connection).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.alarm.poll_seldom(cx, self.due).is_pending() {
                return Poll::Pending;
            }
            // An answer to the last one is of no interest but that it makes room for the next.
            let _ = self.pings.poll_pong(cx);
            match self.vigil.look(heard.load(Relaxed)) {
                Finding::Fine => {}
                // With one under way already there is no other to send.
                Finding::Ask => drop(self.pings.send_ping(Ping::opaque())),
                Finding::Dead => return Poll::Ready(()),
            }
            self.due = Instant::now() + self.vigil.pause();
        }
    }

    /// Moves what can be moved, for a task that does not wait for it.
    fn look(&mut self) -> Poll<()> {
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        Pin::new(&mut self.connection).poll(&mut cx).map(drop)
    }
}

/// A line that counts how often something has come over it.
struct Heard<S> {
    line: S,
    reads: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.line).poll_read(cx, buffer);
        if read.is_ready() {
            self.reads.fetch_add(1, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}
