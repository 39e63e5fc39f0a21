//! Several addresses of a side: all are asked, those that fail are left out and found again, and a request that one did not take goes to another.

use crate::harness::peer::send;
use crate::harness::proxy::{Listens, nobody, own_address};
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use std::net::SocketAddr;

with_one_worker_and_with_four!(
    every_address_is_asked,
    the_address_with_fewer_requests_in_flight_is_preferred,
    what_one_address_did_not_take_goes_to_another,
    a_read_that_one_address_broke_is_tried_at_another_within_the_budget,
    an_address_that_fails_is_ejected_and_comes_back,
    what_is_ejected_is_not_asked,
    addresses_are_checked,
    a_side_keeps_to_its_limits_whatever_its_addresses,
);

/// Old at these addresses; new is not needed.
fn setup(old: &[SocketAddr], workers: usize) -> Setup {
    let urls: Vec<_> = old
        .iter()
        .map(|address| format!("\"http://{address}\""))
        .collect();
    let setup = Setup::new(&nobody(), &nobody()).workers(workers);
    setup.instead("old", &format!("urls = [{}]", urls.join(", ")))
}

fn states(proxy: &Proxy) -> [f64; 3] {
    let page = proxy.metrics();
    ["up", "ejected", "unhealthy"]
        .map(|state| page.sum("crossfade_endpoints", &[("side", "old"), ("state", state)]))
}

fn retries(proxy: &Proxy) -> f64 {
    proxy.metric("crossfade_retries_total", &[("side", "old")])
}

fn every_address_is_asked(workers: usize) {
    let backends = [(); 3].map(|()| Backend::text("ok"));
    let proxy = setup(&backends.each_ref().map(Listens::address), workers)
        .set("old", "host = \"upstream\"")
        .start();
    wait_until("each is shown", || states(&proxy) == [3.0, 0.0, 0.0]);
    let mut client = proxy.client();
    for _ in 0..300 {
        assert_eq!(client.get("/").text(), "ok");
    }
    let counts = backends.each_ref().map(Backend::count);
    assert_eq!(counts.iter().sum::<usize>(), 300);
    assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
    for backend in &backends {
        let own = backend.address().to_string();
        assert!(
            backend
                .requests()
                .iter()
                .all(|seen| seen.header("host") == [&own])
        );
    }
    let shown = &proxy.admin_json("/api/upstreams")["sides"][0]["endpoints"];
    let urls: Vec<_> = backends
        .iter()
        .map(|backend| {
            let url = format!("http://{}", backend.address());
            serde_json::json!({"url": url, "state": "up"})
        })
        .collect();
    assert_eq!(*shown, serde_json::Value::from(urls));
}

fn the_address_with_fewer_requests_in_flight_is_preferred(workers: usize) {
    let gate = Gate::default();
    let closed = gate.clone();
    let slow = Backend::start(move |_| Reply::text("slow").after(&closed));
    let quick = Backend::text("quick");
    let proxy = setup(&[slow.address(), quick.address()], workers).start();
    let mut waiting = Vec::new();
    while slow.count() == 0 {
        let mut client = proxy.client();
        client.send_request("GET", "/", &[], b"");
        wait_until("it is with a side", || {
            slow.count() + quick.count() > waiting.len()
        });
        waiting.push(client);
    }
    waiting.drain(..waiting.len() - 1).for_each(|mut client| {
        assert_eq!(client.answer("GET").text(), "quick");
    });
    // With two, each is one of the two that chance names.
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "quick");
    }
    assert_eq!(slow.count(), 1);
    gate.open();
    assert_eq!(waiting.remove(0).answer("GET").text(), "slow");
}

fn what_one_address_did_not_take_goes_to_another(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = setup(&[nobody(), backend.address()], workers).start();
    let mut client = proxy.client();
    for number in 0..40 {
        let body = format!("{number}");
        let answer = client.request("POST", "/", &[], body.as_bytes());
        assert_eq!((answer.status, answer.text()), (200, "ok"));
    }
    let bodies: Vec<_> = backend
        .requests()
        .into_iter()
        .map(|seen| seen.body)
        .collect();
    let sent: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(bodies, sent, "each came once");
    assert_eq!(retries(&proxy), 0.0, "what was never sent is no retry");
    let refused = proxy.metric("crossfade_upstream_errors_total", &[("kind", "connect")]);
    assert!(refused >= 1.0);
}

