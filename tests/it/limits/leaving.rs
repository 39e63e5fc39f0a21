//! Clients that leave: at every stage of a request, politely and not.

use crate::harness::backend::Piece;
use crate::harness::{Backend, Gate, Reply, Setup, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    a_client_may_leave_at_every_stage,
    a_client_that_leaves_while_it_waits_for_a_connection_leaves_the_queue,
);

/// What a client sent before it left; how far it waits; what the side sees of it, and how it counts.
struct Stage {
    sent: &'static str,
    /// Requests that the side sees.
    asked: usize,
    /// Bytes of the answer that the client waits for.
    read: usize,
    /// Requests that count as aborted.
    aborted: usize,
}

const STAGES: [Stage; 9] = [
    Stage::new("", 0),
    Stage::new("GE", 0),
    Stage::new("GET / HTTP/1.1\r\nhost", 0),
    Stage::new("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 1),
    Stage::new("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n", 1),
    Stage::new(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha",
        1,
    ),
    Stage::new(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha",
        1,
    ),
    Stage::new(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nha\r\n0\r\n",
        1,
    ),
    Stage {
        read: 10,
        ..Stage::new("GET /begun HTTP/1.1\r\nhost: a\r\n\r\n", 1)
    },
];

impl Stage {
    const fn new(sent: &'static str, asked: usize) -> Self {
        Self {
            sent,
            asked,
            read: 0,
            aborted: asked,
        }
    }
}

fn a_client_may_leave_at_every_stage(workers: usize) {
    let never = Gate::default();
    let backend = Backend::start(move |seen| {
        let reply =
            Reply::status(200).pieces(vec![Piece::Data("some".into()), Piece::Wait(never.clone())]);
        match seen.target.as_str() {
            "/begun" => reply,
            "/fine" => Reply::text("fine"),
            _ => reply.after(&never),
        }
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let (mut asked, mut aborted) = (0, 0);
    for stage in &STAGES {
        for reset in [false, true] {
            let mut client = proxy.client();
            client.send(stage.sent);
            asked += stage.asked;
            wait_until("the side was asked", || backend.count() == asked);
            client.read_exactly(stage.read);
            proxy.wait_for_connections(1);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            aborted += stage.aborted;
            proxy.wait_for_connections(0);
            proxy.wait_for_metric("crossfade_inflight_requests", &[], 0.0);
            proxy.wait_for_metric("crossfade_upstream_connections", &[], 0.0);
            let page = proxy.metrics();
            assert_eq!(
                (
                    page.sum("crossfade_requests_total", &[("code_class", "aborted")]),
                    page.sum("crossfade_requests_total", &[]),
                    page.sum("crossfade_upstream_errors_total", &[]),
                ),
                (aborted as f64, aborted as f64, 0.0),
                "{:?}",
                stage.sent
            );
        }
    }
    wait_until("each request at the side has broken off", || {
        backend.broken() == asked
    });
    assert!(
        backend
            .requests()
            .iter()
            .all(|seen| seen.method == "GET" || !seen.whole),
        "half a body was taken for a whole one"
    );
    assert_eq!(proxy.get("/fine").text(), "fine");
}

fn a_client_that_leaves_while_it_waits_for_a_connection_leaves_the_queue(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "in_flight = 1")
        .start();
    let mut first = proxy.client();
    first.send_request("GET", "/", &[], b"");
    wait_until("it is in flight", || backend.count() == 1);
    let mut second = proxy.client();
    second.send_request("GET", "/second", &[], b"");
    proxy.wait_for_metric("crossfade_upstream_waiting", &[], 1.0);
    second.reset();
    proxy.wait_for_metric("crossfade_upstream_waiting", &[], 0.0);
    gate.open();
    assert_eq!(first.answer("GET").text(), "ok");
    proxy.wait_for_metric("crossfade_inflight_requests", &[], 0.0);
    assert_eq!(backend.only_request().target, "/");
}
