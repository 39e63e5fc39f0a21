//! Keys that are not in the target: from the body, and from the client's address.

use super::{Sides, decided, shown};
use crate::harness::{Answer, Client, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    a_key_may_come_from_the_body,
    a_key_may_be_the_address_of_the_client,
);

/// A body, the fields that come with it, and the key that they make.
type Row<'a> = (Vec<u8>, &'a [(&'a str, &'a str)], Option<&'a str>);

/// JSON of exactly this many bytes with the user "ada".
fn padded(bytes: usize) -> Vec<u8> {
    let (begin, end) = ("{\"user\":\"ada\",\"pad\":\"", "\"}");
    let pad = bytes - begin.len() - end.len();
    format!("{begin}{}{end}", "x".repeat(pad)).into_bytes()
}

/// A POST whose body goes out in chunks of about this size.
fn post_in_chunks(client: &mut Client, body: &[u8], size: usize) -> Answer {
    client
        .send("POST /search HTTP/1.1\r\nhost: test.example\r\ntransfer-encoding: chunked\r\n\r\n");
    for chunk in body.chunks(size) {
        client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    client.answer("POST")
}

fn a_key_may_come_from_the_body(workers: usize) {
    let limit = 64 * 1024;
    let json = |text: &str| text.as_bytes().to_vec();
    let rows: [Row<'_>; 14] = [
        (json("{\"user\":\"ada\"}"), &[], Some("ada")),
        (
            json("{\"user\":\"ada\"}"),
            &[("content-encoding", "identity")],
            Some("ada"),
        ),
        (json("{\"user\":42.50}"), &[], Some("42.50")),
        (json(" {\"user\" : \"\\u00e9\"} "), &[], Some("é")),
        (json("{\"user\":null}"), &[], None),
        (json("{\"user\":\"\"}"), &[], None),
        (json("{\"user\":{}}"), &[], None),
        (json("{\"other\":1}"), &[], None),
        (json("user=ada"), &[], None),
        (json("{\"user\":\"ada\"} and more"), &[], None),
        (
            json("{\"user\":\"ada\"}"),
            &[("content-encoding", "gzip")],
            None,
        ),
        (padded(limit), &[], Some("ada")),
        (padded(limit + 1), &[], None),
        (padded(1024 * 1024), &[], None),
    ];
    let sides = Sides::start();
    let proxy = sides
        .setup(workers)
        .route(
            "name = \"search\"\nmatch = \"GET,POST /search\"\nread = true\nkey = \"{body./user}\"\npercent = 100",
        )
        .start();
    let check = |answer: &Answer, sent: &[u8], key: Option<&str>, what: &str| {
        let (side, why) = match key {
            Some(_) => ("new", "bucket"),
            None => ("old", "no_key"),
        };
        let begin = String::from_utf8_lossy(&sent[..sent.len().min(40)]).into_owned();
        assert_eq!(
            shown(answer),
            decided(side, "search", why, key),
            "{what} {} {begin}",
            sent.len()
        );
        let backend = if side == "new" {
            &sides.new
        } else {
            &sides.old
        };
        let seen = backend.only_request();
        assert!(
            seen.body == sent && seen.whole,
            "{what} {} {begin}: what was read for the key is passed on as it came",
            sent.len()
        );
        backend.forget();
    };
    for (body, headers, key) in &rows {
        let answer = proxy.client().request("POST", "/search", headers, body);
        check(&answer, body, *key, "sized");
    }
    for (body, _, key) in rows.iter().filter(|(_, headers, _)| headers.is_empty()) {
        let mut client = proxy.client();
        for size in [7_000, 100_000] {
            let answer = post_in_chunks(&mut client, body, size);
            check(&answer, body, *key, "chunked");
        }
    }
    let answer = proxy.client().request("POST", "/search", &[], b"");
    check(&answer, b"", None, "none");
    let answer = proxy
        .client()
        .request("GET", "/search", &[], b"{\"user\":\"ada\"}");
    check(
        &answer,
        b"{\"user\":\"ada\"}",
        Some("ada"),
        "a GET with a body",
    );
}

fn a_key_may_be_the_address_of_the_client(workers: usize) {
    let us = "127.0.0.1";
    let sides = Sides::start();
    for (trusted, forwarded, key) in [
        ("[]", None, us),
        ("[]", Some("203.0.113.7"), us),
        ("[\"10.0.0.0/8\"]", Some("203.0.113.7"), us),
        ("[\"127.0.0.0/8\"]", None, us),
        ("[\"127.0.0.0/8\"]", Some("203.0.113.7"), "203.0.113.7"),
        (
            "[\"127.0.0.0/8\"]",
            Some("198.51.100.9, 203.0.113.7, 127.0.0.9"),
            "203.0.113.7",
        ),
        (
            "[\"127.0.0.0/8\"]",
            Some("2001:DB8:0:0:0:0:0:1"),
            "2001:db8::1",
        ),
        (
            "[\"127.0.0.0/8\"]",
            Some("::ffff:203.0.113.7"),
            "203.0.113.7",
        ),
        ("[\"127.0.0.0/8\"]", Some("127.0.0.9"), us),
    ] {
        let proxy = sides
            .setup(workers)
            .set("server", &format!("trusted_proxies = {trusted}"))
            .route(
                "name = \"mine\"\nmatch = \"GET /mine\"\nkey = \"ip-{client.ip}\"\npercent = 100",
            )
            .start();
        let headers: Vec<_> = forwarded
            .iter()
            .map(|list| ("x-forwarded-for", *list))
            .collect();
        let answer = proxy.client().request("GET", "/mine", &headers, b"");
        assert_eq!(
            shown(&answer),
            decided("new", "mine", "bucket", Some(&format!("ip-{key}"))),
            "{trusted} {forwarded:?}"
        );
    }
}
