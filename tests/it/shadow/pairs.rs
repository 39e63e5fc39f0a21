//! The pair: bodies within bounds, codings, HEAD, and what is counted of it.

use super::{BOTH, Served, Sides, sampled, verdicts};
use crate::harness::backend::Piece;
use crate::harness::metrics::Page;
use crate::harness::{
    Backend, Gate, Peer, Reply, Setup, Step, peer::send, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write as _;

with_one_worker_and_with_four!(
    a_body_over_the_limit_makes_no_pair,
    a_shadow_answer_over_the_limit_is_read_no_further,
    a_shadow_that_trickles_is_out_of_time,
    coded_answers_are_compared_decoded,
    head_compares_status_and_fields,
    json_is_compared_by_the_rules_of_the_route,
    answers_are_judged_alike_whatever_their_length,
    a_mismatch_can_be_read_by_the_admin_api,
);

fn dropped(page: &Page, reason: &str) -> f64 {
    page.sum("crossfade_shadow_dropped_total", &[("reason", reason)])
}

fn incomparable(page: &Page, reason: &str) -> f64 {
    page.sum("crossfade_incomparable_total", &[("reason", reason)])
}

fn a_body_over_the_limit_makes_no_pair(workers: usize) {
    let limit = 256 * 1024;
    for served in BOTH {
        for (asked, answered, fits) in [
            (limit, limit, true),
            (limit + 1, 2, false),
            (0, limit + 1, false),
            (1 << 20, 1 << 20, false),
        ] {
            for chunked in [false, true] {
                let body: Bytes = vec![b'x'; answered].into();
                let reply = move |_: &_| match chunked {
                    true => Reply::status(200).pieces(vec![
                        Piece::Data(body.slice(..body.len() / 2)),
                        Piece::Data(body.slice(body.len() / 2..)),
                    ]),
                    false => Reply::status(200).body(body.clone()),
                };
                let sides = Sides::start(served, workers, |setup| setup, reply);
                let mut client = sides.proxy.client();
                let text = vec![b'y'; asked];
                let answer = if chunked {
                    client.send(
                        "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
                    );
                    for part in text.chunks(50_000) {
                        client.send(
                            [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat(),
                        );
                    }
                    client.send("0\r\n\r\n");
                    client.answer("POST")
                } else {
                    client.request("POST", "/items/a", &[], &text)
                };
                assert_eq!((answer.status, answer.body.len()), (200, answered));
                let page = sides.proxy.settle();
                let (pairs, body) = if fits { (1, 0.0) } else { (0, 1.0) };
                assert_eq!(
                    (
                        sampled(&page),
                        dropped(&page, "body"),
                        verdicts(&page, "match"),
                        sides.shadow(served).count()
                    ),
                    (1.0, body, f64::from(pairs), pairs as usize),
                    "{served:?} {asked} {answered} chunked: {chunked}"
                );
            }
        }
    }
}

fn a_shadow_answer_over_the_limit_is_read_no_further(workers: usize) {
    // Far more than the buffers of two sockets can take.
    let whole = 64 << 20;
    for chunked in [false, true] {
        let old = Backend::text("ok");
        let piece: Bytes = vec![b'x'; 1 << 20].into();
        let new = Backend::start(move |_| {
            let pieces = vec![Piece::Data(piece.clone()); whole >> 20];
            let reply = Reply::status(200).pieces(pieces);
            if chunked { reply } else { reply.sized() }
        });
        let proxy = Setup::new(&old, &new)
            .workers(workers)
            .route("name = \"items\"\nmatch = \"GET /items\"\nshadow = { percent = 100, max_body = \"1KiB\" }")
            .start();
        assert_eq!(proxy.get("/items").text(), "ok");
        let page = proxy.settle();
        assert_eq!(
            (
                verdicts(&page, "incomparable"),
                incomparable(&page, "too_large")
            ),
            (1.0, 1.0)
        );
        wait_until("the answer was cut off", || new.broken() == 1);
        assert!(new.sent() < whole, "all of it was read: {}", new.sent());
        wait_until("its connection is closed", || new.open() == 0);
        assert_eq!(proxy.running().shadow_memory().used(), 0);
    }
}

fn a_shadow_that_trickles_is_out_of_time(workers: usize) {
    let old = Backend::text("ok");
    let never = Gate::default();
    let new = Peer::always(vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"),
        send("o"),
        Step::Wait(never),
    ]);
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"items\"\nmatch = \"GET /items\"\nshadow = { percent = 100, timeout = \"100ms\" }")
        .start();
    assert_eq!(proxy.get("/items").text(), "ok");
    let page = proxy.settle();
    assert_eq!(
        (
            incomparable(&page, "shadow_timeout"),
            page.sum(
                "crossfade_upstream_errors_total",
                &[("side", "new"), ("role", "shadow"), ("kind", "timeout")]
            )
        ),
        (1.0, 1.0)
    );
}

