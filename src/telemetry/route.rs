//! What is counted for one route. The cells belong to the route's name and outlive every reload.

use crate::compare::{Divergence, Incomparable, Kind};
use crate::side::Side;
use crate::telemetry::cells::CounterCell;
use crate::telemetry::divergence::{FieldCount, Fields};
use crate::telemetry::labels::{
    CodeClass, Dropped, FallbackReason, Judged, Label, MethodLabel, Role, ServedBy, VerdictLabel,
};
use crate::telemetry::latency::{Histogram, Latency, LatencySnapshot};
use crate::telemetry::page::{self, Metric, Page, Series};
use crate::telemetry::states::FieldStates;
use http::Method;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const METHODS: usize = MethodLabel::ALL.len();
const SERVED: usize = ServedBy::ALL.len();
const CLASSES: usize = CodeClass::ALL.len();
/// The quantiles of the page, as their label names them.
const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// The cells of one route. Those that every request touches stand together: with a thousand routes each line of memory that a
/// route needs is 64 KiB of cache.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RouteMetrics {
    answered: [Answered; SERVED],
    /// Of copies, by side.
    shadowed: [Latency; 2],
    /// Of requests that both sides answered, by side.
    paired: [Latency; 2],
    sampled: CounterCell,
    shadow_requests: [CounterCell; 2],
    verdicts: [CounterCell; VerdictLabel::ALL.len()],
    rechecks: CounterCell,
    dropped: [CounterCell; Dropped::ALL.len()],
    incomparable: [CounterCell; Incomparable::ALL.len()],
    fallbacks: [CounterCell; FallbackReason::ALL.len()],
    /// Of methods other than GET, by method, side and class: made when the first is counted.
    others: OnceLock<Box<[[[CounterCell; CLASSES]; SERVED]; METHODS]>>,
    /// A bit for each method whose series are on the page even at 0.
    shown_methods: AtomicU16,
    /// The bits of an `f64`.
    share: AtomicU64,
    name: Arc<str>,
    fields: Fields,
    /// Of the fields that have differed.
    pub states: FieldStates,
}

/// What a request touches when it ends, by who answered it. A GET that succeeds within 2.5 ms touches the first line alone,
/// and one of the cells.
#[derive(Debug, Default)]
#[repr(C, align(128))]
struct Answered {
    /// GET with a 2xx.
    success: CounterCell,
    /// Until the head of the side's answer.
    upstream: Latency,
    duration: Histogram,
    /// GET by class, but for 2xx.
    classes: [CounterCell; CLASSES],
}

const _: () = {
    let third_bucket = offset_of!(Answered, duration) + 4 * size_of::<CounterCell>();
    assert!(
        third_bucket <= 64,
        "what most requests touch is more than a line"
    );
};

impl Answered {
    fn gets(&self, class: CodeClass) -> &CounterCell {
        match class {
            CodeClass::Success => &self.success,
            CodeClass::Informational
            | CodeClass::Redirection
            | CodeClass::ClientError
            | CodeClass::ServerError
            | CodeClass::Aborted => &self.classes[class.index()],
        }
    }
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
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// The route's name, or "unmatched".
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Makes the request series of some methods (`None`: of all) exist at 0, but for 1xx, which is rare.
    pub(super) fn show_methods(&self, methods: Option<&[Method]>) {
        let bits = methods.map_or(u16::MAX, |methods| {
            methods
                .iter()
                .map(|method| 1 << MethodLabel::from(method).index())
                .fold(0, |bits, bit| bits | bit)
        });
        self.shown_methods.fetch_or(bits, Relaxed);
    }

    // ---- the request path

    /// A request has ended: `elapsed` from its head read to the last frame of the answer handed to the connection.
    pub fn request(&self, method: &Method, by: ServedBy, class: CodeClass, elapsed: Duration) {
        let answered = &self.answered[by.index()];
        match MethodLabel::from(method) {
            MethodLabel::Get => answered.gets(class).increment(),
            other => {
                let others = self.others.get_or_init(Box::default);
                others[other.index()][by.index()][class.index()].increment();
            }
        }
        answered.duration.record(elapsed);
    }

