//! How many requests a side answers at once: exact, whatever its addresses, its tunnels, and the settings under which they began.

use super::rejected;
use crate::harness::proxy::nobody;
use crate::harness::{
    Backend, Client, Gate, Peer, Proxy, Reply, Setup, Step, wait_until,
    with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    several_addresses_have_one_limit,
    requests_under_other_settings_count,
    a_tunnel_counts_until_it_ends,
    who_leaves_the_queue_makes_room,
);

fn waiting(proxy: &Proxy) -> f64 {
    proxy.metric("crossfade_upstream_waiting", &[("side", "old")])
}

/// Asks, and waits until `is_so`.
#[track_caller]
fn ask(proxy: &Proxy, what: &str, is_so: impl FnMut() -> bool) -> Client {
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    wait_until(what, is_so);
    client
}

#[track_caller]
fn assert_full(proxy: &Proxy) {
    let before = rejected(proxy, "in_flight");
    assert_eq!(proxy.get("/").status, 503);
    proxy.wait_for_metric(
        "crossfade_rejected_total",
        &[("reason", "in_flight")],
        before + 1.0,
    );
}

fn several_addresses_have_one_limit(workers: usize) {
    let gate = Gate::default();
    let backends = [(); 3].map(|()| {
        let opened = gate.clone();
        Backend::start(move |_| Reply::text("ok").after(&opened))
    });
    let count = || backends.iter().map(Backend::count).sum::<usize>();
    let urls: Vec<_> = backends
        .iter()
        .map(|backend| format!("\"http://{}\"", backend.address()))
        .collect();
    let proxy = Setup::new(&nobody(), &nobody())
        .instead("old", &format!("urls = [{}]", urls.join(", ")))
        .set("old", "pool = { queue = 2 }")
        .set("limits", "in_flight = 4")
        .workers(workers)
        .start();
    let mut clients: Vec<_> = (1..=4)
        .map(|number| ask(&proxy, "it is with a side", || count() == number))
        .collect();
    for number in 1..=2 {
        let client = ask(&proxy, "it waits", || waiting(&proxy) == f64::from(number));
        clients.push(client);
    }
    assert_full(&proxy);
    assert_eq!(count(), 4);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer("GET").text(), "ok");
    }
    assert_eq!((count(), waiting(&proxy)), (6, 0.0));
    assert_eq!(proxy.get("/").status, 200, "every place is free again");
}

fn requests_under_other_settings_count(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .set("old", "timeout = \"19s\"\npool = { queue = 1 }")
        .set("limits", "in_flight = 2")
        .workers(workers)
        .start();
    let first = ask(&proxy, "it is with the side", || backend.count() == 1);
    proxy.edit("timeout = \"19s\"", "timeout = \"18s\"");
    wait_until("the edit is in force", || proxy.generation() == 2);
    let second = ask(&proxy, "it is with the side", || backend.count() == 2);
    let third = ask(&proxy, "it waits", || waiting(&proxy) == 1.0);
    assert_full(&proxy);
    proxy.edit("in_flight = 2", "in_flight = 4");
    wait_until("the edit is in force", || proxy.generation() == 3);
    // With a larger limit nobody stands behind those that came under a smaller one.
    let fourth = ask(&proxy, "both are with the side", || backend.count() == 4);
    assert_eq!(waiting(&proxy), 0.0);
    gate.open();
    for mut client in [first, second, third, fourth] {
        assert_eq!(client.answer("GET").text(), "ok");
    }
    assert_eq!(backend.most_at_once(), 4);
}

fn a_tunnel_counts_until_it_ends(workers: usize) {
    const SWITCHED: &str =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let peer = Peer::start(vec![
        vec![Step::ReadHead, Step::Send(SWITCHED.into()), Step::Drain],
        vec![Step::ReadHead, Step::Send(answer.into())],
    ]);
    let proxy = Setup::both(&peer)
        .set("old", "pool = { queue = 0 }")
        .set("limits", "in_flight = 1")
        .workers(workers)
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n");
    assert_eq!(client.head().status, 101);
    assert_full(&proxy);
    drop(client);
    proxy.wait_for_metric("crossfade_tunnels", &[], 0.0);
    assert_eq!(proxy.get("/").text(), "ok");
}

fn who_leaves_the_queue_makes_room(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .set("old", "pool = { queue = 1 }")
        .set("limits", "in_flight = 1")
        .workers(workers)
        .start();
    let mut first = ask(&proxy, "it is with the side", || backend.count() == 1);
    for _ in 0..3 {
        let waits = ask(&proxy, "it waits", || waiting(&proxy) == 1.0);
        assert_full(&proxy);
        waits.reset();
        wait_until("it has gone", || waiting(&proxy) == 0.0);
    }
    let mut last = ask(&proxy, "it waits", || waiting(&proxy) == 1.0);
    gate.open();
    assert_eq!(first.answer("GET").text(), "ok");
    assert_eq!(last.answer("GET").text(), "ok");
    assert_eq!((backend.count(), backend.most_at_once()), (2, 1));
}
