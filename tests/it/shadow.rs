//! The copy: which requests have one, what is in it, and when it is sent.

mod latency;
mod pairs;

use crate::harness::backend::{Piece, Seen};
use crate::harness::metrics::Page;
use crate::harness::{
    Backend, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use crossfade::route::bucket::shadow_bucket;

with_one_worker_and_with_four!(
    both_directions_are_mirrored,
    a_copy_is_the_request_that_the_served_side_got,
    a_copy_is_marked_and_only_a_copy,
    a_trusted_mark_is_passed_on_and_never_copied_again,
    a_copy_belongs_to_the_same_trace,
    a_copy_asks_for_a_whole_answer,
    bodies_of_reads_are_copied_whole,
    a_share_of_keys_is_mirrored_always_the_same,
    writes_and_what_has_no_key_are_not_mirrored_by_key,
    shadowing_may_be_switched_off,
    a_copy_follows_the_whole_answer_and_delays_nothing,
);

const ITEMS: &str = "name = \"items\"\nmatch = \"GET,POST /items/{id}\"\nread = true\nkey = \"{path.id}\"\nshadow = 100\n";

/// The two sides, with copies from old to new or the other way.
struct Sides {
    old: Backend,
    new: Backend,
    proxy: Proxy,
}

/// Which side serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    Old,
    New,
}

const BOTH: [Served; 2] = [Served::Old, Served::New];

impl Sides {
    /// Both answer as `reply` says; everything goes to the served side, all of it is copied.
    fn start(
        served: Served,
        workers: usize,
        more: impl Fn(Setup) -> Setup,
        reply: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let (old, new) = (Backend::start(reply.clone()), Backend::start(reply));
        let percent = if served == Served::Old { 0 } else { 100 };
        let setup = Setup::new(&old, &new)
            .workers(workers)
            .route(&format!("{ITEMS}percent = {percent}"));
        let proxy = more(setup).start();
        Self { old, new, proxy }
    }

    fn plain(served: Served, workers: usize) -> Self {
        Self::start(served, workers, |setup| setup, |_| Reply::text("ok"))
    }

    fn served(&self, served: Served) -> &Backend {
        match served {
            Served::Old => &self.old,
            Served::New => &self.new,
        }
    }

    fn shadow(&self, served: Served) -> &Backend {
        match served {
            Served::Old => &self.new,
            Served::New => &self.old,
        }
    }
}

fn sampled(page: &Page) -> f64 {
    page.sum("crossfade_shadow_sampled_total", &[])
}

fn verdicts(page: &Page, verdict: &str) -> f64 {
    page.sum("crossfade_comparisons_total", &[("verdict", verdict)])
}

fn both_directions_are_mirrored(workers: usize) {
    for served in BOTH {
        let sides = Sides::plain(served, workers);
        let mut client = sides.proxy.client();
        for _ in 0..10 {
            assert_eq!(client.get("/items/a").text(), "ok");
        }
        let page = sides.proxy.settle();
        let (by, to) = match served {
            Served::Old => ("old", "new"),
            Served::New => ("new", "old"),
        };
        assert_eq!(
            (
                sampled(&page),
                page.sum("crossfade_requests_total", &[("side", by)]),
                page.sum("crossfade_shadow_requests_total", &[("side", to)]),
                page.sum("crossfade_shadow_requests_total", &[("side", by)]),
                verdicts(&page, "match"),
            ),
            (10.0, 10.0, 10.0, 0.0, 10.0),
            "{served:?}"
        );
        assert_eq!((sides.old.count(), sides.new.count()), (10, 10));
        let durations = |side: &str, role: &str| {
            page.sum(
                "crossfade_upstream_duration_seconds_count",
                &[("side", side), ("role", role)],
            )
        };
        assert_eq!(
            (durations(by, "serve"), durations(to, "shadow")),
            (10.0, 10.0)
        );
    }
}

/// A request's fields but those by which a copy differs.
fn common(seen: &Seen) -> Vec<(String, String)> {
    let fields = seen.headers.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, _)| name != "x-crossfade-shadow")
        .collect();
    fields.sort();
    fields
}

