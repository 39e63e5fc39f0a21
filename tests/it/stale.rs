//! A pooled connection that has died: one new try, and only where nothing can happen twice.

use crate::harness::peer::send;
use crate::harness::proxy::own_address;
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    a_read_on_a_dead_connection_is_tried_once_more,
    a_read_is_tried_only_once_more,
    a_read_is_not_tried_again_on_a_fresh_connection,
    what_may_have_happened_is_not_repeated,
    a_write_that_was_never_sent_is_sent_on_a_new_connection,
    a_side_that_was_restarted_is_found_again,
    retries_are_counted_and_have_a_budget,
);

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers one request, and ends the connection when the next has come.
fn dies_at_the_second_request(end: Step) -> Vec<Step> {
    vec![Step::ReadHead, send(OK), Step::ReadHead, end]
}

fn serves() -> Vec<Step> {
    vec![Step::ReadHead, send(OK), Step::Again]
}

fn a_read_on_a_dead_connection_is_tried_once_more(workers: usize) {
    for method in ["GET", "HEAD"] {
        for end in [Step::Reset, Step::FinishSending] {
            let peer = Peer::start(vec![dies_at_the_second_request(end.clone()), serves()]);
            let proxy = Setup::both(&peer).workers(workers).start();
            let mut client = proxy.client();
            assert_eq!(client.get("/1").status, 200);
            assert_eq!(
                client.request(method, "/2", &[], b"").status,
                200,
                "{method} {end:?}"
            );
            assert_eq!(peer.accepted(), 2);
            assert_eq!(retries(&proxy), 1.0);
            let contacts = peer.contacts();
            let asked = format!("{method} /2 HTTP/1.1\r\n");
            assert!(contacts[0].text().contains(&asked) && contacts[1].text().contains(&asked));
        }
    }
}

fn a_read_is_tried_only_once_more(workers: usize) {
    let peer = Peer::start(vec![
        dies_at_the_second_request(Step::Reset),
        vec![Step::ReadHead],
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/1").status, 200);
    assert_eq!(client.get("/2").status, 502);
    assert_eq!(peer.accepted(), 2);
}

fn a_read_is_not_tried_again_on_a_fresh_connection(workers: usize) {
    let peer = Peer::always(vec![Step::ReadHead]);
    let proxy = Setup::both(&peer).workers(workers).start();
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(peer.accepted(), 1);
}

fn what_may_have_happened_is_not_repeated(workers: usize) {
    for (method, body) in [
        ("POST", ""),
        ("DELETE", ""),
        ("OPTIONS", ""),
        ("PUT", "body"),
        ("GET", "body"),
    ] {
        let peer = Peer::start(vec![dies_at_the_second_request(Step::Reset), serves()]);
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        assert_eq!(client.get("/1").status, 200);
        let answer = client.request(method, "/2", &[], body.as_bytes());
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (502, Some("upstream_reset")),
            "{method} {body:?}"
        );
        assert_eq!(peer.accepted(), 1, "{method} {body:?} was sent again");
    }
}

fn a_write_that_was_never_sent_is_sent_on_a_new_connection(workers: usize) {
    let gate = Gate::default();
    let peer = Peer::start(vec![
        vec![Step::ReadHead, send(OK), Step::Wait(gate.clone())],
        serves(),
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/1").status, 200);
    gate.open();
    wait_until("the peer has closed", || peer.open() == 0);
    let seen = |connection: usize| {
        proxy.metric("crossfade_upstream_connections", &[("side", "old")]) == connection as f64
    };
    wait_until("the proxy has noticed", || seen(0));
    assert_eq!(client.request("POST", "/2", &[], b"body").status, 200);
    assert_eq!((peer.accepted(), retries(&proxy)), (2, 0.0));
    assert!(
        peer.contacts()[1]
            .text()
            .starts_with("POST /2 HTTP/1.1\r\n")
    );
}

fn a_side_that_was_restarted_is_found_again(workers: usize) {
    let mut backend = Backend::start_at(own_address(), |_| Reply::text("first"));
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "first");
    let address = backend.address();
    backend.stop();
    assert_eq!(client.get("/").status, 502);
    let again = Backend::start_at(address, |_| Reply::text("second"));
    assert_eq!(client.get("/").text(), "second");
    assert_eq!(again.count(), 1);
}

fn retries_are_counted_and_have_a_budget(workers: usize) {
    let peer = Peer::always(dies_at_the_second_request(Step::Reset));
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    let failed = (0..200)
        .filter(|_| match client.get("/").status {
            200 => false,
            502 => true,
            other => panic!("{other}"),
        })
        .count();
    let asked: usize = peer
        .contacts()
        .iter()
        .map(|contact| contact.text().matches("GET / HTTP/1.1\r\n").count())
        .sum();
    let retries = retries(&proxy);
    assert_eq!(
        asked as f64,
        200.0 + retries,
        "each is sent once more at most"
    );
    assert!((40.0..=50.0).contains(&retries), "{retries}");
    assert!(failed > 50, "{failed} were told so");
}

fn retries(proxy: &Proxy) -> f64 {
    proxy.metric("crossfade_retries_total", &[("side", "old")])
}
