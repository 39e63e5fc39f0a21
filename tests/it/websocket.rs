//! WebSockets of clients that speak HTTP/2 (RFC 8441): what the side is asked, what it has to prove, and how long a stream lasts.

use crate::harness::http2::{Http2, connect};
use crate::harness::peer::send;
use crate::harness::proxy::own_address;
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use crossfade::message::websocket::accept;
use h2::{Reason, RecvStream, SendStream};
use http::Request;

with_one_worker_and_with_four!(
    bytes_go_both_ways_beside_other_requests,
    each_way_has_an_end_of_its_own,
    a_stream_that_is_reset_ends_the_tunnel,
    a_tunnel_outlasts_every_limit_of_time,
    a_side_that_does_not_open_it_is_no_tunnel,
    no_other_connect_is_taken,
    a_stop_says_goaway_and_ends_tunnels_when_its_time_is_over,
    fallback_holds_until_the_101,
);

const H2C: &str = r#"{ address = "127.0.0.1:0", h2c = true }"#;
const ASK: [(&str, &str); 3] = [
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "chat"),
    ("origin", "http://a.example"),
];

fn key_in(request: &str) -> &str {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    key.expect("a key")
}

fn switched(request: &str) -> String {
    let accept = accept(key_in(request));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\nsec-websocket-protocol: chat\r\n\r\n"
    )
}

fn opens(then: Vec<Step>) -> Vec<Step> {
    [vec![Step::ReadHead, Step::Reply(switched)], then].concat()
}

fn echo() -> Vec<Step> {
    opens(vec![Step::ReadBody(4), send("pong"), Step::Drain])
}

fn client_of(proxy: &Proxy) -> Http2 {
    let client = Http2::connect(proxy.address());
    client.wait_for_extended_connect();
    client
}

/// A tunnel that was granted.
#[track_caller]
fn open(client: &Http2) -> (RecvStream, SendStream<Bytes>) {
    let (response, upload) = client.send(connect("websocket", "/chat", &ASK), false);
    let response = client.wait(response).unwrap();
    let headers = response.headers();
    assert_eq!(
        (
            response.status().as_u16(),
            &headers["sec-websocket-protocol"]
        ),
        (200, &"chat".parse().unwrap())
    );
    for name in [
        "upgrade",
        "connection",
        "sec-websocket-accept",
        "content-length",
    ] {
        assert!(!headers.contains_key(name), "{name}");
    }
    (response.into_body(), upload)
}

#[track_caller]
fn play(client: &Http2, (near, upload): &mut (RecvStream, SendStream<Bytes>)) {
    upload
        .send_data(Bytes::from_static(b"ping"), false)
        .unwrap();
    assert_eq!(client.piece(near), "pong");
}

fn bytes_go_both_ways_beside_other_requests(workers: usize) {
    let old = Peer::always(echo());
    let new = Backend::text("ok");
    let proxy = Setup::new(&old, &new)
        .listens(H2C)
        .workers(workers)
        .route("name = \"rest\"\nmatch = \"GET /rest\"\nserve = \"new\"")
        .start();
    let client = client_of(&proxy);
    let mut tunnels = [(); 3].map(|()| open(&client));
    for tunnel in &mut tunnels {
        play(&client, tunnel);
        assert_eq!(client.get("/rest").status, 200);
    }
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 3.0);
    let request = old.contacts()[0].text().to_ascii_lowercase();
    assert!(request.starts_with("get /chat http/1.1\r\n"), "{request}");
    for line in [
        "host: test.example",
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
        "origin: http://a.example",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}");
    }
    let keys = old.contacts();
    let texts = keys
        .iter()
        .map(|contact| contact.text())
        .collect::<Vec<_>>();
    assert_ne!(key_in(&texts[0]), key_in(&texts[1]));
    for (_, upload) in &mut tunnels {
        upload.send_data(Bytes::new(), true).unwrap();
    }
    wait_until("the side sees the ends", || {
        old.contacts().iter().all(|contact| contact.ended)
    });
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    proxy.wait_for_metric(
        "crossfade_requests_total",
        &[("code_class", "2xx"), ("side", "old"), ("method", "GET")],
        3.0,
    );
    assert_eq!(client.get("/rest").status, 200);
}

