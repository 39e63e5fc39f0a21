//! The PROXY protocol on a listener: whose address counts, and what is closed.

use crate::harness::http2::{self, Http2};
use crate::harness::tls::Authority;
use crate::harness::wire::Wire;
use crate::harness::{Backend, Client, Proxy, Setup, with_one_worker_and_with_four};
use std::io::Write;
use std::net::TcpStream;

with_one_worker_and_with_four!(
    the_address_in_the_header_is_the_peer,
    what_the_peer_says_of_others_is_believed_by_the_same_rules,
    a_connection_without_a_header_is_closed_and_counted,
    headers_that_take_too_long_are_not_waited_for,
    the_header_comes_before_tls,
    the_header_comes_before_http_2,
);

const LISTEN: &str = r#"{ address = "127.0.0.1:0", proxy_protocol = true }"#;
const REFUSED: (&str, &[(&str, &str)]) =
    ("crossfade_rejected_total", &[("reason", "proxy_protocol")]);

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn client_of(proxy: &Proxy, header: &[u8]) -> Client {
    let mut client = proxy.client();
    client.send(header);
    client
}

fn the_address_in_the_header_is_the_peer(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(LISTEN)
        .workers(workers)
        .start();
    let check = |header: &[u8], expected: &str| {
        backend.forget();
        let mut client = client_of(&proxy, header);
        for _ in 0..2 {
            let claim = [("x-forwarded-for", "203.0.113.9")];
            assert_eq!(client.request("GET", "/", &claim, b"").text(), "ok");
        }
        for seen in backend.requests() {
            assert_eq!(seen.header("x-forwarded-for"), [expected]);
        }
    };
    check(b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\n", "192.0.2.1");
    check(b"PROXY TCP6 2001:db8::1 ::1 1234 80\r\n", "2001:db8::1");
    check(b"PROXY UNKNOWN\r\n", "127.0.0.1");
    let four = [192, 0, 2, 7, 10, 0, 0, 1, 4, 210, 0, 80];
    check(&version_2(0x21, 0x11, &four), "192.0.2.7");
    check(&version_2(0x20, 0, &[]), "127.0.0.1");
    // With many TLVs, byte by byte, and together with a request.
    let long = version_2(0x21, 0x11, &[&four[..], &[4; 2_000]].concat());
    check(&long, "192.0.2.7");
    let mut client = proxy.client();
    for byte in b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.answer("GET").text(), "ok");
    client = client_of(
        &proxy,
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    assert_eq!(client.answer("GET").text(), "ok");
}

fn what_the_peer_says_of_others_is_believed_by_the_same_rules(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(LISTEN)
        .workers(workers)
        .set("server", "trusted_proxies = [\"192.0.2.1\"]\ndebug_headers = true")
        .route("name = \"all\"\nmatch = \"GET /\"\nkey = \"{client.ip}\"\npin = { new = [\"203.0.113.9\"] }")
        .start();
    let side = |header: &[u8]| {
        let claim = [("x-forwarded-for", "203.0.113.9")];
        let answer = client_of(&proxy, header).request("GET", "/", &claim, b"");
        answer.header("x-crossfade-side").unwrap().to_owned()
    };
    assert_eq!(side(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"), "new");
    assert_eq!(side(b"PROXY TCP4 192.0.2.2 10.0.0.1 1 2\r\n"), "old");
    assert_eq!(side(b"PROXY UNKNOWN\r\n"), "old");
}

fn a_connection_without_a_header_is_closed_and_counted(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(LISTEN)
        .workers(workers)
        .start();
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let bad = [
        request.to_owned(),
        format!("PROXY TCP4 192.0.2.1 10.0.0.1 1234\r\n{request}"),
        format!("PROXY TCP4 one.example 10.0.0.1 1 2\r\n{request}"),
        format!("PROXY UNKNOWN {}\r\n{request}", "x".repeat(200)),
    ];
    for (count, bytes) in bad.iter().enumerate() {
        let (rest, _) = client_of(&proxy, bytes.as_bytes()).rest();
        assert!(rest.is_empty(), "{rest:?}");
        proxy.wait_for_metric(REFUSED.0, REFUSED.1, (count + 1) as f64);
    }
    // One that leaves in the middle is no other; one that leaves at once has only looked whether somebody listens.
    let mut looks = proxy.client();
    looks.finish_sending();
    assert!(looks.rest().0.is_empty());
    let mut half = client_of(&proxy, b"PROXY TCP4 192");
    half.finish_sending();
    assert!(half.rest().0.is_empty());
    proxy.wait_for_metric(REFUSED.0, REFUSED.1, bad.len() as f64 + 1.0);
    proxy.wait_for_connections(0);
    assert_eq!(backend.count(), 0);
}

fn the_header_comes_before_tls(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let listens = r#"{ address = "127.0.0.1:0", proxy_protocol = true, tls = { certificates = [{ cert = "a.pem", key = "a.key" }] } }"#;
    let proxy = Setup::both(&backend)
        .listens(listens)
        .workers(workers)
        .start_beside(|folder| ca.sign(&["a.test"]).place(folder, "a"));
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .write_all(b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\n")
        .unwrap();
    let secured = crate::harness::tls::shake_hands(stream, "a.test", ca.client(None, &[]));
    let mut client = Client::over(Wire::Tls(secured.unwrap()));
    assert_eq!(client.get("/").text(), "ok");
    let seen = backend.only_request();
    assert_eq!(seen.header("x-forwarded-for"), ["192.0.2.1"]);
    assert_eq!(seen.header("x-forwarded-proto"), ["https"]);
    crate::harness::tls::connect(proxy.address(), "a.test", ca.client(None, &[])).unwrap_err();
    proxy.wait_for_metric(REFUSED.0, REFUSED.1, 1.0);
}

fn the_header_comes_before_http_2(workers: usize) {
    let backend = Backend::text("ok");
    let listens = r#"{ address = "127.0.0.1:0", proxy_protocol = true, h2c = true }"#;
    let proxy = Setup::both(&backend)
        .listens(listens)
        .workers(workers)
        .start();
    let client = Http2::introduced(proxy.address(), b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n");
    assert_eq!(client.get("/").status, 200);
    assert_eq!(
        client_of(&proxy, b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n")
            .get("/")
            .text(),
        "ok"
    );
    for seen in backend.requests() {
        assert_eq!(seen.header("x-forwarded-for"), ["192.0.2.1"]);
    }
    let mut stranger = proxy.client();
    stranger.send(http2::preface(&[]));
    assert!(stranger.rest().0.is_empty());
    proxy.wait_for_metric(REFUSED.0, REFUSED.1, 1.0);
}

fn headers_that_take_too_long_are_not_waited_for(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(LISTEN)
        .set("limits", "tls_timeout = \"200ms\"")
        .workers(workers)
        .start();
    let mut silent = proxy.client();
    let mut half = client_of(&proxy, b"PROXY TCP4 192");
    assert_eq!(silent.rest().0, b"");
    assert_eq!(half.rest().0, b"");
    proxy.wait_for_metric(REFUSED.0, REFUSED.1, 2.0);
}
