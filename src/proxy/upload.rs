//! A client's body on its way up: streamed once, and again from a bounded copy if another attempt must be made.
//!
//! The source is shared by attempts; only the latest one may read it. What was passed on is kept up to [`REPLAY_LIMIT`]; beyond it the body
//! can't be sent again, and the stream goes on. Bytes are copied to be kept: a frame of one byte would pin a read buffer of thousands.

use crate::message::body::{BodyError, Outgoing, Progress, Streamed};
use crate::message::capture::Capture;
use crate::proxy::intake::Intake;
use crate::proxy::memory::Holding;
use crate::proxy::prefix::Prefix;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Bytes of a body that are kept so that it can be sent to the other side after a failure.
const REPLAY_LIMIT: usize = 64 * 1024;

/// How long a client that expects `100 Continue` waits for an upstream that says nothing. RFC 9110 §10.1.1.
const CONTINUE_AFTER: Duration = Duration::from_secs(1);

/// How much, and for how long, is read of a body that nobody wants.
const DRAIN_LIMIT: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Whether what is passed on is kept for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    ForReplay,
}

/// A client's body, shared by the attempts to send it.
#[derive(Debug)]
pub(super) struct Upload {
    source: Mutex<Source>,
    progress: Progress,
}

#[derive(Debug)]
struct Source {
    incoming: Box<Intake>,
    expected: Option<u64>,
    /// The beginning of the body.
    kept: Vec<u8>,
    /// As many bytes as `kept` has.
    held: Holding,
    keep: Keep,
    shadow: Option<Capture>,
    trailers: Option<HeaderMap>,
    /// The body was read to its end.
    ended: bool,
    /// Number of the attempt that may read.
    attempt: u32,
    gate: Gate,
    waker: Option<Waker>,
}

/// Whether the client may be told to send its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// The client waits for `100 Continue`: it is sent as soon as its body is read.
    Closed,
    /// A final answer came first, or nobody wants the body any more.
    Shut,
}

impl Upload {
    /// A body of which `prefix` was read already.
    pub(super) fn new(
        incoming: Box<Intake>,
        prefix: Prefix,
        expects_continue: Expects,
    ) -> Arc<Self> {
        let ended = prefix.ended || incoming.is_end_stream();
        let gate = match expects_continue {
            Expects::Continue if prefix.bytes.is_empty() && !ended => Gate::Closed,
            Expects::Continue | Expects::Nothing => Gate::Open,
        };
        let mut held = incoming.memory().holding();
        held.set(prefix.bytes.len());
        let source = Source {
            held,
            expected: incoming
                .size_hint()
                .exact()
                .map(|rest| rest + prefix.bytes.len() as u64),
            incoming,
            kept: prefix.bytes,
            keep: Keep::Nothing,
            shadow: None,
            trailers: prefix.trailers,
            ended,
            attempt: 0,
            gate,
            waker: None,
        };
        Arc::new(Self {
            source: Mutex::new(source),
            progress: Progress::new(Instant::now()),
        })
    }

    /// Keeps what is passed on from now on, so that the body can be sent again.
    pub(super) fn keep_for_replay(&self) {
        self.source().keep = Keep::ForReplay;
    }

    /// Copies the body for a shadow.
    pub(super) fn copy_to(&self, mut capture: Capture) {
        let mut source = self.source();
        capture.push(&source.kept);
        source.shadow = Some(capture);
    }

    /// The length of the whole body, if the client told it.
    pub(super) fn expected(&self) -> Option<u64> {
        self.source().expected
    }

    /// The body for the next attempt; the one before can't go on. Ask [`Self::can_repeat`] before the second.
    pub(super) fn attempt(self: &Arc<Self>) -> Outgoing {
        let mut source = self.source();
        source.attempt += 1;
        let number = source.attempt;
        Outgoing::Stream(Box::pin(Attempt {
            upload: Arc::clone(self),
            number,
            sent: 0,
            trailed: false,
            patience: None,
        }))
    }

    /// Whether nothing was passed on that was not kept.
    pub(super) fn can_repeat(&self) -> bool {
        self.source().keep == Keep::ForReplay
    }

    /// Whether the client still waits to be told to send its body.
    pub(super) fn is_held_back(&self) -> bool {
        self.source().gate == Gate::Closed
    }

    /// The upstream said `100 Continue`.
    pub(super) fn proceed(&self) {
        let mut source = self.source();
        if source.gate == Gate::Closed {
            source.gate = Gate::Open;
            if let Some(waker) = source.waker.take() {
                waker.wake();
            }
        }
    }

