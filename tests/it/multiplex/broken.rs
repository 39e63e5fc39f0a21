//! Sides that break: what their clients see, and that other requests of the same connection go on.

use super::{H2C, KEPT, MANY, failures, setup};
use crate::harness::http2::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, head,
};
use crate::harness::peer::send;
use crate::harness::proxy::{full, nobody};
use crate::harness::{
    Backend, Gate, Peer, Reply, Setup, Side, Step, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    an_answer_that_is_reset_is_broken_whatever_the_reason,
    an_answer_that_does_not_keep_its_length_is_broken,
    who_does_not_speak_http_2_can_not_be_reached,
    a_side_that_is_silent_is_out_of_time,
    a_side_that_is_gone_is_noticed,
    a_head_without_an_end_is_no_answer,
    interim_answers_without_an_end_are_no_answer,
    old_is_asked_where_new_breaks,
);

fn an_answer_that_is_reset_is_broken_whatever_the_reason(workers: usize) {
    let side = Side::start(|_, talk| {
        talk.begin(&[]);
        let mut reason = 0;
        while let Some(stream) = talk.request() {
            talk.head(stream, 0, &[]);
            talk.send(&http2::frame(DATA, 0, stream, b"half"));
            // NO_ERROR, INTERNAL_ERROR, CANCEL
            talk.reset(stream, [0, 2, 8][reason % 3]);
            reason += 1;
        }
    });
    let proxy = setup(&side, workers).start();
    for _ in 0..3 {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let (came, _) = client.rest();
        assert!(!came.ends_with(b"0\r\n\r\n"), "a clean end");
    }
    let client = Http2::connect(proxy.address());
    for _ in 0..3 {
        let (response, _) = client.send(head("GET", "/", &[]), true);
        let error = client.answer(response).unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    }
    proxy.wait_for_metric("crossfade_upstream_errors_total", &[("kind", "reset")], 6.0);
}

fn an_answer_that_does_not_keep_its_length_is_broken(workers: usize) {
    let side = Side::start(|_, talk| {
        talk.begin(&[]);
        let mut number = 0;
        while let Some(stream) = talk.request() {
            talk.head(stream, 0, &[("content-length", "6")]);
            talk.send(&http2::frame(
                DATA,
                END_STREAM,
                stream,
                [&b"half"[..], b"too long"][number % 2],
            ));
            number += 1;
        }
    });
    let proxy = setup(&side, workers).start();
    for _ in 0..4 {
        let mut client = proxy.client();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(client.try_answer("GET").is_err() || failures(&proxy, "protocol") > 0.0);
    }
    let broken = proxy.metric("crossfade_requests_total", &[("code_class", "2xx")]);
    assert_eq!(broken, 0.0);
}

fn who_does_not_speak_http_2_can_not_be_reached(workers: usize) {
    let speaks_http_1 = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
    ]);
    let takes_none = Side::start(|_, talk| {
        talk.begin(&[(http2::MAX_CONCURRENT_STREAMS, 0)]);
        talk.drain();
    });
    let says_nothing = Peer::always(vec![Step::Drain]);
    for (setup, status, kind) in [
        (setup(&speaks_http_1, workers), 502, "connect"),
        (setup(&takes_none, workers), 502, "connect"),
        (setup(&nobody(), workers), 502, "connect"),
        (
            setup(&full(), workers).set("old", "connect_timeout = \"50ms\""),
            504,
            "connect",
        ),
        (
            setup(&says_nothing, workers).set("old", "timeout = \"50ms\""),
            504,
            "timeout",
        ),
    ] {
        let proxy = setup.start();
        let client = Http2::connect(proxy.address());
        let answers: Vec<_> = (0..10)
            .map(|_| client.send(head("POST", "/", &[]), true).0)
            .collect();
        for answer in answers {
            let answer = client.answer(answer).unwrap();
            assert_eq!(answer.status, status);
            let code = format!("upstream_{kind}");
            assert!(String::from_utf8_lossy(&answer.body).contains(&code));
        }
        assert_eq!(failures(&proxy, kind), 10.0);
        proxy.wait_for_metric("crossfade_upstream_connections", &[], 0.0);
    }
}

fn a_side_that_is_silent_is_out_of_time(workers: usize) {
    let gate = Gate::default();
    let backend = Backend::multiplexed(MANY, move |seen| match &*seen.target {
        "/never" => Reply::text("never").after(&gate),
        _ => Reply::text("ok"),
    });
    let proxy = setup(&backend, workers)
        .set("old", "timeout = \"200ms\"")
        .set("old", KEPT)
        .start();
    let client = Http2::connect(proxy.address());
    let (never, _) = client.send(head("GET", "/never", &[]), true);
    while failures(&proxy, "timeout") < 1.0 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(client.answer(never).unwrap().status, 504);
    assert_eq!(backend.accepted(), 1, "the connection is well");
    crate::harness::wait_until("the side is told", || backend.broken() == 1);
    // Where nothing at all has come, the next request does not rely on the connection.
    assert_eq!(client.get("/never").status, 504);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(backend.accepted(), 2);
}