fn a_copy_is_the_request_that_the_served_side_got(workers: usize) {
    for served in BOTH {
        for host in ["preserve", "upstream", "other.example"] {
            let rule = format!("host = \"{host}\"");
            let sides = Sides::start(
                served,
                workers,
                |setup| setup.set("old", &rule).set("new", &rule),
                |_| Reply::text("ok"),
            );
            let target = "/items/k%C3%A9y?a=b&&c=%20";
            let answer = sides.proxy.client().request(
                "GET",
                target,
                &[
                    ("accept", "application/json"),
                    ("cookie", "sid=1"),
                    ("authorization", "Basic eA=="),
                    ("x-line", "one"),
                    ("x-line", "two"),
                    ("tracestate", "a=b"),
                    ("connection", "x-mine"),
                    ("x-mine", "1"),
                ],
                b"",
            );
            assert_eq!(answer.status, 200);
            sides.proxy.settle();
            let (original, copy) = (
                sides.served(served).only_request(),
                sides.shadow(served).only_request(),
            );
            assert_eq!(
                (copy.method.as_str(), copy.target.as_str()),
                ("GET", target)
            );
            let expected = |backend: &Backend| match host {
                "preserve" => "test.example".to_owned(),
                "upstream" => backend.address().to_string(),
                other => other.to_owned(),
            };
            assert_eq!(
                original.header("host"),
                [expected(sides.served(served)).as_str()]
            );
            assert_eq!(
                copy.header("host"),
                [expected(sides.shadow(served)).as_str()]
            );
            let but_host = |seen: &Seen| {
                let mut fields = common(seen);
                fields.retain(|(name, _)| name != "host");
                fields
            };
            assert_eq!(but_host(&copy), but_host(&original));
            assert!(copy.header("x-mine").is_empty() && copy.header("connection").is_empty());
            assert_eq!(copy.header("via").len(), 1, "{:?}", copy.headers);
        }
    }
}

fn a_copy_is_marked_and_only_a_copy(workers: usize) {
    for served in BOTH {
        for own in [None, Some("1"), Some("0"), Some("")] {
            let sides = Sides::plain(served, workers);
            let fields: Vec<_> = own.iter().map(|own| ("X-Crossfade-Shadow", *own)).collect();
            let answer = sides
                .proxy
                .client()
                .request("GET", "/items/a", &fields, b"");
            assert!(!answer.headers.contains_key("x-crossfade-shadow"));
            sides.proxy.settle();
            let original = sides.served(served).only_request();
            let copy = sides.shadow(served).only_request();
            assert_eq!(
                (
                    original.header("x-crossfade-shadow"),
                    copy.header("x-crossfade-shadow")
                ),
                (vec![], vec!["1"]),
                "a client's own {own:?}"
            );
        }
    }
}

fn a_trusted_mark_is_passed_on_and_never_copied_again(workers: usize) {
    for served in BOTH {
        let sides = Sides::start(
            served,
            workers,
            |setup| setup.set("server", "trusted_proxies = [\"127.0.0.0/8\"]"),
            |_| Reply::text("ok"),
        );
        let mut client = sides.proxy.client();
        client.request("GET", "/items/a", &[("x-crossfade-shadow", "1")], b"");
        let marked = sides.served(served).only_request();
        assert_eq!(marked.header("x-crossfade-shadow"), ["1"]);
        client.request("GET", "/items/a", &[], b"");
        let page = sides.proxy.settle();
        assert_eq!(
            (sampled(&page), sides.shadow(served).count()),
            (1.0, 1),
            "only the request without the mark"
        );
    }
}

fn a_copy_belongs_to_the_same_trace(workers: usize) {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    let parent = format!("00-{trace}-{span}-01");
    for served in BOTH {
        let sides = Sides::plain(served, workers);
        let mut client = sides.proxy.client();
        let fields = [("traceparent", parent.as_str()), ("tracestate", "a=b,c=d")];
        for _ in 0..2 {
            client.request("GET", "/items/a", &fields, b"");
        }
        sides.proxy.settle();
        let spans: Vec<_> = sides
            .shadow(served)
            .requests()
            .iter()
            .map(|copy| {
                assert_eq!(copy.header("tracestate"), ["a=b,c=d"]);
                let parts: Vec<_> = copy.header("traceparent")[0].split('-').collect();
                assert_eq!((parts[0], parts[1], parts[3]), ("00", trace, "01"));
                assert_eq!(parts[2].len(), 16);
                parts[2].to_owned()
            })
            .collect();
        assert!(
            spans.iter().all(|own| own != span) && spans[0] != spans[1],
            "each copy has a span of its own: {spans:?}"
        );
        for original in sides.served(served).requests() {
            assert_eq!(original.header("traceparent"), [parent.as_str()]);
        }
    }
    // What is no traceparent, and none at all, stays so.
    let sides = Sides::plain(Served::Old, workers);
    let mut client = sides.proxy.client();
    client.request("GET", "/items/a", &[("traceparent", "nonsense")], b"");
    client.request("GET", "/items/a", &[], b"");
    sides.proxy.settle();
    let mut told: Vec<_> = sides.new.requests();
    told.sort_by_key(|copy| copy.header("traceparent").len());
    assert_eq!(
        (told[0].header("traceparent"), told[1].header("traceparent")),
        (vec![], vec!["nonsense"])
    );
}

