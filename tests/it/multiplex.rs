//! Sides that speak HTTP/2: what they see of requests, what clients see of their answers, and that both stream.

mod broken;
mod grpc;
mod guards;
mod places;
mod resent;
mod stop;
mod tunnels;

use crate::harness::backend::{Piece, Seen};
use crate::harness::http2::{Http2, head};
use crate::harness::tls::{Authority, server};
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::net::SocketAddr;
use std::thread;
use tokio::net::TcpListener;

with_one_worker_and_with_four!(
    requests_of_http_1_are_translated,
    requests_of_http_2_are_passed_on,
    answers_are_translated,
    bodies_stream_both_ways,
    trailers_pass_both_ways,
    a_client_that_leaves_ends_its_stream_alone,
    copies_and_checks_are_sent_over_http_2,
    inside_tls_the_side_must_agree,
);

/// A client may speak HTTP/2 from the first byte.
const H2C: &str = r#"{ address = "127.0.0.1:0", h2c = true }"#;

/// A side's connection stays, however long a test takes.
const KEPT: &str = "pool = { idle_timeout = \"10m\" }";

/// As many streams as nobody needs.
const MANY: u32 = 1_000;

/// Both sides speak HTTP/2, and so do clients that like to.
fn setup(side: &impl crate::harness::proxy::Listens, workers: usize) -> Setup {
    Setup::both(side)
        .set("old", "protocol = \"h2\"")
        .set("new", "protocol = \"h2\"")
        .listens(H2C)
        .workers(workers)
}

/// A service over the library itself, which hands each stream to `take`. It lasts as long as the tests.
fn service(
    settings: h2::server::Builder,
    take: impl Fn(Request<RecvStream>, SendResponse<Bytes>) + Clone + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (settings, take) = (settings.clone(), take.clone());
                tokio::spawn(async move {
                    let mut connection = settings.handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        take(request, respond);
                    }
                });
            }
        });
    });
    address
}

