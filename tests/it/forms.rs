//! Answers of all forms, one after the other on one upstream connection, and what ends that connection.

use crate::harness::peer::send;
use crate::harness::{Peer, Setup, Step, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    forms_follow_each_other_on_one_connection,
    a_body_that_comes_in_pieces_is_whole,
    a_head_that_comes_in_pieces_is_whole,
    what_follows_an_answer_unasked_ends_the_connection,
    an_answer_that_says_close_ends_the_connection,
    what_broke_after_an_interim_answer_is_asked_again_only_if_harmless,
    what_broke_on_a_connection_that_hyper_has_is_asked_again,
    a_large_head_of_an_answer_passes,
);

const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-form: sized\r\n\r\nsized";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-form: chunked\r\n\r\n5\r\nchunk\r\n2\r\ned\r\n0\r\n\r\n";
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\nx-form: empty\r\n\r\n";
const KNOWN: &str = "HTTP/1.1 304 Not Modified\r\ncontent-length: 700\r\nx-form: known\r\n\r\n";
const HEAD: &str =
    "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\ncontent-length: 900\r\nx-form: head\r\n\r\n";

fn forms_follow_each_other_on_one_connection(workers: usize) {
    let forms: [(&str, &str, &str, &str, u16); 14] = [
        ("GET", "", SIZED, "sized", 200),
        ("GET", "", CHUNKED, "chunked", 200),
        ("GET", "", CHUNKED, "chunked", 200),
        ("GET", "", SIZED, "sized", 200),
        ("GET", "", SIZED, "sized", 200),
        ("POST", "body", SIZED, "sized", 200),
        ("GET", "", KNOWN, "", 304),
        ("HEAD", "", HEAD, "", 200),
        ("GET", "", EMPTY, "", 204),
        ("PUT", "body", CHUNKED, "chunked", 200),
        ("DELETE", "", EMPTY, "", 204),
        ("HEAD", "", CHUNKED_HEAD, "", 200),
        ("GET", "", SIZED, "sized", 200),
        ("POST", "", SIZED, "sized", 200),
    ];
    let mut script = Vec::new();
    for (_, body, answer, _, _) in forms {
        script.extend([Step::ReadHead, Step::ReadBody(body.len()), send(answer)]);
    }
    let peer = Peer::always(script);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    for (number, (method, body, _, text, status)) in forms.into_iter().enumerate() {
        let target = format!("/{number}");
        let answer = client.request(method, &target, &[], body.as_bytes());
        assert_eq!((answer.status, answer.text()), (status, text), "{number}");
        assert!(answer.headers.contains_key("x-form"), "{number}");
    }
    assert_eq!(peer.accepted(), 1);
    let seen = peer.contacts()[0].text();
    for (number, (method, ..)) in forms.into_iter().enumerate() {
        let line = format!("{method} /{number} HTTP/1.1\r\n");
        assert_eq!(seen.matches(&line).count(), 1, "{line}");
    }
    // Whoever sends it, each request tells once where it comes from.
    for field in ["x-forwarded-for: 127.0.0.1\r\n", "\r\nvia: 1.1 crossfade-"] {
        assert_eq!(seen.matches(field).count(), forms.len(), "{field}");
    }
}

const CHUNKED_HEAD: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-form: chunked\r\n\r\n";

fn a_body_that_comes_in_pieces_is_whole(workers: usize) {
    let body: String = ('a'..='z').cycle().take(300_000).collect();
    let (first, rest) = body.split_at(70_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let script = vec![
        Step::ReadHead,
        send(head),
        Step::Trickle(first.as_bytes()[..50].to_vec()),
        send(&first[50..]),
        send(rest),
        Step::Again,
    ];
    let peer = Peer::always(script);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert!(client.get("/").text() == body);
    }
    assert_eq!(peer.accepted(), 1);
}

