//! What guards requests from a side that fails holds for one that speaks HTTP/2, too.

use super::{H2C, KEPT, MANY, failures, setup};
use crate::harness::http2::{Http2, head};
use crate::harness::proxy::{full, nobody};
use crate::harness::{
    Backend, Gate, Reply, Setup, Side, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    a_new_side_that_fails_is_left_alone_and_found_again,
    old_is_asked_where_new_is_silent,
    a_side_that_begins_to_speak_late_is_waited_for,
    an_edit_changes_what_a_side_is_spoken_to_in,
    a_client_that_waits_for_100_is_told_to_go_on,
);

/// New speaks HTTP/2, old does not.
fn split(old: &Backend, new: &Backend, workers: usize, more: &str) -> Setup {
    Setup::new(old, new)
        .set("new", "protocol = \"h2\"")
        .set("new", KEPT)
        .listens(H2C)
        .workers(workers)
        .route(&format!(
            "name = \"r\"\nmatch = \"GET /{{id}}\"\npercent = 100\n{more}"
        ))
}

fn a_new_side_that_fails_is_left_alone_and_found_again(workers: usize) {
    let old = Backend::text("old");
    // It resets each stream in place of an answer.
    let new = Backend::multiplexed(MANY, |_| {
        Reply::status(200).pieces(vec![crate::harness::backend::Piece::Break])
    });
    let proxy = split(&old, &new, workers, "").start();
    let is_open = || {
        let labels = [("side", "new"), ("role", "serve")];
        proxy.metric("crossfade_breaker_open", &labels) == 1.0
    };
    let mut client = proxy.client();
    wait_until("it is left alone", || {
        assert_eq!(client.get("/a").text(), "old");
        is_open()
    });
    assert!(new.count() >= 50);
    assert_eq!(new.accepted(), 1, "each failure was one stream's alone");
    let spared = || proxy.metric("crossfade_fallbacks_total", &[("reason", "breaker")]);
    wait_until("old answers", || {
        client.get("/a").text() == "old" && spared() >= 1.0
    });
    new.answer_with(|_| Reply::text("new"));
    wait_until("new is asked again", || {
        client.get("/a");
        !is_open()
    });
    assert_eq!(client.get("/a").text(), "new");
}

fn old_is_asked_where_new_is_silent(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let old = Backend::text("old");
    let new = Backend::multiplexed(MANY, move |seen| match &*seen.target {
        "/silent" => Reply::text("late").after(&Gate::default()),
        _ => Reply::text("new").after(&opened),
    });
    let after = "fallback = { after = \"300ms\" }";
    let proxy = split(&old, &new, workers, after)
        .route("name = \"patient\"\nmatch = \"GET /patient/{id}\"\nserve = \"new\"")
        .start();
    let client = Http2::connect(proxy.address());
    let (patient, _) = client.send(head("GET", "/patient/1", &[]), true);
    assert_eq!(client.get("/silent").body, "old");
    wait_until("new is told", || new.broken() == 1);
    gate.open();
    assert_eq!(client.answer(patient).unwrap().body, "new");
    assert_eq!(client.get("/a").body, "new");
    assert_eq!((new.accepted(), new.open()), (1, 1));
    let reason = [("reason", "timeout")];
    assert_eq!(proxy.metric("crossfade_fallbacks_total", &reason), 1.0);
}

fn a_side_that_begins_to_speak_late_is_waited_for(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let side = Side::start(move |_, talk| {
        opened.wait();
        talk.begin(&[]);
        talk.answer_all("late");
    });
    let proxy = setup(&side, workers)
        .instead("new", &format!("url = \"http://{}\"", full()))
        .set("old", "connect_timeout = \"50ms\"")
        .set("new", "connect_timeout = \"200ms\"")
        .route("name = \"nobody\"\nmatch = \"GET /nobody\"\nserve = \"new\"")
        .start();
    let client = Http2::connect(proxy.address());
    let answers = [(); 3].map(|()| client.send(head("POST", "/", &[]), true).0);
    wait_until("it is connected to", || side.accepted() == 1);
    // Its own time to connect passes while another one's does.
    assert_eq!(client.get("/nobody").status, 504);
    gate.open();
    for answer in answers {
        assert_eq!(client.answer(answer).unwrap().body, "late");
    }
    assert_eq!((failures(&proxy, "connect"), side.accepted()), (0.0, 1));
}

fn an_edit_changes_what_a_side_is_spoken_to_in(workers: usize) {
    let (one, two) = (
        Backend::text("h1"),
        Backend::multiplexed(MANY, |_| Reply::text("h2")),
    );
    let gate = Gate::default();
    let opened = gate.clone();
    two.answer_with(move |seen| match &*seen.target {
        "/slow" => Reply::halting_at(&opened),
        _ => Reply::text("h2"),
    });
    let proxy = Setup::new(&one, &nobody())
        .listens(H2C)
        .workers(workers)
        .start();
    let client = Http2::connect(proxy.address());
    assert_eq!(client.get("/").body, "h1");
    let url = |backend: &Backend| format!("url = \"http://{}\"", backend.address());
    let (plain, multiplexed) = (
        url(&one),
        format!(
            "{}\nprotocol = \"h2\"\npool = {{ idle_timeout = \"10m\" }}",
            url(&two)
        ),
    );
    proxy.edit(&plain, &multiplexed);
    wait_until("the edit is in force", || proxy.generation() == 2);
    assert_eq!(client.get("/").body, "h2");
    let (slow, _) = client.send(head("GET", "/slow", &[]), true);
    wait_until("it is asked", || two.count() == 2);
    proxy.edit(&multiplexed, &plain);
    wait_until("the edit is in force", || proxy.generation() == 3);
    assert_eq!(client.get("/").body, "h1");
    // What has begun goes on, and nothing stays behind.
    gate.open();
    assert_eq!(client.answer(slow).unwrap().body, "begun, and done");
    wait_until("the connection is closed", || two.open() == 0);
}

fn a_client_that_waits_for_100_is_told_to_go_on(workers: usize) {
    let backend = Backend::multiplexed(MANY, |_| Reply::text("ok"));
    let proxy = setup(&backend, workers).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        client.send(
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
        );
        assert_eq!(client.head().status, 100);
        assert!(
            backend
                .requests()
                .iter()
                .all(|seen| seen.header("expect").is_empty())
        );
        client.send("body");
        let answer = client.answer("POST");
        assert_eq!((answer.text(), answer.interim.len()), ("ok", 0));
    }
    assert!(backend.requests().iter().all(|seen| seen.body == "body"));
}
