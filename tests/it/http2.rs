//! HTTP/2 with clients: what both ends see of requests and answers, and how they break.

mod limits;
mod stop;

use crate::harness::backend::Piece;
use crate::harness::http2::{self, Http2, head};
use crate::harness::peer::send;
use crate::harness::tls::Authority;
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Request};

with_one_worker_and_with_four!(
    requests_are_forwarded_as_http_1,
    http_2_is_chosen_inside_tls,
    a_listener_for_both_tells_them_apart,
    many_requests_run_at_once,
    bodies_stream_both_ways,
    trailers_pass_both_ways,
    an_answer_that_breaks_never_ends_clean,
    an_upload_that_is_reset_never_ends_clean,
    a_read_that_is_reset_stops,
    what_is_no_request_is_refused,
    a_connection_on_which_nothing_is_asked_is_closed,
);

const H2C: &str = r#"{ address = "127.0.0.1:0", h2c = true }"#;

fn start(backend: &Backend, workers: usize) -> Proxy {
    Setup::both(backend).listens(H2C).workers(workers).start()
}

fn sum(value: &'static str) -> HeaderMap {
    let name = http::HeaderName::from_static("x-sum");
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

fn requests_are_forwarded_as_http_1(workers: usize) {
    let backend = Backend::start(|_| Reply::text("ok").header("connection", "close"));
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let crumbs = [
        ("cookie", "a=1"),
        ("cookie", "b=2; c=3"),
        ("te", "trailers"),
        ("expect", "100-continue"),
    ];
    let answer = client.request("POST", "/a%20b?c=%2F", &crumbs, b"body");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert!(!answer.headers.contains_key("connection"));
    let seen = backend.only_request();
    assert_eq!(
        (seen.target.as_str(), &seen.body[..]),
        ("/a%20b?c=%2F", &b"body"[..])
    );
    assert_eq!(seen.header("host"), ["test.example"]);
    assert_eq!(seen.header("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(seen.header("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.header("te"), ["trailers"]);
    assert!(seen.header("expect").is_empty());
    let via = seen.header("via");
    assert!(
        via.len() == 1 && via[0].starts_with("2.0 crossfade-"),
        "{via:?}"
    );
    assert_eq!(client.get("/").status, 200);
    assert_eq!(backend.requests()[1].header("content-length").len(), 0);
}

fn http_2_is_chosen_inside_tls(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let listens = r#"{ address = "127.0.0.1:0", tls = { certificates = [{ cert = "a.pem", key = "a.key" }] } }"#;
    let proxy = Setup::both(&backend)
        .listens(listens)
        .workers(workers)
        .start_beside(|folder| ca.sign(&["a.test"]).place(folder, "a"));
    let config = |protocols: &[&str]| ca.client(None, protocols);
    let client = Http2::secured(proxy.address(), "a.test", config(&["http/1.1", "h2"]));
    assert_eq!(&client.get("/").body[..], b"ok");
    assert_eq!(
        proxy
            .secured("a.test", config(&["http/1.1"]))
            .get("/")
            .text(),
        "ok"
    );
    for seen in backend.requests() {
        assert_eq!(seen.header("x-forwarded-proto"), ["https"]);
    }
}

fn a_listener_for_both_tells_them_apart(workers: usize) {
    let backend = Backend::start(|seen| Reply::text(seen.method.clone()));
    let proxy = start(&backend, workers);
    let mut client = proxy.client();
    for method in ["GET", "PRI", "P", "PRINT", "PUT"] {
        for byte in format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n").bytes() {
            client.send([byte]);
        }
        assert_eq!(client.answer(method).text(), method);
        client = proxy.client();
    }
    client.send("PRI * HTTP/2.0\r\n");
    client.finish_sending();
    assert_eq!(client.answer("PRI").status, 400);
    let plain = Setup::both(&backend).workers(workers).start();
    let mut client = plain.client();
    client.send(http2::preface(&[]));
    assert!(client.rest().0.is_empty());
    plain.wait_for_metric(
        "crossfade_rejected_total",
        &[("reason", "bad_request")],
        1.0,
    );
}

fn many_requests_run_at_once(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| Reply::text(seen.target.clone()).after(&opened));
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let answers: Vec<_> = (0..100)
        .map(|number| client.send(head("GET", &format!("/{number}"), &[]), true).0)
        .collect();
    wait_until("all are with the side", || backend.count() == 100);
    gate.open();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(client.answer(answer).unwrap().body, format!("/{number}"));
    }
    assert_eq!(proxy.metric("crossfade_connections", &[]), 1.0);
}

