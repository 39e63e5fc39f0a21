//! Upgrades to sides that speak HTTP/2: extended CONNECT (RFC 8441) where the side takes it, else a request that asks for none.

use super::{H2C, MANY, service, setup};
use crate::harness::client::Ending;
use crate::harness::http2::{Http2, connect};
use crate::harness::{
    Backend, Client, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use crossfade::message::websocket::accept;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

with_one_worker_and_with_four!(
    websockets_of_both_kinds_of_clients_are_streams_of_the_side,
    each_way_has_an_end_of_its_own,
    a_tunnel_that_is_reset_ends_at_the_other_end,
    what_is_refused_is_answered,
    a_side_that_knows_none_is_not_asked_for_any,
    what_is_no_websocket_is_not_asked_for,
);

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn ask(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: {KEY}\r\nsec-websocket-protocol: chat\r\n\r\n"
    )
}

/// The heads of the requests that a service got, and whether it has seen the end of the client's way of each.
type Asked = Arc<Mutex<Vec<(Request<()>, bool)>>>;

/// A service that takes extended CONNECT: at `/no` it refuses, at `/large` it sends 3 MiB and its end before it reads, at `/reset` it resets at the first
/// bytes; elsewhere it gives back what it gets, to the end.
fn tunnels() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let mut settings = h2::server::Builder::new();
    settings.enable_connect_protocol();
    let address = service(settings, move |request, respond| {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((Request::from_parts(head, ()), false));
            seen.len() - 1
        };
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            if talk(&path, body, respond).await.is_some() {
                seen.lock().unwrap()[number].1 = true;
            }
        });
    });
    (address, asked)
}

async fn talk(path: &str, mut body: RecvStream, mut respond: SendResponse<Bytes>) -> Option<()> {
    if path == "/no" {
        let head = Response::builder().status(403).body(()).unwrap();
        let mut sink = respond.send_response(head, false).ok()?;
        sink.send_data("no".into(), true).ok()?;
        while let Some(data) = body.data().await {
            data.ok()?;
        }
        return Some(());
    }
    let head = Response::builder().header("sec-websocket-protocol", "chat");
    let mut sink = respond.send_response(head.body(()).unwrap(), false).ok()?;
    if path == "/large" {
        sink.send_data(vec![b'x'; 3 << 20].into(), true).ok()?;
    }
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        let _ = body.flow_control().release_capacity(data.len());
        match path {
            "/reset" => sink.send_reset(Reason::CANCEL),
            "/large" => {}
            _ => sink.send_data(data, false).ok()?,
        }
    }
    if path != "/large" {
        sink.send_data(Bytes::new(), true).ok()?;
    }
    Some(())
}

/// A client of HTTP/1.1 whose request was answered with 101.
fn switched(proxy: &Proxy, path: &str) -> Client {
    let mut client = proxy.client();
    client.send(ask(path));
    let head = client.head();
    assert_eq!(head.status, 101);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", &accept(KEY)),
        ("sec-websocket-protocol", "chat"),
    ] {
        assert_eq!(head.headers[name], value);
    }
    client
}

fn websockets_of_both_kinds_of_clients_are_streams_of_the_side(workers: usize) {
    let (address, asked) = tunnels();
    let limits = "idle_timeout = \"200ms\"\nresponse_timeout = \"200ms\"\nbody_timeout = \"200ms\"";
    let proxy = setup(&address, workers).set("limits", limits).start();
    let mut client = switched(&proxy, "/chat?a=1");
    let other = Http2::connect(proxy.address());
    other.wait_for_extended_connect();
    let (response, mut upload) = other.send(connect("websocket", "/chat", &[]), false);
    let response = other.wait(response).unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let mut near = response.into_body();
    for number in 0..50_u8 {
        client.send([number; 9]);
        assert_eq!(client.read_exactly(9), [number; 9]);
        let bytes = Bytes::from(vec![number; 5]);
        upload.send_data(bytes.clone(), false).unwrap();
        assert_eq!(other.piece(&mut near), bytes);
    }
    // A connection that says nothing has its time while the tunnels have.
    Http2::connect(proxy.address()).closed();
    client.send("later");
    assert_eq!(client.read_exactly(5), b"later");
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 2.0);
    for (request, _) in &*asked.lock().unwrap() {
        assert_eq!(request.method(), "CONNECT");
        let protocol = request.extensions().get::<h2::ext::Protocol>().unwrap();
        assert_eq!(protocol.as_str(), "websocket");
        for name in ["sec-websocket-key", "upgrade", "connection", "host"] {
            assert!(!request.headers().contains_key(name), "{name}");
        }
    }
    {
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0].0.uri(), "http://a.test/chat?a=1");
        assert_eq!(asked[0].0.headers()["sec-websocket-version"], "13");
    }
    drop((client, near, upload, other));
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    proxy.wait_for_metric("crossfade_upstream_connections", &[("side", "old")], 0.0);
}

