//! Upgrades: what passes before and after a side's 101, and how tunnels end.

use crate::harness::client::Ending;
use crate::harness::peer::send;
use crate::harness::proxy::own_address;
use crate::harness::{
    Backend, Client, Gate, Peer, Proxy, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    bytes_go_both_ways_after_the_101_and_not_before,
    each_way_has_an_end_of_its_own,
    a_side_that_breaks_off_ends_the_tunnel,
    an_answer_that_is_no_101_is_one_like_any_other,
    what_nobody_asked_for_is_no_tunnel,
    other_kinds_of_http_are_not_asked_for,
    a_stop_ends_tunnels_when_its_time_is_over,
    what_was_asked_before_a_stop_may_become_a_tunnel,
    fallback_holds_until_the_101,
);

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: yes\r\n\r\n";
const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-key: x\r\n\r\n";

/// A client whose request was answered with 101.
fn switched(proxy: &Proxy) -> Client {
    let mut client = proxy.client();
    client.send(ASK);
    let head = client.head();
    assert_eq!(head.status, 101);
    assert_eq!(head.headers["upgrade"], "websocket");
    assert_eq!(head.headers["connection"], "upgrade");
    assert_eq!(head.headers["sec-websocket-accept"], "yes");
    client
}

fn bytes_go_both_ways_after_the_101_and_not_before(workers: usize) {
    let gate = Gate::default();
    let peer = Peer::always(vec![
        Step::ReadHead,
        Step::Wait(gate.clone()),
        send(format!("{SWITCHED}hello")),
        Step::ReadBody(5 + 6),
        send("world"),
        Step::Drain,
    ]);
    let proxy = Setup::both(&peer)
        .set(
            "limits",
            "idle_timeout = \"300ms\"\nhead_timeout = \"300ms\"\nresponse_timeout = \"300ms\"",
        )
        .workers(workers)
        .start();
    let mut client = proxy.client();
    client.send(format!("{ASK}early"));
    let seen = || {
        peer.contacts()
            .first()
            .map(|contact| contact.text())
            .unwrap_or_default()
    };
    wait_until("the side has the request", || seen().ends_with("\r\n\r\n"));
    let head = seen().to_ascii_lowercase();
    assert!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 0.0);
    gate.open();
    assert_eq!(client.head().status, 101);
    assert_eq!(client.read_exactly(5), b"hello");
    wait_until("what came early arrives", || {
        seen().ends_with("\r\n\r\nearly")
    });
    assert_eq!(proxy.metric("crossfade_tunnels", &[]), 1.0);
    proxy.wait_for_metric(
        "crossfade_requests_total",
        &[("code_class", "1xx"), ("side", "old")],
        1.0,
    );
    assert_eq!(proxy.metric("crossfade_inflight_requests", &[]), 0.0);
    client.send("-later");
    assert_eq!(client.read_exactly(5), b"world");
    drop(client);
    wait_until("the side sees the end", || peer.contacts()[0].ended);
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    proxy.wait_for_metric("crossfade_upstream_connections", &[], 0.0);
}

