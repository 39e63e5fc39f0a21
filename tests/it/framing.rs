//! Messages whose framing is odd but legal, or not to be trusted: what passes is whole, what can't pass is refused, nothing lingers.

use crate::harness::peer::send;
use crate::harness::{Backend, Gate, Peer, Setup, Step, wait_until, with_one_worker_and_with_four};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

with_one_worker_and_with_four!(
    an_answer_framed_twice_reaches_the_client_whole,
    a_field_that_carries_the_key_is_never_dropped,
    a_transfer_coding_that_is_not_chunked_is_refused,
    an_answer_in_a_transfer_coding_that_is_not_chunked_is_refused,
    an_answer_that_comes_early_ends_both_connections,
);

/// RFC 9112 §6.3: Transfer-Encoding overrides Content-Length, which must not travel on.
fn an_answer_framed_twice_reaches_the_client_whole(workers: usize) {
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
                 a\r\n0123456789\r\n0\r\n\r\n";
    let peer = Peer::always(vec![Step::ReadHead, send(twice), Step::Again]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(
            (answer.text(), answer.header("content-length")),
            ("0123456789", None)
        );
    }
}

/// Whoever could have it dropped would be split by one value here, and known by none at the side.
fn a_field_that_carries_the_key_is_never_dropped(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .route("name = \"a\"\nmatch = \"GET /a\"\nkey = \"{header.x-user}\"")
        .route("name = \"b\"\nmatch = \"GET /b\"\nkey = \"{cookie.sid}\"")
        .start();
    let mut client = proxy.client();
    let fields = [
        ("connection", "X-User, cookie, x-other, authorization"),
        ("x-user", "1"),
        ("cookie", "sid=1"),
        ("x-other", "1"),
        ("authorization", "Basic eA=="),
    ];
    for target in ["/a", "/b"] {
        assert_eq!(client.request("GET", target, &fields, b"").text(), "ok");
    }
    let seen = backend.requests();
    let row = |index: usize| {
        ["x-user", "cookie", "x-other", "authorization"]
            .map(|name| seen[index].headers.contains_key(name))
    };
    assert_eq!(row(0), [true, false, false, true]);
    assert_eq!(row(1), [false, true, false, true]);
}

fn a_transfer_coding_that_is_not_chunked_is_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    for coding in ["gzip, chunked", "chunked, chunked"] {
        let mut client = proxy.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        ));
        let refused = client.answer("POST");
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (501, Some("transfer_coding")),
            "{coding}"
        );
    }
    assert_eq!(
        (
            backend.count(),
            proxy.metric("crossfade_rejected_total", &[("reason", "bad_request")])
        ),
        (0, 2.0)
    );
}

fn an_answer_in_a_transfer_coding_that_is_not_chunked_is_refused(workers: usize) {
    let coded = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let peer = Peer::always(vec![Step::ReadHead, send(coded), Step::Drain]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let answer = proxy.get("/");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (502, Some("upstream_protocol"))
    );
}

/// The side reads nothing, answers when no byte fits in anywhere any more, and keeps its connection: nothing of ours may wait for it.
fn an_answer_that_comes_early_ends_both_connections(workers: usize) {
    let (full, end) = (Gate::default(), Gate::default());
    let refusal = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno";
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::Wait(full.clone()),
        send(refusal),
        Step::Wait(end.clone()),
    ]);
    let proxy = Setup::both(&peer)
        .workers(workers)
        .set("limits", "body_size = \"1GiB\"")
        .start();
    let mut client = proxy.client();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let sending = thread::spawn(move || {
        let block = vec![b'x'; 64 * 1024];
        loop {
            match client.try_send(&block) {
                Ok(()) => counted.fetch_add(1, Ordering::SeqCst),
                Err(error) => return error.kind(),
            };
        }
    });
    let (mut before, mut looks) = (0, 0);
    wait_until("the client can send no more", || {
        let now = sent.load(Ordering::SeqCst);
        looks = if now == before { looks + 1 } else { 0 };
        before = now;
        looks == 20
    });
    full.open();
    wait_until("both connections are closed", || {
        let page = proxy.metrics();
        page.sum("crossfade_connections", &[]) == 0.0
            && page.sum("crossfade_upstream_connections", &[]) == 0.0
    });
    let refused = sending.join().unwrap();
    assert!(
        matches!(refused, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "the client is not left to wait: {refused:?}"
    );
    assert_eq!(
        proxy.metric("crossfade_requests_total", &[("code_class", "4xx")]),
        1.0
    );
    end.open();
}
