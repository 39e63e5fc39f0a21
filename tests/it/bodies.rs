//! Bodies that are no JSON, through the whole proxy.

use crate::harness::backend::Seen;
use crate::harness::reply::Piece;
use crate::harness::{Backend, Gate, Reply, Setup, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    events_are_not_waited_for,
    lines_and_forms_are_judged_by_the_rules_of_the_route,
);

const ROUTE: &str =
    "name = \"items\"\nmatch = \"GET /{id}\"\nshadow = 100\ncompare = { ignore = [\"$..at\"] }";

fn side(kind: &'static str, body: &'static str) -> Backend {
    Backend::start(move |_: &Seen| Reply::status(200).header("content-type", kind).body(body))
}

fn events_are_not_waited_for(workers: usize) {
    const EVENTS: &str = "text/event-stream; charset=utf-8";
    let gate = Gate::default();
    let held = gate.clone();
    let old = side(EVENTS, "data: 1\n\n");
    // Its first event, and then nothing for ever.
    let new = Backend::start(move |_: &Seen| {
        let first = Piece::Data("data: 1\n\n".into());
        Reply::status(200)
            .pieces(vec![first, Piece::Wait(held.clone())])
            .header("content-type", EVENTS)
    });
    let proxy = Setup::new(&old, &new).workers(workers).route(ROUTE).start();
    assert_eq!(proxy.get("/a").status, 200);
    let page = proxy.settle();
    let reason = |reason| page.sum("crossfade_incomparable_total", &[("reason", reason)]);
    assert_eq!((reason("stream"), reason("shadow_timeout")), (1.0, 0.0));
    gate.open();
}

fn lines_and_forms_are_judged_by_the_rules_of_the_route(workers: usize) {
    for (kind, old, new, path) in [
        (
            "application/x-ndjson",
            "{\"a\":1,\"at\":1}\n{\"a\":2}\n",
            "{\"a\":1,\"at\":2}\n{\"a\":3}\n",
            "$[*].a",
        ),
        (
            "application/x-www-form-urlencoded",
            "a=1&at=1&b=2",
            "at=2&b=3&a=1",
            "$.b",
        ),
    ] {
        let (old, new) = (side(kind, old), side(kind, new));
        let proxy = Setup::new(&old, &new).workers(workers).route(ROUTE).start();
        assert_eq!(proxy.get("/a").status, 200);
        proxy.settle();
        let rows = proxy.admin_json("/api/mismatches");
        let fields = rows["mismatches"][0]["fields"].as_array().unwrap();
        let paths: Vec<_> = fields.iter().map(|field| &field["path"]).collect();
        assert_eq!(paths, [path], "{kind}");
    }
}
