//! Counts each request exactly once, however it ends.

use crate::message::reply::Problem;
use crate::plan::RoutePlan;
use crate::side::Side;
use crate::telemetry::access::{Record, Sink};
use crate::telemetry::trace::Tracing;
use crate::telemetry::{CodeClass, Held, ServedBy, Telemetry, UpstreamError};
use crate::upstream::{Answer, Fault};
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A request that had a route, from its head to the end of its answer. Dropped before that it counts as aborted.
#[derive(Debug)]
pub(super) struct Meter {
    route: Arc<RoutePlan>,
    method: Method,
    started: Instant,
    by: ServedBy,
    class: CodeClass,
    _inflight: Held,
    /// What its line will tell, if it gets one.
    notes: Option<Notes>,
}

/// What is noted of a request for the access log, and for who collects spans.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) sink: Option<Arc<Sink>>,
    pub(super) tracing: Option<Tracing>,
    pub(super) record: Box<Record>,
}

impl Notes {
    /// The request has ended. `whole` says whether the client got all of its answer.
    pub(super) fn end(self, whole: bool, took: Duration) {
        let Self {
            sink,
            tracing,
            mut record,
        } = self;
        record.ended(whole, took);
        if let Some(tracing) = tracing {
            tracing.ended(record.outcome(), took);
        }
        if let Some(sink) = sink {
            sink.tell(record);
        }
    }
}

impl Meter {
    pub(super) fn start(
        route: Arc<RoutePlan>,
        telemetry: &Telemetry,
        method: Method,
        started: Instant,
        mut notes: Option<Notes>,
    ) -> Self {
        if let Some(notes) = &mut notes {
            notes.record.routed(route.name());
        }
        let inflight = telemetry.process().inflight.hold();
        Self {
            route,
            method,
            started,
            by: ServedBy::Nobody,
            class: CodeClass::Aborted,
            _inflight: inflight,
            notes,
        }
    }

    /// When its head was read.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The route that it has.
    pub(super) fn route(&self) -> &RoutePlan {
        &self.route
    }

    /// A side is asked: it answers, or was asked last.
    pub(super) fn asks(&mut self, side: Side) {
        self.by = side.into();
        if let Some(tracing) = self.tracing() {
            tracing.asks(side.name());
        }
    }

    /// The side that was asked last has answered, or failed.
    pub(super) fn heard(&mut self, answer: &Result<Answer, Fault>) {
        if let Some(tracing) = self.tracing() {
            tracing.heard(match answer {
                Ok(answer) => Ok(answer.response.status().as_u16()),
                Err(fault) => Err(fault.label().map_or("client", UpstreamError::name)),
            });
        }
    }

    /// What the sides are told of the trace, if the request has spans.
    pub(super) fn traceparent(&mut self) -> Option<HeaderValue> {
        self.tracing().map(|tracing| tracing.traceparent())
    }

    fn tracing(&mut self) -> Option<&mut Tracing> {
        self.notes.as_mut().and_then(|notes| notes.tracing.as_mut())
    }

    /// Bytes of the answer's body went by.
    pub(super) fn passed(&mut self, bytes: usize) {
        if let Some(record) = self.record() {
            record.passed(bytes);
        }
    }

    /// What is noted of it, if anything is.
    pub(super) fn record(&mut self) -> Option<&mut Record> {
        self.notes.as_mut().map(|notes| &mut *notes.record)
    }

    /// The proxy answered by itself.
    pub(super) fn answered_locally(mut self, problem: &Problem) {
        self.by = ServedBy::Nobody;
        if let Some(record) = self.record() {
            record.refused(problem.status, problem.code);
        }
        self.complete(problem.status);
    }

    /// The whole answer was handed to the client's connection.
    pub(super) fn complete(mut self, status: StatusCode) {
        self.class = status.into();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.route
            .metrics
            .request(&self.method, self.by, self.class, took);
        if let Some(notes) = self.notes.take() {
            notes.end(self.class != CodeClass::Aborted, took);
        }
    }
}
