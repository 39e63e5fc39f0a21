//! What a request is called: by its client or by the proxy, and who is told.

use crate::harness::http2::Http2;
use crate::harness::proxy::nobody;
use crate::harness::{Answer, Backend, Client, Reply, Setup, with_one_worker_and_with_four};
use std::collections::HashSet;

with_one_worker_and_with_four!(
    every_request_has_a_name_of_its_own,
    a_plain_name_is_kept_and_another_replaced,
    both_sides_are_told_the_same,
    answers_of_the_proxy_tell_it,
);

const NAME: &str = "x-request-id";

/// The only name among a request's fields.
#[track_caller]
fn name_of(seen: &crate::harness::backend::Seen) -> String {
    let names = seen.header(NAME);
    assert_eq!(names.len(), 1, "{:?}", seen.headers);
    names[0].to_owned()
}

#[track_caller]
fn assert_made(name: &str) {
    let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(name.len() == 32 && is_hex, "{name}");
}

fn get(client: &mut Client, target: &str, fields: &[(&str, &str)]) -> Answer {
    client.request("GET", target, fields, b"")
}

fn every_request_has_a_name_of_its_own(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(r#"{ address = "127.0.0.1:0", h2c = true }"#)
        .workers(workers)
        .start();
    let mut names = HashSet::new();
    for _ in 0..8 {
        let mut client = proxy.client();
        get(&mut client, "/", &[]);
        // With a body the fields go another way than without.
        client.request("POST", "/", &[], b"body");
        // What Connection names is taken out, but for what the proxy itself says.
        get(&mut client, "/", &[("connection", NAME)]);
        Http2::connect(proxy.address()).get("/");
    }
    for seen in backend.requests() {
        let name = name_of(&seen);
        assert_made(&name);
        assert!(names.insert(name.clone()), "{name} came twice");
    }
    assert_eq!(names.len(), 32);
}

fn a_plain_name_is_kept_and_another_replaced(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).workers(workers).start();
    let mut client = proxy.client();
    let long = "x".repeat(129);
    for method in ["GET", "POST"] {
        let body = if method == "POST" { "body" } else { "" };
        let mut ask = |fields: &[(&str, &str)]| {
            let answer = client.request(method, "/", fields, body.as_bytes());
            // A side's answer is passed on as it is.
            assert_eq!((answer.status, answer.header(NAME)), (200, None));
            let name = name_of(&backend.only_request());
            backend.forget();
            name
        };
        for kept in ["7f1c-a.b_c~d:e/f=g+h@i", &long[..128]] {
            assert_eq!(ask(&[(NAME, kept)]), kept);
            assert_eq!(ask(&[(NAME, kept), ("connection", NAME)]), kept);
        }
        for replaced in ["", "a b", "a\"b", "a\\b", "a,b", "é", &long] {
            assert_made(&ask(&[(NAME, replaced)]));
        }
        assert_made(&ask(&[(NAME, "a"), (NAME, "a")]));
    }
}

fn both_sides_are_told_the_same(workers: usize) {
    let old = Backend::text("ok");
    let new = Backend::start(|seen| match seen.target.as_str() {
        "/fails/1" => Reply::status(503),
        _ => Reply::text("ok"),
    });
    let route = |name: &str, percent: u8, shadow: u8| {
        format!(
            "name = \"{name}\"\nmatch = \"GET /{name}/{{x}}\"\nkey = \"{{path.x}}\"\npercent = {percent}\nshadow = {shadow}"
        )
    };
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route(&route("copied", 0, 100))
        .route(&route("fails", 100, 0))
        .start();
    let mut client = proxy.client();
    for target in ["/copied/1", "/fails/1"] {
        for fields in [&[][..], &[(NAME, "mine")]] {
            assert_eq!(get(&mut client, target, fields).status, 200);
            proxy.settle();
            let names = [&old, &new].map(|side| name_of(&side.only_request()));
            assert_eq!(names[0], names[1], "{target}");
            assert_eq!(names[0] == "mine", !fields.is_empty(), "{target}");
            old.forget();
            new.forget();
        }
    }
}

fn answers_of_the_proxy_tell_it(workers: usize) {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/own" => Reply::text("ok").header(NAME, "the side's own"),
        _ => Reply::text("ok"),
    });
    let setup = Setup::new(&nobody(), &backend)
        .workers(workers)
        .route("name = \"new\"\nmatch = \"GET /new\"\npercent = 100")
        .route("name = \"own\"\nmatch = \"GET /own\"\npercent = 100")
        .route("name = \"keyed\"\nmatch = \"GET /keyed/{x*}\"\nkey = \"{path.x}\"");
    let proxy = setup.start();
    for (method, target, status) in [
        ("GET", "/", 502),
        ("POST", "/", 502),
        ("GET", "/keyed/..", 400),
        ("TRACE", "/", 405),
    ] {
        let ask = |fields: &[(&str, &str)]| {
            let answer = proxy.client().request(method, target, fields, b"");
            assert_eq!(answer.status, status, "{method} {target}");
            answer.header(NAME).unwrap().to_owned()
        };
        assert_eq!(ask(&[(NAME, "mine")]), "mine");
        assert_made(&ask(&[]));
    }
    // Others are passed on as they are, unless one wants to see what was decided.
    assert_eq!(proxy.get("/new").header(NAME), None);
    assert_eq!(proxy.get("/own").header(NAME), Some("the side's own"));
    let proxy = setup.set("server", "debug_headers = true").start();
    assert_made(proxy.get("/new").header(NAME).unwrap());
    assert_eq!(proxy.get("/own").header(NAME), Some("the side's own"));
}
