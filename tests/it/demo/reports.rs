//! The proxy between the demo's services reports what is true of them, and nothing else: every divergence of every pair, and every count.

use super::sample;
use super::truth::{self, Difference, Expected};
use crate::harness::proxy::{Listens, Proxy};
use crate::harness::wait_until;
use crossfade::app::Running;
use crossfade::demo::catalog::Catalog;
use crossfade::demo::{data, service};
use crossfade::side::Side;
use crossfade::store::Mismatch;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, Runtime};

/// Requests after which everything is compared: fewer than the shadow's queue and the list of mismatches hold, so nothing can be dropped, or lost from the list.
const ROUND: usize = 800;
const CONNECTIONS: usize = 4;

/// One of the demo's services in this process. Dropping it ends it.
struct Service {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Service {
    fn start(side: Side) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = service::router(side, Catalog::new(data::entries()));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            _runtime: runtime,
        }
    }
}

impl Listens for Service {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

#[test]
fn every_true_difference_is_reported_and_no_other() {
    let (old, new) = (Service::start(Side::Old), Service::start(Side::New));
    // Half of the keys are served by each side: what a difference is called must not depend on who served.
    let text = sample(old.address(), new.address(), "127.0.0.1:0", "127.0.0.1:0");
    assert_eq!(
        text.matches("percent = 5 ").count() + text.matches("percent = 5\n").count(),
        3
    );
    let text = text
        .replace("percent = 5 ", "percent = 50 ")
        .replace("percent = 5\n", "percent = 50\n");
    // What is always so stays so when both are asked again; a tenth of them are.
    let text = text.replace("[route.compare]", "[route.compare]\nrecheck = [\"10ms\"]");
    let proxy = Proxy::start(&text);
    let all = truth::everything();
    let mut asked = 0;
    for round in all.chunks(ROUND) {
        let mismatches_before = judged(proxy.running()).mismatches;
        read(&proxy, round);
        asked += round.len();
        wait_until("every pair is judged", || {
            judged(proxy.running()).all as usize >= asked
        });
        let judged = judged(proxy.running());
        assert_eq!(
            (judged.all as usize, judged.incomparable, judged.dropped),
            (asked, 0, 0)
        );
        let news = usize::try_from(judged.mismatches - mismatches_before).unwrap();
        let (reported, expected) = (reported(proxy.running(), news), expected(round));
        let wrong: Vec<_> = reported.symmetric_difference(&expected).collect();
        assert!(
            wrong.is_empty(),
            "reported or expected, but not both: {wrong:#?}"
        );
    }
    counts_agree(&proxy, &all);
}

/// Sends every request, over a few keep-alive connections.
fn read(proxy: &Proxy, round: &[Expected]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = proxy.client();
                while let Some(request) = round.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = client.get(&request.target);
                    assert_eq!(answer.status, 200, "{}", request.target);
                }
            });
        }
    });
}

/// Sums over all routes.
struct Judged {
    all: u64,
    mismatches: u64,
    incomparable: u64,
    dropped: u64,
}

fn judged(running: &Running) -> Judged {
    use crossfade::telemetry::labels::VerdictLabel::{Incomparable, Match, Mismatch};
    let plan = running.live().snapshot();
    let sum = |count: &dyn Fn(&crossfade::telemetry::RouteMetrics) -> u64| {
        plan.table
            .policies()
            .iter()
            .map(|route| count(&route.metrics))
            .sum::<u64>()
    };
    let mismatches = sum(&|route| route.verdicts(Mismatch));
    let incomparable = sum(&|route| route.verdicts(Incomparable));
    let dropped = sum(&|route| route.ledger().dropped);
    Judged {
        all: sum(&|route| route.verdicts(Match)) + mismatches + incomparable + dropped,
        mismatches,
        incomparable,
        dropped,
    }
}

/// Route and target of a pair, and all its differences in order.
type Report = (String, String, Vec<Difference>);

