//! What clients that speak HTTP/2 may take: each limit by what they see, and by what is counted.

use super::{H2C, sum};
use crate::harness::backend::Piece;
use crate::harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE, PING,
    SETTINGS, WINDOW_UPDATE, fields, frame, head, next_frame, preface, request,
};
use crate::harness::{
    Backend, Client, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    heads_and_streams_have_limits,
    a_head_that_the_library_refuses_is_counted,
    heads_have_as_many_fields_as_any,
    a_hundred_requests_may_name_their_fields_again,
    a_hundred_calls_of_a_few_bytes_all_begin,
    pings_may_come_with_what_is_asked,
    heads_that_do_not_come_whole_are_ended,
    bodies_have_the_limits_of_any,
    a_small_answer_that_finds_no_room_is_ended,
    an_answer_that_nobody_reads_is_ended,
    a_client_that_never_says_what_it_wants_is_ended,
    a_client_that_is_gone_is_found_out,
    windows_are_as_large_as_the_file_says,
);

fn start(backend: &Backend, workers: usize, limits: &str) -> Proxy {
    Setup::both(backend)
        .listens(H2C)
        .set("limits", limits)
        .workers(workers)
        .start()
}

/// Waits until this is all that was refused.
#[track_caller]
fn wait_for_rejected(proxy: &Proxy, reason: &str, count: f64) {
    let labels = [("reason", reason)];
    proxy.wait_for_metric("crossfade_rejected_total", &labels, count);
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), count);
}

fn heads_and_streams_have_limits(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| match seen.target.as_str() {
        "/quick" => Reply::text("ok"),
        _ => Reply::text("ok").after(&opened),
    });
    let proxy = start(&backend, workers, "http2 = { streams = 3 }");
    let client = Http2::connect(proxy.address());
    assert_eq!(client.get("/quick").status, 200, "the limit is known");
    backend.forget();
    let answers: Vec<_> = (0..6)
        .map(|_| client.send(head("GET", "/", &[]), true).0)
        .collect();
    wait_until("three are with the side", || backend.count() == 3);
    gate.open();
    for answer in answers {
        assert_eq!(client.answer(answer).unwrap().status, 200);
    }
    assert!(backend.most_at_once() <= 3);
}

fn a_head_that_the_library_refuses_is_counted(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/empty" => Reply::status(204),
        "/431" => Reply::status(431),
        _ => Reply::status(200)
            .header("trailer", "x-sum")
            .pieces(vec![Piece::Trailers(sum("7"))]),
    });
    let proxy = start(&backend, workers, "http2 = { header_size = \"2KiB\" }");
    let client = Http2::connect(proxy.address());
    let long = "x".repeat(3_000);
    // What came before is written shorter: one and the same answer may be any of several bytes.
    for count in 1..=4 {
        for body in [b"" as &[u8], b"body"] {
            let (answer, _upload) =
                client.send(head("GET", "/", &[("x-long", &long)]), body.is_empty());
            assert_eq!(client.answer(answer).unwrap().status, 431);
        }
        for (path, status) in [("/empty", 204), ("/431", 431), ("/", 200)] {
            let trailers = [("te", "trailers")];
            assert_eq!(client.request("GET", path, &trailers, b"").status, status);
        }
        wait_for_rejected(&proxy, "head_too_large", f64::from(2 * count));
    }
    assert_eq!(backend.count(), 12);
}

fn heads_have_as_many_fields_as_any(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, "head_fields = 10");
    let client = Http2::connect(proxy.address());
    let fields = |count: usize| vec![("x-a", "b"); count];
    assert_eq!(client.request("GET", "/", &fields(10), b"").status, 200);
    assert_eq!(client.request("GET", "/", &fields(11), b"").status, 431);
    wait_for_rejected(&proxy, "head_too_large", 1.0);
    // Crumbs are one field when they are put together.
    let crumbs = vec![("cookie", "a=b"); 30];
    assert_eq!(client.request("GET", "/", &crumbs, b"").status, 200);
    assert_eq!(backend.count(), 2);
}