const TEXT: &str = "{\"name\":\"0ad\",\"tags\":[\"game::strategy\",\"role::program\"]}";

fn coded(coding: &str) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(TEXT.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        // What brotli makes of it: one block without compression, then an empty last one.
        "br" => [b"\x8b\x1b\x80", TEXT.as_bytes(), b"\x03"].concat(),
        "zstd" => ruzstd::encoding::compress_to_vec(
            TEXT.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        ),
        _ => TEXT.as_bytes().to_vec(),
    }
}

fn coded_answers_are_compared_decoded(workers: usize) {
    let plain = ("identity", coded(""));
    let reply = |coding: &str, body: Vec<u8>| {
        let reply = Reply::status(200)
            .body(body)
            .header("content-type", "application/json");
        match coding {
            "identity" => reply,
            coding => reply.header("content-encoding", coding),
        }
    };
    let (old, new) = (Backend::text(""), Backend::text(""));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"items\"\nmatch = \"GET /items\"\nshadow = 100")
        .start();
    let judge = |left: (&'static str, Vec<u8>), right: (&'static str, Vec<u8>)| {
        let before = proxy.settle();
        let sent = left.1.clone();
        old.answer_with(move |_| reply(left.0, left.1.clone()));
        new.answer_with(move |_| reply(right.0, right.1.clone()));
        let answer = proxy.get("/items");
        assert_eq!(answer.body, sent, "the client gets what old sent");
        let after = proxy.settle();
        ["match", "mismatch", "incomparable"]
            .map(|verdict| verdicts(&after, verdict) - verdicts(&before, verdict))
    };
    for coding in ["gzip", "br", "zstd", "x-gzip", "GZIP"] {
        let of = || (coding, coded(&coding.to_lowercase().replace("x-", "")));
        assert_eq!(judge(of(), plain.clone()), [1.0, 0.0, 0.0], "{coding}");
        assert_eq!(judge(plain.clone(), of()), [1.0, 0.0, 0.0], "{coding}");
        assert_eq!(
            judge(of(), ("identity", b"{\"name\":1}".to_vec())),
            [0.0, 1.0, 0.0],
            "{coding}"
        );
    }
    for coding in ["gzip", "br", "zstd", "exi"] {
        assert_eq!(
            judge((coding, b"not coded".to_vec()), plain.clone()),
            [0.0, 0.0, 1.0],
            "{coding}"
        );
    }
    assert_eq!(incomparable(&proxy.settle(), "coding"), 4.0);
    assert_eq!(proxy.running().shadow_memory().used(), 0);
}

fn head_compares_status_and_fields(workers: usize) {
    for served in BOTH {
        for (status, kind, [matches, mismatches]) in [
            (200, "text/plain", [1.0, 0.0]),
            (404, "text/plain", [0.0, 1.0]),
            (200, "text/html", [0.0, 1.0]),
        ] {
            let sides = Sides::start(
                served,
                workers,
                |setup| setup,
                |_| {
                    // The length of a body over the limit, which HEAD does not bring.
                    Reply::status(200)
                        .body(vec![b'x'; 1 << 20])
                        .header("content-type", "text/plain")
                },
            );
            sides.shadow(served).answer_with(move |_| {
                Reply::status(status)
                    .body("another")
                    .header("content-type", kind)
            });
            let answer = sides.proxy.client().request("HEAD", "/items/a", &[], b"");
            assert_eq!(answer.header("content-length"), Some("1048576"));
            let page = sides.proxy.settle();
            assert_eq!(
                (verdicts(&page, "match"), verdicts(&page, "mismatch")),
                (matches, mismatches),
                "{served:?} {status} {kind}"
            );
            assert_eq!(sides.shadow(served).only_request().method, "HEAD");
        }
    }
}

