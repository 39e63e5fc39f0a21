//! The memory of all bodies, and requests in flight.

use super::{rejected, wait_for_rejected};
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    bodies_that_are_kept_keep_new_ones_out,
    answers_that_are_not_read_keep_new_bodies_out,
    a_side_answers_so_many_requests_at_once,
);

#[track_caller]
fn assert_no_body_is_taken(proxy: &Proxy) {
    let refused = proxy.client().request("POST", "/x", &[], b"body");
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (503, Some("memory"))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(proxy.get("/x").text(), "ok", "who brings no body is served");
}

fn bodies_that_are_kept_keep_new_ones_out(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let old = Backend::text("ok");
    let new = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .set("limits", "body_memory = \"32KiB\"")
        .route("name = \"search\"\nmatch = \"POST /search\"\nread = true\npercent = 100")
        .start();
    let mut holder = proxy.client();
    holder.send_request("POST", "/search", &[], &vec![b'x'; 40_000]);
    wait_until("it is kept for old", || {
        new.count() == 1 && new.requests()[0].whole
    });
    assert_no_body_is_taken(&proxy);
    gate.open();
    assert_eq!(holder.answer("POST").text(), "ok");
    let next = proxy.client().request("POST", "/x", &[], b"body");
    assert_eq!((next.status, rejected(&proxy, "memory")), (200, 1.0));
}

fn answers_that_are_not_read_keep_new_bodies_out(workers: usize) {
    const LARGE: usize = 64 << 20;
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/large" => Reply::status(200).body(vec![b'x'; LARGE]),
        _ => Reply::text("ok"),
    });
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "body_memory = \"1KiB\"")
        .start();
    let mut reader = proxy.client();
    reader.send_request("GET", "/large", &[], b"");
    wait_until("bodies are kept out", || {
        let answer = proxy.client().request("POST", "/x", &[], b"body");
        answer.status == 503
    });
    assert_no_body_is_taken(&proxy);
    assert_eq!(reader.answer("GET").body.len(), LARGE);
    assert_eq!(
        proxy.client().request("POST", "/x", &[], b"body").status,
        200
    );
}

fn a_side_answers_so_many_requests_at_once(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "in_flight = 2")
        .set("old", "pool = { queue = 1 }")
        .start();
    let mut clients = [(); 3].map(|()| proxy.client());
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_request("GET", "/", &[], b"");
        let (asked, waiting) = [(1, 0.0), (2, 0.0), (2, 1.0)][number];
        wait_until("it is in flight, or waits", || {
            backend.count() == asked && proxy.metric("crossfade_upstream_waiting", &[]) == waiting
        });
    }
    let refused = proxy.get("/");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    wait_for_rejected(&proxy, "in_flight", 1.0);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer("GET").text(), "ok");
    }
    assert_eq!(backend.most_at_once(), 2);
}
