//! Old answers where new fails: for which reasons, for which requests, and when not.

use crate::harness::backend::Piece;
use crate::harness::peer::send;
use crate::harness::proxy::{Listens, nobody};
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};
use std::net::SocketAddr;

with_one_worker_and_with_four!(
    old_answers_for_each_failure_of_new,
    switches_never_fall_back,
    a_route_may_do_without,
    what_has_begun_is_never_begun_again,
    other_failures_are_answers,
    old_may_fail_too,
    bodies_are_sent_again_while_they_are_kept,
    writes_never_fall_back,
    a_slow_client_is_no_fault_of_new,
);

/// New as it fails, and the reason that is counted for it.
struct Failing {
    reason: &'static str,
    /// What the client is told where old is not asked.
    status: u16,
    address: SocketAddr,
    /// Lines of `[new]` without which it would take long.
    settings: &'static str,
    _alive: Box<dyn Listens>,
}

fn failing(
    reason: &'static str,
    status: u16,
    settings: &'static str,
    new: impl Listens + 'static,
) -> Failing {
    Failing {
        reason,
        status,
        address: new.address(),
        settings,
        _alive: Box::new(new),
    }
}

/// Each way in which new can fail before the head of an answer.
fn failures() -> Vec<Failing> {
    let peer = |steps: &[Step]| {
        let mut script = vec![Step::ReadHead];
        script.extend_from_slice(steps);
        Peer::always(script)
    };
    let refused = |status| Backend::start(move |_| Reply::status(status).body("no"));
    let slow = "timeout = \"100ms\"";
    vec![
        failing("connect", 502, "", nobody()),
        failing("timeout", 504, slow, peer(&[Step::Drain])),
        failing(
            "timeout",
            504,
            slow,
            peer(&[send("HTTP/1.1 200 OK\r\n"), Step::Drain]),
        ),
        failing("reset", 502, "", peer(&[Step::Reset])),
        failing("reset", 502, "", peer(&[])),
        failing("reset", 502, "", peer(&[send("HTTP/1.1 200 OK\r\n")])),
        failing(
            "protocol",
            502,
            "",
            peer(&[send("nonsense\r\n\r\n"), Step::Drain]),
        ),
        failing(
            "protocol",
            502,
            "",
            peer(&[
                send(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                ),
                Step::Drain,
            ]),
        ),
        failing("status", 502, "", refused(502)),
        failing("status", 503, "", refused(503)),
        failing("status", 504, "", refused(504)),
    ]
}

const ITEMS: &str = "name = \"items\"\nmatch = \"GET,HEAD,OPTIONS,POST /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100\n";
const BY_BUCKET: &str = "percent = 100\n";
const BY_PIN: &str = "pin = { new = [\"a\"] }\n";

fn start(old: &impl Listens, new: &Failing, lines: &str, workers: usize) -> Proxy {
    Setup::new(old, &new.address)
        .workers(workers)
        .set("server", "debug_headers = true")
        .set("new", new.settings)
        .route(&format!("{ITEMS}{lines}"))
        .start()
}

/// Requests that old was asked to serve, copies left out.
fn served(old: &Backend) -> usize {
    old.requests()
        .iter()
        .filter(|seen| !seen.is_shadow())
        .count()
}

fn old_answers_for_each_failure_of_new(workers: usize) {
    for new in failures() {
        for (lines, why) in [(BY_BUCKET, "bucket"), (BY_PIN, "pin")] {
            let old = Backend::text("old");
            let proxy = start(&old, &new, lines, workers);
            let mut client = proxy.client();
            for method in ["GET", "HEAD", "OPTIONS"] {
                let answer = client.request(method, "/items/a", &[], b"");
                let what = format!("{method} {} {why}: {answer:?}", new.reason);
                assert_eq!(answer.status, 200, "{what}");
                assert!(method == "HEAD" || answer.text() == "old", "{what}");
                assert_eq!(answer.header("x-crossfade-side"), Some("old"), "{what}");
                assert_eq!(answer.header("x-crossfade-why"), Some(why), "{what}");
            }
            let page = proxy.settle();
            let sum = |name: &str, labels: &[(&str, &str)]| page.sum(name, labels);
            assert_eq!(
                (
                    sum("crossfade_fallbacks_total", &[("reason", new.reason)]),
                    sum("crossfade_fallbacks_total", &[]),
                    sum(
                        "crossfade_requests_total",
                        &[("side", "old"), ("code_class", "2xx")]
                    ),
                    sum("crossfade_requests_total", &[]),
                    sum("crossfade_shadow_sampled_total", &[]),
                    sum(
                        "crossfade_shadow_dropped_total",
                        &[("reason", "served_failed")]
                    ),
                    served(&old),
                    old.count(),
                ),
                (3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3, 3),
                "{} {why}",
                new.reason
            );
            let errors = sum(
                "crossfade_upstream_errors_total",
                &[("side", "new"), ("role", "serve"), ("kind", new.reason)],
            );
            let expected = if new.reason == "status" { 0.0 } else { 3.0 };
            assert_eq!(errors, expected, "{} {why}", new.reason);
        }
    }
    // Patience may be shorter than the side's timeout.
    let new = failing("timeout", 504, "", Peer::always(vec![Step::Drain]));
    let old = Backend::text("old");
    let lines = "percent = 100\nfallback = { after = \"100ms\" }";
    let proxy = start(&old, &new, lines, workers);
    assert_eq!(proxy.get("/items/a").text(), "old");
    assert_eq!(
        proxy.metric("crossfade_fallbacks_total", &[("reason", "timeout")]),
        1.0
    );
}