fn sum(value: &'static str) -> HeaderMap {
    let name = HeaderName::from_static("x-sum");
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

/// Failures of old that were counted.
fn failures(proxy: &Proxy, kind: &str) -> f64 {
    proxy.metric(
        "crossfade_upstream_errors_total",
        &[("side", "old"), ("kind", kind)],
    )
}

fn requests_of_http_1_are_translated(workers: usize) {
    let backend = Backend::multiplexed(MANY, |seen| Reply::text(seen.method.clone()));
    let proxy = setup(&backend, workers).set("old", KEPT).start();
    let mut client = proxy.client();
    let mut seen = |request: &str, method: &str| -> Seen {
        backend.forget();
        client.send(request);
        assert_eq!(client.answer(method).status, 200, "{request}");
        backend.only_request()
    };
    let get = seen(
        "GET //a%20b/../?c=%2F&d HTTP/1.1\r\nhost: Test.example:81\r\nconnection: x-drop, te, upgrade\r\nx-drop: 1\r\n\
         te: trailers\r\nupgrade: websocket\r\nkeep-alive: 5\r\ncookie: a=1\r\n\r\n",
        "GET",
    );
    assert_eq!(get.target, "//a%20b/../?c=%2F&d");
    assert_eq!(get.origin.as_deref(), Some("http://Test.example:81"));
    for name in [
        "host",
        "connection",
        "x-drop",
        "upgrade",
        "keep-alive",
        "expect",
    ] {
        assert!(get.header(name).is_empty(), "{name}");
    }
    assert_eq!(
        (get.header("te"), get.header("cookie")),
        (vec!["trailers"], vec!["a=1"])
    );
    assert!(get.header("via")[0].starts_with("1.1 crossfade-"));
    assert_eq!(get.header("x-forwarded-host"), ["Test.example:81"]);
    let sized = seen(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\nbody",
        "POST",
    );
    assert_eq!(
        (&sized.body[..], sized.header("content-length")),
        (&b"body"[..], vec!["4"])
    );
    assert!(sized.header("expect").is_empty() && sized.header("te").is_empty());
    let chunked = seen(
        "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "GET",
    );
    assert_eq!((&chunked.body[..], chunked.whole), (&b"body"[..], true));
    assert!(
        chunked.header("content-length").is_empty()
            && chunked.header("transfer-encoding").is_empty()
    );
    assert_eq!(
        seen("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS").target,
        "*"
    );
    assert_eq!(
        seen("HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n", "HEAD").method,
        "HEAD"
    );
    let odd = seen("GET / HTTP/1.1\r\nhost: a%20b\r\n\r\n", "GET");
    assert_eq!(
        (odd.origin, odd.headers["host"].as_bytes()),
        (None, &b"a%20b"[..])
    );
    assert_eq!(
        seen("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "GET").origin,
        {
            let own = backend.address();
            Some(format!("http://{own}"))
        }
    );
    assert_eq!(backend.accepted(), 1);
}

fn requests_of_http_2_are_passed_on(workers: usize) {
    let backend = Backend::multiplexed(MANY, |seen| Reply::text(seen.target.clone()));
    let proxy = setup(&backend, workers)
        .set("old", "host = \"upstream\"")
        .set("old", KEPT)
        .start();
    let client = Http2::connect(proxy.address());
    let answers: Vec<_> = (0..50)
        .map(|number| {
            client
                .send(
                    head(
                        "GET",
                        &format!("/{number}"),
                        &[("cookie", "a=1"), ("cookie", "b=2")],
                    ),
                    true,
                )
                .0
        })
        .collect();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(client.answer(answer).unwrap().body, format!("/{number}"));
    }
    let own = format!("http://{}", backend.address());
    for seen in backend.requests() {
        assert_eq!(
            (seen.origin.as_deref(), seen.header("cookie")),
            (Some(&*own), vec!["a=1; b=2"])
        );
        assert_eq!(seen.header("via")[0].split(' ').next(), Some("2.0"));
    }
    assert_eq!(backend.accepted(), 1, "all share one connection");
    assert_eq!(
        proxy.metric("crossfade_upstream_connections", &[("side", "old")]),
        1.0
    );
}

fn answers_are_translated(workers: usize) {
    let backend = Backend::multiplexed(MANY, |seen| match &*seen.target {
        "/pieces" => {
            Reply::status(200).pieces(vec![Piece::Data("bo".into()), Piece::Data("dy".into())])
        }
        "/empty" => Reply::status(200),
        "/204" => Reply::status(204),
        "/304" => Reply::status(304).header("etag", "\"1\""),
        "/404" => Reply::status(404).body("body"),
        _ => Reply::text("body")
            .header("content-length", "4")
            .header("x-two", "1")
            .header("x-two", "2"),
    });
    let proxy = setup(&backend, workers).set("old", KEPT).start();
    let mut client = proxy.client();
    for (method, target, status, body, length) in [
        ("GET", "/sized", 200, "body", Some("4")),
        ("HEAD", "/sized", 200, "", Some("4")),
        ("GET", "/pieces", 200, "body", None),
        ("GET", "/empty", 200, "", Some("0")),
        ("GET", "/204", 204, "", None),
        ("GET", "/304", 304, "", None),
        ("GET", "/404", 404, "body", Some("4")),
    ] {
        let answer = client.request(method, target, &[], b"");
        assert_eq!(
            (
                answer.status,
                answer.text(),
                answer.header("content-length")
            ),
            (status, body, length),
            "{method} {target}"
        );
        assert_eq!(answer.version, "HTTP/1.1");
        if target == "/sized" {
            let two: Vec<_> = answer.headers.get_all("x-two").iter().collect();
            assert_eq!(two, ["1", "2"]);
        }
    }
    assert_eq!(backend.accepted(), 1);
    assert_eq!(
        proxy.metric("crossfade_requests_total", &[("code_class", "aborted")]),
        0.0
    );
}

fn bodies_stream_both_ways(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(MANY, move |_| {
        Reply::status(200).pieces(vec![
            Piece::Data("first".into()),
            Piece::Wait(opened.clone()),
            Piece::Data(vec![b'x'; 1 << 20].into()),
        ])
    });
    let proxy = setup(&backend, workers).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    wait_until("the head is there before the body", || backend.count() == 1);
    assert!(!backend.only_request().whole);
    let rest = vec![b'y'; 1 << 20];
    client.send("100000\r\n");
    client.send(&rest);
    client.send("\r\n0\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(10), b"5\r\nfirst\r\n");
    gate.open();
    let (came, _) = client.rest();
    let bytes = came.iter().filter(|byte| **byte == b'x').count();
    assert_eq!((bytes, came.ends_with(b"\r\n0\r\n\r\n")), (1 << 20, true));
    assert_eq!(backend.only_request().body.len(), 4 + rest.len());
}

fn trailers_pass_both_ways(workers: usize) {
    let backend = Backend::multiplexed(MANY, |_| {
        let pieces = vec![Piece::Data("body".into()), Piece::Trailers(sum("7"))];
        Reply::status(200).header("trailer", "x-sum").pieces(pieces)
    });
    let proxy = setup(&backend, workers).start();
    let client = Http2::connect(proxy.address());
    let (response, mut upload) = client.send(head("POST", "/", &[("te", "trailers")]), false);
    upload
        .send_data(Bytes::from_static(b"body"), false)
        .unwrap();
    upload.send_trailers(sum("8")).unwrap();
    let answer = client.answer(response).unwrap();
    assert_eq!(
        (&answer.body[..], answer.trailers),
        (&b"body"[..], sum("7"))
    );
    assert_eq!(backend.only_request().trailers, sum("8"));
    backend.forget();
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, connection, host\r\n\r\n\
         4\r\nbody\r\n0\r\nx-sum: 9\r\nconnection: x\r\nhost: b\r\n\r\n",
    );
    let answer = client.answer("POST");
    assert_eq!((answer.text(), &answer.trailers), ("body", &sum("7")));
    assert_eq!(backend.only_request().trailers, sum("9"));
    assert_eq!(proxy.get("/").trailers, HeaderMap::new());
}

fn a_client_that_leaves_ends_its_stream_alone(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(MANY, move |seen| match &*seen.target {
        "/head" => Reply::text("never").after(&Gate::default()),
        "/stays" => Reply::halting_at(&opened),
        _ => Reply::halting_at(&Gate::default()),
    });
    let proxy = setup(&backend, workers).set("old", KEPT).start();
    let client = Http2::connect(proxy.address());
    let (stays, _) = client.send(head("GET", "/stays", &[]), true);
    let (response, mut stream) = client.send(head("GET", "/head", &[]), true);
    wait_until("the side is asked", || backend.count() == 2);
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    wait_until("the side is told", || backend.broken() == 1);
    let (response, mut stream) = client.send(head("GET", "/body", &[]), true);
    let mut body = client.wait(response).unwrap().into_body();
    assert_eq!(client.piece(&mut body), "begun, ");
    stream.send_reset(h2::Reason::CANCEL);
    wait_until("the side is told", || backend.broken() == 2);
    gate.open();
    assert_eq!(client.answer(stays).unwrap().body, "begun, and done");
    assert_eq!((backend.accepted(), backend.open()), (1, 1));
}

fn copies_and_checks_are_sent_over_http_2(workers: usize) {
    let reply = |_: &Seen| Reply::json(&serde_json::json!({"name": "0ad"}));
    let (old, new) = (
        Backend::multiplexed(MANY, reply),
        Backend::multiplexed(MANY, reply),
    );
    let proxy = Setup::new(&old, &new)
        .set("old", "protocol = \"h2\"")
        .set("new", "protocol = \"h2\"\nhealth = \"GET /healthz\"")
        .workers(workers)
        .route("name = \"r\"\nmatch = \"GET,POST /x\"\nread = true\nshadow = 100")
        .start();
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(
            client
                .request("GET", "/x", &[("te", "trailers")], b"")
                .status,
            200
        );
        assert_eq!(client.request("POST", "/x", &[], b"body").status, 200);
    }
    let page = proxy.settle();
    let found = |name: &str, label| page.sum(name, &[label]);
    assert_eq!(
        found("crossfade_comparisons_total", ("verdict", "match")),
        10.0
    );
    wait_until("new is checked", || {
        let seen = new.requests();
        seen.iter()
            .any(|seen| seen.target == "/healthz" && seen.origin.is_some())
    });
    let copies = new.requests().into_iter().filter(Seen::is_shadow);
    let posts: Vec<_> = copies
        .filter(|copy| copy.method == "POST")
        .map(|copy| copy.body)
        .collect();
    assert_eq!(posts, [(); 5].map(|()| "body"));
    assert_eq!(
        proxy.metric("crossfade_endpoints", &[("side", "new"), ("state", "up")]),
        1.0
    );
    let sides = &proxy.admin_json("/api/upstreams")["sides"];
    assert_eq!(
        (&sides[0]["protocol"], &sides[1]["protocol"]),
        (&"h2".into(), &"h2".into())
    );
}

