//! The limits of the pools, each by what the backends counted.

use crate::harness::{Backend, Gate, Reply, Setup, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    ten_thousand_requests_need_no_more_connections_than_clients,
    connections_never_exceed_the_maximum_and_the_rest_waits,
    idle_connections_are_closed_after_their_time,
    no_more_idle_connections_are_kept_than_allowed,
    old_connections_are_not_used_again,
    a_connection_at_rest_gives_way_to_another_workers_request,
);

const SPLIT: &str = "name = \"half\"\nmatch = \"GET /{id}\"\nkey = \"{path.id}\"\npercent = 50";

fn ten_thousand_requests_need_no_more_connections_than_clients(workers: usize) {
    let (old, new) = (Backend::text("old"), Backend::text("new"));
    // However slow the machine is, no connection shall be closed for being idle.
    let patient = "pool = { idle_timeout = \"10m\" }";
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .set("old", patient)
        .set("new", patient)
        .route(SPLIT)
        .start();
    std::thread::scope(|scope| {
        for client in 0..16 {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut connection = proxy.client();
                for request in 0..625 {
                    assert_eq!(
                        connection
                            .get(&format!("/{}", client * 625 + request))
                            .status,
                        200
                    );
                }
            });
        }
    });
    assert_eq!(old.count() + new.count(), 10_000);
    for side in [&old, &new] {
        assert!(
            side.count() > 4_000 && side.accepted() <= 16,
            "{} requests over {} connections",
            side.count(),
            side.accepted()
        );
        assert_eq!(side.broken(), 0);
    }
}

fn connections_never_exceed_the_maximum_and_the_rest_waits(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", "pool = { max_connections = 3, queue = 100 }")
        .start();
    let mut clients: Vec<_> = (0..12).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send_request("GET", "/", &[], b"");
    }
    proxy.wait_for_metric("crossfade_upstream_waiting", &[("side", "old")], 9.0);
    wait_until("the side has what it may have", || backend.count() == 3);
    assert_eq!(
        proxy.metric("crossfade_upstream_connections", &[("side", "old")]),
        3.0
    );
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer("GET").text(), "ok");
    }
    assert_eq!(
        (backend.most_at_once(), backend.count(), backend.broken()),
        (3, 12, 0)
    );
    if workers == 1 {
        assert_eq!(
            backend.accepted(),
            3,
            "one worker hands a connection on without closing it"
        );
    }
    assert_eq!(proxy.metric("crossfade_upstream_waiting", &[]), 0.0);
}

fn idle_connections_are_closed_after_their_time(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", "pool = { idle_timeout = \"100ms\" }")
        .start();
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "ok");
    wait_until("the idle connection is closed", || backend.open() == 0);
    proxy.wait_for_metric("crossfade_upstream_connections", &[], 0.0);
    assert_eq!((client.get("/").text(), backend.accepted()), ("ok", 2));
}

fn no_more_idle_connections_are_kept_than_allowed(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let pool = "pool = { max_idle = 2, idle_timeout = \"10m\" }";
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", pool)
        .start();
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send_request("GET", "/", &[], b"");
    }
    wait_until("all are with the side", || backend.count() == 8);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer("GET").text(), "ok");
    }
    wait_until("all but two are closed", || backend.open() <= 2);
    assert_eq!((backend.most_open(), backend.open()), (8, 2));
}

fn old_connections_are_not_used_again(workers: usize) {
    let backend = Backend::text("ok");
    let pool = "pool = { max_age = \"50ms\", idle_timeout = \"10m\" }";
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("old", pool)
        .start();
    let mut client = proxy.client();
    wait_until("a second connection was opened", || {
        client.get("/").text() == "ok" && backend.accepted() >= 2
    });
    assert_eq!(backend.broken(), 0);
    assert!(backend.most_open() <= 2);
}

fn a_connection_at_rest_gives_way_to_another_workers_request(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set(
            "old",
            "pool = { max_connections = 1, idle_timeout = \"10m\" }",
        )
        .start();
    // Connections go to the worker that has the fewest: one each.
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }
    assert_eq!((backend.count(), backend.most_at_once()), (12, 1));
    if workers == 1 {
        assert_eq!(backend.accepted(), 1);
    } else {
        assert!(backend.accepted() > 4, "each worker had to open its own");
    }
}