/// The latest mismatches.
fn reported(running: &Running, count: usize) -> BTreeSet<Report> {
    let rows = running.mismatches().latest(None, count);
    assert_eq!(rows.len(), count, "the list holds all of a round");
    let report = |row: &Arc<Mismatch>| {
        assert!(!row.fields_truncated);
        let fields = row
            .fields
            .iter()
            .map(|field| Difference::new(&field.path, field.kind.name(), &field.at));
        report(&row.route, &row.target, fields.collect())
    };
    let reports: BTreeSet<_> = rows.iter().map(report).collect();
    assert_eq!(reports.len(), count, "each target was asked once");
    reports
}

fn expected(round: &[Expected]) -> BTreeSet<Report> {
    let differing = round
        .iter()
        .filter(|request| !request.differences.is_empty());
    differing
        .map(|request| report(request.route, &request.target, request.differences.clone()))
        .collect()
}

fn report(route: &str, target: &str, mut differences: Vec<Difference>) -> Report {
    differences.sort();
    (route.to_owned(), target.to_owned(), differences)
}

/// What the admin API and the page of metrics count is the sum of the truth.
fn counts_agree(proxy: &Proxy, all: &[Expected]) {
    let page = proxy.settle();
    let shown = proxy.admin_json("/api/routes");
    for route in ["content-tags", "content", "tags", "tag-contents"] {
        let of_route: Vec<_> = all
            .iter()
            .filter(|request| request.route == route)
            .collect();
        let mismatches = of_route
            .iter()
            .filter(|request| !request.differences.is_empty())
            .count();
        let matches = of_route.len() - mismatches;
        let mut fields = BTreeMap::new();
        for kind in of_route.iter().flat_map(|request| request.kinds()) {
            *fields.entry(kind).or_insert(0) += 1;
        }

        let row = shown["routes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["name"] == route)
            .unwrap();
        assert_eq!(
            row["verdicts"],
            json!({
                "match": matches, "noise": 0, "mismatch": mismatches, "transient": 0, "lag": 0, "incomparable": 0,
            }),
            "{route}"
        );
        assert_eq!(row["trials"], json!(of_route.len()), "{route}");
        let rate = row["diff_rate"].as_f64().unwrap();
        assert!(
            (rate - mismatches as f64 / of_route.len() as f64).abs() < 1e-9,
            "{route}: {rate}"
        );
        let key = |row: &Value| (row["field"].to_string(), row["kind"].to_string());
        let counted = |row: &Value| json!({"field": row["field"], "kind": row["kind"], "count": row["count"]});
        let shown_fields = row["fields"].as_array().unwrap().iter();
        let mut shown_fields: Vec<_> = shown_fields.map(counted).collect();
        shown_fields.sort_by_key(key);
        let mut true_fields: Vec<_> = fields
            .iter()
            .map(|((path, kind), count)| json!({"field": path, "kind": kind, "count": count}))
            .collect();
        true_fields.sort_by_key(key);
        assert_eq!(shown_fields, true_fields, "{route}");

        let verdict = |verdict| {
            page.sum(
                "crossfade_comparisons_total",
                &[("route", route), ("verdict", verdict)],
            )
        };
        assert_eq!(
            (verdict("match"), verdict("mismatch")),
            (matches as f64, mismatches as f64),
            "{route}"
        );
        let series = page.series("crossfade_divergences_total", &[("route", route)]);
        assert_eq!(series.len(), fields.len(), "{route}: {series:#?}");
        for ((field, kind), count) in fields {
            let labels = [("route", route), ("field", field), ("kind", kind)];
            assert_eq!(
                page.sum("crossfade_divergences_total", &labels),
                f64::from(count),
                "{labels:?}"
            );
        }
        // Both sides served: the test would say little if one never did.
        let served = |side| {
            page.sum(
                "crossfade_requests_total",
                &[("route", route), ("side", side), ("code_class", "2xx")],
            )
        };
        assert_eq!(served("old") + served("new"), of_route.len() as f64);
        assert_eq!(served("new") > 0.0, route != "tags", "{route}");
    }
}
