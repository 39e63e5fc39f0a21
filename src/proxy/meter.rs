//! Counts each request exactly once, however it ends.

use crate::plan::RoutePlan;
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
}

impl Meter {
    pub(super) fn start(
        route: Arc<RoutePlan>,
        telemetry: &Telemetry,
        method: Method,
        started: Instant,
    ) -> Self {
        let inflight = telemetry.process().inflight.hold();
        Self {
            route,
            method,
            started,
            by: ServedBy::Nobody,
            class: CodeClass::Aborted,
            _inflight: inflight,
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

    /// The proxy answered by itself.
    pub(super) fn answered_locally(mut self, status: StatusCode) {
        self.by = ServedBy::Nobody;
        self.complete(status);
    }

    /// The whole answer was handed to the client's connection.
    pub(super) fn complete(mut self, status: StatusCode) {
        self.class = status.into();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.route
            .metrics
            .request(&self.method, self.by, self.class, self.started.elapsed());
    }
}
