//! The four ways in which Pingora was smuggled, each as it would look here.

use super::recorder::Recorder;
use super::{PROBE, proxy};
use crate::harness::client::Ending;
use crate::harness::peer::send;
use crate::harness::{
    Backend, Peer, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    cve_2025_4366_a_body_that_was_not_read_is_never_a_request,
    cve_2026_2833_nothing_is_tunnelled_before_a_101,
    cve_2026_2835_codings_and_http_1_0_leave_one_framing,
    cve_2026_2836_a_key_never_stands_for_two_hosts,
);

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// An answer of the proxy's own came before the body was read, and what was left of the body was read as the next request.
fn cve_2025_4366_a_body_that_was_not_read_is_never_a_request(workers: usize) {
    let side = Recorder::start();
    let proxy = proxy(workers, &side);
    let long = format!("/{}", "x".repeat(17_000));
    let refused = [
        ("POST /k/a%2Fb HTTP/1.1", 400),
        (&*format!("POST {long} HTTP/1.1"), 414),
        ("TRACE / HTTP/1.1", 405),
        ("POST ftp://a/ HTTP/1.1", 400),
        ("POST / HTTP/1.1\r\nhost: b", 400),
    ];
    for (line, status) in refused {
        for chunked in [false, true] {
            for late in [false, true] {
                let length = SMUGGLED.len();
                let (framing, body) = if chunked {
                    let body = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
                    ("transfer-encoding: chunked".to_owned(), body)
                } else {
                    (format!("content-length: {length}"), SMUGGLED.to_owned())
                };
                let mut client = proxy.client();
                client.send(format!("{line}\r\nhost: a\r\n{framing}\r\n\r\n"));
                if !late {
                    // It may have been closed meanwhile, which is as good.
                    let _ = client.try_send(&body);
                }
                assert_eq!(client.answer("POST").status, status, "{line}");
                if late {
                    let _ = client.try_send(&body);
                }
                let _ = client.try_send(PROBE);
                let answered = client.try_answer("GET");
                assert!(
                    answered.as_ref().is_ok_and(|answer| answer.status == 200)
                        || client.rest().0.is_empty(),
                    "{line}: {answered:?}"
                );
                assert_eq!(proxy.get("/barrier").status, 200);
                let seen = side.take();
                assert!(
                    seen.iter()
                        .all(|seen| matches!(seen.as_str(), "GET /probe" | "GET /barrier")),
                    "{line}: {seen:?}"
                );
            }
        }
    }
}

/// Bytes behind a request to upgrade were passed on before the side had agreed.
fn cve_2026_2833_nothing_is_tunnelled_before_a_101(workers: usize) {
    let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A side that does not upgrade: what follows is a request of its own, or nothing.
    let side = Recorder::start();
    let proxy = proxy(workers, &side);
    let mut client = proxy.client();
    client.send(format!("{upgrade}\x01\x02 tunnelled\r\n\r\n"));
    assert_eq!(client.answer("GET").status, 200);
    assert_eq!(client.answer("GET").status, 400);
    assert_eq!(client.rest().0, b"");
    assert_eq!(side.take(), ["GET /"]);
    // A side that says nothing yet: it gets the request, and not a byte more.
    let silent = Peer::always(vec![Step::ReadHead, Step::Drain]);
    let proxy = Setup::both(&silent).workers(workers).start();
    let mut client = proxy.client();
    client.send(format!("{upgrade}tunnelled"));
    wait_until("the side was asked", || {
        let seen = silent.contacts();
        seen.first()
            .is_some_and(|seen| seen.text().contains("\r\n\r\n"))
    });
    client.reset();
    wait_until("the side's connection ends", || silent.contacts()[0].ended);
    let seen = silent.contacts()[0].text();
    assert!(seen.ends_with("\r\n\r\n"), "{seen}");
    assert_eq!(silent.accepted(), 1);
}