    /// A final answer has come: a client that still waits for `100 Continue` must not get one any more, and one that has not said how much it will send
    /// may go on as slowly as the answer does.
    pub(super) fn answered(&self) {
        let mut source = self.source();
        if source.gate == Gate::Closed {
            source.gate = Gate::Shut;
        }
        if source.expected.is_none() {
            source.incoming.may_take_its_time();
        }
    }

    /// The answer is over: whoever still reads the body is told to stop. Whether it was read to its end.
    pub(super) fn close(&self) -> bool {
        let mut source = self.source();
        source.attempt += 1;
        if let Some(waker) = source.waker.take() {
            waker.wake();
        }
        source.ended
    }

    /// The shadow's copy, if the body was read to its end.
    pub(super) fn take_copy(&self) -> Option<Capture> {
        let mut source = self.source();
        let ended = source.ended;
        source.shadow.take().filter(|_| ended)
    }

    /// Reads on and throws away, so that a client that is still sending gets to read its answer. RFC 9112 §9.6.
    pub(super) async fn drain(self: Arc<Self>) {
        {
            let mut source = self.source();
            source.attempt += 1;
            if source.ended || source.gate != Gate::Open {
                return;
            }
        }
        let mut bytes = 0;
        let read = poll_fn(|cx| {
            let mut source = self.source();
            while bytes < DRAIN_LIMIT {
                match ready!(source.incoming.poll_rest(cx)) {
                    Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) | None => break,
                }
            }
            Poll::Ready(())
        });
        // Out of time or over the limit, the connection is closed with its answer.
        let _ = timeout(DRAIN_TIME, read).await;
    }

    /// How far the body has come.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the client waits for `100 Continue` before it sends its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expects {
    Continue,
    Nothing,
}

/// One attempt to send the body.
#[derive(Debug)]
struct Attempt {
    upload: Arc<Upload>,
    number: u32,
    /// How many of the kept bytes were sent.
    sent: usize,
    trailed: bool,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Body for Attempt {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut source = this
            .upload
            .source
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if source.attempt != this.number {
            return Poll::Ready(Some(Err(BodyError::Unwanted)));
        }
        if let Some(unsent) = source
            .kept
            .get(this.sent..)
            .filter(|unsent| !unsent.is_empty())
        {
            let frame = Bytes::copy_from_slice(unsent);
            this.sent = source.kept.len();
            this.upload.progress.moved(Instant::now());
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if source.ended {
            let trailers = source
                .trailers
                .clone()
                .filter(|_| !std::mem::replace(&mut this.trailed, true));
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        if source.gate == Gate::Closed {
            let patience = this
                .patience
                .get_or_insert_with(|| Box::pin(sleep(CONTINUE_AFTER)));
            if patience.as_mut().poll(cx).is_ready() {
                source.gate = Gate::Open;
            } else {
                this.upload.progress.starved();
            }
        }
        if source.gate != Gate::Open {
            source.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Poll::Ready(frame) = source.incoming.poll_frame(cx) else {
            source.waker = Some(cx.waker().clone());
            this.upload.progress.starved();
            return Poll::Pending;
        };
        this.upload.progress.moved(Instant::now());
        let Some(frame) = frame else {
            source.ended = true;
            return Poll::Ready(None);
        };
        match frame?.into_data() {
            Ok(data) => {
                source.pass(&data);
                this.sent = source.kept.len();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(other) => {
                this.trailed = true;
                source.ended = true;
                source.trailers = other.trailers_ref().cloned();
                Poll::Ready(Some(Ok(other)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let source = self.upload.source();
        source.attempt == self.number
            && source.ended
            && self.sent >= source.kept.len()
            && (self.trailed || source.trailers.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        self.upload
            .expected()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Streamed for Attempt {
    fn rewind(mut self: Pin<&mut Self>) -> bool {
        let source = self.upload.source();
        let can = source.attempt == self.number && source.keep == Keep::ForReplay;
        drop(source);
        self.sent = 0;
        self.trailed = false;
        can
    }
}

impl Source {
    fn pass(&mut self, data: &[u8]) {
        if let Some(shadow) = &mut self.shadow {
            shadow.push(data);
        }
        if self.keep == Keep::ForReplay && self.kept.len() + data.len() <= REPLAY_LIMIT {
            self.kept.extend_from_slice(data);
        } else {
            // It can't be sent again, and has all been sent once.
            self.keep = Keep::Nothing;
            self.kept = Vec::new();
        }
        self.held.set(self.kept.len());
        if self.incoming.is_end_stream() {
            self.ended = true;
        }
    }
}
