//! TLS with the sides: who is believed, what we show, and that whoever fails to prove a name is a side that can't be reached.

use crate::harness::backend::Seen;
use crate::harness::door::Handshake;
use crate::harness::peer::{read_head, switch_and_echo};
use crate::harness::proxy::nobody;
use crate::harness::tls::{Authority, Identity, server};
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use rustls::ServerConfig;
use std::io::{Read, Write};
use std::path::Path;

mod files;
mod reasons;

with_one_worker_and_with_four!(
    requests_go_inside_tls_and_connections_are_kept,
    who_does_not_prove_its_name_is_not_asked,
    a_handshake_counts_inside_connect_timeout,
    a_side_that_wants_a_certificate_is_shown_one,
    sessions_are_taken_up_again_within_a_side,
    reads_fall_back_and_copies_are_incomparable,
    addresses_inside_tls_are_checked_and_balanced,
    an_answer_whose_end_is_not_told_is_broken,
    a_tunnel_goes_inside_tls,
);

/// How a side with a certificate for these names speaks.
fn shows(ca: &Authority, names: &[&str]) -> ServerConfig {
    server(&ca.sign(names), None, &["http/1.1"])
}

fn ok(_: &Seen) -> Reply {
    Reply::text("ok")
}

/// Old inside TLS at this backend, which must prove to be `a.test`; new nowhere.
fn setup(backend: &Backend, workers: usize) -> Setup {
    Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead("old", &format!("url = \"https://{}\"", backend.address()))
        .set("old", TLS)
}

const TLS: &str = "tls = { ca = \"ca.pem\", server_name = \"a.test\" }";

/// A proxy beside whose file lie the authority's certificate and what else is placed.
fn start(setup: &Setup, ca: &Authority, place: impl FnOnce(&Path)) -> Proxy {
    setup.start_beside(|folder| {
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        place(folder);
    })
}

fn unreachable(proxy: &Proxy, status: u16) {
    let answer = proxy.get("/");
    assert_eq!(answer.status, status);
    assert_eq!(answer.json()["code"], "upstream_connect");
}

fn failures(proxy: &Proxy, kind: &str) -> f64 {
    let labels = [("side", "old"), ("role", "serve"), ("kind", kind)];
    proxy.metric("crossfade_upstream_errors_total", &labels)
}