fn each_way_has_an_end_of_its_own(workers: usize) {
    let gate = Gate::default();
    let large = vec![b'x'; 3 << 20];
    let peer = Peer::start(vec![
        opens(vec![
            Step::Drain,
            Step::Wait(gate.clone()),
            Step::Send(large.clone()),
        ]),
        opens(vec![Step::FinishSending, Step::Drain]),
    ]);
    let proxy = Setup::both(&peer).listens(H2C).workers(workers).start();
    let client = client_of(&proxy);
    let (mut near, mut upload) = open(&client);
    upload
        .send_data(Bytes::from_static(b"question"), true)
        .unwrap();
    wait_until("the side sees that end", || peer.contacts()[0].ended);
    assert!(peer.contacts()[0].text().ends_with("question"));
    gate.open();
    let mut came = 0;
    while let Some(data) = client.wait(near.data()) {
        let data = data.unwrap();
        assert!(data.iter().all(|byte| *byte == b'x'));
        came += data.len();
        near.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(came, large.len());
    let (mut near, mut upload) = open(&client);
    while let Some(data) = client.wait(near.data()) {
        assert!(data.unwrap().is_empty());
    }
    upload
        .send_data(Bytes::from_static(b"still there"), true)
        .unwrap();
    wait_until("it arrives", || {
        peer.contacts()[1].text().ends_with("still there")
    });
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
}

fn a_stream_that_is_reset_ends_the_tunnel(workers: usize) {
    let peer = Peer::always(echo());
    let proxy = Setup::both(&peer).listens(H2C).workers(workers).start();
    let client = client_of(&proxy);
    let mut tunnel = open(&client);
    let mut other = open(&client);
    play(&client, &mut tunnel);
    tunnel.1.send_reset(Reason::CANCEL);
    wait_until("the side sees the end", || peer.contacts()[0].ended);
    play(&client, &mut other);
    drop((other, client));
    wait_until("the side sees the end", || peer.contacts()[1].ended);
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    proxy.wait_for_metric("crossfade_upstream_connections", &[], 0.0);
}

fn a_tunnel_outlasts_every_limit_of_time(workers: usize) {
    let peer = Peer::always(echo());
    let limits = "idle_timeout = \"200ms\"\nhead_timeout = \"200ms\"\nresponse_timeout = \"200ms\"\nbody_timeout = \"200ms\"";
    let proxy = Setup::both(&peer)
        .listens(H2C)
        .set("limits", limits)
        .workers(workers)
        .start();
    let client = client_of(&proxy);
    let mut tunnel = open(&client);
    // Three connections that say nothing, one after the other, have their time while the tunnel has.
    for _ in 0..3 {
        Http2::connect(proxy.address()).closed();
    }
    play(&client, &mut tunnel);
    drop(tunnel);
    client.closed();
}

fn a_side_that_does_not_open_it_is_no_tunnel(workers: usize) {
    let answers: [fn(&str) -> String; 5] = [
        |request| switched(request).replace("sec-websocket-accept: ", "sec-websocket-accept: A"),
        |request| switched(request).replace("sec-websocket-accept", "x-accept"),
        |request| switched(request).replace("upgrade: websocket", "upgrade: chat"),
        |_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        |_| "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_owned(),
    ];
    let scripts = answers.map(|answer| vec![Step::ReadHead, Step::Reply(answer), Step::Drain]);
    let peer = Peer::start(scripts.to_vec());
    let proxy = Setup::both(&peer)
        .listens(H2C)
        .set("old", "pool = { max_idle = 0 }")
        .workers(workers)
        .start();
    let client = client_of(&proxy);
    for status in [502, 502, 502, 502, 403] {
        let (response, _upload) = client.send(connect("websocket", "/chat", &ASK), false);
        let answer = client.answer(response).unwrap();
        assert_eq!(answer.status, status);
        assert!(status != 403 || &answer.body[..] == b"no");
    }
    assert_eq!(
        proxy.metric("crossfade_upstream_errors_total", &[("kind", "protocol")]),
        4.0
    );
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 0.0);
}

fn no_other_connect_is_taken(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).listens(H2C).workers(workers).start();
    let client = client_of(&proxy);
    let plain = Request::builder().method("CONNECT").uri("a.example:443");
    let others = [
        plain.body(()).unwrap(),
        connect("connect-udp", "/", &[]),
        connect("h2c", "/", &[]),
    ];
    for (count, request) in others.into_iter().enumerate() {
        let (response, _upload) = client.send(request, false);
        assert_eq!(client.answer(response).unwrap().status, 405);
        let labels = [("reason", "method")];
        proxy.wait_for_metric("crossfade_rejected_total", &labels, count as f64 + 1.0);
    }
    assert_eq!(client.get("/").status, 200);
    assert_eq!(backend.count(), 1);
}

fn a_stop_says_goaway_and_ends_tunnels_when_its_time_is_over(workers: usize) {
    let peer = Peer::always(echo());
    let mut proxy = Setup::both(&peer)
        .listens(&format!(
            "{{ address = \"{}\", h2c = true }}",
            own_address()
        ))
        .set("server", "drain_timeout = \"1s\"")
        .workers(workers)
        .start();
    let client = client_of(&proxy);
    let mut tunnel = open(&client);
    let address = proxy.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        wait_until("nobody can connect any more", || {
            std::net::TcpStream::connect(address).is_err()
        });
        play(&client, &mut tunnel);
        stopping.join().unwrap();
    });
    client.closed();
    wait_until("the side sees the end", || peer.contacts()[0].ended);
}

fn fallback_holds_until_the_101(workers: usize) {
    let old = Peer::always(echo());
    let new = Backend::start(|_| Reply::status(503));
    let proxy = Setup::new(&old, &new)
        .listens(H2C)
        .workers(workers)
        .route("name = \"chat\"\nmatch = \"GET /chat\"\npercent = 100\nshadow = 100")
        .start();
    let client = client_of(&proxy);
    let mut tunnel = open(&client);
    play(&client, &mut tunnel);
    assert_eq!(new.only_request().header("upgrade"), ["websocket"]);
    assert_eq!(
        proxy.metric("crossfade_shadow_sampled_total", &[]),
        0.0,
        "a tunnel has no copy"
    );
}
