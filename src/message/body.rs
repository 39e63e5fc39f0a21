//! The one body type that goes to an upstream. What goes to a client is `proxy`'s own, since it counts what it passes on.

use crate::message::lines::Lines;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client's connection broke in the middle of its body.
    #[error("the client's body broke off")]
    Client(#[source] hyper::Error),
    /// The client took its body back in the middle.
    #[error("the client took its body back")]
    Withdrawn,
    /// The client's body has more bytes than it may.
    #[error("the client's body is too large")]
    TooLarge,
    /// The client's body came too slowly.
    #[error("the client's body came too slowly")]
    TooSlow,
    /// The upstream's connection broke in the middle of its body.
    #[error("the upstream's body broke off")]
    Upstream(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is complete, or another attempt has taken over: nobody wants the rest.
    #[error("the rest of the body is not wanted any more")]
    Unwanted,
}

/// A body that arrives while it is sent.
pub trait Streamed: Body<Data = Bytes, Error = BodyError> + Send {
    /// Begins anew with the first byte. Whether it can: all that was passed on was kept.
    fn rewind(self: Pin<&mut Self>) -> bool;
}

/// A body on its way to an upstream.
pub enum Outgoing {
    /// No body.
    Empty,
    /// No body, and lines of the head that are to be written after its fields.
    Stamped(Lines),
    /// A body that is all there.
    Full(Bytes),
    /// A body that is still arriving.
    Stream(Pin<Box<dyn Streamed>>),
}

impl Outgoing {
    /// A body that is all there; none if it has no bytes.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }

    /// Whether there is no body.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty | Self::Stamped(_))
    }

    /// Puts the lines that a request has beside its fields among them.
    pub fn settle(request: &mut Request<Self>) {
        if let Self::Stamped(lines) = request.body() {
            let lines = lines.clone();
            *request.body_mut() = Self::Empty;
            lines.put(request.headers_mut());
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Stamped(_) => "Stamped",
            Self::Full(_) => "Full",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty | Self::Stamped(_) => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Stamped(_) => true,
            Self::Full(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Stamped(_) => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// How far a streamed body has come: whether an upstream that has not answered is slow, or just waits for the client.
#[derive(Debug)]
pub struct Progress {
    /// Milliseconds from `base` to the last frame.
    last: AtomicU64,
    base: Instant,
    waits_for_client: AtomicBool,
}

impl Progress {
    /// A body of which nothing was passed on by now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            last: AtomicU64::new(0),
            base: now,
            waits_for_client: AtomicBool::new(false),
        }
    }

    /// A frame, or the end, was passed on.
    pub fn moved(&self, now: Instant) {
        self.waits_for_client.store(false, Ordering::Relaxed);
        let millis = u64::try_from((now - self.base).as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// The upstream would take more, but the client has sent none.
    pub fn starved(&self) {
        self.waits_for_client.store(true, Ordering::Relaxed);
    }

    /// When an upstream that stays silent is out of time; `None` while it is the client that is waited for.
    #[must_use]
    pub fn due(&self, timeout: Duration) -> Option<Instant> {
        (!self.waits_for_client.load(Ordering::Relaxed))
            .then(|| self.base + Duration::from_millis(self.last.load(Ordering::Relaxed)) + timeout)
    }
}