fn inside_tls_the_side_must_agree(workers: usize) {
    let ca = Authority::new();
    let shown = ca.sign(&["a.test"]);
    let check = |protocols: &[&str], status: u16| {
        let config = server(&shown, None, protocols);
        let backend = Backend::multiplexed_in(Some(config), MANY, |_| Reply::text("ok"));
        let proxy = Setup::both(&backend)
            .workers(workers)
            .instead("old", &format!("url = \"https://{}\"", backend.address()))
            .set(
                "old",
                "protocol = \"h2\"\ntls = { ca = \"ca.pem\", server_name = \"a.test\" }",
            )
            .set("old", "health = \"GET /healthz\"")
            .start_with(|folder, text| {
                std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
                std::fs::write(folder.join("routes.toml"), text).unwrap();
                folder.join("routes.toml")
            });
        let mut client = proxy.client();
        for _ in 0..3 {
            client.send("POST / HTTP/1.1\r\nhost: b.test\r\ncontent-length: 4\r\n\r\nbody");
            assert_eq!(client.answer("POST").status, status, "{protocols:?}");
        }
        if status == 200 {
            wait_until("it is checked", || {
                backend
                    .requests()
                    .iter()
                    .any(|seen| seen.target == "/healthz")
            });
            let asked = backend
                .requests()
                .into_iter()
                .filter(|seen| seen.target == "/");
            let origins: Vec<_> = asked.filter_map(|seen| seen.origin).collect();
            assert_eq!(origins, ["https://b.test"; 3]);
            assert_eq!(failures(&proxy, "connect"), 0.0);
        } else {
            assert_eq!((backend.count(), failures(&proxy, "connect")), (0, 3.0));
        }
    };
    check(&["h2", "http/1.1"], 200);
    check(&["http/1.1"], 502);
    check(&[], 502);
}
