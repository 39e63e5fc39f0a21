//! What a side has provably not processed is sent once more, whatever it is, and nobody notices.

use super::{KEPT, failures, setup};
use crate::harness::http2::{END_STREAM, Http2, MAX_CONCURRENT_STREAMS, head};
use crate::harness::{Proxy, Side, with_one_worker_and_with_four};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

with_one_worker_and_with_four!(
    a_goaway_in_the_middle_of_load_loses_nothing,
    sides_that_leave_again_and_again_lose_nothing,
    what_is_refused_is_sent_once_more_and_no_further,
    what_may_have_been_processed_is_not_sent_again,
    a_connection_that_was_closed_meanwhile_is_replaced,
);

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

/// Nobody was told of a failure, and no retry was spent.
fn nothing_was_noticed(proxy: &Proxy) {
    for kind in ["connect", "timeout", "reset", "protocol", "queue"] {
        assert_eq!(failures(proxy, kind), 0.0, "{kind}");
    }
    assert_eq!(proxy.metric("crossfade_retries_total", &[]), 0.0);
}

fn a_goaway_in_the_middle_of_load_loses_nothing(workers: usize) {
    let side = Side::start(|number, talk| {
        talk.begin(&[]);
        if number > 0 {
            return talk.answer_all("second");
        }
        let mut heads = Vec::new();
        while heads.len() < 20 {
            match talk.whole_request() {
                Some(stream) => heads.push(stream),
                None => return,
            }
        }
        heads.sort_unstable();
        talk.answer(heads[0], "first");
        talk.go_away(heads[3], 0);
        for stream in &heads[1..=3] {
            talk.answer(*stream, "first");
        }
        talk.drain();
    });
    let proxy = setup(&side, workers).start();
    let client = Http2::connect(proxy.address());
    let answers: Vec<_> = (0..20)
        .map(|number| {
            let (answer, mut body) =
                client.send(head(["POST", "PUT"][number % 2], "/", &[]), false);
            body.send_data(Bytes::from_static(b"body"), true).unwrap();
            answer
        })
        .collect();
    let mut by = [0, 0];
    for answer in answers {
        let answer = client.answer(answer).unwrap();
        assert_eq!(answer.status, 200);
        by[usize::from(answer.body == "second")] += 1;
    }
    assert_eq!((by, side.accepted()), ([4, 16], 2));
    nothing_was_noticed(&proxy);
}

fn sides_that_leave_again_and_again_lose_nothing(workers: usize) {
    let side = Side::start(|_, talk| {
        talk.begin(&[]);
        let (mut last, mut answered) = (0, 0);
        while answered < 40 {
            let Some(stream) = talk.whole_request() else {
                return;
            };
            talk.answer(stream, "ok");
            (last, answered) = (last.max(stream), answered + 1);
        }
        talk.go_away(last, 0);
        while let Some(stream) = talk.whole_request() {
            if stream < last {
                talk.answer(stream, "ok");
            }
        }
    });
    let proxy = setup(&side, workers).start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = proxy.client();
                for number in 0..50 {
                    let body = [&b"body"[..], b""][number % 2];
                    let answer = client.request("POST", "/", &[], body);
                    assert_eq!((answer.status, answer.text()), (200, "ok"));
                }
            });
        }
    });
    assert!(side.accepted() >= 400 / 40);
    nothing_was_noticed(&proxy);
}

fn what_is_refused_is_sent_once_more_and_no_further(workers: usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let side = Side::start(move |_, talk| {
        talk.begin(&[(MAX_CONCURRENT_STREAMS, 10)]);
        while let Some(frame) = talk.next() {
            let whole = frame.flags & END_STREAM != 0;
            if frame.is_request() {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                if number == 0 || number > 1 {
                    talk.reset(frame.stream, REFUSED_STREAM);
                    continue;
                }
            }
            if whole {
                talk.answer(frame.stream, "taken");
            }
        }
    });
    let proxy = setup(&side, workers).set("old", KEPT).start();
    let mut client = proxy.client();
    let answer = client.request("POST", "/", &[], b"body");
    assert_eq!((answer.status, answer.text()), (200, "taken"));
    nothing_was_noticed(&proxy);
    assert_eq!(client.request("DELETE", "/", &[], b"").status, 502);
    assert_eq!((asked.load(Ordering::SeqCst), side.accepted()), (4, 1));
    assert_eq!(failures(&proxy, "reset"), 1.0);
}

fn what_may_have_been_processed_is_not_sent_again(workers: usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let side = Side::start(move |number, talk| {
        talk.begin(&[]);
        while let Some(stream) = talk.request() {
            counted.fetch_add(1, Ordering::SeqCst);
            if number == 0 {
                talk.reset(stream, INTERNAL_ERROR);
            } else {
                // It was the last one that is processed, and gets no answer.
                return talk.go_away(stream, 0);
            }
        }
    });
    let proxy = setup(&side, workers).set("old", KEPT).start();
    let mut client = proxy.client();
    for method in ["POST", "GET"] {
        assert_eq!(
            client.request(method, "/", &[], b"").status,
            502,
            "{method}"
        );
    }
    assert_eq!(
        (asked.load(Ordering::SeqCst), failures(&proxy, "reset")),
        (2, 2.0)
    );
    assert_eq!(side.accepted(), 1, "a reset is the stream's alone");
}

fn a_connection_that_was_closed_meanwhile_is_replaced(workers: usize) {
    let side = Side::start(|number, talk| {
        talk.begin(&[]);
        if let Some(stream) = talk.request() {
            talk.answer(stream, if number % 2 == 0 { "even" } else { "odd" });
        }
        // Without a word.
    });
    let proxy = setup(&side, workers).start();
    let mut client = proxy.client();
    for number in 0..10 {
        let answer = client.request("GET", "/", &[], b"");
        assert_eq!(
            (answer.status, answer.text()),
            (200, ["even", "odd"][number % 2])
        );
    }
}