const CONDITIONS: [(&str, &str); 6] = [
    ("if-none-match", "\"a\""),
    ("if-match", "\"a\""),
    ("if-modified-since", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ("if-unmodified-since", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ("if-range", "\"a\""),
    ("range", "bytes=0-9"),
];

fn a_copy_asks_for_a_whole_answer(workers: usize) {
    for served in BOTH {
        for (status, left) in [(200, 0), (404, CONDITIONS.len())] {
            let reply = move |_: &Seen| Reply::status(status).body("text");
            let sides = Sides::start(served, workers, |setup| setup, reply);
            sides
                .proxy
                .client()
                .request("GET", "/items/a", &CONDITIONS, b"");
            sides.proxy.settle();
            let count = |seen: &Seen| {
                CONDITIONS
                    .iter()
                    .filter(|(name, value)| seen.header(name) == [*value])
                    .count()
            };
            assert_eq!(
                (
                    count(&sides.served(served).only_request()),
                    count(&sides.shadow(served).only_request())
                ),
                (CONDITIONS.len(), left),
                "{served:?} {status}"
            );
        }
        for status in [304, 206] {
            let reply = move |_: &Seen| match status {
                304 => Reply::status(304).header("etag", "\"a\""),
                _ => Reply::status(206).body("part"),
            };
            let sides = Sides::start(served, workers, |setup| setup, reply);
            let mut client = sides.proxy.client();
            assert_eq!(
                client.request("GET", "/items/a", &CONDITIONS, b"").status,
                status
            );
            let page = sides.proxy.settle();
            assert_eq!(
                (
                    page.sum("crossfade_shadow_dropped_total", &[("reason", "validator")]),
                    sampled(&page),
                    sides.shadow(served).count()
                ),
                (1.0, 1.0, 0),
                "{served:?} {status}"
            );
        }
    }
}

fn bodies_of_reads_are_copied_whole(workers: usize) {
    for served in BOTH {
        let echo = |seen: &Seen| Reply::status(200).body(seen.body.clone());
        let sides = Sides::start(served, workers, |setup| setup, echo);
        let mut client = sides.proxy.client();
        let mut sent = Vec::new();
        for length in [0, 1, 10_000, 256 * 1024] {
            for method in ["POST", "GET"] {
                let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                client.request(method, "/items/a", &[], &body);
                sent.push((method, body.clone()));
                client.send(format!("{method} /items/a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"));
                for part in body.chunks(9_999) {
                    client
                        .send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
                }
                client.send("0\r\nx-sum: 1\r\n\r\n");
                assert_eq!(client.answer(method).status, 200);
                sent.push((method, body));
            }
        }
        let page = sides.proxy.settle();
        assert_eq!(verdicts(&page, "match"), sent.len() as f64);
        let mut copied: Vec<_> = sides.shadow(served).requests();
        for copy in &copied {
            assert!(copy.whole && copy.trailers.is_empty());
            for name in ["expect", "trailer", "transfer-encoding"] {
                assert!(copy.header(name).is_empty(), "{name}: {:?}", copy.headers);
            }
        }
        // Copies are under way together, so their order is not that of the requests.
        copied.sort_by_key(|copy| (copy.body.len(), copy.method.clone()));
        sent.sort_by_key(|(method, body)| (body.len(), *method));
        let same =
            |(copy, sent): (&Seen, &(&str, Vec<u8>))| copy.method == sent.0 && copy.body == sent.1;
        assert!(copied.len() == sent.len() && copied.iter().zip(&sent).all(same));
    }
}

fn a_share_of_keys_is_mirrored_always_the_same(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\npercent = 50\nshadow = 30.5\nsalt = \"pepper\"")
        .start();
    let keys: Vec<_> = (0..200).map(|number| format!("key-{number}")).collect();
    let mut client = proxy.client();
    for _ in 0..3 {
        for key in &keys {
            assert_eq!(client.get(&format!("/items/{key}")).text(), "ok");
        }
    }
    let page = proxy.settle();
    let mut copies: Vec<_> = [old.requests(), new.requests()]
        .concat()
        .into_iter()
        .filter(Seen::is_shadow)
        .map(|copy| copy.target)
        .collect();
    let mut expected: Vec<_> = keys
        .iter()
        .filter(|key| shadow_bucket("pepper", key) < 3050)
        .flat_map(|key| vec![format!("/items/{key}"); 3])
        .collect();
    copies.sort();
    expected.sort();
    assert_eq!(copies, expected);
    assert_eq!(sampled(&page), expected.len() as f64);
}

fn writes_and_what_has_no_key_are_not_mirrored_by_key(workers: usize) {
    let (old, new) = (Backend::text("ok"), Backend::text("ok"));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"writes\"\nmatch = \"GET,POST,DELETE /writes\"\nshadow = 100")
        .start();
    let mut client = proxy.client();
    for method in ["POST", "DELETE", "GET", "HEAD"] {
        client.request(method, "/writes", &[], b"");
    }
    client.get("/nowhere");
    let page = proxy.settle();
    let copies: Vec<_> = new.requests().into_iter().map(|copy| copy.method).collect();
    assert_eq!(sampled(&page), 2.0);
    assert!(
        copies == ["GET", "HEAD"] || copies == ["HEAD", "GET"],
        "{copies:?}"
    );
}

