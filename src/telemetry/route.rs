//! What is counted for one route. The cells belong to the route's name and outlive every reload.

use crate::compare::{Divergence, Incomparable, Kind, Verdict};
use crate::side::Side;
use crate::telemetry::cells::CounterCell;
use crate::telemetry::divergence::{FieldCount, Fields};
use crate::telemetry::exporter::{self, Exporter};
use crate::telemetry::labels::{
    CodeClass, Dropped, FallbackReason, Label, MethodLabel, Role, ServedBy, VerdictLabel,
};
use crate::telemetry::latency::{Latency, LatencySnapshot};
use http::Method;
use metrics::{Counter, Histogram, SharedString};
use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const METHODS: usize = MethodLabel::ALL.len();
const SERVED: usize = ServedBy::ALL.len();
const CLASSES: usize = CodeClass::ALL.len();

/// The cells of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    name: Arc<str>,
    requests: [[[CounterCell; CLASSES]; SERVED]; METHODS],
    durations: [Histogram; SERVED],
    upstream: [[Histogram; Role::ALL.len()]; 2],
    latency: [Latency; 2],
    fallbacks: [CounterCell; FallbackReason::ALL.len()],
    sampled: CounterCell,
    shadow_requests: [CounterCell; 2],
    dropped: [CounterCell; Dropped::ALL.len()],
    verdicts: [CounterCell; VerdictLabel::ALL.len()],
    incomparable: [CounterCell; Incomparable::ALL.len()],
    fields: Fields,
    /// The bits of an `f64`.
    share: AtomicU64,
    share_gauge: metrics::Gauge,
}

/// What became of the requests that were chosen to be mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Chosen.
    pub sampled: u64,
    /// Taken up by the lab.
    pub shadow_requests: u64,
    /// Given up, for whatever reason.
    pub dropped: u64,
    /// Judged, incomparable ones included.
    pub comparisons: u64,
}

impl Ledger {
    /// Whether everything chosen has come to an end: true once nothing is in flight, under every fault.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.sampled == self.shadow_requests + self.dropped
            && self.shadow_requests == self.comparisons
    }
}

impl RouteMetrics {
    pub(super) fn new(name: Arc<str>, exporter: &Exporter) -> Self {
        let route = || SharedString::from_shared(name.clone());
        let durations = array::from_fn(|by| {
            let by = ServedBy::ALL[by];
            exporter.histogram(
                exporter::REQUEST_DURATION,
                [("route", route()), ("side", by.name().into())],
            )
        });
        let upstream = array::from_fn(|side| {
            let side = ("side", Side::BOTH[side].name().into());
            array::from_fn(|role| {
                let role = ("role", Role::ALL[role].name().into());
                exporter.histogram(
                    exporter::UPSTREAM_DURATION,
                    [("route", route()), side.clone(), role],
                )
            })
        });
        let share_gauge = exporter.gauge(exporter::ROUTE_SHARE, [("route", route())]);
        let metrics = Self {
            durations,
            upstream,
            share_gauge,
            name,
            requests: Default::default(),
            latency: Default::default(),
            fallbacks: Default::default(),
            sampled: CounterCell::default(),
            shadow_requests: Default::default(),
            dropped: Default::default(),
            verdicts: Default::default(),
            incomparable: Default::default(),
            fields: Fields::default(),
            share: AtomicU64::new(0.0_f64.to_bits()),
        };
        metrics.each_closed(|cell, register| cell.register(|| register(exporter)));
        metrics
    }

    /// The route's name, or "unmatched".
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Makes the request series of some methods exist at 0, but for 1xx, which is rare.
    pub(super) fn register_methods(&self, methods: Option<&[Method]>, exporter: &Exporter) {
        for method in MethodLabel::ALL {
            if methods
                .is_some_and(|named| !named.iter().any(|name| MethodLabel::from(name) == *method))
            {
                continue;
            }
            for by in ServedBy::ALL {
                for class in CodeClass::ALL {
                    if *class != CodeClass::Informational {
                        let cell = &self.requests[method.index()][by.index()][class.index()];
                        cell.register(|| self.request_counter(exporter, *method, *by, *class));
                    }
                }
            }
        }
    }

