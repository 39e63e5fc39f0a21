//! `Expect: 100-continue`: the client's body is asked for when the upstream asks, when nobody says anything, or when the key needs it.

use crate::harness::peer::send;
use crate::harness::{
    Backend, Gate, Peer, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    the_upstreams_100_is_passed_on,
    the_upstreams_100_is_not_late,
    a_silent_upstream_is_not_waited_for,
    the_time_of_a_silent_upstream_begins_with_the_body,
    a_final_answer_that_comes_first_is_passed_on_alone,
    a_key_in_the_body_asks_at_once,
    a_client_that_does_not_wait_gets_its_answer,
    a_local_answer_needs_no_100,
);

const HEAD: &str =
    "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn the_upstreams_100_is_passed_on(workers: usize) {
    let gate = Gate::default();
    let peer = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 100 Continue\r\n\r\n"),
        Step::ReadBody(4),
        Step::Wait(gate.clone()),
        send(OK),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    client.send(HEAD);
    assert_eq!(client.head().status, 100);
    client.send("body");
    gate.open();
    let answer = client.answer("POST");
    assert_eq!(
        (answer.status, answer.text(), answer.interim.len()),
        (200, "ok", 0)
    );
    let received = peer.contacts()[0].text();
    assert!(
        received.contains("\r\nexpect: 100-continue\r\n") && received.ends_with("\r\n\r\nbody"),
        "{received}"
    );
}

fn a_silent_upstream_is_not_waited_for(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::ReadBody(4),
        send(OK),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    client.send(HEAD);
    // The peer says nothing until the body is there.
    assert_eq!(client.head().status, 100);
    client.send("body");
    assert_eq!(client.answer("POST").text(), "ok");
}

/// A side that sends no 100 has nothing to answer to until the body is there, however little time it has.
fn the_time_of_a_silent_upstream_begins_with_the_body(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::ReadBody(4),
        send(OK),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer)
        .workers(workers)
        .set("old", "timeout = \"300ms\"")
        .start();
    let mut client = proxy.client();
    client.send(HEAD);
    assert_eq!(client.head().status, 100);
    client.send("body");
    assert_eq!(client.answer("POST").text(), "ok");
}

fn a_final_answer_that_comes_first_is_passed_on_alone(workers: usize) {
    let refusal = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    let peer = Peer::always(vec![Step::ReadHead, send(refusal), Step::Drain]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    client.send(HEAD);
    let answer = client.answer("POST");
    assert_eq!(
        (answer.status, answer.text(), &answer.interim[..]),
        (403, "no", &[][..])
    );
    let (rest, _) = client.rest();
    assert!(
        rest.is_empty(),
        "the body was never asked for, so the connection ends: {rest:?}"
    );
    assert!(
        peer.contacts()[0].text().ends_with("\r\n\r\n"),
        "no body went up"
    );
}

fn a_key_in_the_body_asks_at_once(workers: usize) {
    let backend =
        Backend::start(|seen| Reply::text(String::from_utf8_lossy(&seen.body).into_owned()));
    let new = Backend::text("new");
    let route = "name = \"search\"\nmatch = \"POST /x\"\nread = true\nkey = \"{body./id}\"\npin = { new = [\"7\"] }";
    let proxy = Setup::new(&backend, &new)
        .workers(workers)
        .route(route)
        .start();
    for (body, expected) in [("{\"id\":7}", "new"), ("{\"id\":8}", "{\"id\":8}")] {
        let mut client = proxy.client();
        let head = format!(
            "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.send(head);
        assert_eq!(client.head().status, 100);
        assert_eq!(
            (backend.count(), new.count()),
            (0, usize::from(body.contains('8'))),
            "nobody was asked yet"
        );
        client.send(body);
        let answer = client.answer("POST");
        assert_eq!(
            (answer.text(), answer.interim.len()),
            (expected, 0),
            "a second 100 is one too many"
        );
    }
}

fn a_client_that_does_not_wait_gets_its_answer(workers: usize) {
    let backend =
        Backend::start(|seen| Reply::text(String::from_utf8_lossy(&seen.body).into_owned()));
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    client.send(format!("{HEAD}body"));
    assert_eq!(client.answer("POST").text(), "body");
    client.send(
        "POST /x HTTP/1.0\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody",
    );
    let answer = client.answer("POST");
    assert_eq!(
        (answer.text(), answer.interim.len()),
        ("body", 0),
        "HTTP/1.0 knows no 100"
    );
}

fn a_local_answer_needs_no_100(workers: usize) {
    let backend = Backend::text("ok");
    let route = "name = \"all\"\nmatch = \"* /{x}/y\"\nkey = \"{path.x}\"";
    let proxy = Setup::both(&backend).workers(workers).route(route).start();
    let mut client = proxy.client();
    client.send(
        "POST /a%2Fb/y HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
    );
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.interim.len()), (400, 0));
    assert_eq!(
        (answer.json()["code"].as_str(), backend.count()),
        (Some("encoded_path"), 0)
    );
}

/// Three such requests, one after the other, are done before a silent upstream was waited for once, which began earlier.
fn the_upstreams_100_is_not_late(workers: usize) {
    let silent = Peer::always(vec![Step::ReadHead, Step::Drain]);
    let asks = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 100 Continue\r\n\r\n"),
        Step::ReadBody(4),
        send(OK),
        Step::Drain,
    ]);
    let proxy = Setup::new(&silent, &asks)
        .workers(workers)
        .set("new", "pool = { max_idle = 0 }")
        .route("name = \"asks\"\nmatch = \"POST /x\"\nserve = \"new\"")
        .start();
    let mut yardsticks = Vec::new();
    wait_until("three are done first", || {
        let mut waiting = proxy.client();
        waiting.send(HEAD.replace("/x", "/silent"));
        wait_until("it is with the side", || {
            silent.accepted() > yardsticks.len()
        });
        for _ in 0..3 {
            let mut client = proxy.client();
            client.send(HEAD);
            assert_eq!(client.head().status, 100);
            client.send("body");
            assert_eq!(client.answer("POST").text(), "ok");
        }
        let first = !waiting.has_news();
        yardsticks.push(waiting);
        first
    });
}
