//! Attacks over HTTP/2: the attacker's connection is closed and counted, and all requests of an honest client succeed meanwhile.

use crate::harness::backend::Piece;
use crate::harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE, PING,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, preface, request,
};
use crate::harness::{Backend, Client, Gate, Proxy, Reply, Setup, with_one_worker_and_with_four};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

with_one_worker_and_with_four!(
    requests_that_are_reset_at_once,
    requests_that_are_reset_when_they_are_under_way,
    heads_that_never_end,
    heads_that_are_too_large,
    empty_data,
    window_updates_that_break_the_rules,
    settings_and_pings_whose_answers_are_read,
    settings_and_pings_whose_answers_nobody_reads,
    fields_that_are_named_again_and_again,
    no_protocol_at_all,
    windows_that_never_open,
);

/// Bytes after which an attack that is not answered by a close counts as one that succeeded.
const MOST: usize = 64 << 20;

fn start(backend: &Backend, workers: usize) -> Proxy {
    let listens = r#"{ address = "127.0.0.1:0", h2c = true }"#;
    Setup::both(backend)
        .listens(listens)
        .workers(workers)
        .start()
}

/// Sends what `attack` makes, again and again, until the connection is closed, while an honest client asks.
fn attack(proxy: &Proxy, begin: &[u8], attack: impl FnMut(u32) -> Vec<u8>) {
    // What the proxy answers is read all the time: it must not be the full buffers that stop the attack.
    besiege(proxy, begin, attack, Client::skim);
}

/// The same; after each piece is asked whether the connection was closed.
fn besiege(
    proxy: &Proxy,
    begin: &[u8],
    mut attack: impl FnMut(u32) -> Vec<u8>,
    mut is_closed: impl FnMut(&mut Client) -> bool,
) {
    let over = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let client = Http2::connect(proxy.address());
            while !over.load(Ordering::Relaxed) || asked.load(Ordering::Relaxed) < 20 {
                assert_eq!(client.get("/honest").status, 200);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut attacker = proxy.client();
        attacker.send(begin);
        let mut sent = 0;
        for round in 0.. {
            let bytes = attack(round);
            sent += bytes.len();
            assert!(sent < MOST, "the connection was not closed");
            if attacker.try_send(&bytes).is_err() || is_closed(&mut attacker) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        honest.join().unwrap();
    });
    proxy.wait_for_connections(0);
    let labels = [("reason", "http2")];
    assert_eq!(proxy.metric("crossfade_rejected_total", &labels), 1.0);
}

/// The nth number that a client may give a stream.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

fn requests_that_are_reset_at_once(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    attack(&proxy, &preface(&[]), |round| {
        let pair = |number| {
            let number = stream(round * 50 + number);
            let cancel = frame(RST_STREAM, 0, number, &8_u32.to_be_bytes());
            [request(number, "GET", "/", END_STREAM), cancel].concat()
        };
        (0..50).flat_map(pair).collect()
    });
    let forwarded = backend.requests();
    let attacked = forwarded.iter().filter(|seen| seen.target != "/honest");
    assert!(attacked.count() < 1_000, "the side was spared");
}

fn requests_that_are_reset_when_they_are_under_way(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/honest" => Reply::text("ok"),
        _ => Reply::text("never").after(&Gate::default()),
    });
    let proxy = start(&backend, workers);
    attack(&proxy, &preface(&[]), |round| {
        // One by one: each reset meets a request that has begun.
        let begin = request(stream(round), "GET", "/", END_STREAM);
        let cancel = |number| frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes());
        round
            .checked_sub(20)
            .map(cancel)
            .into_iter()
            .flatten()
            .chain(begin)
            .collect()
    });
}

fn heads_that_never_end(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let block = fields(&[("x-a", "b")]);
    let begin = [preface(&[]), frame(HEADERS, END_STREAM, 1, &block)].concat();
    attack(&proxy, &begin, |_| {
        frame(CONTINUATION, 0, 1, &block).repeat(100)
    });
    assert!(
        backend
            .requests()
            .iter()
            .all(|seen| seen.target == "/honest")
    );
}