fn each_way_has_an_end_of_its_own(workers: usize) {
    let gate = Gate::default();
    let large = vec![b'x'; 3 << 20];
    let peer = Peer::start(vec![
        vec![
            Step::ReadHead,
            send(SWITCHED),
            Step::Drain,
            Step::Wait(gate.clone()),
            Step::Send(large.clone()),
        ],
        vec![
            Step::ReadHead,
            send(SWITCHED),
            Step::FinishSending,
            Step::Drain,
        ],
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = switched(&proxy);
    client.send("question");
    client.finish_sending();
    wait_until("the side sees that end", || peer.contacts()[0].ended);
    assert!(peer.contacts()[0].text().ends_with("question"));
    gate.open();
    let (answer, ending) = client.rest();
    assert!(answer == large && ending == Ending::Closed);
    let mut client = switched(&proxy);
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    client.send("still there");
    wait_until("it arrives", || {
        peer.contacts()[1].text().ends_with("still there")
    });
    assert!(!peer.contacts()[1].ended);
    drop(client);
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
}

fn a_side_that_breaks_off_ends_the_tunnel(workers: usize) {
    let gate = Gate::default();
    let peer = Peer::always(vec![
        Step::ReadHead,
        send(SWITCHED),
        Step::Wait(gate.clone()),
        Step::Reset,
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    let mut client = switched(&proxy);
    gate.open();
    client.rest();
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    proxy.wait_for_connections(0);
}

fn an_answer_that_is_no_101_is_one_like_any_other(workers: usize) {
    let backend = Backend::text("no");
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        client.send(ASK);
        let answer = client.answer("GET");
        assert_eq!((answer.status, answer.text()), (200, "no"));
        assert!(!answer.headers.contains_key("upgrade"));
    }
    assert_eq!(client.get("/").text(), "no");
    assert_eq!((backend.count(), backend.accepted()), (4, 1));
}

fn what_nobody_asked_for_is_no_tunnel(workers: usize) {
    let other = SWITCHED.replace("upgrade: websocket", "upgrade: chat");
    let peer = Peer::start(vec![
        vec![Step::ReadHead, send(other), Step::Drain],
        vec![
            Step::ReadHead,
            send("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            Step::Drain,
        ],
        vec![Step::ReadHead, send(SWITCHED), Step::Drain],
    ]);
    let proxy = Setup::both(&peer).workers(workers).start();
    for request in [ASK, ASK, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(request);
        assert_eq!(client.answer("GET").status, 502);
    }
    assert_eq!(
        proxy.metric("crossfade_upstream_errors_total", &[("kind", "protocol")]),
        3.0
    );
}

fn other_kinds_of_http_are_not_asked_for(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let ask = |method: &str, upgrade: &str, connection: &str, body: &str| {
        let mut client = proxy.client();
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\nupgrade: {upgrade}\r\nconnection: {connection}\r\n{body}"));
        assert_eq!(client.answer(method).status, 200);
        let requests = backend.requests();
        let upgrades = requests.last().unwrap().headers.contains_key("upgrade");
        let named = requests
            .last()
            .unwrap()
            .header("connection")
            .contains(&"upgrade");
        assert_eq!(upgrades, named);
        upgrades
    };
    assert!(ask("GET", "websocket", "upgrade", "\r\n"));
    assert!(ask("GET", "chat/2, websocket", "upgrade", "\r\n"));
    assert!(!ask(
        "GET",
        "h2c",
        "upgrade, http2-settings",
        "http2-settings: x\r\n\r\n"
    ));
    assert!(!ask("GET", "websocket, H2C", "upgrade", "\r\n"));
    assert!(!ask("GET", "HTTP/2.0", "upgrade", "\r\n"));
    assert!(!ask("GET", "TLS/1.0", "upgrade", "\r\n"));
    assert!(!ask("GET", "websocket", "keep-alive", "\r\n"));
    assert!(!ask("GET", "websocket", "upgrade", "upgrade: h2c\r\n\r\n"));
    assert!(!ask(
        "POST",
        "websocket",
        "upgrade",
        "content-length: 1\r\n\r\nx"
    ));
    assert!(!ask(
        "GET",
        "websocket",
        "upgrade",
        "content-length: 1\r\n\r\nx"
    ));
}

fn a_stop_ends_tunnels_when_its_time_is_over(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        send(SWITCHED),
        Step::ReadBody(4),
        send("pong"),
        Step::Drain,
    ]);
    let mut proxy = Setup::both(&peer)
        .listen(own_address())
        .set("server", "drain_timeout = \"1s\"")
        .workers(workers)
        .start();
    let mut client = switched(&proxy);
    let address = proxy.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        wait_until("nobody can connect any more", || {
            std::net::TcpStream::connect(address).is_err()
        });
        client.send("ping");
        assert_eq!(client.read_exactly(4), b"pong");
        client.rest();
        stopping.join().unwrap();
    });
    wait_until("the side sees the end", || peer.contacts()[0].ended);
}

fn fallback_holds_until_the_101(workers: usize) {
    let old = Peer::always(vec![
        Step::ReadHead,
        send(SWITCHED),
        send("old"),
        Step::Drain,
    ]);
    let new = Backend::start(|_| crate::harness::Reply::status(503));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"chat\"\nmatch = \"GET /chat\"\npercent = 100\nshadow = 100")
        .start();
    let mut client = switched(&proxy);
    assert_eq!(client.read_exactly(3), b"old");
    assert_eq!(
        proxy.metric("crossfade_fallbacks_total", &[("reason", "status")]),
        1.0
    );
    assert_eq!(
        proxy.metric("crossfade_shadow_sampled_total", &[]),
        0.0,
        "a tunnel has no copy"
    );
    assert_eq!(new.only_request().header("upgrade"), ["websocket"]);
}

fn what_was_asked_before_a_stop_may_become_a_tunnel(workers: usize) {
    let gate = Gate::default();
    let side = Peer::always(vec![
        Step::ReadHead,
        Step::Wait(gate.clone()),
        send(SWITCHED),
        Step::ReadBody(4),
        send("pong"),
        Step::Drain,
    ]);
    let other = Backend::text("ok");
    let mut proxy = Setup::new(&side, &other)
        .workers(workers)
        .route("name = \"rest\"\nmatch = \"GET /rest\"\nserve = \"new\"")
        .start();
    let mut client = proxy.client();
    client.send(ASK);
    wait_until("the side has the request", || {
        side.contacts().len() == 1 && side.contacts()[0].text().ends_with("\r\n\r\n")
    });
    let mut others: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    proxy.wait_for_connections(9);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        // Each worker has some of them, and has heard of the stop when they are told to go.
        for other in &mut others {
            wait_until("it is told to go", || {
                other.get("/rest").header("connection") == Some("close")
            });
        }
        gate.open();
        let head = client.head();
        assert_eq!(
            (head.status, &head.headers["connection"]),
            (101, &"upgrade".parse().unwrap())
        );
        client.send("ping");
        assert_eq!(client.read_exactly(4), b"pong");
        drop(client);
        stopping.join().unwrap();
    });
}