    /// A side has answered: `elapsed` from the request sent to the head of the answer.
    pub fn upstream(&self, side: Side, role: Role, elapsed: Duration) {
        self.latency_as(side, role).record(elapsed);
    }

    fn latency_as(&self, side: Side, role: Role) -> &Latency {
        match role {
            Role::Serve => &self.answered[ServedBy::from(side).index()].upstream,
            Role::Shadow => &self.shadowed[side.index()],
        }
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

    // ---- the lab, and settings

    /// A copy was taken up for a side. It must end in [`Self::verdict`].
    pub fn shadow_request(&self, side: Side) {
        self.shadow_requests[side.index()].increment();
    }

    /// A side is asked again for a pair that was asked already.
    pub fn recheck(&self) {
        self.rechecks.increment();
    }

    /// Both sides have answered the same request: `elapsed`, by side, from the request sent to the head of the answer.
    pub fn pair(&self, elapsed: [Duration; 2]) {
        for (cells, elapsed) in self.paired.iter().zip(elapsed) {
            cells.record(elapsed);
        }
    }

    /// A pair was judged; the reason of an incomparable one is counted with it.
    pub fn verdict(&self, judged: impl Into<Judged>) {
        let Judged { verdict, reason } = judged.into();
        if let Some(reason) = reason {
            self.incomparable[reason.index()].increment();
        }
        self.verdicts[verdict.index()].increment();
    }

    /// One field differed in one way. Takes a lock.
    pub fn divergence(&self, field: &str, kind: Kind) {
        self.fields.count(field, kind);
    }

    /// Fields that the route's rules name keep their names among all that differ.
    pub fn name_fields<'a>(&self, named: impl Iterator<Item = &'a str>) {
        self.fields.reserve(named);
    }

    /// A pair's differences, counted once for each field and kind. Takes a lock.
    pub fn divergences(&self, found: &[Divergence]) {
        self.fields.count_pair(found);
    }

    /// The share of reads that new serves, 0..=1.
    pub fn set_share(&self, share: f64) {
        self.share.store(share.to_bits(), Relaxed);
    }

    // ---- readers

    /// Requests that ended, by who answered.
    #[must_use]
    pub fn requests(&self, by: ServedBy) -> u64 {
        let classes = CodeClass::ALL.iter();
        classes.map(|class| self.of_all_methods(by, *class)).sum()
    }

    /// Requests that ended in one class, whoever answered.
    #[must_use]
    pub fn requests_of_class(&self, class: CodeClass) -> u64 {
        let sides = ServedBy::ALL.iter();
        sides.map(|by| self.of_all_methods(*by, class)).sum()
    }

    fn of_all_methods(&self, by: ServedBy, class: CodeClass) -> u64 {
        let methods = MethodLabel::ALL.iter();
        methods.map(|method| self.count(*method, by, class)).sum()
    }

    fn count(&self, method: MethodLabel, by: ServedBy, class: CodeClass) -> u64 {
        match method {
            MethodLabel::Get => self.answered[by.index()].gets(class).value(),
            other => self.others.get().map_or(0, |others| {
                others[other.index()][by.index()][class.index()].value()
            }),
        }
    }

    /// Durations until the head of a side's answers, serving and shadow alike.
    #[must_use]
    pub fn latency(&self, side: Side) -> LatencySnapshot {
        let mut both = self.latency_as(side, Role::Serve).snapshot();
        both.merge(&self.latency_as(side, Role::Shadow).snapshot());
        both
    }