fn heads_that_are_too_large(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let value = "x".repeat(120);
    let block = fields(&[("x-a", value.as_str()); 100]);
    let begin = [preface(&[]), frame(HEADERS, END_STREAM, 1, &block)].concat();
    attack(&proxy, &begin, |_| frame(CONTINUATION, 0, 1, &block));
    assert!(
        backend
            .requests()
            .iter()
            .all(|seen| seen.target == "/honest")
    );
}

fn empty_data(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let begin = [preface(&[]), request(1, "POST", "/", 0)].concat();
    attack(&proxy, &begin, |_| frame(DATA, 0, 1, b"").repeat(1_000));
}

fn window_updates_that_break_the_rules(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/honest" => Reply::text("ok"),
        _ => Reply::status(200).pieces(vec![Piece::Wait(Gate::default())]),
    });
    let proxy = start(&backend, workers);
    // Each makes the proxy reset a stream by itself, so that the client need not ask for a reset that would be counted as its own.
    attack(&proxy, &preface(&[]), |round| {
        let number = stream(round);
        let update = frame(WINDOW_UPDATE, 0, number, &0x7fff_ffff_u32.to_be_bytes());
        [request(number, "GET", "/", END_STREAM), update].concat()
    });
    let asked = backend.requests();
    assert!(asked.iter().filter(|seen| seen.target != "/honest").count() < 1_000);
}

/// Of each a hundred.
fn settings_and_pings() -> Vec<u8> {
    let window = [0, INITIAL_WINDOW_SIZE as u8, 0, 0, 0, 9];
    let ping = frame(PING, 0, 0, b"12345678");
    [ping, frame(SETTINGS, 0, 0, &window)].concat().repeat(100)
}

fn settings_and_pings_whose_answers_are_read(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    attack(&proxy, &preface(&[]), |_| settings_and_pings());
}

fn settings_and_pings_whose_answers_nobody_reads(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    besiege(&proxy, &preface(&[]), |_| settings_and_pings(), |_| false);
}

/// Each head is within its bounds, and costs its client next to nothing; all of them are under way at once.
fn fields_that_are_named_again_and_again(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/honest" => Reply::text("ok"),
        _ => Reply::text("never").after(&Gate::default()),
    });
    let proxy = start(&backend, workers);
    // What is kept (RFC 7541 §6.2.1) is the newest field of the table.
    let kept = [&[0x40], &fields(&[("x-a", "b")])[1..]].concat();
    attack(&proxy, &preface(&[]), |round| {
        let own = fields(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "test.example"),
        ]);
        let block = [&own, &kept, &[0xbe; 90][..]].concat();
        frame(HEADERS, END_STREAM | END_HEADERS, stream(round), &block)
    });
    let asked = backend.requests();
    assert!(asked.iter().filter(|seen| seen.target != "/honest").count() < 100);
}

fn no_protocol_at_all(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers);
    let begin = [preface(&[]), frame(DATA, END_STREAM | END_HEADERS, 0, b"")].concat();
    attack(&proxy, &begin, |_| frame(DATA, 0, 0, b"x"));
}

fn windows_that_never_open(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/honest" => Reply::text("ok"),
        _ => Reply::status(200).body(vec![b'x'; 1 << 20]),
    });
    let proxy = Setup::both(&backend)
        .listens(r#"{ address = "127.0.0.1:0", h2c = true }"#)
        .set("limits", "response_timeout = \"400ms\"")
        .workers(workers)
        .start();
    let mut attacker = proxy.client();
    attacker.send(preface(&[(INITIAL_WINDOW_SIZE, 0)]));
    for number in 0..50 {
        attacker.send(request(stream(number), "GET", "/", END_STREAM));
    }
    let client = Http2::connect(proxy.address());
    // It is closed though it is not silent.
    while !attacker.skim() {
        assert_eq!(client.get("/honest").status, 200);
        if attacker.try_send(frame(PING, 0, 0, b"12345678")).is_err() {
            break;
        }
    }
    proxy.wait_for_metric(
        "crossfade_rejected_total",
        &[("reason", "response_timeout")],
        1.0,
    );
    assert_eq!(client.get("/honest").status, 200);
    proxy.wait_for_connections(1);
}
