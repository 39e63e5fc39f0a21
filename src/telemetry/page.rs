//! The metrics page: the one list of names and descriptions, written in the text format of Prometheus (0.0.4) by the exporter's own functions.
//!
//! Nothing is kept between two pages: each is written from the cells as they are, metric by metric. Which series there are
//! is said where their cells are.

use metrics::{Key, Label};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};
use std::fmt::Display;

/// Upper bounds of the buckets of every histogram, in nanoseconds, and as the page names them, in seconds.
pub(super) const BUCKETS: [(u64, &str); 15] = [
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
];

/// Buckets of a histogram, with the one that has no bound.
pub(super) const BUCKET_COUNT: usize = BUCKETS.len() + 1;

/// What a series is.
#[derive(Clone, Copy, Debug)]
enum Type {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// A metric: its name is public and exact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    name: &'static str,
    kind: Type,
    help: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident: $kind:ident $name:literal, $help:literal;)+) => {
        $(pub(super) const $constant: Metric = Metric { name: $name, kind: Type::$kind, help: $help };)+
    };
}

metrics_table! {
    REQUESTS: Counter "crossfade_requests_total", "Requests by the side whose answer the client got";
    REQUEST_DURATION: Histogram "crossfade_request_duration_seconds", "From the head read to the last frame of the answer handed to the connection";
    UPSTREAM_DURATION: Histogram "crossfade_upstream_duration_seconds", "From the request sent to a side to the head of its answer";
    LATENCY_QUANTILE: Summary "crossfade_latency_quantile_seconds", "From sent to head, of requests that both sides answered, since the start";
    UPSTREAM_ERRORS: Counter "crossfade_upstream_errors_total", "Failures of a side by kind";
    UPSTREAM_CONNECTIONS: Gauge "crossfade_upstream_connections", "Open connections to a side";
    UPSTREAM_WAITING: Gauge "crossfade_upstream_waiting", "Requests that wait for a connection to a side";
    ENDPOINTS: Gauge "crossfade_endpoints", "Addresses of a side by how they are";
    RETRIES: Counter "crossfade_retries_total", "Requests that were sent to a side once more because the connection broke";
    BREAKER_OPEN: Gauge "crossfade_breaker_open", "1 while a side is left alone because it failed too often";
    REJECTED: Counter "crossfade_rejected_total", "Requests that were refused";
    FALLBACKS: Counter "crossfade_fallbacks_total", "Requests that old answered because new failed";
    SHADOW_SAMPLED: Counter "crossfade_shadow_sampled_total", "Requests chosen to be mirrored to the other side";
    SHADOW_REQUESTS: Counter "crossfade_shadow_requests_total", "Copies taken up for a side";
    SHADOW_DROPPED: Counter "crossfade_shadow_dropped_total", "Chosen requests that made no pair";
    COMPARISONS: Counter "crossfade_comparisons_total", "Pairs of answers by verdict";
    RECHECKS: Counter "crossfade_rechecks_total", "Requests by which sides were asked again, beside the copies";
    INCOMPARABLE: Counter "crossfade_incomparable_total", "Pairs that could not be judged, by reason";
    DIVERGENCES: Counter "crossfade_divergences_total", "Mismatches by field and kind, once for each in a pair";
    FIELDS: Gauge "crossfade_fields", "Fields that have differed, by what is known of them";
    IDS: Gauge "crossfade_ids", "Pairings of values that are one thing, by what is known of them";
    ROUTE_SHARE: Gauge "crossfade_route_share", "Share of reads that new serves, switches and override included";
    OVERRIDE: Gauge "crossfade_override", "1 while an override of the admin API is in force";
    GENERATION: Gauge "crossfade_config_generation", "Generation of the settings in force";
    RELOAD_SUCCESSFUL: Gauge "crossfade_config_last_reload_successful", "0 while the file has errors";
    HANDOVER_FAILURES: Counter "crossfade_handover_failures_total", "Processes that were started to take over, and did not";
    LOG_LINES_DROPPED: Counter "crossfade_log_lines_dropped_total", "Lines of the access log that were not written";
    SAMPLES_LOST: Counter "crossfade_samples_lost_total", "Samples that were not kept";
    SPANS_LOST: Counter "crossfade_spans_lost_total", "Spans that no collector took";
    RELOADS: Counter "crossfade_config_reloads_total", "Changes of the file by result";
    CERTIFICATES_GOOD: Gauge "crossfade_certificates_last_reload_successful", "0 while the certificates of a listener can't be used";
    CONNECTIONS: Gauge "crossfade_connections", "Open connections of clients";
    INFLIGHT: Gauge "crossfade_inflight_requests", "Requests that are being served";
    TUNNELS: Gauge "crossfade_tunnels", "Connections that have switched to another protocol";
    BUILD_INFO: Gauge "crossfade_build_info", "1, labelled with the version";
}

