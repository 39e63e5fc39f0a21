//! The access log: a line for each request, and what happens where none can be written.

use crate::harness::http2::Http2;
use crate::harness::proxy::nobody;
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four};
use serde_json::{Value, json};
use std::fs;

with_one_worker_and_with_four!(
    every_request_leaves_a_line,
    what_went_wrong_is_told,
    what_is_no_request_leaves_a_line,
    nothing_is_written_unless_wanted,
    a_disk_that_is_full_costs_lines_alone,
    a_reload_opens_the_file_anew,
);

const ON: &str = "access = \"on\"\nfile = \"access.log\"";
const LOST: &str = "crossfade_log_lines_dropped_total";

/// The lines, once there are this many.
#[track_caller]
fn lines(proxy: &Proxy, name: &str, count: usize) -> Vec<Value> {
    let file = proxy.folder().join(name);
    let text = || fs::read_to_string(&file).unwrap_or_default();
    wait_until("the lines of the access log", || {
        text().lines().count() >= count
    });
    let lines: Vec<_> = text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

#[track_caller]
fn check(line: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&line[name], value, "{name} of {line:#}");
    }
}

fn every_request_leaves_a_line(workers: usize) {
    let (old, new) = (Backend::text("old"), Backend::text("newer"));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .listens(r#"{ address = "127.0.0.1:0", h2c = true }"#)
        .set("log", ON)
        .route("name = \"split\"\nmatch = \"GET /split/{x}\"\nkey = \"{path.x}\"\npercent = 100\nshadow = 100")
        .start();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fields = [
        ("x-request-id", "mine"),
        ("traceparent", trace),
        ("authorization", "Bearer PLANTED"),
        ("cookie", "a=PLANTED"),
    ];
    let mut client = proxy.client();
    client.request("GET", "/split/a?b=%22&token=PLANTED", &fields, b"");
    client.request("POST", "/any", &[], b"body");
    Http2::connect(proxy.address()).get("/split/b");
    let name = old.requests()[0].header("x-request-id")[0].to_owned();
    let lines = lines(&proxy, "access.log", 3);
    check(
        &lines[0],
        &json!({
            "id": "mine", "client": "127.0.0.1", "protocol": "HTTP/1.1", "method": "GET", "path": "/split/a",
            "query": "b=%22&token=$redacted", "route": "split", "side": "new", "why": "bucket", "status": 200, "reason": null,
            "aborted": false, "bytes": 5, "shadow": true, "fallback": null, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }),
    );
    let (whole, head) = (&lines[0]["duration_ms"], &lines[0]["upstream_ms"]);
    assert!(whole.as_f64() >= head.as_f64() && head.is_number());
    check(
        &lines[1],
        &json!({
            "method": "POST", "path": "/any", "query": null, "route": "unmatched", "side": "old", "why": "write", "bucket": null,
            "bytes": 3, "shadow": false, "trace_id": null,
        }),
    );
    check(
        &lines[2],
        &json!({"protocol": "HTTP/2", "path": "/split/b"}),
    );
    // The same name as the side was told, be it here or in the copy of the first.
    let names: Vec<_> = lines.iter().map(|line| line["id"].clone()).collect();
    assert!(names.contains(&json!(name)), "{names:?} {name}");
    let text = fs::read_to_string(proxy.folder().join("access.log")).unwrap();
    assert!(!text.contains("PLANTED"), "{text}");
}

fn what_went_wrong_is_told(workers: usize) {
    let new = Backend::start(|_| Reply::status(503));
    let proxy = Setup::new(&nobody(), &new)
        .workers(workers)
        .set("log", ON)
        .route("name = \"keyed\"\nmatch = \"GET /keyed/{x*}\"\nkey = \"{path.x}\"\npercent = 100")
        .start();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/keyed/1"),
        ("GET", "/keyed/.."),
        ("TRACE", "/"),
    ] {
        proxy.client().request(method, target, &[], b"");
    }
    let lines = lines(&proxy, "access.log", 4);
    let of = |path: &str, method: &str| {
        let is_it = |line: &&Value| line["path"] == path && line["method"] == method;
        lines.iter().find(is_it).unwrap()
    };
    let failed =
        json!({"side": "none", "status": 502, "reason": "upstream_connect", "aborted": false});
    check(of("/", "GET"), &failed);
    check(of("/keyed/1", "GET"), &failed);
    check(of("/keyed/1", "GET"), &json!({"fallback": "status"}));
    check(
        of("/keyed/..", "GET"),
        &json!({"side": "none", "status": 400, "reason": "encoded_path", "route": "keyed"}),
    );
    check(
        of("/", "TRACE"),
        &json!({"side": "none", "status": 405, "reason": "method", "route": null}),
    );
}

