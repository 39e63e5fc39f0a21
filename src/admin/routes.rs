//! `GET /api/routes`: each route's share, counts and latencies, read from the cells behind the metrics page.

use crate::admin::api::Admin;
use crate::admin::fields::{FieldView, fields};
use crate::compare::Incomparable;
use crate::plan::{Plan, RoutePlan};
use crate::route::decide::Serve;
use crate::side::Side;
use crate::telemetry::labels::VerdictLabel;
use crate::telemetry::{Dropped, LatencySnapshot, RouteMetrics, ServedBy};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// The answer of `GET /api/routes`.
#[derive(Debug, Serialize)]
pub(super) struct RoutesView {
    routes: Vec<RouteView>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    name: String,
    /// Null for "unmatched".
    r#match: Option<String>,
    serve: &'static str,
    percent: f64,
    share: f64,
    requests: Counts,
    shadow: ShadowView,
    verdicts: Counts,
    rechecks: u64,
    incomparable: Counts,
    diff_rate: Option<f64>,
    trials: u64,
    latency: LatenciesView,
    fields: Vec<FieldView>,
}

#[derive(Debug, Serialize)]
struct ShadowView {
    sampled: u64,
    sent: u64,
    dropped: Counts,
}

#[derive(Debug, Serialize)]
struct LatenciesView {
    old: LatencyView,
    new: LatencyView,
    pairs: PairsView,
}

/// Of the requests that both sides answered.
#[derive(Debug, Serialize)]
struct PairsView {
    count: u64,
    old: LatencyView,
    new: LatencyView,
}

/// Null before the first answer.
#[derive(Debug, Serialize)]
struct LatencyView {
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// An object of counts, in the order of the labels.
#[derive(Debug)]
struct Counts(Vec<(&'static str, u64)>);

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl RoutesView {
    fn of(plan: &Plan, now: Instant) -> Self {
        // The Plan's routes are those of its settings, in order, and last "unmatched", which has no pattern.
        let patterns = plan
            .settings
            .routes
            .iter()
            .map(|route| Some(route.pattern.as_str().to_owned()))
            .chain([None]);
        Self {
            routes: plan
                .routes()
                .zip(patterns)
                .map(|(route, pattern)| RouteView::of(route, pattern, now))
                .collect(),
        }
    }
}

impl RouteView {
    fn of(route: &RoutePlan, pattern: Option<String>, now: Instant) -> Self {
        let metrics = &route.metrics;
        // Once, so that rate and trials of one answer agree.
        let verdicts = VerdictLabel::ALL
            .iter()
            .map(|verdict| (verdict.name(), metrics.verdicts(*verdict)));
        let verdicts = Counts(verdicts.collect());
        let trials = VerdictLabel::ALL
            .iter()
            .filter(|label| label.is_trial())
            .map(|label| verdicts.of(label.name()))
            .sum();
        let mismatches = verdicts.of(VerdictLabel::Mismatch.name());
        Self {
            name: route.name().to_string(),
            r#match: pattern,
            serve: serve_name(route.policy.serve),
            percent: route.policy.percent.percent(),
            share: metrics.share(),
            requests: Counts(
                ServedBy::ALL
                    .iter()
                    .map(|by| (by.name(), metrics.requests(*by)))
                    .collect(),
            ),
            shadow: ShadowView {
                sampled: metrics.sampled_count(),
                sent: Side::BOTH
                    .iter()
                    .map(|side| metrics.shadow_requests(*side))
                    .sum(),
                dropped: Counts(
                    Dropped::ALL
                        .iter()
                        .map(|why| (why.name(), metrics.dropped_count(*why)))
                        .collect(),
                ),
            },
            incomparable: Counts(
                Incomparable::ALL
                    .iter()
                    .map(|why| (why.name(), metrics.incomparable(*why)))
                    .collect(),
            ),
            diff_rate: (trials > 0).then(|| mismatches as f64 / trials as f64),
            trials,
            verdicts,
            rechecks: metrics.rechecks(),
            latency: LatenciesView::of(metrics),
            fields: fields(route, now),
        }
    }
}

impl Counts {
    fn of(&self, name: &str) -> u64 {
        self.0
            .iter()
            .filter(|(label, _)| *label == name)
            .map(|(_, count)| count)
            .sum()
    }
}

fn serve_name(serve: Serve) -> &'static str {
    match serve {
        Serve::Old => "old",
        Serve::Split => "split",
        Serve::New => "new",
    }
}

impl LatenciesView {
    fn of(metrics: &RouteMetrics) -> Self {
        let [old, new] = Side::BOTH.map(|side| metrics.paired_latency(side));
        Self {
            old: LatencyView::of(&metrics.latency(Side::Old)),
            new: LatencyView::of(&metrics.latency(Side::New)),
            pairs: PairsView {
                // Recorded side by side: a pair that is between the two is not told yet.
                count: old.count().min(new.count()),
                old: LatencyView::of(&old),
                new: LatencyView::of(&new),
            },
        }
    }
}

impl LatencyView {
    fn of(snapshot: &LatencySnapshot) -> Self {
        let ms = |duration: Duration| duration.as_micros() as f64 / 1_000.0;
        Self {
            p50_ms: snapshot.p50().map(ms),
            p90_ms: snapshot.p90().map(ms),
            p99_ms: snapshot.p99().map(ms),
        }
    }
}

/// `GET /api/routes`.
pub(super) async fn routes(State(admin): State<Admin>) -> Json<RoutesView> {
    Json(RoutesView::of(&admin.live.snapshot(), Instant::now()))
}