fn a_head_that_comes_in_pieces_is_whole(workers: usize) {
    let script = vec![
        Step::ReadHead,
        Step::Trickle(SIZED.into()),
        Step::ReadHead,
        Step::Trickle(CHUNKED.into()),
        Step::Again,
    ];
    let peer = Peer::always(script);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    for text in ["sized", "chunked", "sized", "chunked"] {
        assert_eq!(client.get("/").text(), text);
    }
    assert_eq!(peer.accepted(), 1);
}

/// Bytes that follow an answer would be taken for the answer to the next request, maybe of another client.
fn what_follows_an_answer_unasked_ends_the_connection(workers: usize) {
    let twice = [SIZED, &SIZED.replace("sized", "other")].concat();
    let headless = [HEAD, "body of a HEAD"].concat();
    for (method, answer) in [("GET", twice), ("HEAD", headless)] {
        let peer = Peer::always(vec![Step::ReadHead, send(answer), Step::Drain]);
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        for number in 1..=3 {
            let answer = client.request(method, "/", &[], b"");
            let text = if method == "GET" { "sized" } else { "" };
            assert_eq!((answer.status, answer.text()), (200, text));
            assert_eq!(peer.accepted(), number);
        }
    }
}

fn an_answer_that_says_close_ends_the_connection(workers: usize) {
    for close in ["close", "Close", "keep-alive, close"] {
        let answer =
            format!("HTTP/1.1 200 OK\r\nconnection: {close}\r\ncontent-length: 2\r\n\r\nok");
        let peer = Peer::always(vec![Step::ReadHead, send(answer), Step::Drain]);
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        for number in 1..=2 {
            assert_eq!(client.get("/").text(), "ok", "{close}");
            assert_eq!(peer.accepted(), number, "{close}");
        }
    }
}

fn what_broke_after_an_interim_answer_is_asked_again_only_if_harmless(workers: usize) {
    for (method, status, connections) in [("GET", 200, 2), ("DELETE", 502, 1)] {
        let peer = Peer::start(vec![
            vec![
                Step::ReadHead,
                send(SIZED),
                Step::ReadHead,
                send(EARLY_HINTS),
                Step::FinishSending,
                Step::Drain,
            ],
            vec![Step::ReadHead, send(SIZED), Step::Again],
        ]);
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        assert_eq!(client.get("/1").status, 200);
        let fields = [("x-kept", "a"), ("x-kept", "b")];
        let answer = client.request(method, "/2?q=%20", &fields, b"");
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(peer.accepted(), connections, "{method}");
        if connections == 2 {
            let contacts = peer.contacts();
            let first = contacts[0].text();
            let (_, sent) = first.split_once("\r\n\r\n").unwrap();
            assert_eq!(contacts[1].text(), sent);
        }
    }
}

fn what_broke_on_a_connection_that_hyper_has_is_asked_again(workers: usize) {
    let peer = Peer::start(vec![
        vec![Step::ReadHead, send(CHUNKED), Step::ReadHead, Step::Reset],
        vec![Step::ReadHead, send(SIZED), Step::Again],
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/1").text(), "chunked");
    assert_eq!(client.get("/2").text(), "sized");
    assert_eq!(peer.accepted(), 2);
    let again = peer.contacts()[1].text();
    assert_eq!(again.matches("x-forwarded-proto: http\r\n").count(), 1);
}

fn a_large_head_of_an_answer_passes(workers: usize) {
    let many: String = (0..80).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let long = format!("x-0: {}\r\n", "v".repeat(40_000));
    let answer = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
    let peer = Peer::always(vec![
        Step::ReadHead,
        send(answer(&many)),
        Step::ReadHead,
        send(answer(&long)),
        Step::Again,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/many");
        assert_eq!((answer.text(), answer.header("x-79")), ("ok", Some("79")));
        let answer = client.get("/long");
        assert_eq!(answer.header("x-0").map(str::len), Some(40_000));
    }
    assert_eq!(peer.accepted(), 1);
}
