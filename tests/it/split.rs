//! Who serves: the table of precedence end to end, and what a route matches at all.

mod keys;

use crate::harness::{Answer, Backend, Proxy, Setup, with_one_worker_and_with_four};
use crossfade::route::bucket::bucket;
use serde_json::json;

with_one_worker_and_with_four!(
    the_first_rule_that_applies_decides,
    an_override_beats_the_file_until_it_is_deleted,
    what_no_route_matches_goes_to_old,
    a_share_moves_exactly_the_keys_of_its_buckets,
    decisions_are_shown_only_where_the_file_says_so,
    ambiguous_paths_are_refused_where_there_is_a_key,
    posts_and_puts_are_reads_where_the_route_says_so,
    a_route_may_be_limited_to_a_host,
);

const SALT: &str = "test";

/// Old says "old", new says "new".
struct Sides {
    old: Backend,
    new: Backend,
}

impl Sides {
    fn start() -> Self {
        Self {
            old: Backend::text("old"),
            new: Backend::text("new"),
        }
    }

    fn setup(&self, workers: usize) -> Setup {
        Setup::new(&self.old, &self.new)
            .workers(workers)
            .set("server", "debug_headers = true")
    }
}

/// What an answer shows of its decision.
#[derive(Debug, PartialEq)]
struct Shown {
    side: String,
    route: String,
    why: String,
    bucket: Option<u16>,
    generation: u64,
}

#[track_caller]
fn shown(answer: &Answer) -> Shown {
    let text = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    assert_eq!(
        answer.text(),
        text("x-crossfade-side"),
        "the side that is shown is the one that answered"
    );
    Shown {
        side: text("x-crossfade-side"),
        route: text("x-crossfade-route"),
        why: text("x-crossfade-why"),
        bucket: answer
            .header("x-crossfade-bucket")
            .map(|bucket| bucket.parse().unwrap()),
        generation: text("x-crossfade-generation").parse().unwrap(),
    }
}

fn decided(side: &str, route: &str, why: &str, key: Option<&str>) -> Shown {
    Shown {
        side: side.to_owned(),
        route: route.to_owned(),
        why: why.to_owned(),
        bucket: key.map(|key| bucket(SALT, key)),
        generation: 1,
    }
}

const ITEMS: &str = "name = \"items\"\nmatch = \"GET,PUT /items/{id}\"\nkey = \"{path.id}{header.x-more}\"\npin = { new = [\"pin-new+\"], old = [\"pin-old+\"] }\n";

