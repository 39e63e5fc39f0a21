//! How many connections and requests a side gets at once, who waits, and for how long a connection stays.

use super::{MANY, failures, setup};
use crate::harness::http2::{Http2, head};
use crate::harness::{Backend, Gate, Reply, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    a_side_that_takes_one_at_a_time_answers_all,
    further_connections_are_opened_where_they_may_be,
    requests_in_flight_are_bounded_and_queued,
    connections_are_not_kept_for_ever,
    workers_share_the_connections_of_a_side,
);

fn a_side_that_takes_one_at_a_time_answers_all(workers: usize) {
    let backend = Backend::multiplexed(1, |seen| Reply::text(seen.target.clone()));
    let proxy = setup(&backend, workers)
        .set("old", "pool = { max_connections = 1 }")
        .start();
    let client = Http2::connect(proxy.address());
    let answers: Vec<_> = (0..20)
        .map(|number| {
            client
                .send(head("POST", &format!("/{number}"), &[]), true)
                .0
        })
        .collect();
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = client.answer(answer).unwrap();
        assert_eq!(
            (answer.status, answer.body),
            (200, format!("/{number}").into())
        );
    }
    assert_eq!(
        (backend.accepted(), backend.most_at_once(), backend.count()),
        (1, 1, 20)
    );
    assert_eq!(proxy.metric("crossfade_upstream_waiting", &[]), 0.0);
}

fn further_connections_are_opened_where_they_may_be(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(5, move |_| Reply::text("ok").after(&opened));
    let proxy = setup(&backend, workers)
        .set("old", "pool = { max_connections = 4 }")
        .start();
    let client = Http2::connect(proxy.address());
    let answers: Vec<_> = (0..30)
        .map(|_| client.send(head("GET", "/", &[]), true).0)
        .collect();
    wait_until("all places are taken", || backend.count() == 20);
    proxy.wait_for_metric("crossfade_upstream_waiting", &[("side", "old")], 10.0);
    assert_eq!(backend.accepted(), 4);
    gate.open();
    for answer in answers {
        assert_eq!(client.answer(answer).unwrap().status, 200);
    }
    assert_eq!((backend.accepted(), backend.count()), (4, 30));
}

fn requests_in_flight_are_bounded_and_queued(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(MANY, move |_| Reply::text("ok").after(&opened));
    let proxy = setup(&backend, workers)
        .set("limits", "in_flight = 3")
        .set("old", "pool = { queue = 2 }")
        .start();
    let clients: Vec<_> = (0..5)
        .map(|number| {
            let mut client = proxy.client();
            client.send_request("GET", "/", &[], b"");
            wait_until("it is there", || {
                let waiting = proxy.metric("crossfade_upstream_waiting", &[("side", "old")]);
                backend.count() + waiting as usize == number + 1
            });
            client
        })
        .collect();
    assert_eq!(backend.count(), 3);
    assert_eq!(proxy.get("/").status, 503);
    assert_eq!(failures(&proxy, "queue"), 1.0);
    gate.open();
    for mut client in clients {
        assert_eq!(client.answer("GET").status, 200);
    }
    assert_eq!(backend.most_at_once(), 3);
}

fn connections_are_not_kept_for_ever(workers: usize) {
    let backend = Backend::multiplexed(MANY, |_| Reply::text("ok"));
    let check = |pool: &str, stays: usize| {
        let before = backend.accepted();
        let proxy = setup(&backend, workers)
            .set("old", &format!("pool = {{ {pool} }}"))
            .start();
        let mut client = proxy.client();
        for _ in 0..5 {
            assert_eq!(client.get("/").status, 200, "{pool}");
        }
        if stays == 0 {
            wait_until("none is left", || backend.open() == 0);
        } else {
            assert_eq!(
                (backend.accepted() - before, backend.open()),
                (1, 1),
                "{pool}"
            );
        }
        backend.accepted() - before
    };
    check("idle_timeout = \"10m\"", 1);
    wait_until("it went with its proxy", || backend.open() == 0);
    check("idle_timeout = \"30ms\"", 0);
    check("idle_timeout = \"10m\", max_age = \"30ms\"", 0);
    assert_eq!(check("max_idle = 0", 0), 5);
}

fn workers_share_the_connections_of_a_side(workers: usize) {
    let backend = Backend::multiplexed(2, |_| Reply::text("ok"));
    let proxy = setup(&backend, workers)
        .set(
            "old",
            "pool = { max_connections = 2, idle_timeout = \"10m\" }",
        )
        .start();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut client = proxy.client();
                for _ in 0..20 {
                    assert_eq!(client.request("POST", "/", &[], b"body").status, 200);
                }
            });
        }
    });
    assert_eq!((backend.count(), backend.broken()), (240, 0));
    assert!(backend.most_at_once() <= 4);
    assert!(proxy.metric("crossfade_upstream_connections", &[("side", "old")]) <= 2.0);
}
