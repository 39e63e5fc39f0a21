//! Counts each request exactly once, however it ends.

use crate::message::reply::Problem;
use crate::plan::RoutePlan;
use crate::telemetry::access::{Record, Sink};
use crate::telemetry::{CodeClass, Held, ServedBy, Telemetry};
use http::{Method, StatusCode};
use std::sync::Arc;
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

/// What is noted for the access log.
pub(super) type Notes = (Arc<Sink>, Box<Record>);

impl Meter {
    pub(super) fn start(
        route: Arc<RoutePlan>,
        telemetry: &Telemetry,
        method: Method,
        started: Instant,
        mut notes: Option<Notes>,
    ) -> Self {
        if let Some((_, record)) = &mut notes {
            record.routed(route.name());
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

    /// The route that it has.
    pub(super) fn route(&self) -> &RoutePlan {
        &self.route
    }

    /// Who answers, or was asked last.
    pub(super) fn served_by(&mut self, by: ServedBy) {
        self.by = by;
    }

    /// Bytes of the answer's body went by.
    pub(super) fn passed(&mut self, bytes: usize) {
        if let Some(record) = self.record() {
            record.passed(bytes);
        }
    }

    /// What is noted of it, if anything is.
    pub(super) fn record(&mut self) -> Option<&mut Record> {
        self.notes.as_mut().map(|(_, record)| &mut **record)
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
        if let Some((sink, mut record)) = self.notes.take() {
            record.ended(self.class != CodeClass::Aborted, took);
            sink.tell(record);
        }
    }
}