fn each_way_has_an_end_of_its_own(workers: usize) {
    let (address, asked) = tunnels();
    let proxy = setup(&address, workers).start();
    let mut client = switched(&proxy, "/chat");
    let (mut reader, sent) = (client, vec![b'y'; 1 << 20]);
    client = switched(&proxy, "/large");
    // What the service has not read, and the client has not, waits between the two.
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(client.rest(), (vec![b'x'; 3 << 20], Ending::Closed));
            client.send("still there");
            assert!(!asked.lock().unwrap()[1].1);
            client.finish_sending();
        });
        scope.spawn(move || {
            for piece in sent.chunks(10_000) {
                reader.send(piece);
                assert_eq!(reader.read_exactly(piece.len()), piece);
            }
            reader.finish_sending();
            assert_eq!(reader.rest(), (Vec::new(), Ending::Closed));
        });
    });
    wait_until("the side sees both ends", || {
        asked.lock().unwrap().iter().all(|(_, ended)| *ended)
    });
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
}

fn a_tunnel_that_is_reset_ends_at_the_other_end(workers: usize) {
    let (address, _) = tunnels();
    let proxy = setup(&address, workers).start();
    let mut other = switched(&proxy, "/chat");
    let mut client = switched(&proxy, "/reset");
    client.send("x");
    client.rest();
    proxy.wait_for_metric("crossfade_tunnels", &[], 1.0);
    other.send("ping");
    assert_eq!(other.read_exactly(4), b"ping");
    other.reset();
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
}

fn what_is_refused_is_answered(workers: usize) {
    let (address, asked) = tunnels();
    let proxy = setup(&address, workers).start();
    let mut client = proxy.client();
    client.send(ask("/no"));
    let answer = client.answer("GET");
    assert_eq!((answer.status, answer.text()), (403, "no"));
    wait_until("the side's stream has ended", || asked.lock().unwrap()[0].1);
    let other = Http2::connect(proxy.address());
    other.wait_for_extended_connect();
    let (response, _upload) = other.send(connect("websocket", "/no", &[]), false);
    let answer = other.answer(response).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (403, &b"no"[..]));
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 0.0);
}

fn a_side_that_knows_none_is_not_asked_for_any(workers: usize) {
    let backend = Backend::multiplexed(MANY, |seen| match &*seen.target {
        "/no" => Reply::status(426).body("no"),
        _ => Reply::text("ok"),
    });
    let proxy = setup(&backend, workers).start();
    let mut client = proxy.client();
    for (path, expected) in [("/chat", (200, "ok")), ("/no", (426, "no"))] {
        client.send(ask(path));
        let answer = client.answer("GET");
        assert_eq!((answer.status, answer.text()), expected);
        let seen = backend.only_request();
        assert_eq!((&*seen.method, &*seen.target), ("GET", path));
        assert!(seen.header("upgrade").is_empty());
        backend.forget();
    }
    // Every 2xx would open a tunnel there.
    let other = Http2::connect(proxy.address());
    other.wait_for_extended_connect();
    for (path, status) in [("/chat", 502), ("/no", 426)] {
        let (response, _upload) = other.send(connect("websocket", path, &[]), false);
        assert_eq!(other.answer(response).unwrap().status, status);
    }
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 0.0);
}

fn what_is_no_websocket_is_not_asked_for(workers: usize) {
    let (address, asked) = tunnels();
    let backend = Backend::text("old");
    let proxy = Setup::new(&backend, &address)
        .set("new", "protocol = \"h2\"")
        .listens(H2C)
        .workers(workers)
        .route("name = \"r\"\nmatch = \"GET /{rest*}\"\nserve = \"new\"")
        .start();
    let mut client = proxy.client();
    for request in [
        ask("/chat").replace("upgrade: websocket", "upgrade: chat"),
        ask("/chat").replace("upgrade: websocket", "upgrade: websocket, chat"),
        ask("/chat").replace("sec-websocket-key", "x-key"),
    ] {
        client.send(request);
        assert_eq!(client.answer("GET").status, 200);
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    for (request, _) in &*asked {
        assert_eq!(request.method(), "GET");
        assert!(!request.headers().contains_key("upgrade"));
    }
}
