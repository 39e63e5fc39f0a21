//! Clients that are slow with a body, and sides that are.

use super::{rejected, wait_for_rejected};
use crate::harness::peer::send;
use crate::harness::{
    Backend, Gate, Peer, Proxy, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use std::thread;

with_one_worker_and_with_four!(
    a_body_that_stops_is_ended,
    a_body_that_trickles_in_is_ended,
    a_body_that_stops_before_anybody_is_asked_is_ended,
    a_body_that_stops_breaks_an_answer_that_has_begun,
    a_side_that_takes_a_body_slowly_is_no_slow_client,
    a_body_that_was_not_read_leaves_an_idle_connection,
);

#[track_caller]
fn assert_is_408(client: &mut crate::harness::Client) {
    let answer = client.answer("POST");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("body_timeout"))
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.rest().0, b"");
}

fn a_body_that_stops_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "body_timeout = \"100ms\"\nbody_rate = 0")
        .start();
    let beginnings = [
        "content-length: 10\r\n\r\n",
        "content-length: 10\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ];
    for (number, beginning) in beginnings.into_iter().enumerate() {
        let mut client = proxy.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{beginning}"));
        assert_is_408(&mut client);
        wait_until("the side's request has broken off", || {
            backend.broken() == number + 1
        });
        wait_for_rejected(&proxy, "body_timeout", (number + 1) as f64);
    }
    assert!(backend.requests().iter().all(|seen| !seen.whole));
    let answered = [("code_class", "4xx"), ("side", "none")];
    assert_eq!(proxy.metric("crossfade_requests_total", &answered), 5.0);
}

fn a_body_that_trickles_in_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "body_timeout = \"400ms\"\nbody_rate = 100000000")
        .start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    wait_until("it is ended", || {
        // A look at the metrics is what passes between two bytes.
        rejected(&proxy, "body_timeout") > 0.0 || client.try_send("x").is_err()
    });
    assert_is_408(&mut client);
    wait_until("the side's request has broken off", || {
        backend.broken() == 1
    });
    assert!(!backend.only_request().whole);
}

fn a_body_that_stops_before_anybody_is_asked_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "body_timeout = \"100ms\"\nbody_rate = 0")
        .route("name = \"search\"\nmatch = \"POST /search\"\nread = true\nkey = \"{body./id}\"")
        .start();
    let mut client = proxy.client();
    client.send("POST /search HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{\"id\"");
    assert_is_408(&mut client);
    wait_for_rejected(&proxy, "body_timeout", 1.0);
    let answered = [("route", "search"), ("code_class", "4xx")];
    assert_eq!(
        (
            backend.count(),
            proxy.metric("crossfade_requests_total", &answered)
        ),
        (0, 1.0)
    );
}

fn a_body_that_stops_breaks_an_answer_that_has_begun(workers: usize) {
    let early = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n";
    let peer = Peer::always(vec![Step::ReadHead, send(early), Step::Drain]);
    let proxy = Setup::both(&peer)
        .workers(workers)
        .set("limits", "body_timeout = \"1s\"\nbody_rate = 0")
        .start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    let broken = client.try_answer("POST");
    assert!(broken.is_err(), "{broken:?}");
    wait_for_rejected(&proxy, "body_timeout", 1.0);
    wait_until("the side sees the end", || peer.contacts()[0].ended);
    let aborted = [("code_class", "aborted")];
    proxy.wait_for_metric("crossfade_requests_total", &aborted, 1.0);
}

fn a_side_that_takes_a_body_slowly_is_no_slow_client(workers: usize) {
    const LENGTH: usize = 48 << 20;
    let gate = Gate::default();
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::Wait(gate.clone()),
        Step::ReadBody(LENGTH),
        send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    ]);
    let backend = Backend::text("ok");
    let proxy = Setup::new(&peer, &backend)
        .workers(workers)
        .set(
            "limits",
            "body_size = \"1GiB\"\nbody_timeout = \"2s\"\nbody_rate = 0",
        )
        .route("name = \"sink\"\nmatch = \"POST /other\"\nserve = \"new\"")
        .start();
    let mut client = proxy.client();
    let sending = thread::spawn(move || {
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n"
        ));
        client.send(vec![b'x'; LENGTH]);
        client.answer("POST")
    });
    wait_until("the side has the head", || peer.accepted() == 1);
    let mut witness = proxy.client();
    witness.send("POST /other HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    assert_is_408(&mut witness);
    gate.open();
    assert_eq!(sending.join().unwrap().text(), "ok");
    assert_eq!(rejected(&proxy, "body_timeout"), 1.0);
}

/// Bytes of a body that is read away are not the beginning of a head.
fn a_body_that_was_not_read_leaves_an_idle_connection(workers: usize) {
    let backend = Backend::text("ok");
    let proxy: Proxy = Setup::both(&backend)
        .workers(workers)
        .set(
            "limits",
            "head_timeout = \"100ms\"\nidle_timeout = \"300ms\"",
        )
        .route("name = \"all\"\nmatch = \"* /{x}\"\nkey = \"{path.x}\"")
        .start();
    let mut client = proxy.client();
    client.send("POST /a%2Fb HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(client.answer("POST").status, 400);
    client.send("a body");
    assert_eq!(client.rest().0, b"");
    assert_eq!(rejected(&proxy, "head_timeout"), 0.0);
}
