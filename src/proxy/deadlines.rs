//! How long a client may keep a connection waiting: between requests, in a head, and for room to write.
//!
//! One timer for all of them. A clock is read when a phase begins that has a limit, or when a slow reader has got on: once for a request, and not
//! at all while nothing changes.

use crate::config::settings::Limits;
use crate::proxy::memory::Holding;
use crate::proxy::phases::{Phase, Pulse};
use crate::telemetry::Rejected;
use crate::upstream::alarm::Alarm;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// What a client took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The next request.
    Idle,
    /// The rest of a head.
    Head,
    /// Reading.
    Response,
}

impl Overdue {
    /// An idle connection is closed without a word.
    pub(super) fn label(self) -> Option<Rejected> {
        match self {
            Self::Idle => None,
            Self::Head => Some(Rejected::HeadTimeout),
            Self::Response => Some(Rejected::ResponseTimeout),
        }
    }
}

/// The limits of one connection.
#[derive(Debug)]
pub(super) struct Deadlines {
    pulse: Arc<Pulse>,
    idle: Duration,
    head: Duration,
    response: Duration,
    /// What the connection does, and since when; none while no limit runs.
    running: Option<((Phase, u32), Instant)>,
    alarm: Alarm,
    /// Whether the connection knows who moves it.
    known: bool,
    /// Bytes that wait for the client to read.
    held: Holding,
}

impl Deadlines {
    pub(super) fn new(pulse: Arc<Pulse>, limits: &Limits, held: Holding) -> Self {
        Self {
            pulse,
            idle: limits.idle_timeout,
            head: limits.head_timeout,
            response: limits.response_timeout,
            running: None,
            alarm: Alarm::default(),
            known: false,
            held,
        }
    }

    /// Ready when the client is late. To be asked each time that the connection has moved, by the task that moves it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        let now = self.pulse.phase();
        if now.0 == Phase::Writing {
            self.held.set(self.pulse.blocked());
        } else if self.held.bytes() > 0 {
            self.held.set(0);
        }
        let (limit, overdue) = match now.0 {
            Phase::Serving => {
                self.running = None;
                if !std::mem::replace(&mut self.known, true) {
                    self.pulse.is_moved_by(cx.waker());
                }
                return Poll::Pending;
            }
            Phase::Idle => (self.idle, Overdue::Idle),
            Phase::Head => (self.head, Overdue::Head),
            Phase::Writing => (self.response, Overdue::Response),
        };
        let since = match self.running {
            Some((running, since)) if running == now => since,
            Some(_) | None => {
                let since = Instant::now();
                self.running = Some((now, since));
                since
            }
        };
        ready!(self.alarm.poll_seldom(cx, since + limit));
        Poll::Ready(overdue)
    }
}
