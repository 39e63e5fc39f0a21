//! The page as a whole: every series of the contract, at 0 from the start, with exactly its labels.

use super::*;
use crate::compare::ids::Counts;
use crate::compare::{Incomparable, Kind, Verdict};
use crate::side::Side;
use http::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod counting;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A page, read by rules of its own: value of each series, type of each metric.
#[derive(Debug, Default)]
struct Page {
    values: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
    helped: BTreeSet<String>,
}

impl Page {
    fn of(telemetry: &Telemetry) -> Self {
        let mut page = Self::default();
        for line in telemetry.render().lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(
                    page.types.insert(name.to_owned(), kind.to_owned()),
                    None,
                    "{name} stands twice"
                );
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                page.helped
                    .insert(rest.split_once(' ').unwrap().0.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(
                    page.values
                        .insert(series.to_owned(), value.parse().unwrap()),
                    None,
                    "{series} stands twice"
                );
            }
        }
        page
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        *self
            .values
            .get(series)
            .unwrap_or_else(|| panic!("no series {series}"))
    }

    /// Series of a metric.
    fn count(&self, metric: &str) -> usize {
        self.values
            .keys()
            .filter(|series| series.split('{').next() == Some(metric))
            .count()
    }

    fn labels(&self, metric: &str) -> BTreeSet<Vec<String>> {
        let of = |series: &String| {
            let labels = series
                .split_once('{')
                .map_or("", |(_, labels)| labels.trim_end_matches('}'));
            labels
                .split(',')
                .filter(|l| !l.is_empty())
                .map(|l| l.split('=').next().unwrap().to_owned())
                .collect()
        };
        self.values
            .keys()
            .filter(|series| series.split('{').next() == Some(metric))
            .map(of)
            .collect()
    }
}

#[test]
fn every_series_is_there_at_zero_with_its_type_and_labels() {
    let telemetry = Telemetry::new();
    let _ = telemetry.route("tags", Some(&[Method::GET, Method::HEAD]));
    let ids = vec![("tag-id".to_owned(), Counts::default())];
    telemetry.process().ids(ids);
    let page = Page::of(&telemetry);
    // name, type, labels, series
    let table = [
        (
            "crossfade_requests_total",
            "counter",
            "route method side code_class",
            2 * 3 * 5,
        ),
        (
            "crossfade_request_duration_seconds",
            "histogram",
            "route side",
            3,
        ),
        (
            "crossfade_upstream_duration_seconds",
            "histogram",
            "route side role",
            4,
        ),
        (
            "crossfade_upstream_errors_total",
            "counter",
            "side role kind",
            2 * 2 * 5,
        ),
        ("crossfade_upstream_connections", "gauge", "side", 2),
        ("crossfade_upstream_waiting", "gauge", "side", 2),
        ("crossfade_rejected_total", "counter", "reason", 16),
        ("crossfade_breaker_open", "gauge", "side role", 4),
        ("crossfade_endpoints", "gauge", "side state", 6),
        ("crossfade_retries_total", "counter", "side", 2),
        ("crossfade_fallbacks_total", "counter", "route reason", 6),
        ("crossfade_shadow_sampled_total", "counter", "route", 1),
        (
            "crossfade_shadow_requests_total",
            "counter",
            "route side",
            2,
        ),
        (
            "crossfade_shadow_dropped_total",
            "counter",
            "route reason",
            8,
        ),
        ("crossfade_comparisons_total", "counter", "route verdict", 6),
        ("crossfade_rechecks_total", "counter", "route", 1),
        ("crossfade_fields", "gauge", "route state", 5),
        ("crossfade_ids", "gauge", "name state", 3),
        (
            "crossfade_incomparable_total",
            "counter",
            "route reason",
            15,
        ),
        ("crossfade_route_share", "gauge", "route", 1),
        ("crossfade_override", "gauge", "", 1),
        ("crossfade_config_generation", "gauge", "", 1),
        ("crossfade_config_last_reload_successful", "gauge", "", 1),
        (
            "crossfade_certificates_last_reload_successful",
            "gauge",
            "",
            1,
        ),
        ("crossfade_config_reloads_total", "counter", "result", 3),
        ("crossfade_handover_failures_total", "counter", "", 1),
        ("crossfade_log_lines_dropped_total", "counter", "reason", 2),
        ("crossfade_samples_lost_total", "counter", "reason", 3),
        ("crossfade_connections", "gauge", "", 1),
        ("crossfade_tunnels", "gauge", "", 1),
        ("crossfade_inflight_requests", "gauge", "", 1),
        ("crossfade_build_info", "gauge", "version", 1),
    ];
    for (name, kind, labels, series) in table {
        assert_eq!(
            page.types.get(name).map(String::as_str),
            Some(kind),
            "type of {name}"
        );
        assert!(page.helped.contains(name), "help of {name}");
        let counted = if kind == "histogram" {
            format!("{name}_count")
        } else {
            name.to_owned()
        };
        assert_eq!(page.count(&counted), series, "series of {name}");
        let labels: Vec<String> = labels.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            page.labels(&counted),
            BTreeSet::from([labels]),
            "labels of {name}"
        );
    }
    assert_eq!(
        page.types.len(),
        // Lost spans are counted only where there are any.
        table.len() + usize::from(cfg!(feature = "otel")),
        "a metric that the table lacks: {:?}",
        page.types.keys()
    );
    let version = format!(
        "crossfade_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    for (series, value) in &page.values {
        assert_eq!(*value, f64::from(u8::from(*series == version)), "{series}");
    }
}

