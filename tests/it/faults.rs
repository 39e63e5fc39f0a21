//! Whatever breaks, every sampled request is accounted for once, and all memory comes back.

mod limits;

use crate::harness::metrics::Page;
use crate::harness::peer::send;
use crate::harness::proxy::{Listens, nobody};
use crate::harness::{
    Backend, Gate, Peer, Proxy, Reply, Setup, Step, wait_until, with_one_worker_and_with_four,
};

with_one_worker_and_with_four!(
    every_fault_of_the_shadow_side_is_a_verdict,
    every_fault_of_the_served_side_drops_the_pair,
    everything_breaks_at_once,
    a_client_that_leaves_before_the_answer,
    a_client_that_leaves_in_the_middle_of_the_answer,
    a_client_that_leaves_in_the_middle_of_its_body,
);

/// A side that breaks.
struct Fault {
    what: &'static str,
    /// The reason of a pair whose shadow side breaks so; none if it can't be told, or the answer is good.
    reason: Option<&'static str>,
    /// Whether a client of this side gets a whole answer all the same.
    whole: bool,
    /// What it does on each connection; none if nobody listens.
    script: Option<Vec<Step>>,
}

impl Fault {
    fn listen(&self) -> Box<dyn Listens> {
        match &self.script {
            Some(script) => Box::new(Peer::always(script.clone())),
            None => Box::new(nobody()),
        }
    }

    /// The limit of time for this side: short only where nothing else ends it, so that a slow machine changes nothing.
    fn limit(&self) -> &'static str {
        if self.reason == Some("shadow_timeout") {
            "150ms"
        } else {
            LONG
        }
    }
}

/// A limit of time that nothing reaches.
const LONG: &str = "15s";

/// Every way to break; stalls end when the proxy gives up.
fn faults() -> Vec<Fault> {
    let fault = |what, reason, script: &[Step]| Fault {
        what,
        reason,
        whole: false,
        script: Some(script.to_vec()),
    };
    let answers = |what, reason, text: &str, then: &[Step]| {
        fault(
            what,
            reason,
            &[&[Step::ReadHead, send(text)], then].concat(),
        )
    };
    let floods = |what, head: &str, end: &str, then: &[Step]| Fault {
        whole: true,
        ..answers(
            what,
            Some("too_large"),
            &format!("HTTP/1.1 200 OK\r\n{head}{}{end}", "x".repeat(1_000_000)),
            then,
        )
    };
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let (reset, timeout, protocol) = (
        Some("shadow_reset"),
        Some("shadow_timeout"),
        Some("shadow_protocol"),
    );
    let (close, hold) = (&[], &[Step::Drain]);
    let end_body = &[Step::FinishSending, Step::Drain];
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!";
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(200_000));
    let more = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more";
    vec![
        Fault {
            what: "refuses",
            reason: Some("shadow_connect"),
            whole: false,
            script: None,
        },
        fault("closes at once", reset, close),
        fault("closes before the head", reset, &[Step::ReadHead]),
        // Whether the connection stands before it breaks is up to the moment.
        fault("resets at once", None, &[Step::Reset]),
        fault(
            "resets before the head",
            reset,
            &[Step::ReadHead, Step::Reset],
        ),
        answers("closes in the head", reset, "HTTP/1.1 200 O", close),
        answers("closes after 103", reset, "HTTP/1.1 103 Hi\r\n\r\n", close),
        fault("stalls", timeout, &[Step::ReadHead, Step::Drain]),
        answers("stalls in the head", timeout, "HTTP/1.1 200 O", hold),
        fault(
            "never reads the request",
            timeout,
            &[Step::Wait(Gate::default())],
        ),
        answers("closes in the body", reset, half, end_body),
        answers("closes in a chunked body", reset, chunk, end_body),
        answers("resets in the body", reset, half, &[Step::Reset]),
        answers(
            "breaks the framing",
            protocol,
            &chunk.replace("4\r\n", "zz\r\n"),
            hold,
        ),
        answers(
            "breaks the framing later",
            protocol,
            &format!("{chunk}nonsense\r\n"),
            hold,
        ),
        answers("has two lengths", protocol, two_lengths, hold),
        answers("talks nonsense", protocol, "\u{0}nonsense\r\n\r\n", hold),
        // Before anything was asked it is no answer, but who sees it first is up to the moment.
        fault(
            "speaks first",
            None,
            &[send("nonsense\r\n\r\n"), Step::Drain],
        ),
        answers("has an endless head", protocol, &endless, hold),
        answers("switches protocols", protocol, upgrade, hold),
        floods(
            "sends too much",
            "content-length: 1000000\r\n\r\n",
            "",
            &[Step::Again],
        ),
        floods(
            "sends too many chunks",
            "transfer-encoding: chunked\r\n\r\nf4240\r\n",
            "\r\n0\r\n\r\n",
            &[Step::Again],
        ),
        floods(
            "sends too much and closes",
            "connection: close\r\n\r\n",
            "",
            end_body,
        ),
        Fault {
            whole: true,
            ..answers("says more than it announced", None, more, hold)
        },
    ]
}

