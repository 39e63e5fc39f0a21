//! Clients that are slow with a head, with nothing at all, and with reading.

use super::wait_for_rejected;
use crate::harness::backend::Piece;
use crate::harness::client::Ending;
use crate::harness::{Backend, Gate, Reply, Setup, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    a_head_that_takes_too_long_is_ended,
    a_head_that_trickles_in_is_ended,
    a_head_that_began_behind_another_request_is_ended,
    an_idle_connection_is_closed_without_a_word,
    a_request_that_takes_long_is_not_idle,
    a_reader_that_does_not_read_is_cut_off,
    a_stream_that_is_silent_has_no_slow_reader,
    an_answer_that_breaks_is_never_whole_for_an_old_client,
);

fn a_head_that_takes_too_long_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "head_timeout = \"100ms\"")
        .start();
    let beginnings = ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: a\r\nx"];
    for (number, beginning) in beginnings.into_iter().enumerate() {
        for used in [false, true] {
            let mut client = proxy.client();
            if used {
                assert_eq!(client.get("/").text(), "ok");
            }
            client.send(beginning);
            let answer = client.answer("GET");
            assert_eq!(
                (answer.status, answer.header("connection")),
                (408, Some("close")),
                "{beginning:?}"
            );
            assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
        }
        wait_for_rejected(&proxy, "head_timeout", 2.0 * (number + 1) as f64);
    }
    assert_eq!(backend.count(), beginnings.len());
}

/// The time runs from the first byte, whatever comes after it.
fn a_head_that_trickles_in_is_ended(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "head_timeout = \"100ms\"")
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx: ");
    wait_until("it is ended", || {
        // A look at the metrics is what passes between two bytes.
        let over = proxy.metric("crossfade_rejected_total", &[]) > 0.0;
        over || client.try_send("x").is_err()
    });
    wait_for_rejected(&proxy, "head_timeout", 1.0);
    assert_eq!(backend.count(), 0);
}

fn a_head_that_began_behind_another_request_is_ended(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "head_timeout = \"100ms\"")
        .start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it is under way", || backend.count() == 1);
    client.send("GET /next HT");
    gate.open();
    assert_eq!(client.answer("GET").text(), "ok");
    assert_eq!(client.answer("GET").status, 408);
    wait_for_rejected(&proxy, "head_timeout", 1.0);
    assert_eq!(backend.count(), 1);
}

fn an_idle_connection_is_closed_without_a_word(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "idle_timeout = \"1s\"")
        .start();
    assert_eq!(proxy.client().rest(), (Vec::new(), Ending::Closed));
    let mut client = proxy.client();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.request("POST", "/", &[], b"body").text(), "ok");
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    proxy.wait_for_connections(0);
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 0.0);
}

fn a_request_that_takes_long_is_not_idle(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "idle_timeout = \"1s\"\nhead_timeout = \"1s\"\nbody_timeout = \"1s\"\nresponse_timeout = \"1s\"")
        .start();
    let mut clients = [proxy.client(), proxy.client()];
    clients[0].send_request("GET", "/", &[], b"");
    clients[1].send_request("POST", "/", &[], b"body");
    wait_until("both are under way", || backend.count() == 2);
    let mut witness = proxy.client();
    assert_eq!(witness.rest(), (Vec::new(), Ending::Closed));
    gate.open();
    assert_eq!(clients[0].answer("GET").text(), "ok");
    assert_eq!(clients[1].answer("POST").text(), "ok");
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 0.0);
}

/// More than all buffers between a side and a client take.
const LARGE: usize = 64 << 20;

fn large() -> Reply {
    let piece = bytes::Bytes::from(vec![b'x'; LARGE / 64]);
    Reply::status(200)
        .pieces(vec![Piece::Data(piece); 64])
        .sized()
}

fn a_reader_that_does_not_read_is_cut_off(workers: usize) {
    let backend = Backend::start(|_| large());
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "response_timeout = \"200ms\"")
        .start();
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    wait_for_rejected(&proxy, "response_timeout", 1.0);
    proxy.wait_for_connections(0);
    wait_until("the side's answer has stopped", || backend.broken() == 1);
    let (read, ending) = client.rest();
    assert!(read.len() < LARGE, "{}", read.len());
    assert_eq!(ending, Ending::Reset);
    let aborted = [("code_class", "aborted")];
    assert_eq!(proxy.metric("crossfade_requests_total", &aborted), 1.0);
}

fn a_stream_that_is_silent_has_no_slow_reader(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| match seen.target.as_str() {
        "/stream" => Reply::status(200).pieces(vec![
            Piece::Data("first".into()),
            Piece::Wait(opened.clone()),
            Piece::Data(" last".into()),
        ]),
        _ => large(),
    });
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "response_timeout = \"1s\"\nidle_timeout = \"1s\"")
        .start();
    let mut stream = proxy.client();
    stream.send_request("GET", "/stream", &[], b"");
    assert_eq!(stream.head().status, 200);
    assert_eq!(stream.read_exactly(10), b"5\r\nfirst\r\n");
    let mut witness = proxy.client();
    witness.send_request("GET", "/large", &[], b"");
    wait_for_rejected(&proxy, "response_timeout", 1.0);
    gate.open();
    assert_eq!(stream.read_exactly(15), b"5\r\n last\r\n0\r\n\r\n");
}

/// Whoever speaks HTTP/1.0 takes the end of the connection for the end of the answer, so it must not be a clean one.
fn an_answer_that_breaks_is_never_whole_for_an_old_client(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| {
        Reply::status(200).pieces(vec![
            Piece::Data("half".into()),
            Piece::Wait(opened.clone()),
            Piece::Break,
        ])
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(4), b"half");
    gate.open();
    assert_eq!(client.rest(), (Vec::new(), Ending::Reset));
}