fn shadowing_may_be_switched_off(workers: usize) {
    for served in BOTH {
        let off = |setup: Setup| setup.set("migration", "shadow = false");
        let sides = Sides::start(served, workers, off, |_| Reply::text("ok"));
        for _ in 0..5 {
            assert_eq!(sides.proxy.get("/items/a").text(), "ok");
        }
        let page = sides.proxy.settle();
        assert_eq!((sampled(&page), sides.shadow(served).count()), (0.0, 0));
    }
}

fn a_copy_follows_the_whole_answer_and_delays_nothing(workers: usize) {
    for served in BOTH {
        let sides = Sides::plain(served, workers);
        let (rest, shadow) = (Gate::default(), Gate::default());
        let (rest_opens, shadow_opens) = (rest.clone(), shadow.clone());
        sides
            .served(served)
            .answer_with(move |seen| match &*seen.target {
                "/items/slow" => Reply::status(200).pieces(vec![
                    Piece::Data("half".into()),
                    Piece::Wait(rest_opens.clone()),
                    Piece::Data("rest".into()),
                ]),
                _ => Reply::text("ok"),
            });
        sides
            .shadow(served)
            .answer_with(move |_| Reply::text("ok").after(&shadow_opens));
        let copies = || {
            let requests = sides.shadow(served).requests();
            requests
                .into_iter()
                .map(|copy| copy.target)
                .collect::<Vec<_>>()
        };
        // An answer that is under way has no copy yet, while a later one has; the client never waits for the shadow.
        let mut slow = sides.proxy.client();
        slow.send_request("GET", "/items/slow", &[], b"");
        assert_eq!(slow.head().status, 200);
        assert_eq!(slow.read_exactly(9), b"4\r\nhalf\r\n");
        let answer = sides.proxy.get("/items/fast");
        assert_eq!(answer.text(), "ok");
        wait_until("the copy of the whole answer's request", || {
            copies() == ["/items/fast"]
        });
        rest.open();
        assert_eq!(slow.read_exactly(14), b"4\r\nrest\r\n0\r\n\r\n");
        wait_until("the copy of the other one", || copies().len() == 2);
        assert_eq!(verdicts(&sides.proxy.metrics(), "match"), 0.0);
        shadow.open();
        let page = sides.proxy.settle();
        assert_eq!(
            (verdicts(&page, "match"), verdicts(&page, "mismatch")),
            (1.0, 1.0)
        );
    }
}