/// Which side gets the copies.
#[derive(Clone, Copy, Debug)]
enum Mirror {
    OldToNew,
    NewToOld,
}

/// A side and its limit of time.
type Limited<'a> = (&'a dyn Listens, &'static str);

/// A route that mirrors everything.
fn setup(served: Limited<'_>, shadow: Limited<'_>, mirror: Mirror, workers: usize) -> Setup {
    let (old, new, serve) = match mirror {
        Mirror::OldToNew => (served.0, shadow.0, "old"),
        Mirror::NewToOld => (shadow.0, served.0, "new"),
    };
    Setup::new(&old.address(), &new.address())
        .workers(workers)
        .set("migration", &format!("serve = \"{serve}\""))
        .set(serve, &format!("timeout = \"{}\"", served.1))
        .route(&format!(
            "name = \"items\"\nmatch = \"GET,POST /items/{{id}}\"\nread = true\nshadow = {{ percent = 100, timeout = \"{}\" }}",
            shadow.1
        ))
}

/// What [`ask`] sends: two on one connection, and one with a body that fills a socket's buffers only where nobody reads it.
const REQUESTS: f64 = 3.0;

/// Sends [`REQUESTS`]; the answers may break.
fn ask(proxy: &Proxy) {
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send_request("GET", "/items/a", &[], b"");
        if client.try_answer("GET").is_err() {
            client = proxy.client();
        }
    }
    let mut client = proxy.client();
    client.send_request("POST", "/items/a", &[], &vec![b'x'; 200_000]);
    drop(client.try_answer("POST"));
}

/// The reasons that were counted, and how often.
fn counted(page: &Page, name: &str) -> Vec<(String, f64)> {
    let reasons = page.values(name, "reason").into_iter();
    reasons
        .map(|reason| {
            let count = page.sum(name, &[("reason", &reason)]);
            (reason, count)
        })
        .filter(|(_, count)| *count > 0.0)
        .collect()
}

/// Waits until nothing is in flight; then the books must be right, and no memory taken.
#[track_caller]
fn settled(proxy: &Proxy) -> Page {
    let page = proxy.settle();
    let memory = proxy.running().shadow_memory();
    wait_until("the lab's memory is free", || memory.used() == 0);
    page
}

fn every_fault_of_the_shadow_side_is_a_verdict(workers: usize) {
    for fault in faults() {
        for mirror in [Mirror::OldToNew, Mirror::NewToOld] {
            let good = Backend::text("ok");
            let bad = fault.listen();
            let proxy = setup((&good, LONG), (&*bad, fault.limit()), mirror, workers).start();
            ask(&proxy);
            let page = settled(&proxy);
            let what = format!("{} {mirror:?}", fault.what);
            assert_eq!(
                (
                    page.sum("crossfade_requests_total", &[("code_class", "2xx")]),
                    page.sum("crossfade_shadow_requests_total", &[]),
                    good.count(),
                    good.broken(),
                ),
                (REQUESTS, REQUESTS, REQUESTS as usize, 0),
                "{what}"
            );
            if let Some(reason) = fault.reason {
                assert_eq!(
                    counted(&page, "crossfade_incomparable_total"),
                    [(reason.to_owned(), REQUESTS)],
                    "{what}"
                );
            }
        }
    }
}

fn every_fault_of_the_served_side_drops_the_pair(workers: usize) {
    for fault in faults() {
        for mirror in [Mirror::OldToNew, Mirror::NewToOld] {
            let good = Backend::text("ok");
            let bad = fault.listen();
            let proxy = setup((&*bad, fault.limit()), (&good, LONG), mirror, workers).start();
            ask(&proxy);
            let page = settled(&proxy);
            let what = format!("{} {mirror:?}", fault.what);
            assert_eq!(
                page.sum("crossfade_shadow_sampled_total", &[]),
                REQUESTS,
                "{what}"
            );
            // Where the client got a whole answer there may be a pair, unless it is too long for a copy.
            if !fault.whole {
                assert_eq!(
                    counted(&page, "crossfade_shadow_dropped_total"),
                    [("served_failed".to_owned(), REQUESTS)],
                    "{what}"
                );
                assert_eq!(good.count(), 0, "{what}");
            }
        }
    }
}