fn json_is_compared_by_the_rules_of_the_route(workers: usize) {
    for served in BOTH {
        let percent = if served == Served::Old { 0 } else { 100 };
        let (old, new) = (
            Backend::start(|_| {
                Reply::json(&json!({"tags": ["a", "b"], "at": 1, "n": 2, "gone": 1}))
            }),
            Backend::start(|_| {
                Reply::json(&json!({"at": 5, "n": "2", "tags": ["b", "a"], "more": 1}))
            }),
        );
        let proxy = Setup::new(&old, &new)
            .workers(workers)
            .route(&format!("name = \"items\"\nmatch = \"GET /items\"\npercent = {percent}\nshadow = 100\ncompare = {{ ignore = [\"$.at\"], unordered = [\"$.tags\"] }}"))
            .start();
        proxy.get("/items");
        let page = proxy.settle();
        assert_eq!(verdicts(&page, "mismatch"), 1.0);
        let mut found: Vec<_> = page
            .series("crossfade_divergences_total", &[])
            .iter()
            .map(|row| {
                (
                    row.labels["field"].clone(),
                    row.labels["kind"].clone(),
                    row.value,
                )
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let of = |field: &str, kind: &str| (field.to_owned(), kind.to_owned(), 1.0);
        assert_eq!(
            found,
            [
                of("$.gone", "missing"),
                of("$.more", "extra"),
                of("$.n", "type")
            ],
            "missing is what old has, whichever side served: {served:?}"
        );
    }
}

fn answers_are_judged_alike_whatever_their_length(workers: usize) {
    // Long ones are compared on threads of their own.
    for length in [10, 15_000, 120_000] {
        for served in BOTH {
            let sides = Sides::start(served, workers, |setup| setup, |_| Reply::text(""));
            let text = "x".repeat(length);
            let reply = |body: String| Reply::text(body).header("content-type", "application/json");
            let old = format!("{{\"text\":\"{text}\",\"n\":1}}");
            sides.old.answer_with(move |_| reply(old.clone()));
            sides.new.answer_with(move |seen| {
                let number = if seen.target.ends_with("same") { 1 } else { 2 };
                reply(format!("{{\"n\":{number},\"text\":\"{text}\"}}"))
            });
            let mut client = sides.proxy.client();
            for target in ["/items/same", "/items/other", "/items/same"] {
                assert_eq!(client.get(target).status, 200);
            }
            let page = sides.proxy.settle();
            assert_eq!(
                (
                    verdicts(&page, "match"),
                    verdicts(&page, "mismatch"),
                    page.sum("crossfade_divergences_total", &[("field", "$.n")])
                ),
                (2.0, 1.0, 1.0),
                "{length} {served:?}"
            );
            assert_eq!(sides.proxy.running().shadow_memory().used(), 0);
        }
    }
}

fn a_mismatch_can_be_read_by_the_admin_api(workers: usize) {
    for served in BOTH {
        let sides = Sides::start(
            served,
            workers,
            |setup| setup.set("samples", "values = \"shown\""),
            |_| Reply::json(&json!({"name": "one"})),
        );
        sides
            .new
            .answer_with(|_| Reply::json(&json!({"name": "two"})));
        sides.proxy.get("/items/a?x=1");
        sides.proxy.settle();
        let rows = sides.proxy.admin_json("/api/mismatches?route=items");
        let row = &rows["mismatches"][0];
        let by = match served {
            Served::Old => "old",
            Served::New => "new",
        };
        assert_eq!(
            (&row["target"], &row["served"], &row["key"], &row["method"]),
            (
                &json!("/items/a?x=1"),
                &json!(by),
                &json!("a"),
                &json!("GET")
            )
        );
        assert_eq!(
            row["fields"],
            json!([{"path": "$.name", "at": "$.name", "kind": "changed"}])
        );
        assert_eq!(
            (&row["patch"], &row["patch_exact"]),
            (
                &json!([{"op": "replace", "path": "/name", "value": "two"}]),
                &json!(true)
            ),
            "from old to new, whichever side served"
        );
    }
}
