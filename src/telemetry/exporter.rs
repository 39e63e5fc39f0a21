//! The recorder value behind the metrics page, and the one list of names and descriptions.
//!
//! The recorder is ours alone (`build_recorder`, never `install`). It keeps each histogram sample until it is drained, so
//! [`Exporter::upkeep`] must run every second or so: at 50,000 requests a second that is 2 MB of samples.

use metrics::{
    Counter, Gauge, Histogram, Key, Label as Pair, Level, Metadata, Recorder, SharedString,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::fmt;

/// Upper bounds of the buckets of every histogram, in seconds.
pub(super) const BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// What a series is.
#[derive(Clone, Copy)]
enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// A metric: its name is public and exact.
#[derive(Clone, Copy)]
pub(super) struct Metric {
    name: &'static str,
    kind: Type,
    help: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident: $kind:ident $name:literal, $help:literal;)+) => {
        $(pub(super) const $constant: Metric = Metric { name: $name, kind: Type::$kind, help: $help };)+
        const ALL: &[Metric] = &[$($constant,)+];
    };
}

metrics_table! {
    REQUESTS: Counter "crossfade_requests_total", "Requests by the side whose answer the client got";
    REQUEST_DURATION: Histogram "crossfade_request_duration_seconds", "From the head read to the last frame of the answer handed to the connection";
    UPSTREAM_DURATION: Histogram "crossfade_upstream_duration_seconds", "From the request sent to a side to the head of its answer";
    UPSTREAM_ERRORS: Counter "crossfade_upstream_errors_total", "Failures of a side by kind";
    UPSTREAM_CONNECTIONS: Gauge "crossfade_upstream_connections", "Open connections to a side";
    UPSTREAM_WAITING: Gauge "crossfade_upstream_waiting", "Requests that wait for a connection to a side";
    REJECTED: Counter "crossfade_rejected_total", "Requests that were refused";
    FALLBACKS: Counter "crossfade_fallbacks_total", "Requests that old answered because new failed";
    SHADOW_SAMPLED: Counter "crossfade_shadow_sampled_total", "Requests chosen to be mirrored to the other side";
    SHADOW_REQUESTS: Counter "crossfade_shadow_requests_total", "Copies taken up for a side";
    SHADOW_DROPPED: Counter "crossfade_shadow_dropped_total", "Chosen requests that made no pair";
    COMPARISONS: Counter "crossfade_comparisons_total", "Pairs of answers by verdict";
    INCOMPARABLE: Counter "crossfade_incomparable_total", "Pairs that could not be judged, by reason";
    DIVERGENCES: Counter "crossfade_divergences_total", "Mismatches by field and kind, once for each in a pair";
    ROUTE_SHARE: Gauge "crossfade_route_share", "Share of reads that new serves, switches and override included";
    OVERRIDE: Gauge "crossfade_override", "1 while an override of the admin API is in force";
    GENERATION: Gauge "crossfade_config_generation", "Generation of the settings in force";
    RELOAD_SUCCESSFUL: Gauge "crossfade_config_last_reload_successful", "0 while the file has errors";
    RELOADS: Counter "crossfade_config_reloads_total", "Changes of the file by result";
    CONNECTIONS: Gauge "crossfade_connections", "Open connections of clients";
    INFLIGHT: Gauge "crossfade_inflight_requests", "Requests that are being served";
    BUILD_INFO: Gauge "crossfade_build_info", "1, labelled with the version";
}

/// The recorder and what reads it.
pub(super) struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Exporter {
    /// A recorder that knows every description.
    pub(super) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        for Metric { name, kind, help } in ALL {
            match kind {
                Type::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
                Type::Gauge => recorder.describe_gauge((*name).into(), None, (*help).into()),
                Type::Histogram => {
                    recorder.describe_histogram((*name).into(), None, (*help).into())
                }
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// The counter with these labels; the same one for the same labels.
    pub(super) fn counter<const N: usize>(
        &self,
        metric: Metric,
        labels: [(&'static str, SharedString); N],
    ) -> Counter {
        self.recorder
            .register_counter(&key(metric, labels), &METADATA)
    }

    /// The gauge with these labels.
    pub(super) fn gauge<const N: usize>(
        &self,
        metric: Metric,
        labels: [(&'static str, SharedString); N],
    ) -> Gauge {
        self.recorder
            .register_gauge(&key(metric, labels), &METADATA)
    }

    /// The histogram with these labels.
    pub(super) fn histogram<const N: usize>(
        &self,
        metric: Metric,
        labels: [(&'static str, SharedString); N],
    ) -> Histogram {
        self.recorder
            .register_histogram(&key(metric, labels), &METADATA)
    }

    /// The page in the text format of Prometheus.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves samples into buckets and frees them.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn key<const N: usize>(metric: Metric, labels: [(&'static str, SharedString); N]) -> Key {
    let pairs: Vec<Pair> = labels
        .into_iter()
        .map(|(name, value)| Pair::new(name, value))
        .collect();
    Key::from_parts(metric.name, pairs)
}
