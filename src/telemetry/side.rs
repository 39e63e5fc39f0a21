//! What is counted for one side, whatever the route.

use crate::side::Side;
use crate::telemetry::cells::{CounterCell, GaugeCell};
use crate::telemetry::exporter::{self, Exporter};
use crate::telemetry::labels::{Label, Role, UpstreamError};
use metrics::{Counter, Gauge};

/// The cells of one side.
#[derive(Debug)]
pub struct SideMetrics {
    /// Open connections.
    pub connections: GaugeCell,
    /// Requests that wait for a connection.
    pub waiting: GaugeCell,
    side: Side,
    errors: [[CounterCell; UpstreamError::ALL.len()]; Role::ALL.len()],
    connections_gauge: Gauge,
    waiting_gauge: Gauge,
}

impl SideMetrics {
    pub(super) fn new(side: Side, exporter: &Exporter) -> Self {
        let labels = || [("side", side.name().into())];
        let metrics = Self {
            connections: GaugeCell::default(),
            waiting: GaugeCell::default(),
            side,
            errors: Default::default(),
            connections_gauge: exporter.gauge(exporter::UPSTREAM_CONNECTIONS, labels()),
            waiting_gauge: exporter.gauge(exporter::UPSTREAM_WAITING, labels()),
        };
        metrics.each(|cell, register| cell.register(|| register(exporter)));
        metrics
    }

    /// The side has failed.
    pub fn error(&self, role: Role, kind: UpstreamError) {
        self.errors[role.index()][kind.index()].increment();
    }

    /// Failures of one role and kind.
    #[must_use]
    pub fn errors(&self, role: Role, kind: UpstreamError) -> u64 {
        self.errors[role.index()][kind.index()].value()
    }

    /// Brings the exporter up to date.
    pub(super) fn publish(&self, exporter: &Exporter) {
        self.each(|cell, register| cell.publish(|| register(exporter)));
        self.connections.publish(&self.connections_gauge);
        self.waiting.publish(&self.waiting_gauge);
    }

    fn each(&self, mut visit: impl FnMut(&CounterCell, &dyn Fn(&Exporter) -> Counter)) {
        for role in Role::ALL {
            for kind in UpstreamError::ALL {
                visit(&self.errors[role.index()][kind.index()], &|exporter| {
                    let labels = [
                        ("side", self.side.name().into()),
                        ("role", role.name().into()),
                        ("kind", kind.name().into()),
                    ];
                    exporter.counter(exporter::UPSTREAM_ERRORS, labels)
                });
            }
        }
    }
}
