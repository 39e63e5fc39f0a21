//! The lab may hang, and a shadow side too: no request notices.

use crate::harness::metrics::Page;
use crate::harness::{
    Backend, Client, Gate, Peer, Proxy, Reply, Setup, Step, wait_until,
    with_one_worker_and_with_four,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

with_one_worker_and_with_four!(
    ten_thousand_requests_succeed_while_the_lab_is_blocked,
    a_shadow_side_that_never_answers_changes_nothing,
    a_shadow_side_that_never_reads_changes_nothing,
    a_shadow_side_that_hangs_takes_little_memory,
);

const CLIENTS: usize = 16;

/// Sends that many requests over [`CLIENTS`] connections at once; returns how many were answered 200 with "ok".
fn load(address: SocketAddr, requests: usize, send: impl Fn(&mut Client) -> bool + Sync) -> usize {
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                for _ in 0..requests / CLIENTS {
                    answered.fetch_add(usize::from(send(&mut client)), Ordering::Relaxed);
                }
            });
        }
    });
    answered.into_inner()
}

fn get(client: &mut Client) -> bool {
    let answer = client.get("/items/a");
    answer.status == 200 && answer.text() == "ok"
}

const ITEMS: &str = "name = \"items\"\nmatch = \"GET,POST /items/{id}\"\nread = true\nkey = \"{path.id}\"\nshadow = { percent = 100, timeout = \"200ms\" }";

/// Keeps the lab's thread from running anything else until the gate opens.
fn block_the_lab(proxy: &Proxy, gate: &Gate) {
    let blocked = Arc::new(AtomicUsize::new(0));
    let lab = proxy.running().lab_runtime().unwrap();
    let (count, gate) = (Arc::clone(&blocked), gate.clone());
    lab.spawn(async move {
        count.fetch_add(1, Ordering::SeqCst);
        gate.wait_for_ever();
    });
    wait_until("the lab's thread is blocked", || {
        blocked.load(Ordering::SeqCst) == 1
    });
}

/// Opens a gate however the test ends: a proxy whose lab is blocked can't be stopped.
struct Opens(Gate);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn ten_thousand_requests_succeed_while_the_lab_is_blocked(workers: usize) {
    const REQUESTS: usize = 10_000;
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let proxy = Setup::new(&old, &new).workers(workers).route(ITEMS).start();
    let gate = Opens(Gate::default());
    block_the_lab(&proxy, &gate.0);
    assert_eq!(load(proxy.address(), REQUESTS, get), REQUESTS);
    assert_eq!((old.count(), new.count()), (REQUESTS, 0));
    let page = proxy.metrics();
    let sum = |name: &str, labels: &[(&str, &str)]| page.sum(name, labels);
    assert_eq!(
        sum(
            "crossfade_requests_total",
            &[("route", "items"), ("side", "old"), ("code_class", "2xx")]
        ),
        REQUESTS as f64
    );
    assert_eq!(
        (
            sum("crossfade_shadow_sampled_total", &[]),
            sum("crossfade_shadow_requests_total", &[]),
        ),
        (REQUESTS as f64, 0.0)
    );
    // 1,024 lie in the queue, 128 were taken up by the lab, nothing else is kept.
    let dropped = sum("crossfade_shadow_dropped_total", &[("reason", "queue")]);
    assert_eq!(
        dropped,
        sum("crossfade_shadow_dropped_total", &[]),
        "no other reason"
    );
    assert!(
        dropped >= (REQUESTS - 1024 - 128) as f64,
        "only {dropped} were dropped"
    );
    let memory = Arc::clone(proxy.running().shadow_memory());
    assert!(memory.used() > 0, "what is queued is paid for");
    drop(gate);
    let page = proxy.settle();
    assert_eq!(
        page.sum("crossfade_shadow_requests_total", &[("side", "new")]),
        REQUESTS as f64 - dropped
    );
    wait_until("the lab's memory is free", || memory.used() == 0);
}

/// Requests that are served are the same in number and side, whatever becomes of their copies.
fn check_served(proxy: &Proxy, old: &Backend, requests: usize) {
    assert_eq!(old.count(), requests);
    let page = proxy.settle();
    assert_eq!(
        (
            page.sum(
                "crossfade_requests_total",
                &[("side", "old"), ("code_class", "2xx")]
            ),
            page.sum("crossfade_requests_total", &[]),
            page.sum("crossfade_shadow_sampled_total", &[]),
            page.sum("crossfade_upstream_errors_total", &[("role", "serve")]),
        ),
        (requests as f64, requests as f64, requests as f64, 0.0)
    );
}

fn a_shadow_side_that_never_answers_changes_nothing(workers: usize) {
    let old = Backend::text("ok");
    let new = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let proxy = Setup::new(&old, &new).workers(workers).route(ITEMS).start();
    assert_eq!(load(proxy.address(), 1_600, get), 1_600);
    check_served(&proxy, &old, 1_600);
    assert!(new.requests().iter().all(|seen| seen.is_shadow()));
}

fn a_shadow_side_that_never_reads_changes_nothing(workers: usize) {
    let old = Backend::text("ok");
    let new = Peer::always(vec![Step::Wait(Gate::default())]);
    let proxy = Setup::new(&old, &new).workers(workers).route(ITEMS).start();
    let body = vec![b'x'; 200 * 1024];
    let post = |client: &mut Client| {
        let answer = client.request("POST", "/items/a", &[], &body);
        answer.status == 200 && answer.text() == "ok"
    };
    assert_eq!(load(proxy.address(), 320, post), 320);
    check_served(&proxy, &old, 320);
    assert!(old.requests().iter().all(|seen| seen.body == body));
}

fn a_shadow_side_that_hangs_takes_little_memory(workers: usize) {
    const IN_FLIGHT: usize = 128;
    const LATER: usize = 640;
    const MOST: usize = 8 * 1024 * 1024;
    let gate = Opens(Gate::default());
    let old = Backend::text("ok");
    let hung = gate.0.clone();
    let new = Backend::start(move |_| Reply::text("ok").after(&hung));
    let route = ITEMS.replace("200ms", "60s");
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route(&route)
        .start();
    let body = vec![b'x'; 32 * 1024];
    let post = |client: &mut Client| client.request("POST", "/items/a", &[], &body).status == 200;
    assert_eq!(load(proxy.address(), IN_FLIGHT, post), IN_FLIGHT);
    wait_until("all hands are at work", || new.count() == IN_FLIGHT);
    // Alone they would take 20 MiB.
    assert_eq!(load(proxy.address(), LATER, post), LATER);
    let memory = Arc::clone(proxy.running().shadow_memory());
    let used = memory.used();
    // Each client's last one may have been let in when there was still room.
    let each = body.len() + 1024;
    assert!(used <= MOST + CLIENTS * each, "{used} bytes are kept");
    assert!(used >= MOST, "only {used} bytes are kept");
    let page = proxy.metrics();
    let dropped = page.sum("crossfade_shadow_dropped_total", &[("reason", "queue")]);
    assert_eq!(dropped, page.sum("crossfade_shadow_dropped_total", &[]));
    let kept = (IN_FLIGHT + LATER) as f64 - dropped;
    assert!(kept * body.len() as f64 <= used as f64, "{kept} are kept");
    drop(gate);
    let asked = |page: &Page| page.sum("crossfade_shadow_requests_total", &[]);
    assert_eq!(asked(&proxy.settle()), kept);
    assert_eq!(memory.used(), 0);
    assert_eq!(load(proxy.address(), CLIENTS, post), CLIENTS);
    assert_eq!(asked(&proxy.settle()), kept + CLIENTS as f64);
}