fn bodies_stream_both_ways(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| {
        let rest = Piece::Data(vec![b'x'; 1 << 20].into());
        Reply::status(200).pieces(vec![
            Piece::Data("first".into()),
            Piece::Wait(opened.clone()),
            rest,
        ])
    });
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let (response, mut upload) = client.send(head("POST", "/", &[]), false);
    upload
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    wait_until("the head is there before the body", || backend.count() == 1);
    assert!(!backend.only_request().whole);
    upload
        .send_data(Bytes::from_static(b" and half"), true)
        .unwrap();
    let mut body = client.wait(response).unwrap().into_body();
    assert_eq!(client.piece(&mut body), "first");
    gate.open();
    let mut came = 0;
    while let Some(data) = client.wait(body.data()) {
        came += data.as_ref().unwrap().len();
        let room = body.flow_control();
        room.release_capacity(data.unwrap().len()).unwrap();
    }
    assert_eq!(came, 1 << 20);
    assert_eq!(&backend.only_request().body[..], b"half and half");
}

fn trailers_pass_both_ways(workers: usize) {
    let backend = Backend::start(|_| {
        Reply::status(200)
            .header("trailer", "x-sum")
            .pieces(vec![Piece::Data("body".into()), Piece::Trailers(sum("7"))])
    });
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let request = head("POST", "/", &[("te", "trailers"), ("trailer", "x-sum")]);
    let (response, mut upload) = client.send(request, false);
    upload
        .send_data(Bytes::from_static(b"body"), false)
        .unwrap();
    upload.send_trailers(sum("8")).unwrap();
    let answer = client.answer(response).unwrap();
    assert_eq!(
        (&answer.body[..], answer.trailers),
        (&b"body"[..], sum("7"))
    );
    let seen = backend.only_request();
    assert_eq!((seen.whole, &seen.trailers), (true, &sum("8")));
}

fn an_answer_that_breaks_never_ends_clean(workers: usize) {
    let broken = |framing: &str| {
        vec![
            Step::ReadHead,
            send(format!("HTTP/1.1 200 OK\r\n{framing}half")),
        ]
    };
    let peer = Peer::start(vec![
        broken("content-length: 10\r\n\r\n"),
        broken("transfer-encoding: chunked\r\n\r\n5\r\n"),
        vec![
            Step::ReadHead,
            send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ],
    ]);
    let proxy = Setup::both(&peer).listens(H2C).workers(workers).start();
    let client = Http2::connect(proxy.address());
    for framing in ["sized", "chunked"] {
        let (response, _) = client.send(head("GET", "/", &[]), true);
        let error = client.answer(response).unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{framing}");
    }
    assert_eq!(client.get("/").status, 200);
}

fn an_upload_that_is_reset_never_ends_clean(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    for (count, reason) in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR]
        .into_iter()
        .enumerate()
    {
        for method in ["POST", "GET"] {
            backend.forget();
            let broken = backend.broken();
            let (_response, mut upload) = client.send(head(method, "/", &[]), false);
            upload
                .send_data(Bytes::from_static(b"half"), false)
                .unwrap();
            wait_until("the side has the head", || backend.count() == 1);
            upload.send_reset(reason);
            wait_until("the side sees that it broke", || backend.broken() > broken);
            assert!(!backend.only_request().whole, "{count} {reason:?}");
        }
    }
    assert_eq!(client.get("/").status, 200);
}

