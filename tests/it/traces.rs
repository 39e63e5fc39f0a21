//! Spans as a collector gets them, and what a collector that is not there changes: nothing.

use crate::harness::proxy::nobody;
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four};
use serde_json::Value;

with_one_worker_and_with_four!(
    a_trace_goes_through_both_sides,
    a_request_begins_a_trace_where_there_is_none,
    what_nobody_records_is_passed_on,
    a_collector_that_is_not_there_changes_nothing,
);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ROUTE: &str =
    "name = \"split\"\nmatch = \"GET /split/{x}\"\nkey = \"{path.x}\"\npercent = 100\nshadow = 100";

fn start(old: &Backend, new: &Backend, collector: std::net::SocketAddr, workers: usize) -> Proxy {
    Setup::new(old, new)
        .workers(workers)
        .set("log", &format!("traces = \"http://{collector}\""))
        .route(ROUTE)
        .start()
}

/// The spans that a collector has, once there are this many; by their names.
#[track_caller]
fn spans(collector: &Backend, count: usize) -> Vec<Value> {
    let all = || -> Vec<Value> {
        let bodies = collector.requests().into_iter().map(|seen| {
            assert_eq!(
                (seen.method.as_str(), seen.target.as_str()),
                ("POST", "/v1/traces")
            );
            assert_eq!(seen.header("content-type"), ["application/json"]);
            let text = String::from_utf8(seen.body.to_vec()).unwrap();
            assert!(!text.contains("PLANTED"), "{text}");
            serde_json::from_str::<Value>(&text).unwrap()
        });
        bodies
            .flat_map(|body| {
                let resource = &body["resourceSpans"][0];
                let service = &resource["resource"]["attributes"][0];
                assert_eq!(service["key"], "service.name");
                assert_eq!(service["value"]["stringValue"], "crossfade");
                resource["scopeSpans"][0]["spans"]
                    .as_array()
                    .unwrap()
                    .clone()
            })
            .collect()
    };
    wait_until("the spans", || all().len() >= count);
    let mut all = all();
    assert_eq!(all.len(), count, "{all:#?}");
    all.sort_by_key(|span| span["name"].to_string());
    all
}

fn attribute<'v>(span: &'v Value, name: &str) -> &'v Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    let value = &found.unwrap_or_else(|| panic!("no {name}: {span:#}"))["value"];
    value.as_object().unwrap().values().next().unwrap()
}

fn a_trace_goes_through_both_sides(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let collector = Backend::text("{}");
    let proxy = start(&old, &new, collector.address(), workers);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let fields = [
        ("traceparent", parent.as_str()),
        ("x-request-id", "mine"),
        ("authorization", "PLANTED"),
    ];
    proxy
        .client()
        .request("GET", "/split/a?token=PLANTED", &fields, b"");
    proxy.settle();
    let [whole, asked, compared, copied] = spans(&collector, 4).try_into().unwrap();
    let names = [&whole, &asked, &compared, &copied].map(|span| span["name"].as_str().unwrap());
    assert_eq!(names, ["GET split", "ask new", "compare", "shadow old"]);
    for span in [&whole, &asked, &compared, &copied] {
        assert_eq!(
            (&span["traceId"], &span["status"]["code"]),
            (&TRACE.into(), &0.into())
        );
        let time = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    }
    assert_eq!(whole["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(asked["parentSpanId"], whole["spanId"]);
    assert_eq!(copied["parentSpanId"], whole["spanId"]);
    assert_eq!(compared["parentSpanId"], copied["spanId"]);
    assert_eq!(attribute(&whole, "crossfade.request_id"), "mine");
    assert_eq!(attribute(&whole, "url.path"), "/split/a");
    assert_eq!(attribute(&asked, "http.response.status_code"), "200");
    assert_eq!(attribute(&compared, "crossfade.verdict"), "match");
    // Each side hears for which span it works.
    let told = |side: &Backend| side.only_request().header("traceparent")[0].to_owned();
    let of = |span: &Value| format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap());
    assert_eq!((told(&new), told(&old)), (of(&whole), of(&copied)));
}

fn a_request_begins_a_trace_where_there_is_none(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::start(|_| Reply::status(503)));
    let collector = Backend::text("{}");
    let proxy = start(&old, &new, collector.address(), workers);
    proxy.get("/split/a");
    proxy.client().request("TRACE", "/", &[], b"");
    proxy.settle();
    let spans = spans(&collector, 4);
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["GET split", "TRACE refused", "ask new", "ask old"]);
    assert!(spans[0]["parentSpanId"].is_null());
    assert_eq!(spans[2]["traceId"], spans[0]["traceId"]);
    assert_eq!(spans[3]["parentSpanId"], spans[0]["spanId"]);
    assert_eq!(spans[2]["status"]["code"], 2);
    assert_eq!(attribute(&spans[0], "crossfade.side"), "old");
    assert_eq!(attribute(&spans[1], "http.response.status_code"), "405");
}

fn what_nobody_records_is_passed_on(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let collector = Backend::text("{}");
    let mut proxy = start(&old, &new, collector.address(), workers);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-00");
    proxy
        .client()
        .request("GET", "/split/a", &[("traceparent", &parent)], b"");
    proxy.settle();
    // A stop sends what there is.
    proxy.stop();
    assert_eq!(
        (collector.count(), new.only_request().header("traceparent")),
        (0, vec![parent.as_str()])
    );
}

fn a_collector_that_is_not_there_changes_nothing(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let mut proxy = start(&old, &new, nobody(), workers);
    for _ in 0..8 {
        assert_eq!(proxy.get("/split/a").status, 200);
    }
    proxy.settle();
    proxy.wait_for_metric("crossfade_spans_lost_total", &[], 32.0);
    proxy.stop();
}