    /// The same for those requests alone that both sides answered, so that the sides can be held against each other.
    #[must_use]
    pub fn paired_latency(&self, side: Side) -> LatencySnapshot {
        self.paired[side.index()].snapshot()
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

    /// Requests by which sides were asked again.
    #[must_use]
    pub fn rechecks(&self) -> u64 {
        self.rechecks.value()
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
        let judged = VerdictLabel::ALL.iter().filter(|label| label.is_trial());
        judged.map(|label| self.verdicts(*label)).sum()
    }

    /// Mismatches over all verdicts but incomparable; `None` before the first.
    #[must_use]
    pub fn diff_rate(&self) -> Option<f64> {
        // Before the others, so that there are never fewer trials than these.
        let mismatches = self.verdicts(VerdictLabel::Mismatch);
        let trials = self.trials();
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

    // ---- the page

    /// Writes the part of the page that tells of routes.
    ///
    /// What a request counts later is read earlier: whatever goes on meanwhile, no page has more comparisons than copies, or more copies than
    /// requests that were sampled, and one on which these agree lacks nothing of what was counted before them.
    pub(super) fn write(routes: &[Arc<Self>], page: &mut Page) {
        list(page, page::COMPARISONS, "verdict", routes, Self::verdicts);
        list(
            page,
            page::INCOMPARABLE,
            "reason",
            routes,
            Self::incomparable,
        );
        page.metric(page::RECHECKS, |series| {
            for route in routes {
                series.value(&[("route", &route.name)], route.rechecks());
            }
        });
        page.metric(page::DIVERGENCES, |series| {
            for route in routes {
                route.fields.write(&route.name, series);
            }
        });
        page.metric(page::FIELDS, |series| {
            for route in routes {
                route.states.write(&route.name, series);
            }
        });
        list(
            page,
            page::SHADOW_DROPPED,
            "reason",
            routes,
            Self::dropped_count,
        );
        list(
            page,
            page::SHADOW_REQUESTS,
            "side",
            routes,
            Self::shadow_requests,
        );
        page.metric(page::SHADOW_SAMPLED, |series| {
            for route in routes {
                series.value(&[("route", &route.name)], route.sampled_count());
            }
        });
        page.metric(page::REQUEST_DURATION, |series| {
            for route in routes {
                for by in ServedBy::ALL {
                    let labels = [("route", &*route.name), ("side", by.name())];
                    series.histogram(&labels, &route.answered[by.index()].duration.buckets());
                }
            }
        });
        page.metric(page::REQUESTS, |series| {
            for route in routes {
                route.write_requests(series);
            }
        });
        list(page, page::FALLBACKS, "reason", routes, Self::fallbacks);
        page.metric(page::UPSTREAM_DURATION, |series| {
            for route in routes {
                for (side, role) in Side::BOTH
                    .iter()
                    .flat_map(|side| Role::ALL.iter().map(move |role| (side, role)))
                {
                    let labels = [
                        ("route", &*route.name),
                        ("side", side.name()),
                        ("role", role.name()),
                    ];
                    series.histogram(&labels, &route.latency_as(*side, *role).buckets());
                }
            }
        });
        page.metric(page::LATENCY_QUANTILE, |series| {
            for route in routes {
                route.write_quantiles(series);
            }
        });
        page.metric(page::ROUTE_SHARE, |series| {
            for route in routes {
                series.value(&[("route", &route.name)], route.share());
            }
        });
    }

    /// Nothing before the first pair.
    fn write_quantiles(&self, series: &mut Series<'_>) {
        for side in Side::BOTH {
            let snapshot = self.paired_latency(side);
            for (text, q) in QUANTILES {
                if let Some(elapsed) = snapshot.quantile(q) {
                    let labels = [
                        ("route", &*self.name),
                        ("side", side.name()),
                        ("quantile", text),
                    ];
                    series.value(&labels, elapsed.as_secs_f64());
                }
            }
        }
    }

    fn write_requests(&self, series: &mut Series<'_>) {
        let shown = self.shown_methods.load(Relaxed);
        for method in MethodLabel::ALL {
            for by in ServedBy::ALL {
                for class in CodeClass::ALL {
                    let count = self.count(*method, *by, *class);
                    let named = shown & (1 << method.index()) != 0;
                    if count > 0 || named && *class != CodeClass::Informational {
                        let labels = [
                            ("route", &*self.name),
                            ("method", method.name()),
                            ("side", by.name()),
                            ("code_class", class.name()),
                        ];
                        series.value(&labels, count);
                    }
                }
            }
        }
    }
}

/// Counters of a closed list, for each route.
fn list<L: Label>(
    page: &mut Page,
    metric: Metric,
    label: &'static str,
    routes: &[Arc<RouteMetrics>],
    count: impl Fn(&RouteMetrics, L) -> u64,
) {
    page.metric(metric, |series| {
        for route in routes {
            for value in L::ALL {
                let labels = [("route", &*route.name), (label, value.text())];
                series.value(&labels, count(route, *value));
            }
        }
    });
}
