//! Answers of all forms, one after the other on one upstream connection, and what ends that connection.

use crate::harness::peer::send;
use crate::harness::{Gate, Peer, Setup, Step, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    forms_follow_each_other_on_one_connection,
    a_body_that_comes_in_pieces_is_whole,
    a_head_that_comes_in_pieces_is_whole,
    what_follows_an_answer_unasked_ends_the_connection,
    an_answer_that_says_close_ends_the_connection,
    what_broke_after_an_interim_answer_is_asked_again_only_if_harmless,
    what_broke_on_a_connection_that_hyper_has_is_asked_again,
    a_large_head_of_an_answer_passes,
    a_body_that_is_cut_short_is_no_whole_answer,
    odd_answers_pass_and_broken_ones_are_refused,
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
    for (method, answer) in [("GET", twice.clone()), ("HEAD", headless)] {
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
    // They may come with the end of a body that had to be waited for, too.
    let gate = Gate::default();
    let (begun, rest) = twice.split_at(SIZED.len() - 3);
    let script = vec![
        Step::ReadHead,
        send(begun),
        Step::Wait(gate.clone()),
        send(rest),
        Step::Drain,
    ];
    let peer = Peer::always(script);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(2), b"si");
    gate.open();
    assert_eq!(client.read_exactly(3), b"zed");
    assert_eq!(client.get("/").text(), "sized");
    assert_eq!(peer.accepted(), 2);
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

/// Neither for the client, nor for those who count, nor for the connection that it came on.
fn a_body_that_is_cut_short_is_no_whole_answer(workers: usize) {
    let whole = "0123456789".repeat(20_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len());
    for cut in [0, 1, whole.len() - 1] {
        for end in [Step::FinishSending, Step::Reset] {
            let gate = Gate::default();
            let begun = [head.as_str(), &whole[..cut]].concat();
            let peer = Peer::start(vec![
                vec![
                    Step::ReadHead,
                    send(SIZED),
                    Step::ReadHead,
                    send(begun),
                    Step::Wait(gate.clone()),
                    end.clone(),
                    Step::Drain,
                ],
                vec![Step::ReadHead, send(SIZED), Step::Again],
            ]);
            let proxy = Setup::both(&peer).workers(workers).start();
            let mut client = proxy.client();
            assert_eq!(client.get("/").text(), "sized");
            client.send_request("GET", "/", &[], b"");
            assert_eq!(client.head().status, 200);
            assert!(client.read_exactly(cut) == whole.as_bytes()[..cut]);
            gate.open();
            assert!(client.rest().0.is_empty(), "{cut} {end:?}");
            proxy.settle();
            let errors = [("kind", "reset"), ("role", "serve")];
            assert_eq!(
                proxy.metric("crossfade_upstream_errors_total", &errors),
                1.0
            );
            let aborted = [("code_class", "aborted")];
            assert_eq!(proxy.metric("crossfade_requests_total", &aborted), 1.0);
            assert_eq!(proxy.get("/").text(), "sized");
            assert_eq!(peer.accepted(), 2, "{cut} {end:?}");
        }
    }
}

/// What comes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    /// It passes, and so does the next one on its connection.
    Kept,
    /// It passes, and its connection ends.
    Passed,
    Refused,
}

fn odd_answers_pass_and_broken_ones_are_refused(workers: usize) {
    let sized = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\nok");
    let many = |count: usize| -> String { (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect() };
    let answers = [
        (Odd::Kept, format!("\r\n{}", sized("content-length: 2\r\n"))),
        (
            Odd::Kept,
            "HTTP/1.1 200 OK\ncontent-length: 2\n\nok".to_owned(),
        ),
        (
            Odd::Kept,
            "HTTP/1.1 200\r\ncontent-length:2 \r\n\r\nok".to_owned(),
        ),
        (Odd::Kept, sized("content-length: 2, 2\r\n")),
        (
            Odd::Kept,
            sized("content-length: 2\r\ncontent-length: 2\r\n"),
        ),
        (
            Odd::Kept,
            sized("content-length: 0000000000000000000002\r\n"),
        ),
        (
            Odd::Kept,
            sized(&format!("{}content-length: 2\r\n", many(99))),
        ),
        (
            Odd::Kept,
            format!("{EARLY_HINTS}{}", sized("content-length: 2\r\n")),
        ),
        (
            Odd::Passed,
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        ),
        (Odd::Passed, "HTTP/1.0 200 OK\r\n\r\nok".to_owned()),
        (Odd::Passed, sized("")),
        (
            Odd::Refused,
            sized("content-length: 2\r\ncontent-length: 3\r\n"),
        ),
        (Odd::Refused, sized("content-length: 2, 3\r\n")),
        (Odd::Refused, sized("content-length: +2\r\n")),
        (Odd::Refused, sized("content-length: -2\r\n")),
        (Odd::Refused, sized("content-length:\r\n")),
        (
            Odd::Refused,
            sized("content-length: 18446744073709551618\r\n"),
        ),
        (
            Odd::Refused,
            sized("content-length: 2\r\nx-folded: a\r\n b\r\n"),
        ),
        (Odd::Refused, sized("content-length: 2\r\nx-nul: \0\r\n")),
        (
            Odd::Refused,
            sized("content-length: 2\r\nx-return: a\rb\r\n"),
        ),
        (Odd::Refused, sized("content-length : 2\r\n")),
        (Odd::Refused, sized("content-length: 2\r\nno colon\r\n")),
        (
            Odd::Refused,
            sized(&format!("{}content-length: 2\r\n", many(100))),
        ),
        (
            Odd::Refused,
            sized(&format!(
                "x: {}\r\ncontent-length: 2\r\n",
                "a".repeat(66_000)
            )),
        ),
        (
            Odd::Refused,
            "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        ),
        (
            Odd::Refused,
            "HTTP/1.1 099 Low\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        ),
        (
            Odd::Refused,
            "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        ),
    ];
    for (expected, sent) in &answers {
        let mut script = vec![Step::ReadHead, send(sent.as_str())];
        script.extend(match expected {
            Odd::Kept => vec![Step::Again],
            Odd::Passed | Odd::Refused => vec![Step::FinishSending, Step::Drain],
        });
        let peer = Peer::always(script);
        let proxy = Setup::both(&peer).workers(workers).start();
        let mut client = proxy.client();
        for _ in 0..2 {
            let answer = client.get("/");
            let text = match answer.status {
                200 => answer.text().to_owned(),
                _ => answer.json()["code"].as_str().unwrap().to_owned(),
            };
            let refused = *expected == Odd::Refused;
            let expected = if refused { "upstream_protocol" } else { "ok" };
            assert_eq!(text, expected, "{sent:?}");
        }
        let connections = if *expected == Odd::Kept { 1 } else { 2 };
        assert_eq!(peer.accepted(), connections, "{sent:?}");
    }
}
