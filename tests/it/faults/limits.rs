//! The limits of the lab: places in its queues, its memory, and the end of the proxy.

use super::{counted, settled};
use crate::harness::metrics::Page;
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use std::sync::Arc;

with_one_worker_and_with_four!(
    what_finds_no_place_in_the_queue_is_dropped,
    what_finds_no_memory_is_dropped,
    what_is_queued_when_the_proxy_stops_is_dropped,
);

/// Places in a side's queue and in flight to it.
const PLACES: usize = 1024 + 128;

/// A shadow side that answers when the gate opens; what is mirrored to it may wait for long.
fn setup(old: &Backend, new: &Backend, workers: usize) -> Setup {
    Setup::new(old, new)
        .workers(workers)
        .set("new", "timeout = \"60s\"")
}

fn dropped(page: &Page, reason: &str) -> f64 {
    page.sum("crossfade_shadow_dropped_total", &[("reason", reason)])
}

fn what_finds_no_place_in_the_queue_is_dropped(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let old = Backend::text("ok");
    let new = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = setup(&old, &new, workers)
        .route("name = \"items\"\nmatch = \"GET /items\"\nshadow = { percent = 100, timeout = \"60s\" }")
        .start();
    let mut client = proxy.client();
    let more = 100;
    for _ in 0..PLACES + more {
        assert_eq!(client.get("/items").text(), "ok");
    }
    wait_until("all places in flight are taken", || new.count() == 128);
    // The lab may take up pairs more slowly than they come, but never more of them than it has places for.
    let page = proxy.metrics();
    assert!(
        dropped(&page, "queue") >= more as f64,
        "{}",
        dropped(&page, "queue")
    );
    assert_eq!(
        dropped(&page, "queue"),
        page.sum("crossfade_shadow_dropped_total", &[])
    );
    gate.open();
    let page = settled(&proxy);
    assert_eq!(
        page.sum("crossfade_shadow_sampled_total", &[]),
        (PLACES + more) as f64
    );
    assert_eq!(
        page.sum("crossfade_shadow_requests_total", &[("side", "new")]),
        new.count() as f64
    );
    assert!(new.most_at_once() <= 128, "{}", new.most_at_once());
}

fn what_finds_no_memory_is_dropped(workers: usize) {
    const LARGE: usize = 15 << 20;
    let gate = Gate::default();
    let opened = gate.clone();
    let large: bytes::Bytes = vec![b'x'; LARGE].into();
    let body = large.clone();
    let old = Backend::start(move |_| Reply::status(200).body(body.clone()));
    let new = Backend::start(move |_| Reply::status(200).body(large.clone()).after(&opened));
    let proxy = setup(&old, &new, workers)
        .route("name = \"items\"\nmatch = \"GET,POST /items\"\nread = true\nshadow = { percent = 100, timeout = \"60s\", max_body = \"16MiB\" }")
        .start();
    let memory = Arc::clone(proxy.running().shadow_memory());
    let get = || {
        let answer = proxy.get("/items");
        assert_eq!((answer.status, answer.body.len()), (200, LARGE));
    };
    // Three copies of 15 MiB fit into 48 MiB, a fourth does not, nor does a request's body or the answer of a shadow.
    for _ in 0..3 {
        get();
    }
    wait_until("three pairs hold their answers", || new.count() == 3);
    assert!(memory.used() > 3 * LARGE, "{}", memory.used());
    get();
    let answer = proxy
        .client()
        .request("POST", "/items", &[], &vec![b'x'; 4 << 20]);
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
    let page = proxy.metrics();
    assert_eq!(dropped(&page, "bytes"), 2.0);
    gate.open();
    let page = settled(&proxy);
    assert_eq!(
        (
            page.sum("crossfade_shadow_requests_total", &[]),
            dropped(&page, "bytes")
        ),
        (3.0, 2.0)
    );
    assert!(
        page.sum("crossfade_incomparable_total", &[("reason", "bytes")]) >= 1.0,
        "{:?}",
        counted(&page, "crossfade_incomparable_total")
    );
    // What was full is usable again.
    get();
    let page = settled(&proxy);
    assert_eq!(page.sum("crossfade_shadow_requests_total", &[]), 4.0);
}

fn what_is_queued_when_the_proxy_stops_is_dropped(workers: usize) {
    let old = Backend::text("ok");
    let new = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let mut proxy: Proxy = setup(&old, &new, workers)
        .set("new", "pool = { max_connections = 4 }")
        .route("name = \"items\"\nmatch = \"GET /items\"\nshadow = { percent = 100, timeout = \"60s\" }")
        .start();
    let mut client = proxy.client();
    for _ in 0..200 {
        assert_eq!(client.get("/items").text(), "ok");
    }
    wait_until("new is asked", || new.count() == 4);
    proxy.wait_for_metric("crossfade_shadow_requests_total", &[], 128.0);
    drop(client);
    let telemetry = Arc::clone(proxy.running().telemetry());
    let memory = Arc::clone(proxy.running().shadow_memory());
    proxy.stop();
    let page = Page::parse(&telemetry.render());
    let sum = |name: &str, labels: &[(&str, &str)]| page.sum(name, labels);
    assert_eq!(
        (
            sum("crossfade_shadow_sampled_total", &[]),
            sum("crossfade_shadow_requests_total", &[]),
            sum(
                "crossfade_comparisons_total",
                &[("verdict", "incomparable")]
            ),
            sum("crossfade_shadow_dropped_total", &[]),
            dropped(&page, "shutdown"),
        ),
        (200.0, 128.0, 128.0, 72.0, 72.0)
    );
    assert_eq!(memory.used(), 0);
}