fn a_read_that_one_address_broke_is_tried_at_another_within_the_budget(workers: usize) {
    let breaks = Peer::always(vec![Step::ReadHead, Step::Reset]);
    let serves = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        Step::Again,
    ]);
    let proxy = setup(&[breaks.address(), serves.address()], workers).start();
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    let broken = breaks.accepted() as f64;
    assert!(broken >= 1.0);
    assert_eq!(retries(&proxy), broken);
    let resets = proxy.metric("crossfade_upstream_errors_total", &[("kind", "reset")]);
    assert_eq!(resets, broken);
    // A write that was sent is not sent again.
    let fresh = setup(&[breaks.address()], workers).start();
    assert_eq!(fresh.client().request("POST", "/", &[], b"").status, 502);
    assert_eq!(retries(&fresh), 0.0);
}

fn an_address_that_fails_is_ejected_and_comes_back(workers: usize) {
    let mut backend = Backend::start_at(own_address(), |_| Reply::text("first"));
    let steady = Backend::text("steady");
    let address = backend.address();
    let proxy = setup(&[address, steady.address()], workers).start();
    let mut client = proxy.client();
    wait_until("both answer", || client.get("/").text() == "first");
    backend.stop();
    wait_until("it is ejected", || {
        assert_eq!(client.get("/").text(), "steady");
        states(&proxy) == [1.0, 1.0, 0.0]
    });
    let again = Backend::start_at(address, |_| Reply::text("again"));
    wait_until("it comes back", || client.get("/").text() == "again");
    wait_until("it is shown so", || states(&proxy) == [2.0, 0.0, 0.0]);
    drop(again);
}

fn addresses_are_checked(workers: usize) {
    let handler = |healthy: bool| {
        move |seen: &crate::harness::backend::Seen| match &*seen.target {
            "/healthz?deep=1" if healthy => Reply::text("fine"),
            "/healthz?deep=1" => Reply::status(503),
            _ => Reply::text("ok"),
        }
    };
    let (checked, other) = (Backend::start(handler(true)), Backend::start(handler(true)));
    let proxy = setup(&[checked.address(), other.address()], workers)
        .set("old", "health = \"GET /healthz?deep=1\"")
        .start();
    wait_until("each is asked", || checked.count() > 0 && other.count() > 0);
    assert_eq!(states(&proxy), [2.0, 0.0, 0.0]);
    checked.answer_with(handler(false));
    wait_until("it is found out", || states(&proxy) == [1.0, 0.0, 1.0]);
    let served = |backend: &Backend| {
        let seen = backend.requests();
        seen.iter().filter(|seen| seen.target == "/").count()
    };
    let mut client = proxy.client();
    for _ in 0..30 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!((served(&checked), served(&other)), (0, 30));
    // Where none is well, all are asked.
    other.answer_with(handler(false));
    wait_until("none is left", || states(&proxy) == [0.0, 0.0, 2.0]);
    wait_until("both serve", || {
        assert_eq!(client.get("/").text(), "ok");
        served(&checked) > 0
    });
    checked.answer_with(handler(true));
    wait_until("it is well again", || states(&proxy) == [1.0, 0.0, 1.0]);
}

fn a_side_keeps_to_its_limits_whatever_its_addresses(workers: usize) {
    let backends = [(); 3].map(|()| Backend::text("ok"));
    let proxy = setup(&backends.each_ref().map(Listens::address), workers)
        .set(
            "old",
            "pool = { max_connections = 1, idle_timeout = \"10m\" }",
        )
        .start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for _ in 0..20 {
        for client in &mut clients {
            assert_eq!(client.get("/").text(), "ok");
        }
    }
    let counts = backends.each_ref().map(Backend::count);
    assert_eq!(counts.iter().sum::<usize>(), 80);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let open = proxy.metric("crossfade_upstream_connections", &[("side", "old")]);
    assert_eq!(open, 1.0);
}

/// Its answers are no reason to ask another address, so that every one of them is seen. After five it is asked once in 1 s, 2 s, 4 s, and so on.
fn what_is_ejected_is_not_asked(workers: usize) {
    let fails = Backend::start(|_| Reply::status(503));
    let steady = Backend::text("steady");
    let proxy = setup(&[fails.address(), steady.address()], workers).start();
    let mut client = proxy.client();
    let mut failed = 0;
    for _ in 0..200 {
        failed += usize::from(client.get("/").status == 503);
    }
    assert!((5..20).contains(&failed), "{failed}");
    assert_eq!(fails.count(), failed);
}