fn a_read_that_is_reset_stops(workers: usize) {
    let backend = Backend::start(|seen| {
        let pieces = vec![Piece::Data("half".into()), Piece::Wait(Gate::default())];
        match seen.target.as_str() {
            "/head" => Reply::text("never").after(&Gate::default()),
            _ => Reply::status(200).pieces(pieces),
        }
    });
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let (response, mut stream) = client.send(head("GET", "/head", &[]), true);
    wait_until("the side is asked", || backend.count() == 1);
    stream.send_reset(Reason::CANCEL);
    drop(response);
    wait_until("the side is left", || backend.open() == 0);
    let (response, mut stream) = client.send(head("GET", "/body", &[]), true);
    let mut body = client.wait(response).unwrap().into_body();
    assert_eq!(client.piece(&mut body), "half");
    stream.send_reset(Reason::CANCEL);
    wait_until("the side is left", || backend.open() == 0);
    proxy.wait_for_metric(
        "crossfade_requests_total",
        &[("code_class", "aborted")],
        2.0,
    );
}

fn what_is_no_request_is_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let client = Http2::connect(proxy.address());
    let status = |request: Request<()>| client.answer(client.send(request, true).0).unwrap().status;
    assert_eq!(status(head("GET", "/", &[("host", "other.example")])), 400);
    assert_eq!(status(head("GET", "/", &[("host", "TEST.example")])), 200);
    assert_eq!(status(head("TRACE", "/", &[])), 405);
    let connect = Request::builder().method("CONNECT").uri("a.example:443");
    assert_eq!(status(connect.body(()).unwrap()), 405);
    // By hand, since no client lets one.
    let mut raw = proxy.client();
    raw.send(http2::preface(&[]));
    let nobody = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    let flags = http2::END_STREAM | http2::END_HEADERS;
    raw.send(http2::frame(
        http2::HEADERS,
        flags,
        1,
        &http2::fields(&nobody),
    ));
    proxy.wait_for_metric(
        "crossfade_rejected_total",
        &[("reason", "bad_request")],
        2.0,
    );
    for (stream, field) in [
        (3, ("connection", "x")),
        (5, ("transfer-encoding", "chunked")),
        (7, ("te", "gzip")),
    ] {
        let host = (":authority", "a");
        let block = http2::fields(&[nobody[0], nobody[1], nobody[2], host, field]);
        raw.send(http2::frame(http2::HEADERS, flags, stream, &block));
    }
    assert_eq!(client.get("/").status, 200);
    assert_eq!(backend.count(), 2);
}

#[test]
fn a_large_answer_waits_for_its_client() {
    let backend = Backend::start(|_| Reply::status(200).body(vec![b'x'; 16 << 20]));
    let proxy = start(&backend, 1);
    let client = Http2::connect(proxy.address());
    let (response, _) = client.send(head("GET", "/", &[]), true);
    let mut body = client.wait(response).unwrap().into_body();
    // Nobody reads the first one, and others are answered all the same.
    let (other, _) = client.send(head("HEAD", "/", &[]), true);
    assert_eq!(client.wait(other).unwrap().status(), 200);
    assert!(backend.sent() < 16 << 20 || proxy.metric("crossfade_inflight_requests", &[]) == 1.0);
    let mut came = 0;
    while came < 16 << 20 {
        came += client.piece(&mut body).len();
    }
}

fn a_connection_on_which_nothing_is_asked_is_closed(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .listens(H2C)
        .set("limits", "idle_timeout = \"200ms\"")
        .workers(workers)
        .start();
    let busy = Http2::connect(proxy.address());
    let (answer, _) = busy.send(head("GET", "/", &[]), true);
    let idle = Http2::connect(proxy.address());
    idle.closed();
    gate.open();
    assert_eq!(busy.answer(answer).unwrap().status, 200);
    busy.closed();
    proxy.wait_for_connections(0);
}