fn everything_breaks_at_once(workers: usize) {
    // Each connection gets the next script; good answers stand between, so that there are pairs at all.
    let good = vec![
        Step::ReadHead,
        send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        Step::Drain,
    ];
    let scripts = |good_ones: usize| {
        let round = faults().into_iter().filter_map(|fault| fault.script);
        let round: Vec<_> = round
            .flat_map(|script| [vec![good.clone(); good_ones], vec![script]].concat())
            .collect();
        (0..400)
            .map(|turn| round[turn % round.len()].clone())
            .chain([good.clone()])
            .collect()
    };
    let (old, new) = (Peer::start(scripts(2)), Peer::start(scripts(1)));
    let never_idle = "pool = { max_idle = 0 }\nconnect_timeout = \"15s\"";
    let proxy = setup((&old, "300ms"), (&new, "300ms"), Mirror::OldToNew, workers)
        .set("old", never_idle)
        .set("new", never_idle)
        .start();
    let (clients, requests) = (8, 40);
    std::thread::scope(|scope| {
        for number in 0..clients {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut client = proxy.client();
                for turn in 0..requests {
                    client.send_request("GET", "/items/a", &[], b"");
                    let leaves = (number + turn) % 10 == 0;
                    if leaves || client.try_answer("GET").is_err() {
                        client = proxy.client();
                    }
                }
            });
        }
    });
    let page = settled(&proxy);
    let sum = |name: &str, labels: &[(&str, &str)]| page.sum(name, labels);
    // A client that left may have done so before its request was read.
    let sampled = sum("crossfade_shadow_sampled_total", &[]);
    assert_eq!(sampled, sum("crossfade_requests_total", &[]));
    assert!(
        sampled <= f64::from(clients * requests) && sampled > 0.0,
        "{sampled}"
    );
    let verdicts = page.values("crossfade_comparisons_total", "verdict");
    for verdict in ["match", "incomparable"] {
        let count = sum("crossfade_comparisons_total", &[("verdict", verdict)]);
        assert!(count > 0.0, "{verdict} never came: {verdicts:?}");
    }
    assert!(
        counted(&page, "crossfade_shadow_dropped_total").len() > 1,
        "{:?}",
        counted(&page, "crossfade_shadow_dropped_total")
    );
}

/// What a client that leaves makes of its pair.
#[track_caller]
fn check_aborted(proxy: &Proxy, pairs: f64) {
    proxy.wait_for_metric(
        "crossfade_requests_total",
        &[("code_class", "aborted")],
        pairs,
    );
    let page = settled(proxy);
    let all = counted(&page, "crossfade_shadow_dropped_total");
    assert_eq!(
        page.sum("crossfade_shadow_dropped_total", &[("reason", "aborted")]),
        pairs,
        "{all:?}"
    );
    assert_eq!(page.sum("crossfade_shadow_sampled_total", &[]), pairs);
}

fn a_client_that_leaves_before_the_answer(workers: usize) {
    let old = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let new = Backend::text("ok");
    let proxy = setup((&old, LONG), (&new, LONG), Mirror::OldToNew, workers).start();
    for (method, body) in [("GET", &b""[..]), ("POST", b"a body")] {
        for reset in [true, false] {
            let before = old.count();
            let mut client = proxy.client();
            client.send_request(method, "/items/a", &[], body);
            wait_until("old was asked", || old.count() == before + 1);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
        }
    }
    check_aborted(&proxy, 4.0);
    assert_eq!(new.count(), 0);
}

fn a_client_that_leaves_in_the_middle_of_the_answer(workers: usize) {
    use crate::harness::backend::Piece;
    let old = Backend::start(|_| {
        Reply::status(200).pieces(vec![
            Piece::Data("half".into()),
            Piece::Wait(Gate::default()),
        ])
    });
    let new = Backend::text("ok");
    let proxy = setup((&old, LONG), (&new, LONG), Mirror::OldToNew, workers).start();
    for reset in [true, false] {
        let mut client = proxy.client();
        client.send_request("GET", "/items/a", &[], b"");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.read_exactly(4 + 5), b"4\r\nhalf\r\n");
        if reset {
            client.reset();
        } else {
            drop(client);
        }
    }
    check_aborted(&proxy, 2.0);
    assert_eq!(new.count(), 0);
}

fn a_client_that_leaves_in_the_middle_of_its_body(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let proxy = setup((&old, LONG), (&new, LONG), Mirror::OldToNew, workers).start();
    for request in [
        "POST /items/a HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf",
        "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        for reset in [true, false] {
            let before = old.count();
            let mut client = proxy.client();
            client.send(request);
            wait_until("old was asked", || old.count() == before + 1);
            if reset {
                client.reset();
            } else {
                drop(client);
            }
        }
    }
    check_aborted(&proxy, 4.0);
    assert_eq!(new.count(), 0);
}