#[test]
fn a_route_of_all_methods_has_the_ten_labels() {
    let telemetry = Telemetry::new();
    let _ = telemetry.route("unmatched", None);
    assert_eq!(
        Page::of(&telemetry).count("crossfade_requests_total"),
        10 * 3 * 5
    );
}

#[test]
fn what_is_counted_is_what_the_page_says() {
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", Some(&[Method::GET]));
    route.request(
        &Method::GET,
        ServedBy::New,
        CodeClass::Success,
        3 * MILLISECOND,
    );
    route.request(
        &Method::GET,
        ServedBy::New,
        CodeClass::Informational,
        MILLISECOND,
    );
    route.request(
        &Method::from_bytes(b"PROPFIND").unwrap(),
        ServedBy::Nobody,
        CodeClass::Aborted,
        MILLISECOND,
    );
    route.upstream(Side::Old, Role::Shadow, 20 * MILLISECOND);
    route.fallback(FallbackReason::Status);
    route.set_share(0.05);
    telemetry
        .side(Side::New)
        .error(Role::Serve, UpstreamError::Queue);
    let _held = telemetry.side(Side::New).connections.hold();
    telemetry.side(Side::Old).waiting.inc();
    telemetry.process().rejected(Rejected::Loop);
    telemetry.process().reload(ReloadResult::Applied);
    telemetry.process().generation.set(7);
    telemetry.process().override_active.set(1);
    let page = Page::of(&telemetry);
    for (series, value) in [
        (
            r#"crossfade_requests_total{route="tags",method="GET",side="new",code_class="2xx"}"#,
            1.0,
        ),
        (
            r#"crossfade_requests_total{route="tags",method="GET",side="new",code_class="1xx"}"#,
            1.0,
        ),
        (
            r#"crossfade_requests_total{route="tags",method="other",side="none",code_class="aborted"}"#,
            1.0,
        ),
        (
            r#"crossfade_requests_total{route="tags",method="GET",side="old",code_class="5xx"}"#,
            0.0,
        ),
        (
            r#"crossfade_request_duration_seconds_bucket{route="tags",side="new",le="0.0025"}"#,
            1.0,
        ),
        (
            r#"crossfade_request_duration_seconds_bucket{route="tags",side="new",le="0.005"}"#,
            2.0,
        ),
        (
            r#"crossfade_request_duration_seconds_count{route="tags",side="new"}"#,
            2.0,
        ),
        (
            r#"crossfade_request_duration_seconds_sum{route="tags",side="new"}"#,
            0.004,
        ),
        (
            r#"crossfade_upstream_duration_seconds_count{route="tags",side="old",role="shadow"}"#,
            1.0,
        ),
        (
            r#"crossfade_fallbacks_total{route="tags",reason="status"}"#,
            1.0,
        ),
        (r#"crossfade_route_share{route="tags"}"#, 0.05),
        (
            r#"crossfade_upstream_errors_total{side="new",role="serve",kind="queue"}"#,
            1.0,
        ),
        (r#"crossfade_upstream_connections{side="new"}"#, 1.0),
        (r#"crossfade_upstream_waiting{side="old"}"#, 1.0),
        (r#"crossfade_rejected_total{reason="loop"}"#, 1.0),
        (r#"crossfade_config_reloads_total{result="applied"}"#, 1.0),
        ("crossfade_config_last_reload_successful", 1.0),
        ("crossfade_config_generation", 7.0),
        ("crossfade_override", 1.0),
    ] {
        assert_eq!(page.value(series), value, "{series}");
    }
    let bounds: Vec<f64> = page
        .values
        .keys()
        .filter_map(|series| {
            series.strip_prefix(
                r#"crossfade_request_duration_seconds_bucket{route="tags",side="none",le=""#,
            )
        })
        .filter_map(|bound| bound.trim_end_matches("\"}").parse().ok())
        .filter(|bound: &f64| bound.is_finite())
        .collect();
    assert_eq!(bounds.len(), 15);
    assert_eq!(
        (
            bounds.iter().copied().fold(f64::MAX, f64::min),
            bounds.iter().copied().fold(0.0, f64::max)
        ),
        (0.0005, 30.0)
    );
    telemetry.process().reload(ReloadResult::Rejected);
    assert_eq!(
        Page::of(&telemetry).value("crossfade_config_last_reload_successful"),
        0.0
    );
}

#[test]
fn cells_outlive_a_second_call_and_new_methods_join() {
    let telemetry = Telemetry::new();
    let first = telemetry.route("tags", Some(&[Method::GET]));
    first.request(&Method::GET, ServedBy::Old, CodeClass::Success, MILLISECOND);
    let second = telemetry.route("tags", Some(&[Method::PUT]));
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    let page = Page::of(&telemetry);
    assert_eq!(
        page.value(
            r#"crossfade_requests_total{route="tags",method="GET",side="old",code_class="2xx"}"#
        ),
        1.0
    );
    assert_eq!(
        page.value(
            r#"crossfade_requests_total{route="tags",method="PUT",side="old",code_class="2xx"}"#
        ),
        0.0
    );
    assert_eq!(second.requests(ServedBy::Old), 1);
    assert_eq!(second.requests_of_class(CodeClass::Success), 1);
}

#[test]
fn fields_from_answers_are_escaped_and_bounded() {
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", Some(&[Method::GET]));
    route.divergence("$['a\\\\\"b\n']", Kind::Changed);
    for n in 0..100 {
        route.divergence(&format!("$.f{n}"), Kind::Missing);
    }
    let page = Page::of(&telemetry);
    assert_eq!(
        page.value(
            r#"crossfade_divergences_total{route="tags",field="$['a\\\\\"b\n']",kind="changed"}"#
        ),
        1.0
    );
    assert_eq!(
        page.value(r#"crossfade_divergences_total{route="tags",field="$.f48",kind="missing"}"#),
        1.0
    );
    assert_eq!(
        page.value(r#"crossfade_divergences_total{route="tags",field="other",kind="missing"}"#),
        51.0
    );
    assert_eq!(page.count("crossfade_divergences_total"), 51);
    assert_eq!(page.types["crossfade_divergences_total"], "counter");
    assert!(page.helped.contains("crossfade_divergences_total"));
}

#[test]
fn the_ledger_is_settled_only_when_all_has_ended() {
    let route = Telemetry::new().route("tags", None);
    assert!(route.ledger().is_settled());
    assert_eq!(route.diff_rate(), None);
    route.sampled();
    route.sampled();
    route.sampled();
    assert!(!route.ledger().is_settled());
    route.dropped(Dropped::Queue);
    route.shadow_request(Side::New);
    route.shadow_request(Side::Old);
    assert!(!route.ledger().is_settled());
    route.verdict(Verdict::Mismatch);
    route.verdict(Verdict::Incomparable(Incomparable::ShadowTimeout));
    assert!(route.ledger().is_settled());
    assert_eq!(
        route.ledger(),
        Ledger {
            sampled: 3,
            shadow_requests: 2,
            dropped: 1,
            comparisons: 2
        }
    );
    assert_eq!(route.incomparable(Incomparable::ShadowTimeout), 1);
    assert_eq!((route.trials(), route.diff_rate()), (1, Some(1.0)));
}

#[test]
fn two_proxies_in_one_process_count_apart() {
    let (one, two) = (Telemetry::new(), Telemetry::new());
    one.route("tags", None).sampled();
    two.route("tags", None);
    assert_eq!(
        Page::of(&one).value(r#"crossfade_shadow_sampled_total{route="tags"}"#),
        1.0
    );
    assert_eq!(
        Page::of(&two).value(r#"crossfade_shadow_sampled_total{route="tags"}"#),
        0.0
    );
}

#[test]
fn latencies_of_both_roles_feed_the_side() {
    let route = Telemetry::new().route("tags", None);
    route.upstream(Side::New, Role::Serve, 10 * MILLISECOND);
    route.upstream(Side::New, Role::Shadow, 10 * MILLISECOND);
    assert_eq!(route.latency(Side::New).count(), 2);
    assert_eq!(route.latency(Side::Old).p50(), None);
    let median = route.latency(Side::New).p50().unwrap().as_secs_f64();
    assert!((median - 0.01).abs() < 0.01 / 20.0, "{median}");
}

#[test]
fn quantiles_are_of_requests_that_both_sides_answered() {
    let telemetry = Telemetry::new();
    let route = telemetry.route("tags", None);
    route.upstream(Side::Old, Role::Serve, 700 * MILLISECOND);
    // Nothing was asked of both: no figure is better than a zero.
    assert!(
        !Page::of(&telemetry)
            .types
            .contains_key("crossfade_latency_quantile_seconds")
    );
    (1..=100).for_each(|n| route.pair([n * MILLISECOND, n * 2 * MILLISECOND]));
    let page = Page::of(&telemetry);
    for (side, quantile, seconds) in [
        ("old", "0.5", 0.05),
        ("old", "0.9", 0.09),
        ("old", "0.99", 0.099),
        ("new", "0.5", 0.1),
        ("new", "0.9", 0.18),
        ("new", "0.99", 0.198),
    ] {
        let series = format!(
            "crossfade_latency_quantile_seconds{{route=\"tags\",side=\"{side}\",quantile=\"{quantile}\"}}"
        );
        let told = page.value(&series);
        assert!((told - seconds).abs() <= seconds / 20.0, "{series} {told}");
    }
}
