//! What is counted for the whole proxy.

use crate::telemetry::cells::{CounterCell, GaugeCell};
use crate::telemetry::exporter::{self, Exporter};
use crate::telemetry::labels::{Label, Rejected, ReloadResult};
use metrics::{Counter, Gauge};

/// The cells of the proxy.
#[derive(Debug)]
pub struct ProcessMetrics {
    /// Open connections of clients.
    pub connections: GaugeCell,
    /// Requests that are being served.
    pub inflight: GaugeCell,
    /// 1 while an override is in force, else 0.
    pub override_active: GaugeCell,
    /// Generation of the settings in force.
    pub generation: GaugeCell,
    last_reload_successful: GaugeCell,
    rejected: [CounterCell; Rejected::ALL.len()],
    reloads: [CounterCell; ReloadResult::ALL.len()],
    gauges: Gauges,
}

#[derive(Debug)]
struct Gauges {
    connections: Gauge,
    inflight: Gauge,
    override_active: Gauge,
    generation: Gauge,
    last_reload_successful: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(exporter: &Exporter) -> Self {
        exporter
            .gauge(
                exporter::BUILD_INFO,
                [("version", env!("CARGO_PKG_VERSION").into())],
            )
            .set(1.0);
        let metrics = Self {
            connections: GaugeCell::default(),
            inflight: GaugeCell::default(),
            override_active: GaugeCell::default(),
            generation: GaugeCell::default(),
            last_reload_successful: GaugeCell::default(),
            rejected: Default::default(),
            reloads: Default::default(),
            gauges: Gauges {
                connections: exporter.gauge(exporter::CONNECTIONS, []),
                inflight: exporter.gauge(exporter::INFLIGHT, []),
                override_active: exporter.gauge(exporter::OVERRIDE, []),
                generation: exporter.gauge(exporter::GENERATION, []),
                last_reload_successful: exporter.gauge(exporter::RELOAD_SUCCESSFUL, []),
            },
        };
        metrics.each(|cell, register| cell.register(|| register(exporter)));
        metrics
    }

    /// A request was refused.
    pub fn rejected(&self, reason: Rejected) {
        self.rejected[reason.index()].increment();
    }

    /// The file was read: counts the result and says whether the file is good. The first reading at start counts too.
    pub fn reload(&self, result: ReloadResult) {
        self.reloads[result.index()].increment();
        self.last_reload_successful.set(match result {
            ReloadResult::Applied | ReloadResult::Unchanged => 1,
            ReloadResult::Rejected => 0,
        });
    }

    /// Requests refused for one reason.
    #[must_use]
    pub fn rejected_count(&self, reason: Rejected) -> u64 {
        self.rejected[reason.index()].value()
    }

    /// Readings of the file with one result.
    #[must_use]
    pub fn reloads(&self, result: ReloadResult) -> u64 {
        self.reloads[result.index()].value()
    }

    /// Brings the exporter up to date.
    pub(super) fn publish(&self, exporter: &Exporter) {
        self.each(|cell, register| cell.publish(|| register(exporter)));
        self.connections.publish(&self.gauges.connections);
        self.inflight.publish(&self.gauges.inflight);
        self.override_active.publish(&self.gauges.override_active);
        self.generation.publish(&self.gauges.generation);
        self.last_reload_successful
            .publish(&self.gauges.last_reload_successful);
    }

    fn each(&self, mut visit: impl FnMut(&CounterCell, &dyn Fn(&Exporter) -> Counter)) {
        for reason in Rejected::ALL {
            let labels = || [("reason", reason.name().into())];
            visit(&self.rejected[reason.index()], &|exporter| {
                exporter.counter(exporter::REJECTED, labels())
            });
        }
        for result in ReloadResult::ALL {
            let labels = || [("result", result.name().into())];
            visit(&self.reloads[result.index()], &|exporter| {
                exporter.counter(exporter::RELOADS, labels())
            });
        }
    }
}
