//! What is counted for the whole proxy.

use crate::compare::ids::Counts;
use crate::telemetry::cells::{CounterCell, GaugeCell};
use crate::telemetry::labels::{Label, LostSample, Rejected, ReloadResult};
use crate::telemetry::page::{self, Page};
use std::sync::{Mutex, PoisonError};

/// The cells of the proxy.
#[derive(Debug, Default)]
pub struct ProcessMetrics {
    /// Open connections of clients.
    pub connections: GaugeCell,
    /// Requests that are being served.
    pub inflight: GaugeCell,
    /// Connections that have switched to another protocol.
    pub tunnels: GaugeCell,
    /// 1 while an override is in force, else 0.
    pub override_active: GaugeCell,
    /// Processes that were started to take over, and did not.
    pub handover_failures: CounterCell,
    /// Generation of the settings in force.
    pub generation: GaugeCell,
    /// 1 if the certificates of all listeners could be used when they were read last, else 0.
    pub certificates_good: GaugeCell,
    last_reload_successful: GaugeCell,
    rejected: [CounterCell; Rejected::ALL.len()],
    reloads: [CounterCell; ReloadResult::ALL.len()],
    samples_lost: [CounterCell; LostSample::ALL.len()],
    ids: Mutex<Vec<(String, Counts)>>,
}

impl ProcessMetrics {
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

    /// Samples were not kept.
    pub fn samples_lost(&self, reason: LostSample, samples: u64) {
        self.samples_lost[reason.index()].add(samples);
    }

    /// So many pairings are known now, by name.
    pub fn ids(&self, counts: Vec<(String, Counts)>) {
        *self.ids.lock().unwrap_or_else(PoisonError::into_inner) = counts;
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

    /// Writes its part of the page.
    pub(super) fn write(&self, page: &mut Page) {
        page.metric(page::REJECTED, |series| {
            for reason in Rejected::ALL {
                series.value(&[("reason", reason.text())], self.rejected_count(*reason));
            }
        });
        page.metric(page::RELOADS, |series| {
            for result in ReloadResult::ALL {
                series.value(&[("result", result.text())], self.reloads(*result));
            }
        });
        page.metric(page::SAMPLES_LOST, |series| {
            for reason in LostSample::ALL {
                let lost = self.samples_lost[reason.index()].value();
                series.value(&[("reason", reason.text())], lost);
            }
        });
        page.metric(page::IDS, |series| {
            let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, counts) in &*ids {
                for (state, count) in [
                    ("candidate", counts.candidates as u64),
                    ("confirmed", counts.confirmed as u64),
                    ("evicted", counts.evicted),
                ] {
                    series.value(&[("name", name), ("state", state)], count);
                }
            }
        });
        page.metric(page::HANDOVER_FAILURES, |series| {
            series.value(&[], self.handover_failures.value());
        });
        for (metric, gauge) in [
            (page::RELOAD_SUCCESSFUL, &self.last_reload_successful),
            (page::CERTIFICATES_GOOD, &self.certificates_good),
            (page::GENERATION, &self.generation),
            (page::OVERRIDE, &self.override_active),
            (page::CONNECTIONS, &self.connections),
            (page::INFLIGHT, &self.inflight),
            (page::TUNNELS, &self.tunnels),
        ] {
            page.metric(metric, |series| series.value(&[], gauge.value()));
        }
        page.metric(page::BUILD_INFO, |series| {
            series.value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        });
    }
}
