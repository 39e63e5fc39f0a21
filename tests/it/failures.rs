//! Sides that fail and clients that break the protocol: each gets a clear answer, and is counted.

use crate::harness::peer::send;
use crate::harness::proxy::nobody;
use crate::harness::{
    Answer, Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until,
    with_one_worker_and_with_four,
};
use std::io::ErrorKind;

with_one_worker_and_with_four!(
    a_side_that_fails_becomes_a_problem_document,
    a_side_that_is_silent_is_a_504,
    a_full_queue_is_a_503_with_retry_after,
    an_answer_that_breaks_off_breaks_off_for_the_client,
    a_problem_has_no_body_for_head,
    requests_that_break_the_protocol_are_refused,
    a_request_framed_twice_reaches_the_side_framed_once,
    heads_that_are_too_large_are_refused,
    connect_and_trace_are_refused,
);

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/problem+json")),
        "{:?}",
        answer.body
    );
    let document = answer.json();
    assert_eq!(
        (document["status"].as_u64(), document["code"].as_str()),
        (Some(u64::from(status)), Some(code))
    );
    assert_eq!(document["type"], format!("urn:crossfade:{code}"));
    let detail = document["detail"].as_str().unwrap();
    assert!(
        !detail.is_empty() && !detail.contains("127.0.0.1"),
        "nothing of the inside is told: {detail}"
    );
}

fn errors(proxy: &Proxy, kind: &str) -> f64 {
    proxy.metric(
        "crossfade_upstream_errors_total",
        &[("side", "old"), ("role", "serve"), ("kind", kind)],
    )
}

fn a_side_that_fails_becomes_a_problem_document(workers: usize) {
    let half = "HTTP/1.1 200 OK\r\ncontent-le";
    for (script, code, kind) in [
        (vec![Step::ReadHead], "upstream_reset", "reset"),
        (vec![Step::ReadHead, Step::Reset], "upstream_reset", "reset"),
        (vec![Step::ReadHead, send(half)], "upstream_reset", "reset"),
        (
            vec![
                Step::ReadHead,
                send("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
                Step::Drain,
            ],
            "upstream_protocol",
            "protocol",
        ),
        (
            vec![
                Step::ReadHead,
                send("HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n"),
                Step::Drain,
            ],
            "upstream_protocol",
            "protocol",
        ),
        (
            vec![
                Step::ReadHead,
                send("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
                Step::Drain,
            ],
            "upstream_protocol",
            "protocol",
        ),
        (
            vec![
                Step::ReadHead,
                send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
                Step::Drain,
            ],
            "upstream_protocol",
            "protocol",
        ),
        (
            vec![
                Step::ReadHead,
                send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
                ),
                Step::Drain,
            ],
            "upstream_protocol",
            "protocol",
        ),
    ] {
        let peer = Peer::always(script.clone());
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        check(&client.get("/"), 502, code);
        assert_eq!(errors(&proxy, kind), 1.0, "{script:?}");
        check(&client.get("/"), 502, code);
        assert_eq!(
            proxy.metric("crossfade_requests_total", &[("code_class", "5xx")]),
            2.0
        );
    }
    let proxy = Setup::both(&nobody()).workers(workers).start();
    check(&proxy.get("/"), 502, "upstream_connect");
    assert_eq!(errors(&proxy, "connect"), 1.0);
}

fn a_side_that_is_silent_is_a_504(workers: usize) {
    let backend = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", "timeout = \"150ms\"")
        .start();
    let mut client = proxy.client();
    check(&client.get("/"), 504, "upstream_timeout");
    wait_until("the upstream's request is given up", || {
        backend.broken() == 1
    });
    assert_eq!(errors(&proxy, "timeout"), 1.0);
    backend.answer_with(|_| Reply::text("ok"));
    assert_eq!(
        client.get("/").text(),
        "ok",
        "the client's connection goes on"
    );
}

fn a_full_queue_is_a_503_with_retry_after(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", "pool = { max_connections = 1, queue = 1 }")
        .start();
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.send_request("GET", "/1", &[], b"");
    wait_until("the only connection is in use", || backend.count() == 1);
    second.send_request("GET", "/2", &[], b"");
    proxy.wait_for_metric("crossfade_upstream_waiting", &[("side", "old")], 1.0);
    let refused = proxy.get("/3");
    check(&refused, 503, "upstream_queue");
    assert!(refused.header("retry-after").is_some());
    gate.open();
    assert_eq!(
        (first.answer("GET").text(), second.answer("GET").text()),
        ("ok", "ok")
    );
    assert_eq!(
        (
            backend.most_at_once(),
            backend.count(),
            errors(&proxy, "queue")
        ),
        (1, 2, 1.0)
    );
    proxy.wait_for_metric("crossfade_upstream_waiting", &[("side", "old")], 0.0);
}