/// The client is told of the failure, and old is asked for nothing but copies.
#[track_caller]
fn check_no_fallback(proxy: &Proxy, old: &Backend, new: &Failing, what: &str) {
    let answer = proxy.get("/items/a");
    assert_eq!(answer.status, new.status, "{} {what}", new.reason);
    let page = proxy.settle();
    let failed = page.sum(
        "crossfade_shadow_dropped_total",
        &[("reason", "served_failed")],
    );
    // A 503 that new sent is an answer like any other; one that the proxy made is none.
    let expected = if new.reason == "status" { 0.0 } else { 1.0 };
    assert_eq!(
        (
            page.sum("crossfade_fallbacks_total", &[]),
            failed,
            served(old)
        ),
        (0.0, expected, 0),
        "{} {what}",
        new.reason
    );
    let by = if new.reason == "status" {
        "new"
    } else {
        "none"
    };
    assert_eq!(
        page.sum(
            "crossfade_requests_total",
            &[("side", by), ("code_class", "5xx")]
        ),
        1.0,
        "{} {what}",
        new.reason
    );
}

fn switches_never_fall_back(workers: usize) {
    for new in failures() {
        for switch in ["total", "route", "override"] {
            let old = Backend::text("old");
            let mut setup = Setup::new(&old, &new.address)
                .workers(workers)
                .set("new", new.settings);
            let mut lines = format!("{ITEMS}{BY_BUCKET}");
            if switch == "total" {
                setup = setup.set("migration", "serve = \"new\"");
            }
            if switch == "route" {
                lines.push_str("serve = \"new\"");
            }
            let proxy = setup.route(&lines).start();
            if switch == "override" {
                let wish = serde_json::json!({"serve": "new", "route": null, "reason": "a test"});
                assert_eq!(proxy.admin("PUT", "/api/override", Some(&wish)).status, 200);
            }
            check_no_fallback(&proxy, &old, &new, switch);
        }
    }
}

fn a_route_may_do_without(workers: usize) {
    for new in failures() {
        let old = Backend::text("old");
        let proxy = start(&old, &new, "percent = 100\nfallback = false", workers);
        check_no_fallback(&proxy, &old, &new, "fallback = false");
    }
}

fn what_has_begun_is_never_begun_again(workers: usize) {
    for (status, pieces) in [
        (200, vec![Piece::Data("half".into()), Piece::Break]),
        (200, vec![Piece::Break]),
        (500, vec![Piece::Data("half".into()), Piece::Break]),
    ] {
        let gate = Gate::default();
        let mut pieces = pieces;
        pieces.insert(pieces.len() - 1, Piece::Wait(gate.clone()));
        let broken = Backend::start(move |_| Reply::status(status).pieces(pieces.clone()));
        let old = Backend::text("old");
        let new = failing("", 0, "", broken);
        let proxy = start(&old, &new, BY_BUCKET, workers);
        let mut client = proxy.client();
        client.send_request("GET", "/items/a", &[], b"");
        assert_eq!(client.head().status, status);
        gate.open();
        let (rest, _) = client.rest();
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "half an answer looks whole: {rest:?}"
        );
        let page = proxy.settle();
        assert_eq!(
            (
                page.sum("crossfade_fallbacks_total", &[]),
                page.sum(
                    "crossfade_requests_total",
                    &[("side", "new"), ("code_class", "aborted")]
                ),
                page.sum(
                    "crossfade_shadow_dropped_total",
                    &[("reason", "served_failed")]
                ),
                old.count()
            ),
            (0.0, 1.0, 1.0, 0)
        );
    }
}

