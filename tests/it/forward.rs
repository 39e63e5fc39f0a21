//! Requests and answers pass through as they came: methods, targets, bodies in every framing, and answers without a body.

use crate::harness::backend::Piece;
use crate::harness::client::Ending;
use crate::harness::peer::send;
use crate::harness::{Backend, Gate, Peer, Reply, Setup, Step, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    every_method_and_target_passes_as_it_came,
    bodies_pass_whole_in_their_framing,
    an_answer_streams_while_it_is_made,
    a_request_streams_while_it_is_sent,
    eight_mebibytes_pass_both_ways,
    answers_without_a_body_leave_the_connection_usable,
    an_answer_that_ends_with_its_connection_is_passed_on,
    pipelined_requests_are_answered_in_order,
    http_1_0_clients_get_answers_that_they_understand,
    the_side_sees_the_host_that_the_file_says,
);

fn every_method_and_target_passes_as_it_came(workers: usize) {
    let backend = Backend::start(|seen| Reply::text(format!("{} {}", seen.method, seen.target)));
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        for target in [
            "/",
            "/a/b?c=d",
            "/a%2Fb/../c//d/",
            "/%7e?x=%zz&y=+;[]|{}",
            "/?",
            "//host/x",
            "/ünï",
        ] {
            let answer = client.request(method, target, &[], b"");
            assert_eq!(
                (answer.status, answer.text()),
                (200, format!("{method} {target}").as_str())
            );
        }
    }
    assert_eq!(client.request("OPTIONS", "*", &[], b"").text(), "OPTIONS *");
    let absolute = client.request("GET", "http://test.example/x?y", &[], b"");
    assert_eq!(absolute.text(), "GET /x?y");
    assert_eq!(
        backend.accepted(),
        1,
        "one client connection needs one upstream connection"
    );
    assert_eq!(
        proxy.metric(
            "crossfade_requests_total",
            &[
                ("route", "unmatched"),
                ("side", "old"),
                ("code_class", "2xx")
            ]
        ),
        51.0
    );
}

fn bodies_pass_whole_in_their_framing(workers: usize) {
    let backend = Backend::start(|seen| Reply::text("").body(seen.body.clone()));
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"] {
        for length in [1, 1_000, 100_000] {
            let body: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
            backend.forget();
            let answer = client.request(method, "/sized", &[], &body);
            assert!(answer.body == body, "{method} {length}");
            assert_eq!(
                answer.header("content-length"),
                Some(length.to_string().as_str())
            );
            let seen = backend.only_request();
            assert_eq!(
                (
                    seen.header("content-length"),
                    seen.header("transfer-encoding").len()
                ),
                (vec![length.to_string().as_str()], 0)
            );
        }
        backend.forget();
        client.send(format!("{method} /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"));
        assert_eq!(client.answer(method).text(), "hello!");
        let seen = backend.only_request();
        assert_eq!(
            (
                seen.header("transfer-encoding"),
                seen.header("content-length").len()
            ),
            (vec!["chunked"], 0)
        );
    }
    backend.forget();
    assert_eq!(
        client
            .request("POST", "/empty", &[("content-length", "0")], b"")
            .status,
        200
    );
    assert_eq!(backend.only_request().header("content-length"), ["0"]);
    backend.forget();
    assert_eq!(client.get("/none").header("content-length"), Some("0"));
    let seen = backend.only_request();
    assert_eq!(
        (
            seen.header("content-length").len(),
            seen.header("transfer-encoding").len()
        ),
        (0, 0)
    );
}

fn an_answer_streams_while_it_is_made(workers: usize) {
    let (gate, stalled) = (Gate::default(), Gate::default());
    let pieces = vec![
        Piece::Data("one".into()),
        Piece::Wait(gate.clone()),
        Piece::Data("two".into()),
        Piece::Wait(stalled.clone()),
    ];
    let backend = Backend::start(move |_| Reply::status(200).pieces(pieces.clone()));
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    assert_eq!(client.head().headers["transfer-encoding"], "chunked");
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
    gate.open();
    assert_eq!(client.read_exactly(8), b"3\r\ntwo\r\n");
    stalled.open();
    assert_eq!(client.read_exactly(5), b"0\r\n\r\n");
}

