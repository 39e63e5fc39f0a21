//! Heads, targets and bodies that are too large, and such as are just not.

use super::{rejected, wait_for_rejected};
use crate::harness::client::Ending;
use crate::harness::peer::send;
use crate::harness::{
    Answer, Backend, Client, Peer, Proxy, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    heads_have_a_size,
    heads_have_so_many_fields,
    targets_have_a_length,
    a_body_that_is_announced_as_too_large_is_refused,
    a_body_that_turns_out_too_large_is_broken_off,
    a_body_for_the_key_that_is_too_large_is_refused,
    an_edit_counts_for_new_connections,
);

fn limited(backend: &Backend, workers: usize, limits: &str) -> Proxy {
    Setup::both(backend)
        .workers(workers)
        .set("limits", limits)
        .start()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let found = (answer.status, answer.json());
    assert_eq!((found.0, found.1["code"].as_str()), (status, Some(code)));
}

/// A request without a body that hyper answers itself, or lets pass.
#[track_caller]
fn status_of(mut client: Client, request: String) -> u16 {
    client.send(request);
    let answer = client.answer("GET");
    if answer.status != 200 {
        assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    }
    answer.status
}

fn heads_have_a_size(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = limited(&backend, workers, "head_size = \"2KiB\"");
    let bare = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
    let head = |size: usize| {
        let filling = "x".repeat(size - bare);
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {filling}\r\n\r\n")
    };
    assert_eq!(status_of(proxy.client(), head(2048)), 200);
    assert_eq!(status_of(proxy.client(), head(2049)), 431);
    let endless = &head(4096)[..4000];
    assert_eq!(status_of(proxy.client(), endless.to_owned()), 431);
    wait_for_rejected(&proxy, "head_too_large", 2.0);
    assert_eq!(backend.count(), 1);
}

fn heads_have_so_many_fields(workers: usize) {
    // A backend over hyper would itself take no more than 100, ours included.
    let answer = send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for limit in [5, 100, 150] {
        let peer = Peer::always(vec![Step::ReadHead, answer.clone()]);
        let proxy = Setup::both(&peer)
            .workers(workers)
            .set("limits", &format!("head_fields = {limit}"))
            .start();
        let head = |fields: usize| {
            let more: String = (1..fields).map(|n| format!("x-{n}: 1\r\n")).collect();
            format!("GET / HTTP/1.1\r\nhost: a\r\n{more}\r\n")
        };
        assert_eq!(status_of(proxy.client(), head(limit)), 200, "{limit}");
        assert_eq!(status_of(proxy.client(), head(limit + 1)), 431, "{limit}");
        wait_for_rejected(&proxy, "head_too_large", 1.0);
        assert_eq!(peer.accepted(), 1);
    }
}

fn targets_have_a_length(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = limited(
        &backend,
        workers,
        "uri_size = \"100B\"\nhead_size = \"128KiB\"",
    );
    let mut client = proxy.client();
    let target = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert_eq!(client.get(&target(100)).status, 200);
    let refused = client.get(&target(101));
    assert_refused(&refused, 414, "uri_too_long");
    assert_eq!(client.get(&target(100)).status, 200, "it goes on");
    // Longer than hyper takes: its own answer counts as well.
    let head = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", target(70_000));
    assert_eq!(status_of(proxy.client(), head), 414);
    wait_for_rejected(&proxy, "uri_too_long", 2.0);
    assert_eq!(backend.count(), 2);
}

fn a_body_that_is_announced_as_too_large_is_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = limited(&backend, workers, "body_size = \"10B\"");
    let mut client = proxy.client();
    assert_eq!(client.request("POST", "/", &[], b"0123456789").text(), "ok");
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut client = proxy.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\n{expect}content-length: 11\r\n\r\n"
        ));
        let refused = client.answer("POST");
        assert_refused(&refused, 413, "body_too_large");
        assert_eq!(refused.interim, [0; 0], "nobody is told to go on");
        assert_eq!(client.rest().0, b"");
    }
    wait_for_rejected(&proxy, "body_too_large", 2.0);
    assert_eq!(backend.count(), 1);
}

fn a_body_that_turns_out_too_large_is_broken_off(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = limited(&backend, workers, "body_size = \"10B\"");
    let mut client = proxy.client();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"));
    assert_eq!(client.answer("POST").text(), "ok");
    backend.forget();
    for (number, rest) in [
        "5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n",
        "b\r\n0123456789x\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = proxy.client();
        client.send(format!("{head}{rest}"));
        let refused = client.answer("POST");
        assert_refused(&refused, 413, "body_too_large");
        assert_eq!(client.rest().0, b"");
        wait_for_rejected(&proxy, "body_too_large", (number + 1) as f64);
    }
    // A request that was never sent was not broken off either.
    wait_until("what the side has seen has broken off", || {
        backend.broken() == backend.count()
    });
    assert!(backend.requests().iter().all(|seen| !seen.whole));
    let answered = [("code_class", "4xx"), ("side", "none")];
    assert_eq!(proxy.metric("crossfade_requests_total", &answered), 2.0);
}

fn a_body_for_the_key_that_is_too_large_is_refused(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "body_size = \"10B\"")
        .route("name = \"search\"\nmatch = \"POST /search\"\nread = true\nkey = \"{body./id}\"")
        .start();
    let mut client = proxy.client();
    client.send("POST /search HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nb\r\n{\"id\":1}   \r\n0\r\n\r\n");
    let refused = client.answer("POST");
    assert_refused(&refused, 413, "body_too_large");
    wait_for_rejected(&proxy, "body_too_large", 1.0);
    let answered = [("route", "search"), ("code_class", "4xx")];
    assert_eq!(
        (
            backend.count(),
            proxy.metric("crossfade_requests_total", &answered)
        ),
        (0, 1.0)
    );
}

fn an_edit_counts_for_new_connections(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = limited(&backend, workers, "head_fields = 2\nbody_size = \"1B\"");
    let mut before = proxy.client();
    assert_eq!(before.get("/").status, 200);
    proxy.edit(
        "head_fields = 2\nbody_size = \"1B\"",
        "head_fields = 3\nbody_size = \"2B\"",
    );
    wait_until("the edit is in force", || proxy.generation() == 2);
    let three = "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\ny: 1\r\n\r\n";
    assert_eq!(status_of(proxy.client(), three.to_owned()), 200);
    assert_eq!(proxy.client().request("POST", "/", &[], b"12").status, 200);
    assert_eq!(rejected(&proxy, "head_too_large"), 0.0);
    assert_eq!(status_of(before, three.to_owned()), 431);
}