fn requests_go_inside_tls_and_connections_are_kept(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::start_tls(shows(&ca, &["a.test"]), |seen| {
        Reply::text(format!("{} bytes", seen.body.len()))
    });
    let proxy = start(&setup(&backend, workers), &ca, |_| ());
    let mut client = proxy.client();
    assert_eq!(client.get("/a").text(), "0 bytes");
    for length in [1, 20_000, 3_000_000] {
        let answer = client.request("POST", "/b", &[], &vec![b'x'; length]);
        assert_eq!(answer.text(), format!("{length} bytes"));
    }
    backend.answer_with(|_| Reply::text("y".repeat(3_000_000)));
    assert_eq!(client.get("/c").body.len(), 3_000_000);
    let gate = Gate::default();
    gate.open();
    backend.answer_with(move |_| Reply::halting_at(&gate));
    assert_eq!(client.get("/d").text(), "begun, and done");
    assert_eq!(client.request("HEAD", "/e", &[], b"").status, 200);
    let expected = Handshake {
        name: Some("a.test".to_owned()),
        protocol: Some(b"http/1.1".to_vec()),
        client: None,
        resumed: false,
    };
    assert_eq!(backend.tls().handshakes(), [expected]);
    // A long head is more than the system takes at once.
    let long = "z".repeat(60_000);
    let answer = client.request("GET", "/f", &[("x-long", &long)], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(
        backend.requests().last().unwrap().header("x-long"),
        [&*long]
    );
    let shown = &proxy.admin_json("/api/upstreams")["sides"][0]["endpoints"];
    let url = format!("https://{}", backend.address());
    assert_eq!(*shown, serde_json::json!([{"url": url, "state": "up"}]));
    assert_eq!((backend.accepted(), failures(&proxy, "connect")), (1, 0.0));
}

fn who_does_not_prove_its_name_is_not_asked(workers: usize) {
    let (ca, other) = (Authority::new(), Authority::new());
    let expired = server(&ca.sign_expired(&["a.test"]), None, &[]);
    let only_http2 = server(&ca.sign(&["a.test"]), None, &["h2"]);
    for config in [
        shows(&ca, &["b.test", "127.0.0.1"]),
        shows(&other, &["a.test"]),
        expired,
        only_http2,
    ] {
        let backend = Backend::start_tls(config, ok);
        let proxy = start(&setup(&backend, workers), &ca, |_| ());
        unreachable(&proxy, 502);
        assert_eq!((failures(&proxy, "connect"), backend.count()), (1.0, 0));
        wait_until("the backend sees it refused", || {
            backend.tls().refused() == 1
        });
        // What it shows then is what counts.
        backend.tls().shake_hands_with(shows(&ca, &["a.test"]));
        assert_eq!(proxy.get("/").text(), "ok");
    }
    // Nobody speaks TLS there, and nothing is said in the clear.
    let plain = Backend::text("plain");
    let proxy = start(&setup(&plain, workers), &ca, |_| ());
    unreachable(&proxy, 502);
    assert_eq!((failures(&proxy, "connect"), plain.count()), (1.0, 0));
    // Without `server_name` it is the url's host that must be proved.
    let tls = "tls = { ca = \"ca.pem\" }";
    for (names, host, name) in [
        (["127.0.0.1", "b.test"], "127.0.0.1", None),
        (["localhost", "b.test"], "localhost", Some("localhost")),
    ] {
        let backend = Backend::start_tls(shows(&ca, &names), ok);
        let url = format!(
            "url = \"https://{host}:{}\"\n{tls}",
            backend.address().port()
        );
        let proxy = start(&setup(&backend, workers).instead("old", &url), &ca, |_| ());
        assert_eq!(proxy.get("/").text(), "ok");
        assert_eq!(backend.tls().handshakes()[0].name.as_deref(), name);
        backend.tls().shake_hands_with(shows(&ca, &["b.test"]));
        let fresh = start(&setup(&backend, workers).instead("old", &url), &ca, |_| ());
        unreachable(&fresh, 502);
    }
}

fn a_handshake_counts_inside_connect_timeout(workers: usize) {
    let ca = Authority::new();
    let silent = Peer::always(vec![Step::Drain]);
    let text = Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead(
            "old",
            &format!("url = \"https://{}\"\n{TLS}", silent.address()),
        )
        .set("old", "connect_timeout = \"150ms\"\ntimeout = \"1h\"");
    let proxy = start(&text, &ca, |_| ());
    unreachable(&proxy, 504);
    assert_eq!(failures(&proxy, "connect"), 1.0);
    wait_until("the connection is given up", || silent.open() == 0);
}

fn a_side_that_wants_a_certificate_is_shown_one(workers: usize) {
    let (ca, other) = (Authority::new(), Authority::new());
    let config = || server(&ca.sign(&["a.test"]), Some(&ca), &[]);
    let backend = Backend::start_tls(config(), ok);
    let with = TLS.replace(" }", ", cert = \"c.pem\", key = \"c.key\" }");
    let with = |identity: &Identity| {
        let setup = Setup::new(&nobody(), &nobody()).workers(workers).instead(
            "old",
            &format!("url = \"https://{}\"\n{with}", backend.address()),
        );
        start(&setup, &ca, |folder| identity.place(folder, "c"))
    };
    let ours = ca.sign(&["proxy"]);
    let proxy = with(&ours);
    let body = vec![b'x'; 100_000];
    assert_eq!(proxy.client().request("POST", "/", &[], &body).text(), "ok");
    assert_eq!(backend.tls().handshakes()[0].client, Some(ours.der()));
    // In TLS 1.3 a side refuses only after the handshake: it is one that can't be reached all the same.
    let without = start(&setup(&backend, workers), &ca, |_| ());
    for proxy in [without, with(&other.sign(&["proxy"]))] {
        unreachable(&proxy, 502);
        let answer = proxy.client().request("POST", "/", &[], &body);
        assert_eq!(answer.json()["code"], "upstream_connect");
        assert_eq!(failures(&proxy, "connect"), 2.0);
    }
    assert_eq!(backend.count(), 1);
}

fn sessions_are_taken_up_again_within_a_side(workers: usize) {
    let ca = Authority::new();
    let mut config = shows(&ca, &["a.test"]);
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    let backend = Backend::start_tls(config, ok);
    // Each request has a connection of its own.
    let side = format!(
        "url = \"https://{}\"\n{TLS}\npool = {{ max_idle = 0 }}",
        backend.address()
    );
    let setup = setup(&backend, workers)
        .instead("old", &side)
        .instead("new", &side)
        .route("name = \"new\"\nmatch = \"GET /new\"\nserve = \"new\"");
    let proxy = start(&setup, &ca, |_| ());
    let last_is_resumed = |target: &str| {
        assert_eq!(proxy.get(target).text(), "ok");
        backend.tls().handshakes().last().unwrap().resumed
    };
    for target in ["/old", "/new"] {
        assert!(!last_is_resumed(target), "what the other side said counts");
        // When the files have been looked at once more after the start, sessions begin anew.
        wait_until("a session is taken up again", || last_is_resumed(target));
    }
}

fn reads_fall_back_and_copies_are_incomparable(workers: usize) {
    let ca = Authority::new();
    let old = Backend::text("old");
    let new = Backend::start_tls(shows(&ca, &["b.test"]), ok);
    let setup = Setup::new(&old, &nobody())
        .workers(workers)
        .instead(
            "new",
            &format!("url = \"https://{}\"\n{TLS}", new.address()),
        )
        .route("name = \"moved\"\nmatch = \"GET /moved\"\npercent = 100")
        .route("name = \"copied\"\nmatch = \"GET /copied\"\nshadow = 100");
    let proxy = start(&setup, &ca, |_| ());
    assert_eq!(proxy.get("/moved").text(), "old");
    assert_eq!(proxy.get("/copied").text(), "old");
    let page = proxy.settle();
    let fallbacks = [("route", "moved"), ("reason", "connect")];
    assert_eq!(page.sum("crossfade_fallbacks_total", &fallbacks), 1.0);
    let reasons = [("route", "copied"), ("reason", "shadow_connect")];
    assert_eq!(page.sum("crossfade_incomparable_total", &reasons), 1.0);
    assert_eq!(new.count(), 0);
}

fn addresses_inside_tls_are_checked_and_balanced(workers: usize) {
    let ca = Authority::new();
    let backends = [(); 2].map(|()| Backend::start_tls(shows(&ca, &["a.test"]), ok));
    let [good, bad] = &backends;
    let urls = backends
        .each_ref()
        .map(|backend| format!("\"https://{}\"", backend.address()));
    let setup = setup(good, workers).instead(
        "old",
        &format!("urls = [{}]\n{TLS}\nhealth = \"GET /up\"", urls.join(", ")),
    );
    let proxy = start(&setup, &ca, |_| ());
    wait_until("each is checked", || {
        backends.iter().all(|backend| backend.count() > 0)
    });
    let state = |state: &str| {
        let labels = [("side", "old"), ("state", state)];
        proxy.metric("crossfade_endpoints", &labels)
    };
    assert_eq!(state("up"), 2.0);
    bad.tls().shake_hands_with(shows(&ca, &["b.test"]));
    let mut client = proxy.client();
    // What one does not take goes to the other, also before it is found out.
    wait_until("it is found out", || {
        assert_eq!(client.get("/").text(), "ok");
        state("unhealthy") == 1.0
    });
    bad.tls().shake_hands_with(shows(&ca, &["a.test"]));
    wait_until("it is well again", || state("up") == 2.0);
}

fn an_answer_whose_end_is_not_told_is_broken(workers: usize) {
    let ca = Authority::new();
    let config = std::sync::Arc::new(shows(&ca, &["a.test"]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "url = \"https://{}\"\n{TLS}",
        listener.local_addr().unwrap()
    );
    let side = std::thread::spawn(move || {
        for is_told in [true, false] {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, listener.accept().unwrap().0);
            read_head(&mut stream);
            // Its body ends with the connection.
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it")
                .unwrap();
            if is_told {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
        }
    });
    let setup = Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead("old", &url);
    let proxy = start(&setup, &ca, |_| ());
    assert_eq!(proxy.get("/").text(), "all of it");
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    client.try_answer("GET").unwrap_err();
    side.join().unwrap();
    assert_eq!(failures(&proxy, "reset"), 1.0);
}

fn a_tunnel_goes_inside_tls(workers: usize) {
    let ca = Authority::new();
    let config = std::sync::Arc::new(shows(&ca, &["a.test"]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "url = \"https://{}\"\n{TLS}",
        listener.local_addr().unwrap()
    );
    let side = std::thread::spawn(move || {
        let session = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::StreamOwned::new(session, listener.accept().unwrap().0);
        switch_and_echo(&mut stream);
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        // The client's end comes inside TLS too.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    let setup = Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead("old", &url);
    let proxy = start(&setup, &ca, |_| ());
    let mut client = proxy.client();
    assert_eq!(client.switch_and_hear(b"ping").0, b"ping");
    drop(client);
    side.join().unwrap();
}