fn a_side_that_is_gone_is_noticed(workers: usize) {
    let side = Side::start(|_, talk| {
        talk.begin(&[]);
        let Some(stream) = talk.request() else { return };
        talk.head(stream, 0, &[]);
        talk.send(&http2::frame(DATA, 0, stream, b"half"));
        // It reads, but says nothing any more.
        talk.drain();
    });
    let proxy = setup(&side, workers)
        .set(
            "limits",
            "http2 = { ping = \"100ms\", ping_timeout = \"100ms\" }",
        )
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (came, _) = client.rest();
    assert!(
        came.starts_with(b"HTTP/1.1 200") && !came.ends_with(b"0\r\n\r\n"),
        "{came:?}"
    );
    crate::harness::wait_until("the connection is closed", || side.open() == 0);
    // One that answers PING stays as long as it likes.
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(MANY, move |_| Reply::halting_at(&opened));
    let proxy = setup(&backend, workers)
        .set(
            "limits",
            "http2 = { ping = \"4ms\", ping_timeout = \"10s\" }",
        )
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(12), b"7\r\nbegun, \r\n");
    gate.open();
    assert_eq!(client.read_exactly(18), b"8\r\nand done\r\n0\r\n\r\n");
}

fn a_head_without_an_end_is_no_answer(workers: usize) {
    let large = "x".repeat(120);
    let field = http2::fields(&[("x-large", &large)]);
    let block = field.repeat(16 * 1024 / field.len());
    let side = Side::start(move |number, talk| {
        talk.begin(&[]);
        let Some(stream) = talk.request() else { return };
        let status = http2::fields(&[(":status", "200")]);
        talk.send(&http2::frame(HEADERS, 0, stream, &status));
        // A megabyte; the first connection's has no end.
        for piece in 0..64 {
            let last = piece == 63 && number > 0;
            let flags = if last { END_HEADERS } else { 0 };
            talk.send(&http2::frame(CONTINUATION, flags, stream, &block));
        }
        talk.drain();
    });
    let proxy = setup(&side, workers).start();
    let mut client = proxy.client();
    for number in 1..=3 {
        let answer = client.get("/");
        assert_eq!(answer.status, 502);
        assert!(
            answer.text().contains("upstream_protocol"),
            "{}",
            answer.text()
        );
        assert_eq!(failures(&proxy, "protocol"), f64::from(number));
    }
}

fn interim_answers_without_an_end_are_no_answer(workers: usize) {
    let side = Side::start(|_, talk| {
        talk.begin(&[]);
        let Some(stream) = talk.request() else { return };
        let early = http2::frame(
            HEADERS,
            END_HEADERS,
            stream,
            &http2::fields(&[(":status", "103")]),
        );
        while talk.try_send(&early.repeat(100)) {}
    });
    let proxy = setup(&side, workers)
        .set("old", "timeout = \"200ms\"")
        .start();
    assert_eq!(proxy.get("/").status, 504);
}

fn old_is_asked_where_new_breaks(workers: usize) {
    let old = Backend::text("old");
    let new = Side::start(|number, talk| {
        talk.begin(&[]);
        let Some(stream) = talk.whole_request() else {
            return;
        };
        match number {
            0 => talk.reset(stream, 2),
            1 => talk.send(&http2::frame(
                HEADERS,
                END_HEADERS,
                stream,
                b"\xff\xff\xff\xff\xff\xff",
            )),
            2 => return,
            _ => talk.answer(stream, "new"),
        }
        talk.drain();
    });
    let proxy = Setup::new(&old, &new)
        .set(
            "new",
            "protocol = \"h2\"\npool = { idle_timeout = \"1ms\" }",
        )
        .listens(H2C)
        .workers(workers)
        .route("name = \"r\"\nmatch = \"POST /\"\nread = true\npercent = 100")
        .start();
    let client = Http2::connect(proxy.address());
    for number in 1..=3 {
        let answer = client.request("POST", "/", &[], b"body");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"old"[..]));
        assert_eq!(old.requests()[number - 1].body, "body");
        proxy.wait_for_metric("crossfade_upstream_connections", &[("side", "new")], 0.0);
    }
    assert_eq!(client.request("POST", "/", &[], b"body").body, "new");
    let fallbacks = |reason| proxy.metric("crossfade_fallbacks_total", &[("reason", reason)]);
    assert_eq!((fallbacks("reset"), fallbacks("protocol")), (2.0, 1.0));
}