fn a_request_streams_while_it_is_sent(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::ReadBody(8),
        send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst"),
        Step::ReadBody(13),
        send("last!"),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    // The peer has answered the first chunk before the second was sent.
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(5), b"first");
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.read_exactly(5), b"last!");
    let received = peer.contacts()[0].text();
    assert!(
        received.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{received}"
    );
}

fn eight_mebibytes_pass_both_ways(workers: usize) {
    let backend = Backend::start(|seen| Reply::text("").body(seen.body.clone()));
    let proxy = Setup::both(&backend).workers(workers).start();
    let body: Vec<u8> = (0..8 * 1024 * 1024_u32)
        .map(|at| (at / 7).to_le_bytes()[0])
        .collect();
    let answer = proxy.client().request("PUT", "/", &[], &body);
    assert!(answer.body == body);
}

fn answers_without_a_body_leave_the_connection_usable(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304)
            .header("etag", "\"x\"")
            .header("content-length", "17"),
        "/chunked" => Reply::status(200).pieces(vec![Piece::Data("chunks".into())]),
        _ => Reply::text("0123456789"),
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let head = client.request("HEAD", "/", &[], b"");
        assert_eq!(
            (
                head.status,
                head.header("content-length"),
                head.header("transfer-encoding")
            ),
            (200, Some("10"), None)
        );
        assert_eq!(client.request("HEAD", "/chunked", &[], b"").status, 200);
        let none = client.get("/204");
        assert_eq!(
            (
                none.status,
                none.header("content-length"),
                none.header("transfer-encoding")
            ),
            (204, None, None)
        );
        let fresh = client.request("GET", "/304", &[("if-none-match", "\"x\"")], b"");
        assert_eq!(
            (
                fresh.status,
                fresh.header("etag"),
                fresh.header("transfer-encoding")
            ),
            (304, Some("\"x\""), None)
        );
        assert_eq!(client.get("/").text(), "0123456789");
    }
    assert_eq!((backend.accepted(), backend.broken()), (1, 0));
}

fn an_answer_that_ends_with_its_connection_is_passed_on(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\n\r\nto the "),
        send("end"),
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    assert_eq!(client.get("/1").text(), "to the end");
    assert_eq!(client.get("/2").text(), "to the end");
    assert_eq!(peer.accepted(), 2);
}

fn pipelined_requests_are_answered_in_order(workers: usize) {
    let backend = Backend::start(|seen| {
        Reply::text(format!(
            "{}{}",
            seen.target,
            String::from_utf8_lossy(&seen.body)
        ))
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    let requests: String = (0..50)
        .map(|n| {
            format!(
                "POST /{n} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n:{}",
                n % 10
            )
        })
        .collect();
    client.send(requests);
    for n in 0..50 {
        assert_eq!(client.answer("POST").text(), format!("/{n}:{}", n % 10));
    }
}

fn http_1_0_clients_get_answers_that_they_understand(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/chunked" => {
            Reply::status(200).pieces(vec![Piece::Data("a".into()), Piece::Data("b".into())])
        }
        _ => Reply::text("sized"),
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    for (target, text) in [("/sized", "sized"), ("/chunked", "ab")] {
        let mut client = proxy.client();
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let head = client.head();
        assert_eq!(
            (head.status, head.headers.get("transfer-encoding")),
            (200, None)
        );
        assert_eq!(client.rest(), (text.as_bytes().to_vec(), Ending::Closed));
    }
    assert!(
        backend
            .requests()
            .iter()
            .all(|seen| seen.header("via")[0].starts_with("1.0 crossfade-"))
    );
}

fn the_side_sees_the_host_that_the_file_says(workers: usize) {
    let backend = Backend::text("ok");
    let upstream = backend.address().to_string();
    for (rule, expected) in [
        ("preserve", "test.example"),
        ("upstream", upstream.as_str()),
        ("tags.internal:81", "tags.internal:81"),
    ] {
        let proxy = Setup::both(&backend)
            .workers(workers)
            .set("old", &format!("host = \"{rule}\""))
            .start();
        backend.forget();
        assert_eq!(proxy.get("/").status, 200);
        let seen = backend.only_request();
        assert_eq!(seen.header("host"), [expected], "{rule}");
        assert_eq!(seen.header("x-forwarded-host"), ["test.example"], "{rule}");
    }
}