/// Several codings, and codings of HTTP/1.0, were framed in one way here and in another one there.
fn cve_2026_2835_codings_and_http_1_0_leave_one_framing(workers: usize) {
    let side = Recorder::start();
    let proxy = proxy(workers, &side);
    let codings = [
        "transfer-encoding: chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    ];
    for version in ["1.0", "1.1"] {
        for keep in ["", "connection: keep-alive\r\n"] {
            for length in ["", "content-length: 4\r\n"] {
                for coding in codings {
                    let mut client = proxy.client();
                    client.send(format!(
                        "POST / HTTP/{version}\r\nhost: a\r\n{keep}{length}{coding}\r\n\r\n0\r\n\r\n"
                    ));
                    let _ = client.try_send(SMUGGLED);
                    let framed = version == "1.1" && coding == codings[0];
                    let answer = client.answer("POST");
                    assert_eq!(answer.status == 200, framed, "{version} {length}{coding}");
                    // Behind a clear end a request is one; behind any other it is not.
                    let clear = framed && length.is_empty();
                    let next = client.try_answer("GET").map(|answer| answer.status);
                    assert_eq!(
                        next.ok(),
                        clear.then_some(200),
                        "{version} {length}{coding}"
                    );
                    assert_eq!(proxy.get("/barrier").status, 200);
                    let mut seen = side.take();
                    seen.retain(|seen| seen != "GET /barrier");
                    let expected = match (framed, clear) {
                        (true, true) => vec!["POST / =", "GET /smuggled"],
                        (true, false) => vec!["POST / ="],
                        (false, _) => vec![],
                    };
                    assert_eq!(seen, expected, "{version} {length}{coding}");
                }
            }
        }
    }
}

/// What was kept for a path of one host was given to those who asked for the same path of another.
fn cve_2026_2836_a_key_never_stands_for_two_hosts(workers: usize) {
    let answer = |seen: &crate::harness::backend::Seen| {
        Reply::text(seen.header("host").join(" ") + &seen.target)
    };
    let (old, new) = (Backend::start(answer), Backend::start(answer));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"a\"\nmatch = \"GET /{x}\"\nhost = \"a.example\"\nkey = \"{path.x}\"\npercent = 100\nshadow = 100")
        .route("name = \"b\"\nmatch = \"GET /{x}\"\nhost = \"b.example\"\nkey = \"{path.x}\"\nshadow = 100")
        .start();
    let mut client = proxy.client();
    for host in [
        "a.example",
        "b.example",
        "a.example",
        "c.example",
        "b.example",
    ] {
        client.send(format!("GET /same HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(client.answer("GET").text(), format!("{host}/same"));
    }
    // The target's host counts, whatever Host says.
    client.send("GET http://b.example/same HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!(client.answer("GET").text(), "b.example/same");
    let page = proxy.settle();
    let served = |side: &str, route: &str| {
        page.sum(
            "crossfade_requests_total",
            &[("side", side), ("route", route)],
        )
    };
    assert_eq!(
        (
            served("new", "a"),
            served("old", "b"),
            served("old", "unmatched")
        ),
        (2.0, 3.0, 1.0)
    );
    assert_eq!(
        page.sum("crossfade_comparisons_total", &[("verdict", "mismatch")]),
        0.0
    );
    let copies = |backend: &Backend, host: &str| {
        let seen = backend.requests();
        seen.iter()
            .filter(|seen| seen.is_shadow() && seen.header("host") == [host])
            .count()
    };
    assert_eq!(
        (copies(&old, "a.example"), copies(&new, "b.example")),
        (2, 3)
    );
}

/// An answer that nobody asked to switch protocols with is no answer.
#[test]
fn a_switch_that_nobody_asked_for_opens_no_tunnel() {
    let switches =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\ntunnelled";
    let peer = Peer::always(vec![Step::ReadHead, send(switches), Step::Drain]);
    let proxy = Setup::both(&peer).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!(client.answer("GET").status, 502);
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
}
