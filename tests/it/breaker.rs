//! A side that fails too often is left alone for a while: new where old can answer instead, and copies to either.

mod checks;

use crate::harness::backend::Seen;
use crate::harness::proxy::nobody;
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    a_new_side_that_fails_is_left_alone_and_found_again,
    only_what_old_may_answer_is_kept_from_new,
    a_shadow_that_fails_gets_no_copies_for_a_while,
    a_breaker_may_be_left_out,
);

const NEW: &str = "name = \"new\"\nmatch = \"GET /new/{id}\"\nkey = \"{path.id}\"\npercent = 100";

fn fails(_: &Seen) -> Reply {
    Reply::status(500).body("new")
}

fn is_open(proxy: &Proxy, side: &str, role: &str) -> bool {
    proxy.metric("crossfade_breaker_open", &[("side", side), ("role", role)]) == 1.0
}

fn shown(proxy: &Proxy, side: usize, role: &str) -> serde_json::Value {
    proxy.admin_json("/api/upstreams")["sides"][side]["breaker"][role].clone()
}

#[test]
fn every_series_is_there_at_once_and_old_has_no_breaker_for_requests() {
    let proxy = Setup::new(&nobody(), &nobody()).start();
    let page = proxy.metrics();
    let series = page.series("crossfade_breaker_open", &[]);
    assert_eq!(series.len(), 4);
    assert!(series.iter().all(|series| series.value == 0.0));
    assert_eq!(
        proxy.admin_json("/api/upstreams")["sides"]
            .as_array()
            .unwrap()
            .iter()
            .map(|side| (side["side"].clone(), side["breaker"].clone()))
            .collect::<Vec<_>>(),
        [
            (
                "old".into(),
                serde_json::json!({"serve": null, "shadow": "closed"})
            ),
            (
                "new".into(),
                serde_json::json!({"serve": "closed", "shadow": "closed"})
            ),
        ]
    );
}

fn a_new_side_that_fails_is_left_alone_and_found_again(workers: usize) {
    let (old, new) = (Backend::text("old"), Backend::start(fails));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .set("server", "debug_headers = true")
        .route(&format!(
            "{NEW}\nshadow = 100\ncompare = {{ recheck = [] }}"
        ))
        .start();
    let mut client = proxy.client();
    // A failure that is no reason to ask old is one all the same.
    for _ in 0..60 {
        assert_eq!(client.get("/new/a").status, 500);
    }
    let mut answer = client.get("/new/a");
    wait_until("old answers", || {
        answer = client.get("/new/a");
        answer.text() == "old"
    });
    assert_eq!(answer.header("x-crossfade-side"), Some("old"));
    assert_eq!(answer.header("x-crossfade-why"), Some("bucket"));
    proxy.wait_for_metric(
        "crossfade_breaker_open",
        &[("side", "new"), ("role", "serve")],
        1.0,
    );
    assert_ne!(shown(&proxy, 1, "serve"), "closed");
    new.answer_with(|_| Reply::text("new"));
    wait_until("new is asked again", || {
        client.get("/new/a").text();
        !is_open(&proxy, "new", "serve")
    });
    assert_eq!(client.get("/new/a").text(), "new");
    assert_eq!(shown(&proxy, 1, "serve"), "closed");
    drop(client);
    let page = proxy.settle();
    let spared = page.sum("crossfade_fallbacks_total", &[("reason", "breaker")]);
    assert!(spared >= 1.0);
    assert_eq!(page.sum("crossfade_fallbacks_total", &[]), spared);
    assert_eq!(
        page.sum("crossfade_shadow_dropped_total", &[("reason", "breaker")]),
        spared
    );
    let served = |side| {
        page.sum(
            "crossfade_requests_total",
            &[("route", "new"), ("side", side)],
        )
    };
    assert_eq!(served("old"), spared);
    assert_eq!(served("new"), new.count() as f64);
}

fn only_what_old_may_answer_is_kept_from_new(workers: usize) {
    let (old, new) = (Backend::text("old"), Backend::start(fails));
    let route = |name: &str, more: &str| {
        format!("name = \"{name}\"\nmatch = \"GET /{name}/{{id}}\"\nkey = \"{{path.id}}\"\n{more}")
    };
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route(NEW)
        .route(&route("alone", "percent = 100\nfallback = false"))
        .route(&route("switched", "serve = \"new\""))
        .start();
    let mut client = proxy.client();
    for _ in 0..60 {
        assert_eq!(client.get("/alone/a").status, 500);
    }
    wait_until("old answers", || client.get("/new/a").text() == "old");
    for _ in 0..20 {
        assert_eq!(client.get("/alone/a").text(), "new");
        assert_eq!(client.get("/switched/a").text(), "new");
    }
}

fn a_shadow_that_fails_gets_no_copies_for_a_while(workers: usize) {
    let (old, new) = (Backend::text("same"), Backend::start(fails));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"old\"\nmatch = \"GET /{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { recheck = [] }")
        .start();
    let mut client = proxy.client();
    let dropped = || proxy.metric("crossfade_shadow_dropped_total", &[("reason", "breaker")]);
    wait_until("copies are left out", || {
        assert_eq!(client.get("/a").text(), "same");
        dropped() > 0.0
    });
    assert_ne!(shown(&proxy, 1, "shadow"), "closed");
    new.answer_with(|_| Reply::text("same"));
    wait_until("copies are sent again", || {
        assert_eq!(client.get("/a").text(), "same");
        !is_open(&proxy, "new", "shadow")
    });
    let before = proxy.settle();
    for _ in 0..10 {
        assert_eq!(client.get("/a").text(), "same");
    }
    drop(client);
    let page = proxy.settle();
    let more = |name, labels: &[_]| page.sum(name, labels) - before.sum(name, labels);
    assert_eq!(
        more("crossfade_comparisons_total", &[("verdict", "match")]),
        10.0
    );
    assert_eq!(more("crossfade_shadow_dropped_total", &[]), 0.0);
    assert_eq!(
        page.sum("crossfade_shadow_requests_total", &[]),
        new.count() as f64
    );
}

fn a_breaker_may_be_left_out(workers: usize) {
    let (old, new) = (Backend::start(fails), Backend::start(fails));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .set("new", "breaker = false")
        .route(&format!("{NEW}\nshadow = 100"))
        .start();
    let mut client = proxy.client();
    // Each is judged when the copies to old are, if not before.
    wait_until("copies to old are left out", || {
        assert_eq!(client.get("/new/a").status, 500);
        is_open(&proxy, "old", "shadow")
    });
    assert!(new.count() >= 50);
    assert!(!is_open(&proxy, "new", "serve"));
    assert_eq!(shown(&proxy, 1, "serve"), serde_json::Value::Null);
    assert_eq!(proxy.metric("crossfade_fallbacks_total", &[]), 0.0);
}