fn other_failures_are_answers(workers: usize) {
    for status in [400, 404, 429, 500, 501, 505] {
        let old = Backend::text("old");
        let new = failing(
            "",
            status,
            "",
            Backend::start(move |_| Reply::status(status).body("new")),
        );
        let proxy = start(&old, &new, BY_BUCKET, workers);
        let answer = proxy.get("/items/a");
        assert_eq!((answer.status, answer.text()), (status, "new"));
        assert_eq!(
            (
                proxy.settle().sum("crossfade_fallbacks_total", &[]),
                served(&old)
            ),
            (0.0, 0)
        );
    }
}

fn old_may_fail_too(workers: usize) {
    for new in failures() {
        let proxy = start(&nobody(), &new, BY_BUCKET, workers);
        let answer = proxy.get("/items/a");
        assert_eq!(answer.status, 502, "{}", new.reason);
        assert_eq!(answer.header("x-crossfade-side"), Some("old"));
        let page = proxy.settle();
        assert_eq!(
            (
                page.sum("crossfade_fallbacks_total", &[("reason", new.reason)]),
                page.sum("crossfade_fallbacks_total", &[]),
                page.sum(
                    "crossfade_requests_total",
                    &[("side", "none"), ("code_class", "5xx")]
                ),
                page.sum(
                    "crossfade_shadow_dropped_total",
                    &[("reason", "served_failed")]
                ),
            ),
            (1.0, 1.0, 1.0, 1.0),
            "{}",
            new.reason
        );
    }
}

fn bodies_are_sent_again_while_they_are_kept(workers: usize) {
    let limit = 64 * 1024;
    let refuses = || failing("status", 503, "", Backend::start(|_| Reply::status(503)));
    for (new, length, again) in [
        (refuses(), 0, true),
        (refuses(), 1, true),
        (refuses(), limit, true),
        (refuses(), limit + 1, false),
        (refuses(), 1024 * 1024, false),
        // Nothing was passed on yet, so nothing is lost.
        (failing("connect", 502, "", nobody()), 1024 * 1024, true),
    ] {
        for chunked in [false, true] {
            let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let old = Backend::text("old");
            let lines = format!("{BY_BUCKET}read = true");
            let route = ITEMS.replace("GET,HEAD,OPTIONS,POST", "POST");
            let proxy = Setup::new(&old, &new.address)
                .workers(workers)
                .route(&format!("{route}{lines}"))
                .start();
            let mut client = proxy.client();
            let answer = if chunked {
                client.send(
                    "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
                );
                for part in body.chunks(10_000) {
                    client
                        .send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
                }
                client.send("0\r\n\r\n");
                client.answer("POST")
            } else {
                client.request("POST", "/items/a", &[], &body)
            };
            let what = format!("{} {length} chunked: {chunked}", new.reason);
            let fallbacks = proxy.settle().sum("crossfade_fallbacks_total", &[]);
            if again {
                assert_eq!((answer.status, fallbacks), (200, 1.0), "{what}");
                let seen = old.only_request();
                assert!(seen.body == body && seen.whole, "{what}");
            } else {
                assert_eq!(
                    (answer.status, fallbacks, served(&old)),
                    (new.status, 0.0, 0),
                    "{what}"
                );
            }
        }
    }
}

fn writes_never_fall_back(workers: usize) {
    // Writes go to old whatever the share, and where a switch sends them to new, new's failure is theirs.
    for new in failures() {
        let old = Backend::text("old");
        let proxy = start(&old, &new, "percent = 100\nserve = \"new\"", workers);
        let answer = proxy.client().request("POST", "/items/a", &[], b"once");
        assert_eq!(
            (answer.status, old.count()),
            (new.status, 0),
            "{}",
            new.reason
        );
        assert_eq!(
            proxy.settle().sum("crossfade_shadow_sampled_total", &[]),
            0.0
        );
    }
}

fn a_slow_client_is_no_fault_of_new(workers: usize) {
    let old = Backend::text("old");
    let new = Backend::start(|seen| match &*seen.method {
        "POST" => Reply::text("new"),
        _ => Reply::text("never").after(&Gate::default()),
    });
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"items\"\nmatch = \"GET,POST /items\"\nread = true\npercent = 100\nfallback = { after = \"200ms\" }")
        .start();
    let mut client = proxy.client();
    client.send("POST /items HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf");
    wait_until("new has the beginning", || new.count() == 1);
    // A request that came later has run out of patience with new; the one whose body is still to come has not.
    assert_eq!(proxy.get("/items").text(), "old");
    client.send("rest");
    assert_eq!(client.answer("POST").text(), "new");
    assert_eq!(proxy.settle().sum("crossfade_fallbacks_total", &[]), 1.0);
}
