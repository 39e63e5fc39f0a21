//! What of a header travels on, and what the proxy adds.

use crate::harness::backend::{Piece, Seen};
use crate::harness::{Answer, Backend, Reply, Setup, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    hop_by_hop_fields_stay_on_their_connection,
    other_fields_pass_with_their_lines_in_order,
    an_untrusted_client_is_described_anew,
    a_trusted_proxy_is_appended_to,
    every_request_tells_its_way_once,
    a_request_that_passed_before_is_answered_508,
    debug_headers_tell_the_decision,
    traces_pass_unchanged,
);

fn hop_by_hop_fields_stay_on_their_connection(workers: usize) {
    let backend = Backend::start(|_| {
        Reply::text("ok")
            .header("connection", "keep-alive, x-private")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("upgrade", "h2c")
            .header("x-public", "1")
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    let answer = client.request(
        "GET",
        "/",
        &[
            (
                "connection",
                "x-one, Host, Content-Length, X-Forwarded-For, keep-alive",
            ),
            ("connection", "upgrade"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("upgrade", "h2c"),
            ("authorization", "Basic eA=="),
        ],
        b"",
    );
    let seen = backend.only_request();
    for name in [
        "x-one",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "transfer-encoding",
        "connection",
    ] {
        assert!(
            seen.header(name).is_empty(),
            "{name} went up: {:?}",
            seen.headers
        );
    }
    assert_eq!(
        (seen.header("host"), seen.header("x-two")),
        (vec!["test.example"], vec!["2"])
    );
    assert_eq!(
        (seen.header("authorization"), seen.header("x-forwarded-for")),
        (vec!["Basic eA=="], vec!["127.0.0.1"])
    );
    for name in [
        "x-private",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "connection",
    ] {
        assert_eq!(answer.header(name), None, "{name} came down");
    }
    assert_eq!((answer.status, answer.header("x-public")), (200, Some("1")));
    assert_eq!(client.get("/again").status, 200);
}

fn other_fields_pass_with_their_lines_in_order(workers: usize) {
    let backend = Backend::start(|_| {
        Reply::text("ok")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("server", "old/1")
    });
    let proxy = Setup::both(&backend).workers(workers).start();
    let answer = proxy.client().request(
        "GET",
        "/",
        &[
            ("x-line", "one"),
            ("X-Line", "two"),
            ("cookie", "a=b"),
            ("x-empty", ""),
        ],
        b"",
    );
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(
        (answer.header("server"), answer.headers.contains_key("date")),
        (Some("old/1"), true)
    );
    let seen = backend.only_request();
    assert_eq!(
        (
            seen.header("x-line"),
            seen.header("cookie"),
            seen.header("x-empty")
        ),
        (vec!["one", "two"], vec!["a=b"], vec![""])
    );
    assert!(
        seen.header("user-agent").is_empty(),
        "the proxy makes up no fields of a client's"
    );
}

fn an_untrusted_client_is_described_anew(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let claims = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank.example"),
        ("x-forwarded-port", "443"),
        ("forwarded", "for=203.0.113.7"),
        ("x-crossfade-shadow", "1"),
        ("via", "1.0 fred"),
    ];
    proxy.client().request("GET", "/", &claims, b"");
    let seen = backend.only_request();
    assert_eq!(seen.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(
        (
            seen.header("x-forwarded-proto"),
            seen.header("x-forwarded-host")
        ),
        (vec!["http"], vec!["test.example"])
    );
    assert_eq!(
        seen.header("forwarded"),
        ["for=127.0.0.1;host=test.example;proto=http"]
    );
    assert!(seen.header("x-forwarded-port").is_empty() && !seen.is_shadow());
    let via = seen.header("via");
    assert!(
        via[0] == "1.0 fred" && via[1].starts_with("1.1 crossfade-") && via.len() == 2,
        "{via:?}"
    );
}

fn a_trusted_proxy_is_appended_to(workers: usize) {
    let backend = Backend::text("ok");
    let route = "name = \"all\"\nmatch = \"GET /{rest*}\"\nkey = \"{client.ip}\"\npin = { new = [\"203.0.113.7\"] }\nshadow = 100";
    let new = Backend::text("new");
    let proxy = Setup::new(&backend, &new)
        .workers(workers)
        .set("server", "trusted_proxies = [\"127.0.0.0/8\"]")
        .route(route)
        .start();
    let claims = [
        ("x-forwarded-for", "198.51.100.1, 203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public.example"),
        ("forwarded", "for=203.0.113.7;proto=https"),
        ("x-crossfade-shadow", "1"),
    ];
    let answer = proxy.client().request("GET", "/x", &claims, b"");
    assert_eq!(
        answer.text(),
        "new",
        "the client's address is the rightmost one outside trusted_proxies"
    );
    let seen = new.only_request();
    assert_eq!(
        seen.header("x-forwarded-for"),
        ["198.51.100.1, 203.0.113.7, 127.0.0.1"]
    );
    assert_eq!(
        (
            seen.header("x-forwarded-proto"),
            seen.header("x-forwarded-host")
        ),
        (vec!["https"], vec!["public.example"])
    );
    assert_eq!(
        seen.header("forwarded"),
        ["for=203.0.113.7;proto=https, for=127.0.0.1;host=test.example;proto=http"]
    );
    assert!(seen.is_shadow(), "a copy stays marked as one");
    let page = proxy.settle();
    assert_eq!(
        page.sum("crossfade_shadow_sampled_total", &[]),
        0.0,
        "a copy is never copied again"
    );
    assert_eq!(backend.count(), 0);
}

/// Checks what a request tells of its way, line by line.
fn check_way(seen: &Seen) {
    let host = seen.header("x-expected-host")[0];
    let (hosts, forwarded) = match host {
        "" => (vec![], "for=127.0.0.1;proto=http".to_owned()),
        host if host.contains(':') => (
            vec![host],
            format!("for=127.0.0.1;host=\"{host}\";proto=http"),
        ),
        host => (vec![host], format!("for=127.0.0.1;host={host};proto=http")),
    };
    let told = ["-for", "-proto", "-host", "_for", "-port"]
        .map(|name| seen.header(&format!("x-forwarded{name}")));
    let expected = [vec!["127.0.0.1"], vec!["http"], hosts, vec![], vec![]];
    assert_eq!(told, expected, "{seen:?}");
    assert_eq!(seen.header("forwarded"), [forwarded], "{seen:?}");
    let version = if seen.target == "/1.0" { "1.0" } else { "1.1" };
    let via = seen.header("via");
    let (ours, before) = via.split_last().unwrap();
    assert!(
        ours.starts_with(&format!("{version} crossfade-")),
        "{seen:?}"
    );
    assert_eq!(before, seen.header("x-expected-via"), "{seen:?}");
}

/// Whoever sends a request, whatever came before it on its connections, and however often it is sent.
fn every_request_tells_its_way_once(workers: usize) {
    let old = Backend::start(|seen| match seen.target.as_str() {
        "/chunked" => Reply::status(200).pieces(vec![Piece::Data("chunk".into())]),
        _ => Reply::text("old"),
    });
    let new = Backend::start(|seen| match seen.is_shadow() {
        true => Reply::text("old"),
        false => Reply::status(503),
    });
    let routes = [
        "name = \"copied\"\nmatch = \"GET /copied\"\nshadow = 100",
        "name = \"fails\"\nmatch = \"GET,POST /fails/{x}\"\nread = true\nkey = \"{path.x}\"\npercent = 100",
    ];
    let asked = [
        ("GET /sized HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /1 HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /2 HTTP/1.1", "host: b.example:81\r\n", "b.example:81"),
        ("GET /chunked HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /chunked HTTP/1.1", "host: [::1]\r\n", "[::1]"),
        ("POST /3 HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /4 HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /copied HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("GET /fails/1 HTTP/1.1", "host: a.example\r\n", "a.example"),
        ("POST /fails/1 HTTP/1.1", "host: a.example\r\n", "a.example"),
        (
            "GET http://c.example/5 HTTP/1.1",
            "host: d\r\n",
            "c.example",
        ),
        (
            "GET /1.0 HTTP/1.0",
            "host: a.example\r\nconnection: keep-alive\r\n",
            "a.example",
        ),
        ("GET /1.0 HTTP/1.0", "", ""),
    ];
    let claims = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\nx_forwarded_for: 192.0.2.1\r\n\
                  forwarded: for=192.0.2.1\r\nx-forwarded-host: e.example\r\nx-forwarded-port: 1\r\n";
    let via = "via: 1.0 fred\r\nx-expected-via: 1.0 fred\r\n";
    for (trusted, more) in [
        ("", String::new()),
        ("", claims.to_owned()),
        (
            "",
            format!("{claims}{via}connection: via, forwarded, x-forwarded-for\r\n"),
        ),
        ("\"127.0.0.0/8\"", via.to_owned()),
    ] {
        let trusted = format!("trusted_proxies = [{trusted}]");
        let mut setup = Setup::new(&old, &new)
            .workers(workers)
            .set("server", &trusted);
        for route in routes {
            setup = setup.route(route);
        }
        let proxy = setup.start();
        let mut client = proxy.client();
        for (line, fields, host) in asked {
            let (method, _) = line.split_once(' ').unwrap();
            let body = if method == "POST" { "body" } else { "" };
            let length = body.len();
            client.send(format!(
                "{line}\r\n{fields}{more}x-expected-host: {host}\r\ncontent-length: {length}\r\n\r\n{body}"
            ));
            assert_eq!(client.answer(method).status, 200, "{line}");
        }
        proxy.settle();
        assert_eq!((old.count(), new.count()), (asked.len(), 3));
        old.requests().iter().for_each(check_way);
        new.requests().iter().for_each(check_way);
        old.forget();
        new.forget();
    }
}

fn a_request_that_passed_before_is_answered_508(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    client.get("/");
    let via = backend.only_request().header("via")[0].to_owned();
    let answer = client.request("GET", "/", &[("via", &via)], b"");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (508, Some("application/problem+json"))
    );
    assert_eq!(answer.json()["code"], "loop");
    assert_eq!(
        client
            .request(
                "GET",
                "/",
                &[("via", "1.1 crossfade-0123456789abcdef")],
                b""
            )
            .status,
        200
    );
    assert_eq!(
        (
            backend.count(),
            proxy.metric("crossfade_rejected_total", &[("reason", "loop")])
        ),
        (2, 1.0)
    );
}

fn debug_headers_tell_the_decision(workers: usize) {
    let backend = Backend::start(|_| {
        Reply::text("ok")
            .header("x-crossfade-side", "a backend's own claim")
            .header("x-crossfade-bucket", "7")
    });
    let route = "name = \"tags\"\nmatch = \"GET /tags/{tag}\"\nkey = \"{path.tag}\"\npercent = 42.81\nsalt = \"tags\"";
    let proxy = Setup::both(&backend)
        .workers(workers)
        .route(route)
        .set("server", "debug_headers = true")
        .start();
    let mut client = proxy.client();
    let told = |answer: &Answer| {
        ["side", "route", "bucket", "why", "generation"].map(|name| {
            answer
                .header(&format!("x-crossfade-{name}"))
                .map(str::to_owned)
        })
    };
    let some = |texts: [&str; 5]| texts.map(|text| (!text.is_empty()).then(|| text.to_owned()));
    let generation = proxy.generation().to_string();
    assert_eq!(
        told(&client.get("/tags/bash")),
        some(["new", "tags", "4208", "bucket", &generation])
    );
    assert_eq!(
        told(&client.get("/tags/0ad")),
        some(["old", "tags", "4281", "bucket", &generation])
    );
    assert_eq!(
        told(&client.get("/other")),
        some(["old", "unmatched", "", "no_key", &generation])
    );
}

fn traces_pass_unchanged(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    proxy.client().request(
        "GET",
        "/",
        &[("traceparent", trace), ("tracestate", "a=b,c=d")],
        b"",
    );
    let seen = backend.only_request();
    assert_eq!(
        (seen.header("traceparent"), seen.header("tracestate")),
        (vec![trace], vec!["a=b,c=d"])
    );
}