/// A label's name and value.
pub(super) type Pair<'a> = (&'static str, &'a str);

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// What a histogram has counted, bucket by bucket: nothing of it is counted in two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Buckets {
    pub(super) counts: [u64; BUCKET_COUNT],
    pub(super) sum_nanos: u64,
}

impl Page {
    /// The text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Writes a metric's series; a metric that has none is not named.
    pub(super) fn metric(&mut self, metric: Metric, series: impl FnOnce(&mut Series<'_>)) {
        let start = self.text.len();
        let kind = match metric.kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
            Type::Summary => "summary",
        };
        let Metric { name, help, .. } = metric;
        write_help_line(&mut self.text, name, None, None, help);
        write_type_line(&mut self.text, name, None, None, kind);
        let head = self.text.len();
        series(&mut Series { page: self, name });
        if self.text.len() == head {
            self.text.truncate(start);
        } else {
            self.text.push('\n');
        }
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Series<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Series<'_> {
    /// A counter, a gauge, or a quantile of a summary.
    pub(super) fn value(&mut self, labels: &[Pair<'_>], value: impl Display) {
        self.line(None, &label_set(labels), None, value);
    }

    /// A histogram: its buckets add up, and the last of them is the count, whatever is counted meanwhile.
    pub(super) fn histogram(&mut self, labels: &[Pair<'_>], buckets: &Buckets) {
        let labels = label_set(labels);
        let mut count = 0;
        let bounds = BUCKETS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, more) in bounds.zip(buckets.counts) {
            count += more;
            self.line(Some("bucket"), &labels, Some(bound), count);
        }
        self.line(Some("sum"), &labels, None, buckets.sum_nanos as f64 / 1e9);
        self.line(Some("count"), &labels, None, count);
    }

    fn line(
        &mut self,
        suffix: Option<&'static str>,
        labels: &LabelSet,
        bound: Option<&str>,
        value: impl Display,
    ) {
        let bound = bound.map(|bound| ("le", bound));
        write_metric_line(
            &mut self.page.text,
            self.name,
            suffix,
            labels,
            bound,
            value,
            None,
        );
    }
}

fn label_set(labels: &[Pair<'_>]) -> LabelSet {
    let labels: Vec<Label> = labels
        .iter()
        // A single backslash would be taken for the beginning of what is escaped already.
        .map(|(name, value)| Label::new(*name, value.replace('\\', r"\\")))
        .collect();
    LabelSet::from_key_and_global(&Key::from_parts("", labels), &Default::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_say_the_same_twice() {
        assert!(BUCKETS.is_sorted_by(|one, next| one.0 < next.0));
        for (nanos, text) in BUCKETS {
            assert_eq!(text.parse::<f64>().unwrap() * 1e9, nanos as f64);
            // As the page has always written them: a bound is a label, and another text is another series.
            assert_eq!((nanos as f64 / 1e9).to_string(), text);
        }
    }

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.metric(DIVERGENCES, |_| {});
        page.metric(OVERRIDE, |series| series.value(&[], 1));
        page.metric(DIVERGENCES, |series| {
            series.value(&[("route", "a"), ("field", "\\ \"é\"\n")], 3);
        });
        let mut buckets = Buckets {
            sum_nanos: 31_002_000_000,
            ..Buckets::default()
        };
        buckets.counts[2] = 1;
        buckets.counts[15] = 2;
        page.metric(UPSTREAM_DURATION, |series| {
            series.histogram(&[("route", "a")], &buckets);
        });
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..8],
            [
                "# HELP crossfade_override 1 while an override of the admin API is in force",
                "# TYPE crossfade_override gauge",
                "crossfade_override 1",
                "",
                "# HELP crossfade_divergences_total Mismatches by field and kind, once for each in a pair",
                "# TYPE crossfade_divergences_total counter",
                r#"crossfade_divergences_total{route="a",field="\\ \"é\"\n"} 3"#,
                "",
            ]
        );
        let histogram = "crossfade_upstream_duration_seconds";
        assert_eq!(
            lines[11..13],
            [
                format!(r#"{histogram}_bucket{{route="a",le="0.001"}} 0"#),
                format!(r#"{histogram}_bucket{{route="a",le="0.0025"}} 1"#),
            ]
        );
        assert_eq!(
            lines[24..],
            [
                format!(r#"{histogram}_bucket{{route="a",le="30"}} 1"#),
                format!(r#"{histogram}_bucket{{route="a",le="+Inf"}} 3"#),
                format!(r#"{histogram}_sum{{route="a"}} 31.002"#),
                format!(r#"{histogram}_count{{route="a"}} 3"#),
                String::new(),
            ]
        );
    }
}