/// The library answers it, before anybody knows what was asked.
fn what_is_no_request_leaves_a_line(workers: usize) {
    let proxy = Setup::both(&nobody())
        .workers(workers)
        .set("log", ON)
        .set("limits", "head_timeout = \"200ms\"\nhead_size = \"128KiB\"")
        .start();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(140_000));
    let cases = [
        ("GET / HTTP/1.1\r\nx : a\r\n\r\n", Some(400), "bad_request"),
        (&long, Some(414), "uri_too_long"),
        (&large, Some(431), "head_too_large"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None, "bad_request"),
        ("GET / HTTP/1.1\r\n", Some(408), "head_timeout"),
    ];
    for (count, (bytes, status, reason)) in cases.into_iter().enumerate() {
        let mut client = proxy.client();
        // It may be closed before all of it is read.
        let _ = client.try_send(bytes);
        if let Some(status) = status {
            assert_eq!(client.head().status, status);
        }
        let line = &lines(&proxy, "access.log", count + 1)[count];
        check(
            line,
            &json!({
                "client": "127.0.0.1", "protocol": null, "method": null, "path": null, "route": null, "side": "none", "status": status,
                "reason": reason, "aborted": false, "bytes": 0, "duration_ms": null,
            }),
        );
        assert_eq!(line["id"].as_str().unwrap().len(), 32);
    }
}

fn nothing_is_written_unless_wanted(workers: usize) {
    let backend = Backend::text("ok");
    for log in ["file = \"access.log\"", &format!("{ON}\nsample = 0")] {
        let mut proxy = Setup::both(&backend)
            .workers(workers)
            .set("log", log)
            .start();
        for _ in 0..8 {
            proxy.get("/");
        }
        proxy.stop();
        assert!(!proxy.folder().join("access.log").exists(), "{log}");
    }
    let mut proxy = Setup::both(&backend)
        .workers(workers)
        .set("log", &format!("{ON}\nsample = 50"))
        .start();
    let mut client = proxy.client();
    for _ in 0..400 {
        client.get("/");
    }
    drop(client);
    proxy.stop();
    let text = fs::read_to_string(proxy.folder().join("access.log")).unwrap();
    // Of 400, outside this once in more than 10^9 times.
    let written = text.lines().count();
    assert!((130..=270).contains(&written), "{written}");
}

fn a_disk_that_is_full_costs_lines_alone(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("log", "access = \"on\"\nfile = \"/dev/full\"")
        .start();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").status, 200);
    }
    proxy.wait_for_metric(LOST, &[("reason", "write")], 3.0);
    let generation = proxy.generation();
    proxy.edit("/dev/full", "access.log");
    wait_until("the edit", || proxy.generation() > generation);
    assert_eq!(proxy.get("/seen").status, 200);
    check(
        &lines(&proxy, "access.log", 1)[0],
        &json!({"path": "/seen"}),
    );
    assert_eq!(proxy.metric(LOST, &[]), 3.0);
}

fn a_reload_opens_the_file_anew(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("log", ON)
        .start();
    proxy.get("/first");
    lines(&proxy, "access.log", 1);
    let rename = |from: &str, to: &str| {
        fs::rename(proxy.folder().join(from), proxy.folder().join(to)).unwrap();
    };
    rename("access.log", "access.log.1");
    drop(proxy.running().reload());
    proxy.get("/second");
    check(
        &lines(&proxy, "access.log", 1)[0],
        &json!({"path": "/second"}),
    );
    check(
        &lines(&proxy, "access.log.1", 1)[0],
        &json!({"path": "/first"}),
    );
}