    // ---- the request path

    /// A request has ended: `elapsed` from its head read to the last frame of the answer handed to the connection.
    pub fn request(&self, method: &Method, by: ServedBy, class: CodeClass, elapsed: Duration) {
        self.requests[MethodLabel::from(method).index()][by.index()][class.index()].increment();
        self.durations[by.index()].record(elapsed);
    }

    /// A side has answered: `elapsed` from the request sent to the head of the answer.
    pub fn upstream(&self, side: Side, role: Role, elapsed: Duration) {
        self.upstream[side.index()][role.index()].record(elapsed);
        self.latency[side.index()].record(elapsed);
    }

    /// Old was asked because new failed.
    pub fn fallback(&self, reason: FallbackReason) {
        self.fallbacks[reason.index()].increment();
    }

    /// A request was chosen to be mirrored. It must end in [`Self::shadow_request`] or [`Self::dropped`].
    pub fn sampled(&self) {
        self.sampled.increment();
    }

    /// A chosen request will make no pair.
    pub fn dropped(&self, reason: Dropped) {
        self.dropped[reason.index()].increment();
    }

    // ---- the lab

    /// A copy was taken up for a side. It must end in [`Self::verdict`].
    pub fn shadow_request(&self, side: Side) {
        self.shadow_requests[side.index()].increment();
    }

    /// A pair was judged; the reason of an incomparable one is counted with it.
    pub fn verdict(&self, verdict: Verdict) {
        self.verdicts[VerdictLabel::from(verdict).index()].increment();
        match verdict {
            Verdict::Match | Verdict::Mismatch => {}
            Verdict::Incomparable(reason) => self.incomparable[reason.index()].increment(),
        }
    }

    /// One field differed in one way. Takes a lock.
    pub fn divergence(&self, field: &str, kind: Kind) {
        self.fields.count(field, kind);
    }

    /// A pair's differences, counted once for each field and kind. Takes a lock.
    pub fn divergences(&self, found: &[Divergence]) {
        self.fields.count_pair(found);
    }

    // ---- settings

    /// The share of reads that new serves, 0..=1.
    pub fn set_share(&self, share: f64) {
        self.share.store(share.to_bits(), Relaxed);
    }

    // ---- readers

    /// Requests that ended, by who answered.
    #[must_use]
    pub fn requests(&self, by: ServedBy) -> u64 {
        self.requests
            .iter()
            .flat_map(|method| &method[by.index()])
            .map(CounterCell::value)
            .sum()
    }

    /// Requests that ended in one class, whoever answered.
    #[must_use]
    pub fn requests_of_class(&self, class: CodeClass) -> u64 {
        self.requests
            .iter()
            .flatten()
            .map(|by| by[class.index()].value())
            .sum()
    }

    /// Durations until the head of a side's answers, serving and shadow alike.
    #[must_use]
    pub fn latency(&self, side: Side) -> LatencySnapshot {
        self.latency[side.index()].snapshot()
    }

    /// Fallbacks for one reason.
    #[must_use]
    pub fn fallbacks(&self, reason: FallbackReason) -> u64 {
        self.fallbacks[reason.index()].value()
    }

    /// Requests chosen to be mirrored.
    #[must_use]
    pub fn sampled_count(&self) -> u64 {
        self.sampled.value()
    }

    /// Copies taken up for a side.
    #[must_use]
    pub fn shadow_requests(&self, side: Side) -> u64 {
        self.shadow_requests[side.index()].value()
    }

    /// Chosen requests that made no pair for one reason.
    #[must_use]
    pub fn dropped_count(&self, reason: Dropped) -> u64 {
        self.dropped[reason.index()].value()
    }

    /// Pairs with one verdict.
    #[must_use]
    pub fn verdicts(&self, verdict: VerdictLabel) -> u64 {
        self.verdicts[verdict.index()].value()
    }