/// The library names by a byte what it has sent before, as all clients do.
fn a_hundred_requests_may_name_their_fields_again(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = start(&backend, workers, "");
    let client = Http2::connect(proxy.address());
    let names: Vec<String> = (0..40).map(|number| format!("x-field-{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "value")).collect();
    let answers: Vec<_> = (0..100)
        .map(|_| client.send(head("GET", "/", &fields), true).0)
        .collect();
    wait_until("all are with the side", || backend.count() == 100);
    gate.open();
    for answer in answers {
        assert_eq!(client.answer(answer).unwrap().status, 200);
    }
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 0.0);
}

/// What has sent little begins in turns, but nobody waits for a side that is not done with what came before.
fn a_hundred_calls_of_a_few_bytes_all_begin(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = start(&backend, workers, "");
    let mut client = proxy.client();
    // GET, http, and what is kept of path and authority, which are named by a byte from then on.
    let texts = b"\x44\x02/a\x41\x04test".to_vec();
    let first = [b"\x82\x86".to_vec(), texts].concat();
    let flags = END_STREAM | END_HEADERS;
    let more =
        (1..100).flat_map(|number| frame(HEADERS, flags, 2 * number + 1, b"\x82\x86\xbf\xbe"));
    let head = frame(HEADERS, flags, 1, &first);
    client.send([preface(&[]), head, more.collect()].concat());
    wait_until("all are with the side", || backend.count() == 100);
    gate.open();
    let mut answered = 0;
    while answered < 100 {
        let (kind, flags, _) = next_frame(&mut client);
        answered += usize::from(kind == DATA && flags & END_STREAM != 0);
    }
}

/// A client that measures its way sends a PING with each piece that it gets.
fn pings_may_come_with_what_is_asked(workers: usize) {
    let backend = Backend::text("ok");
    // So that it is not time that lets them.
    let long = "response_timeout = \"1h\"\nhead_timeout = \"1h\"\nidle_timeout = \"1h\"";
    let proxy = start(&backend, workers, long);
    let mut client = proxy.client();
    client.send(preface(&[]));
    for number in 0..1_200 {
        let ping = frame(PING, 0, 0, b"12345678");
        client.send([request(2 * number + 1, "GET", "/", END_STREAM), ping].concat());
        // An answer is two frames: its head and its body.
        let mut ended = false;
        while !ended {
            let (kind, flags, _) = next_frame(&mut client);
            ended = kind == DATA && flags & END_STREAM != 0;
        }
    }
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 0.0);
}

fn heads_that_do_not_come_whole_are_ended(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| match seen.target.as_str() {
        "/quick" => Reply::text("ok"),
        _ => Reply::text("ok").after(&opened),
    });
    let proxy = start(&backend, workers, "head_timeout = \"200ms\"");
    let honest = Http2::connect(proxy.address());
    let (answer, _) = honest.send(head("GET", "/", &[]), true);
    let silent = Http2::connect(proxy.address());
    assert_eq!(silent.get("/quick").status, 200);
    let block = fields(&[("x-a", "b")]);
    let open = frame(HEADERS, END_STREAM, 1, &block);
    let whole = request(1, "GET", "/", END_STREAM);
    let beginnings = [
        open.clone(),
        [open, frame(CONTINUATION, 0, 1, &block)].concat(),
        whole[..20].to_vec(),
        whole[..5].to_vec(),
        frame(PING, 0, 0, b"12345678")[..12].to_vec(),
    ];
    for (count, bytes) in beginnings.iter().enumerate() {
        let mut slow = proxy.client();
        slow.send([preface(&[]), bytes.clone()].concat());
        slow.rest();
        wait_for_rejected(&proxy, "head_timeout", count as f64 + 1.0);
    }
    // Nor does it help to send a little now and then.
    let mut slow = proxy.client();
    slow.send([preface(&[]), frame(HEADERS, END_STREAM, 1, &block)].concat());
    for byte in frame(CONTINUATION, END_HEADERS, 1, &[0; 16_000]) {
        if slow.skim() || slow.try_send([byte]).is_err() {
            break;
        }
        assert_eq!(silent.get("/quick").status, 200);
    }
    wait_for_rejected(&proxy, "head_timeout", 6.0);
    gate.open();
    assert_eq!(honest.answer(answer).unwrap().status, 200);
    assert_eq!(silent.get("/").status, 200);
}

fn bodies_have_the_limits_of_any(workers: usize) {
    let backend = Backend::text("ok");
    let limits = "body_timeout = \"300ms\"\nbody_rate = 0\nbody_size = \"1KiB\"";
    let proxy = start(&backend, workers, limits);
    let client = Http2::connect(proxy.address());
    // One that waits for 100 is not told to go on, and is not waited for either.
    for (count, expect) in [[].as_slice(), &[("expect", "100-continue")]]
        .into_iter()
        .enumerate()
    {
        let (answer, _upload) = client.send(head("POST", "/", expect), false);
        assert_eq!(client.answer(answer).unwrap().status, 408);
        wait_for_rejected(&proxy, "body_timeout", count as f64 + 1.0);
    }
    let (answer, mut upload) = client.send(head("POST", "/", &[]), false);
    upload.send_data(vec![b'x'; 1025].into(), false).unwrap();
    assert_eq!(client.answer(answer).unwrap().status, 413);
    let labels = [("reason", "body_too_large")];
    proxy.wait_for_metric("crossfade_rejected_total", &labels, 1.0);
    assert_eq!(client.get("/").status, 200);
    let whole = backend.requests().into_iter().filter(|seen| seen.whole);
    assert_eq!(whole.count(), 1);
}

