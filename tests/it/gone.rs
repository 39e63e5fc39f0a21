//! Clients that leave: a read stops, a write that has come whole runs to its answer, half a write is aborted.

use crate::harness::backend::Piece;
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    a_reads_upstream_request_stops_with_its_client,
    an_answer_that_nobody_reads_any_more_stops,
    a_whole_write_runs_to_its_answer,
    half_a_write_is_aborted_upstream,
);

fn aborted(proxy: &Proxy) -> f64 {
    proxy.metric("crossfade_requests_total", &[("code_class", "aborted")])
}

fn a_reads_upstream_request_stops_with_its_client(workers: usize) {
    let backend = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let proxy = Setup::both(&backend).workers(workers).start();
    for (number, method) in ["GET", "HEAD", "OPTIONS"].into_iter().enumerate() {
        for reset in [true, false] {
            let mut client = proxy.client();
            let before = backend.broken();
            client.send_request(method, "/", &[], b"");
            wait_until("the side was asked", || backend.count() == before + 1);
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            wait_until("the side's request has stopped", || {
                backend.broken() == before + 1
            });
            wait_until("it is counted", || aborted(&proxy) == (before + 1) as f64);
        }
        assert_eq!(backend.broken(), 2 * (number + 1));
    }
    proxy.wait_for_metric("crossfade_upstream_connections", &[("side", "old")], 0.0);
}

fn an_answer_that_nobody_reads_any_more_stops(workers: usize) {
    let stalled = Gate::default();
    let backend = Backend::start(move |_| {
        Reply::status(200).pieces(vec![
            Piece::Data("some".into()),
            Piece::Wait(stalled.clone()),
        ])
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    assert_eq!(client.head().status, 200);
    drop(client);
    wait_until("the side's answer has stopped", || backend.broken() == 1);
    wait_until("it is counted", || aborted(&proxy) == 1.0);
}

fn a_whole_write_runs_to_its_answer(workers: usize) {
    for (method, body) in [
        ("POST", "body"),
        ("PUT", "body"),
        ("DELETE", ""),
        ("PATCH", ""),
    ] {
        let gate = Gate::default();
        let opened = gate.clone();
        let backend = Backend::start(move |_| Reply::text("done").after(&opened));
        let proxy = Setup::both(&backend).workers(workers).start();
        let mut client = proxy.client();
        client.send_request(method, "/", &[], body.as_bytes());
        wait_until("the side has the write", || {
            backend.count() == 1 && backend.requests()[0].whole
        });
        client.reset();
        proxy.wait_for_connections(0);
        backend.answer_with(|_| Reply::text("next"));
        gate.open();
        proxy.wait_for_metric("crossfade_inflight_requests", &[], 0.0);
        assert_eq!(backend.broken(), 0, "{method} {body:?} was cut off");
        assert_eq!((proxy.get("/").text(), backend.broken()), ("next", 0));
    }
}

fn half_a_write_is_aborted_upstream(workers: usize) {
    let backend = Backend::text("done");
    let proxy = Setup::both(&backend).workers(workers).start();
    for (number, request) in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf",
        "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        for reset in [true, false] {
            let mut client = proxy.client();
            let before = backend.broken();
            client.send(request);
            wait_until("the side has the beginning", || {
                backend.count() == before + 1
            });
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            wait_until("the side's request has broken off", || {
                backend.broken() == before + 1
            });
        }
        assert!(
            backend.requests().iter().all(|seen| !seen.whole),
            "half a write was taken for a whole one"
        );
        assert_eq!(backend.broken(), 2 * (number + 1));
    }
    assert_eq!(proxy.get("/").text(), "done");
}
