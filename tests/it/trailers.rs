//! Trailers pass where they were declared and, towards the client, where it said `TE: trailers`.

use crate::harness::backend::Piece;
use crate::harness::{Backend, Reply, Setup, with_one_worker_and_with_four};
use http::{HeaderMap, HeaderValue};

with_one_worker_and_with_four!(an_answers_trailers, a_requests_trailers);

fn sum(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("x-sum"),
        HeaderValue::from_static(value),
    )])
}

fn an_answers_trailers(workers: usize) {
    let backend = Backend::start(|seen| {
        let pieces = vec![Piece::Data("body".into()), Piece::Trailers(sum("7"))];
        let reply = Reply::status(200).pieces(pieces);
        if seen.target == "/declared" {
            reply.header("trailer", "x-sum")
        } else {
            reply
        }
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    let mut check = |target: &str, te: &[(&str, &str)], expected: &HeaderMap| {
        let answer = client.request("GET", target, te, b"");
        assert_eq!(
            (answer.status, answer.text(), &answer.trailers),
            (200, "body", expected),
            "{target} {te:?}"
        );
    };
    check("/declared", &[("te", "trailers")], &sum("7"));
    check(
        "/declared",
        &[("te", "gzip, trailers"), ("connection", "te")],
        &sum("7"),
    );
    check("/declared", &[], &HeaderMap::new());
    check("/declared", &[("te", "gzip")], &HeaderMap::new());
    check("/undeclared", &[("te", "trailers")], &HeaderMap::new());
    let requests = backend.requests();
    assert_eq!(
        (requests[0].header("te"), requests[0].header("connection")),
        (vec!["trailers"], vec!["te"]),
        "made anew"
    );
    assert_eq!(
        (requests[1].header("te"), requests[1].header("connection")),
        (vec!["trailers"], vec!["te"]),
        "made anew"
    );
    assert_eq!((requests[3].header("te").len(), backend.accepted()), (0, 1));
}

fn a_requests_trailers(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    for (declaration, expected) in [("trailer: x-sum\r\n", sum("7")), ("", HeaderMap::new())] {
        backend.forget();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n{declaration}\r\n4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n"
        ));
        assert_eq!(client.answer("POST").status, 200);
        let seen = backend.only_request();
        assert_eq!(
            (&seen.body[..], seen.whole, &seen.trailers),
            (&b"body"[..], true, &expected),
            "{declaration:?}"
        );
    }
}