fn an_answer_that_breaks_off_breaks_off_for_the_client(workers: usize) {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        for end in [Step::Reset, Step::FinishSending] {
            // The gate keeps the reset from overtaking the bytes before it.
            let gate = Gate::default();
            let peer = Peer::always(vec![
                Step::ReadHead,
                send(answer),
                Step::Wait(gate.clone()),
                end,
            ]);
            let proxy = Setup::both(&peer).workers(workers).start();
            let mut client = proxy.client();
            client.send_request("GET", "/", &[], b"");
            assert_eq!(client.head().status, 200);
            let expected: &[u8] = if answer.contains("chunked") {
                b"4\r\nhalf\r\n"
            } else {
                b"half"
            };
            assert_eq!(client.read_exactly(expected.len()), expected);
            gate.open();
            let (rest, _) = client.rest();
            assert!(
                rest.is_empty(),
                "nothing may make the answer look whole: {rest:?}"
            );
            proxy.wait_for_metric(
                "crossfade_requests_total",
                &[("code_class", "aborted")],
                1.0,
            );
        }
    }
}

fn a_problem_has_no_body_for_head(workers: usize) {
    let proxy = Setup::both(&nobody()).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let head = client.request("HEAD", "/", &[], b"");
        assert_eq!(
            (head.status, head.header("content-type")),
            (502, Some("application/problem+json"))
        );
    }
    check(&client.get("/"), 502, "upstream_connect");
}

fn requests_that_break_the_protocol_are_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /\r\n\r\n",
        "GET somewhere HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/3.0\r\nhost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \u{0}\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(request);
        let answer = client.answer("GET");
        assert!(
            matches!(answer.status, 400 | 505),
            "{request:?}: {}",
            answer.status
        );
    }
    assert_eq!(backend.count(), 0, "{:?}", backend.requests());
    proxy.wait_for_metric(
        "crossfade_rejected_total",
        &[("reason", "bad_request")],
        23.0,
    );
    // A body whose framing breaks later: the side must never take it for whole.
    for body in [
        "x\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "fffffffffffffffff\r\na",
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        ));
        assert_eq!(client.answer("POST").status, 400, "{body:?}");
    }
    assert!(
        backend.requests().iter().all(|seen| !seen.whole),
        "{:?}",
        backend.requests()
    );
    assert_eq!(proxy.get("/").status, 200);
}

fn a_request_framed_twice_reaches_the_side_framed_once(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    // A server that went by the length would take the rest for a second request: RFC 9112 §6.1 makes the sender an attacker or broken.
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.answer("POST");
    if answer.status == 200 {
        let received = peer.contacts()[0].text().to_lowercase();
        assert!(
            received.contains("transfer-encoding: chunked") && !received.contains("content-length"),
            "{received}"
        );
    } else {
        assert_eq!((answer.status, peer.accepted()), (400, 0));
    }
}

fn heads_that_are_too_large_are_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let fields: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = |length: usize| "y".repeat(length);
    let too_large = [
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            long(128 * 1024)
        ),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n"),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", long(80 * 1024)),
    ];
    let rejected = |reason: &str, count: f64| {
        // What hyper refuses is counted when its connection has ended, after the answer.
        proxy.wait_for_metric("crossfade_rejected_total", &[("reason", reason)], count);
    };
    for (number, request) in too_large.into_iter().enumerate() {
        let mut client = proxy.client();
        // The proxy may answer and close while the rest is on its way; that can cost the answer.
        drop(client.try_send(&request));
        match client.try_head() {
            Ok(head) => assert_eq!(head.status, 431),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        rejected("head_too_large", number as f64 + 1.0);
    }
    let mut client = proxy.client();
    check(
        &client.get(&format!("/{}", long(17 * 1024))),
        414,
        "uri_too_long",
    );
    rejected("uri_too_long", 1.0);
    assert_eq!(client.get(&format!("/{}", long(15 * 1024))).status, 200);
    assert_eq!(backend.count(), 1);
}

fn connect_and_trace_are_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    for request in [
        "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(request);
        check(&client.answer("GET"), 405, "method");
    }
    assert_eq!(
        (
            backend.count(),
            proxy.metric("crossfade_rejected_total", &[("reason", "method")])
        ),
        (0, 2.0)
    );
}
