//! A client's body as it comes, within the limits of size, silence and speed. Whoever reads one reads it through here.
//!
//! Time runs only while the body is waited for: a side that takes it slowly is not the client's fault. None runs for a body without a length whose answer
//! has begun: such a client and its side talk to each other.

use crate::config::settings::Limits;
use crate::message::body::BodyError;
use crate::proxy::memory::BodyMemory;
use crate::proxy::phases::Busy;
use crate::telemetry::{Rejected, Telemetry};
use crate::upstream::alarm::Alarm;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// How long a body is waited for before its speed counts; or as long as it may be silent, if that is shorter.
const GRACE: Duration = Duration::from_secs(10);

/// A client's body that is still arriving.
#[derive(Debug)]
pub(super) struct Intake {
    incoming: Incoming,
    /// Whether it says by itself that it has ended. In HTTP/2 hyper takes a stream that is reset without an error for one that has ended.
    says_its_end: bool,
    /// Bytes that may still come.
    room: usize,
    /// None once it may take its time.
    pace: Option<Pace>,
    alarm: Alarm,
    telemetry: Arc<Telemetry>,
    memory: BodyMemory,
    busy: Busy,
}

impl Intake {
    pub(super) fn new(
        incoming: Incoming,
        limits: &Limits,
        telemetry: &Arc<Telemetry>,
        memory: &BodyMemory,
        busy: &Busy,
    ) -> Self {
        Self {
            incoming,
            says_its_end: false,
            room: limits.body_size,
            pace: Some(Pace::new(limits)),
            alarm: Alarm::default(),
            telemetry: Arc::clone(telemetry),
            memory: memory.clone(),
            busy: busy.clone(),
        }
    }

    /// One that has come by HTTP/2.
    pub(super) fn of_http_2(mut self) -> Self {
        self.says_its_end = true;
        self
    }

    /// It is no upload that somebody waits for, but half of a conversation: how long it is silent is between the two.
    pub(super) fn may_take_its_time(&mut self) {
        self.pace = None;
        self.alarm = Alarm::default();
    }

    /// The memory that its bytes count in.
    pub(super) fn memory(&self) -> &BodyMemory {
        &self.memory
    }

    /// The next frame. A limit that is passed is counted here, and the body ends with an error.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            let Some(pace) = &mut self.pace else {
                return Poll::Pending;
            };
            let due = pace.due(Instant::now);
            ready!(self.alarm.poll_due(cx, due));
            self.telemetry.process().rejected(Rejected::BodyTimeout);
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        };
        let Some(frame) = frame else {
            let cut = self.says_its_end && !self.incoming.is_end_stream();
            return Poll::Ready(cut.then_some(Err(BodyError::Withdrawn)));
        };
        Poll::Ready(Some(frame.map_err(BodyError::Client).and_then(|frame| {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if let Some(pace) = &mut self.pace {
                pace.came(length, Instant::now);
            }
            let Some(room) = self.room.checked_sub(length) else {
                self.telemetry.process().rejected(Rejected::BodyTooLarge);
                return Err(BodyError::TooLarge);
            };
            self.room = room;
            Ok(frame.map_data(|data| self.memory.count(data)))
        })))
    }

    /// The next frame of a body that nobody wants; limits are the reader's own.
    pub(super) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.busy.leave_body();
    }
}

/// How fast a body comes.
#[derive(Debug)]
struct Pace {
    silence: Duration,
    /// Bytes a second; 0 for any speed.
    rate: usize,
    bytes: usize,
    /// How long it was waited for, in all.
    waited: Duration,
    /// Since when it is waited for now.
    since: Option<Instant>,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self {
            silence: limits.body_timeout,
            rate: limits.body_rate,
            bytes: 0,
            waited: Duration::ZERO,
            since: None,
        }
    }

    /// Some bytes have come.
    fn came(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now().saturating_duration_since(since);
        }
        self.bytes += bytes;
    }

    /// It is waited for: until when.
    fn due(&mut self, now: impl FnOnce() -> Instant) -> Instant {
        let since = *self.since.get_or_insert_with(now);
        let silent = since + self.silence;
        if self.rate == 0 {
            return silent;
        }
        let earned = Duration::from_secs_f64(self.bytes as f64 / self.rate as f64);
        let allowed = GRACE.min(self.silence).max(earned);
        silent.min(since + allowed.saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pace of so many seconds of silence and bytes a second; then (second, bytes that come then), and when it is over after the last.
    fn check(silence: u64, rate: usize, frames: &[(u64, usize)], expected: u64) {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let limits = Limits {
            body_timeout: Duration::from_secs(silence),
            body_rate: rate,
            ..Limits::default()
        };
        let mut pace = Pace::new(&limits);
        let mut waiting = start;
        for (second, bytes) in frames {
            assert!(pace.due(|| waiting) > at(*second), "over too early");
            waiting = at(*second);
            pace.came(*bytes, || waiting);
        }
        assert_eq!(pace.due(|| waiting), at(expected), "{frames:?}");
    }

    #[test]
    fn silence_and_slowness_are_both_too_long() {
        check(30, 0, &[], 30);
        check(30, 0, &[(29, 1)], 59);
        check(30, 500, &[], 10);
        check(30, 500, &[(9, 1)], 10);
        check(30, 500, &[(9, 10_000)], 20);
        check(30, 500, &[(9, 1_000_000)], 39);
        check(5, 500, &[], 5);
        check(5, 500, &[(1, 5_000), (4, 5_000)], 9);
        check(5, 500, &[(1, 3_000)], 6);
    }

    #[test]
    fn time_in_which_nobody_waits_is_nobodys() {
        let start = Instant::now();
        let mut pace = Pace::new(&Limits::default());
        pace.due(|| start);
        pace.came(1, || start + Duration::from_secs(9));
        let later = start + Duration::from_secs(1_000);
        assert_eq!(pace.due(|| later), later + Duration::from_secs(1));
    }
}