/// Waits until the proxy has closed a connection that is not silent.
fn outlast(client: &mut Client) {
    let update = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    while !client.skim() && client.try_send(&update).is_ok() {
        std::thread::yield_now();
    }
}

fn a_small_answer_that_finds_no_room_is_ended(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| match seen.target.as_str() {
        "/events" => Reply::halting_at(&opened),
        _ => Reply::text("ok"),
    });
    let proxy = start(&backend, workers, "response_timeout = \"300ms\"");
    // Both wait for the side, one of them on a connection whose client takes other answers.
    let honest = Http2::connect(proxy.address());
    let (events, _) = honest.send(head("GET", "/events", &[]), true);
    let mut body = honest.wait(events).unwrap().into_body();
    honest.piece(&mut body);
    for count in 1..=3 {
        let mut slow = proxy.client();
        slow.send(preface(&[(INITIAL_WINDOW_SIZE, 1)]));
        slow.send(request(1, "GET", "/", END_STREAM));
        outlast(&mut slow);
        wait_for_rejected(&proxy, "response_timeout", f64::from(count));
        assert_eq!(honest.get("/").status, 200);
    }
    gate.open();
    while let Some(data) = honest.wait(body.data()) {
        data.unwrap();
    }
}

fn an_answer_that_nobody_reads_is_ended(workers: usize) {
    const LARGE: u32 = (1 << 31) - 1;
    let backend = Backend::start(|_| Reply::status(200).body(vec![b'x'; 64 << 20]));
    let proxy = start(&backend, workers, "response_timeout = \"300ms\"");
    let mut slow = proxy.client();
    slow.send(preface(&[(INITIAL_WINDOW_SIZE, LARGE)]));
    let room = LARGE - 65_535;
    slow.send(frame(WINDOW_UPDATE, 0, 0, &room.to_be_bytes()));
    slow.send(request(1, "GET", "/", END_STREAM));
    wait_for_rejected(&proxy, "response_timeout", 1.0);
    proxy.wait_for_connections(0);
    wait_until("the side is left", || backend.open() == 0);
}

fn a_client_that_never_says_what_it_wants_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, "idle_timeout = \"200ms\"");
    for bytes in [&preface(&[])[..24], &preface(&[])] {
        let mut silent = proxy.client();
        silent.send(bytes);
        silent.rest();
    }
    proxy.wait_for_connections(0);
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 0.0);
}

/// Its request is under way, so that nothing but the ping that it does not answer tells that nobody is there.
fn a_client_that_is_gone_is_found_out(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let limits = "http2 = { ping = \"200ms\", ping_timeout = \"1s\" }";
    let proxy = start(&backend, workers, limits);
    let honest = Http2::connect(proxy.address());
    let (answer, _) = honest.send(head("GET", "/", &[]), true);
    let mut gone = proxy.client();
    gone.send([preface(&[]), request(1, "GET", "/", END_STREAM)].concat());
    wait_until("both are with the side", || backend.count() == 2);
    gone.rest();
    wait_until("the side is left", || backend.open() == 1);
    gate.open();
    assert_eq!(honest.answer(answer).unwrap().status, 200);
}

fn windows_are_as_large_as_the_file_says(workers: usize) {
    let backend = Backend::text("ok");
    let limits = "http2 = { stream_window = \"128KiB\", connection_window = \"512KiB\" }";
    let proxy = start(&backend, workers, limits);
    let mut client = proxy.client();
    client.send(preface(&[]));
    let (mut stream, mut connection) = (None, None);
    while stream.is_none() || connection.is_none() {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        let (kind, _, payload) = next_frame(&mut client);
        if kind == WINDOW_UPDATE {
            connection = Some(65_535 + number(&payload));
        } else if kind == SETTINGS {
            let mut settings = payload.chunks(6);
            let window = settings.find(|setting| setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes());
            stream = stream.or(window.map(|setting| number(&setting[2..])));
        }
    }
    assert_eq!((stream, connection), (Some(128 << 10), Some(512 << 10)));
}