    /// Pairs that were incomparable for one reason.
    #[must_use]
    pub fn incomparable(&self, reason: Incomparable) -> u64 {
        self.incomparable[reason.index()].value()
    }

    /// Pairs that could be judged: what the diff rate is a share of.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.verdicts(VerdictLabel::Match) + self.verdicts(VerdictLabel::Mismatch)
    }

    /// Mismatches over all verdicts but incomparable; `None` before the first.
    #[must_use]
    pub fn diff_rate(&self) -> Option<f64> {
        let mismatches = self.verdicts(VerdictLabel::Mismatch);
        let trials = mismatches + self.verdicts(VerdictLabel::Match);
        (trials > 0).then(|| mismatches as f64 / trials as f64)
    }

    /// Fields that differed, most first.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldCount> {
        self.fields.counts()
    }

    /// The share of reads that new serves, 0..=1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from_bits(self.share.load(Relaxed))
    }

    /// What became of the requests that were chosen to be mirrored.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        // The later stages first: a request that moves on meanwhile is seen too early, never twice.
        let comparisons = self.verdicts.iter().map(CounterCell::value).sum();
        let shadow_requests = self.shadow_requests.iter().map(CounterCell::value).sum();
        let dropped = self.dropped.iter().map(CounterCell::value).sum();
        Ledger {
            sampled: self.sampled.value(),
            shadow_requests,
            dropped,
            comparisons,
        }
    }

    // ---- publishing

    /// Brings the exporter up to date.
    pub(super) fn publish(&self, exporter: &Exporter) {
        for method in MethodLabel::ALL {
            for by in ServedBy::ALL {
                for class in CodeClass::ALL {
                    let cell = &self.requests[method.index()][by.index()][class.index()];
                    cell.publish(|| self.request_counter(exporter, *method, *by, *class));
                }
            }
        }
        self.each_closed(|cell, register| cell.publish(|| register(exporter)));
        self.fields.publish(&self.name, exporter);
        self.share_gauge.set(self.share());
    }

    fn request_counter(
        &self,
        exporter: &Exporter,
        method: MethodLabel,
        by: ServedBy,
        class: CodeClass,
    ) -> Counter {
        let labels = [
            ("route", SharedString::from_shared(self.name.clone())),
            ("method", method.name().into()),
            ("side", by.name().into()),
            ("code_class", class.name().into()),
        ];
        exporter.counter(exporter::REQUESTS, labels)
    }

    /// Every counter whose labels are closed lists, with what makes its series.
    fn each_closed(&self, mut visit: impl FnMut(&CounterCell, &dyn Fn(&Exporter) -> Counter)) {
        let route = || ("route", SharedString::from_shared(self.name.clone()));
        visit(&self.sampled, &|exporter| {
            exporter.counter(exporter::SHADOW_SAMPLED, [route()])
        });
        let mut list = |cells: &[CounterCell], names: &[&'static str], metric, label| {
            for (cell, name) in cells.iter().zip(names) {
                visit(cell, &|exporter| {
                    exporter.counter(metric, [route(), (label, (*name).into())])
                });
            }
        };
        list(
            &self.fallbacks,
            &names::<FallbackReason>(),
            exporter::FALLBACKS,
            "reason",
        );
        list(
            &self.shadow_requests,
            &names::<Side>(),
            exporter::SHADOW_REQUESTS,
            "side",
        );
        list(
            &self.dropped,
            &names::<Dropped>(),
            exporter::SHADOW_DROPPED,
            "reason",
        );
        list(
            &self.verdicts,
            &names::<VerdictLabel>(),
            exporter::COMPARISONS,
            "verdict",
        );
        list(
            &self.incomparable,
            &names::<Incomparable>(),
            exporter::INCOMPARABLE,
            "reason",
        );
    }
}

fn names<L: Label>() -> Vec<&'static str> {
    L::ALL.iter().map(|label| label.text()).collect()
}