fn overrule(proxy: &Proxy, serve: &str, route: Option<&str>) {
    let wish = json!({"serve": serve, "route": route, "reason": "a test"});
    let answer = proxy.admin("PUT", "/api/override", Some(&wish));
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

fn the_first_rule_that_applies_decides(workers: usize) {
    // The key is `a+`, or absent where the header is.
    let (get, put) = ("GET", "PUT");
    let rows = [
        // total, route, percent, method, key, side, why
        ("old", "new", 100, get, Some("a+"), "old", "total"),
        ("old", "old", 100, get, Some("a+"), "old", "total"),
        ("old", "split", 100, get, Some("pin-new+"), "old", "total"),
        ("old", "new", 100, put, Some("a+"), "old", "total"),
        ("new", "old", 0, get, Some("pin-new+"), "old", "route"),
        ("split", "old", 100, get, Some("pin-new+"), "old", "route"),
        ("split", "old", 100, get, None, "old", "route"),
        ("new", "new", 0, get, Some("a+"), "new", "total"),
        ("new", "split", 0, get, Some("pin-old+"), "new", "total"),
        ("new", "split", 0, get, None, "new", "total"),
        ("new", "split", 0, put, Some("a+"), "new", "total"),
        ("split", "new", 0, get, Some("pin-old+"), "new", "route"),
        ("split", "new", 0, put, Some("a+"), "new", "route"),
        ("split", "split", 100, put, Some("a+"), "old", "write"),
        ("split", "split", 100, put, Some("pin-new+"), "old", "write"),
        ("split", "split", 0, get, Some("pin-new+"), "new", "pin"),
        ("split", "split", 100, get, Some("pin-old+"), "old", "pin"),
        ("split", "split", 100, get, None, "old", "no_key"),
        ("split", "split", 0, get, None, "old", "no_key"),
        ("split", "split", 100, get, Some("a+"), "new", "bucket"),
        ("split", "split", 0, get, Some("a+"), "old", "bucket"),
    ];
    let sides = Sides::start();
    for (total, route, percent, method, key, side, why) in rows {
        let proxy = sides
            .setup(workers)
            .set("migration", &format!("serve = \"{total}\""))
            .route(&format!(
                "{ITEMS}serve = \"{route}\"\npercent = {percent}\n"
            ))
            .start();
        let target = format!("/items/{}", key.unwrap_or("a+").trim_end_matches('+'));
        let more: &[(&str, &str)] = if key.is_some() {
            &[("x-more", "+")]
        } else {
            &[]
        };
        let body: &[u8] = if method == put { b"body" } else { b"" };
        let answer = proxy.client().request(method, &target, more, body);
        assert_eq!(
            shown(&answer),
            decided(side, "items", why, key),
            "{:?}",
            (total, route, percent, method, key)
        );
    }
}

fn an_override_beats_the_file_until_it_is_deleted(workers: usize) {
    let sides = Sides::start();
    let proxy = sides
        .setup(workers)
        .set("migration", "serve = \"old\"")
        .route(&format!("{ITEMS}serve = \"old\""))
        .route("name = \"others\"\nmatch = \"* /others\"")
        .start();
    let mut client = proxy.client();
    let mut check = |method: &str, target: &str, side: &str, route: &str, why: &str| {
        let answer = client.request(method, target, &[], b"");
        assert_eq!(
            shown(&answer),
            decided(side, route, why, None),
            "{method} {target}"
        );
    };
    check("GET", "/items/a", "old", "items", "total");
    // Everything: writes and what no route matches too.
    overrule(&proxy, "new", None);
    for method in ["GET", "PUT"] {
        check(method, "/items/a", "new", "items", "override");
        check(method, "/others", "new", "others", "override");
        check(method, "/nowhere", "new", "unmatched", "override");
    }
    // One route: there is one override, so the first is gone.
    overrule(&proxy, "new", Some("others"));
    for method in ["GET", "PUT"] {
        check(method, "/items/a", "old", "items", "total");
        check(method, "/others", "new", "others", "override");
        check(method, "/nowhere", "old", "unmatched", "total");
    }
    assert_eq!(proxy.metric("crossfade_override", &[]), 1.0);
    assert_eq!(
        proxy.admin("DELETE", "/api/override", None).status,
        204,
        "the override is gone"
    );
    check("GET", "/others", "old", "others", "total");
    let unknown = json!({"serve": "new", "route": "nowhere", "reason": "a test"});
    assert_eq!(
        proxy.admin("PUT", "/api/override", Some(&unknown)).status,
        422
    );
    check("GET", "/others", "old", "others", "total");
}

fn what_no_route_matches_goes_to_old(workers: usize) {
    let sides = Sides::start();
    for (total, side, why_read, why_write) in [
        ("split", "old", "no_key", "write"),
        ("old", "old", "total", "total"),
        ("new", "new", "total", "total"),
    ] {
        let proxy = sides
            .setup(workers)
            .set("migration", &format!("serve = \"{total}\""))
            .route(&format!("{ITEMS}percent = 100\nshadow = 100"))
            .start();
        for (method, target, why) in [
            ("GET", "/items", why_read),
            ("GET", "/items/a/", why_read),
            ("GET", "/Items/a", why_read),
            ("GET", "/items//", why_read),
            ("OPTIONS", "/items/a", why_read),
            ("DELETE", "/items/a", why_write),
            ("PROPFIND", "/items/a", why_write),
        ] {
            let answer = proxy
                .client()
                .request(method, target, &[("x-more", "+")], b"");
            assert_eq!(
                shown(&answer),
                decided(side, "unmatched", why, None),
                "{method} {target}"
            );
        }
        let page = proxy.settle();
        assert_eq!(page.sum("crossfade_shadow_sampled_total", &[]), 0.0);
        assert_eq!(
            page.sum(
                "crossfade_requests_total",
                &[("route", "unmatched"), ("side", side)]
            ),
            7.0
        );
    }
}

fn a_share_moves_exactly_the_keys_of_its_buckets(workers: usize) {
    let sides = Sides::start();
    let proxy = sides
        .setup(workers)
        .route(
            "name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\npercent = 42.81",
        )
        .route("name = \"all\"\nmatch = \"GET /all\"\npercent = 100")
        .start();
    let mut client = proxy.client();
    for number in 0..300 {
        let key = format!("key-{number}");
        let side = if bucket(SALT, &key) < 4281 {
            "new"
        } else {
            "old"
        };
        let answer = client.get(&format!("/items/{key}"));
        assert_eq!(
            shown(&answer),
            decided(side, "items", "bucket", Some(&key)),
            "{key}"
        );
    }
    // The key is decoded once, and each segment for itself.
    assert_eq!(
        shown(&client.get("/items/k%C3%A9y%2541%20b")).bucket,
        Some(bucket(SALT, "kéy%41 b"))
    );
    assert_eq!(
        shown(&client.get("/all")),
        decided("new", "all", "bucket", None)
    );
}

fn decisions_are_shown_only_where_the_file_says_so(workers: usize) {
    let sides = Sides::start();
    let proxy = Setup::new(&sides.old, &crate::harness::proxy::nobody())
        .workers(workers)
        .route(&format!("{ITEMS}serve = \"new\""))
        .start();
    for (target, status) in [("/nowhere", 200), ("/items/a", 502), ("/items/..", 400)] {
        let answer = proxy.get(target);
        let told: Vec<_> = answer
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-crossfade-"))
            .collect();
        assert_eq!((answer.status, told), (status, vec![]), "{target}");
    }
}

fn ambiguous_paths_are_refused_where_there_is_a_key(workers: usize) {
    let sides = Sides::start();
    let proxy = sides
        .setup(workers)
        .route("name = \"items\"\nmatch = \"* /items/{id}\"\nkey = \"{path.id}\"\npercent = 100")
        .route("name = \"rest\"\nmatch = \"* /rest/{path*}\"\nkey = \"{path.path}\"")
        .route("name = \"plain\"\nmatch = \"* /plain/{path*}\"")
        .start();
    let mut refused = 0.0;
    for target in [
        "/items/a%2Fb",
        "/items/a%2fb",
        "/items/..",
        "/items/.",
        "/items/%2e%2E",
        "/items/.%2e",
        "/rest/a/../b",
        "/rest/a/%2e/b",
        "/rest/%2F",
    ] {
        for (method, body) in [("GET", &b""[..]), ("POST", b"a body")] {
            let mut client = proxy.client();
            let answer = client.request(method, target, &[], body);
            assert_eq!(answer.status, 400, "{method} {target}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            refused += 1.0;
        }
    }
    assert_eq!(sides.old.count() + sides.new.count(), 0);
    let page = proxy.metrics();
    assert_eq!(
        page.sum("crossfade_rejected_total", &[("reason", "encoded_path")]),
        refused
    );
    assert_eq!(
        page.sum(
            "crossfade_requests_total",
            &[("side", "none"), ("code_class", "4xx")]
        ),
        refused
    );
    // Without a key nobody has to read the path in one way only: it goes on as it came.
    for target in ["/plain/a%2Fb", "/plain/../b", "/nowhere/%2e/a%2f"] {
        assert_eq!(proxy.get(target).text(), "old");
        assert_eq!(sides.old.requests().last().unwrap().target, target);
    }
    assert_eq!(
        proxy.get("/items/a..b").text(),
        "new",
        "dots within a segment"
    );
}

fn posts_and_puts_are_reads_where_the_route_says_so(workers: usize) {
    let sides = Sides::start();
    let route = "match = \"GET,POST,PUT /NAME/{id}\"\nkey = \"{path.id}\"\npercent = 100\n";
    let named = |name: &str| format!("name = \"{name}\"\n{}", route.replace("NAME", name));
    let proxy = sides
        .setup(workers)
        .route(&format!("{}read = true", named("search")))
        .route(&named("store"))
        .start();
    for (method, target, side, route, why) in [
        ("GET", "/search/a", "new", "search", "bucket"),
        ("HEAD", "/search/a", "new", "search", "bucket"),
        ("POST", "/search/a", "new", "search", "bucket"),
        ("PUT", "/search/a", "new", "search", "bucket"),
        ("GET", "/store/a", "new", "store", "bucket"),
        ("POST", "/store/a", "old", "store", "write"),
        ("PUT", "/store/a", "old", "store", "write"),
    ] {
        let mut answer = proxy.client().request(method, target, &[], b"");
        if method == "HEAD" {
            answer.body = side.into();
        }
        assert_eq!(
            shown(&answer),
            decided(side, route, why, Some("a")),
            "{method} {target}"
        );
    }
}

fn a_route_may_be_limited_to_a_host(workers: usize) {
    let sides = Sides::start();
    let proxy = sides
        .setup(workers)
        .route(
            "name = \"tags\"\nmatch = \"GET /{id}\"\nhost = \"tags.example.org\"\nserve = \"new\"",
        )
        .route("name = \"six\"\nmatch = \"GET /{id}\"\nhost = \"[::1]\"\nserve = \"new\"")
        .route("name = \"any\"\nmatch = \"GET /{id}\"\nserve = \"old\"")
        .start();
    for (request, route) in [
        ("GET /a HTTP/1.1\r\nhost: tags.example.org\r\n\r\n", "tags"),
        (
            "GET /a HTTP/1.1\r\nhost: TAGS.example.ORG:8080\r\n\r\n",
            "tags",
        ),
        ("GET /a HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", "six"),
        ("GET /a HTTP/1.1\r\nhost: example.org\r\n\r\n", "any"),
        ("GET /a HTTP/1.1\r\nhost: x.tags.example.org\r\n\r\n", "any"),
        (
            "GET http://tags.example.org/a HTTP/1.1\r\nhost: example.org\r\n\r\n",
            "tags",
        ),
        (
            "GET http://example.org/a HTTP/1.1\r\nhost: tags.example.org\r\n\r\n",
            "any",
        ),
        ("GET /a HTTP/1.0\r\n\r\n", "any"),
    ] {
        let mut client = proxy.client();
        client.send(request);
        assert_eq!(shown(&client.answer("GET")).route, route, "{request:?}");
    }
}
