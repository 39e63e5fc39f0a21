use super::*;
use crate::route::pattern::Pattern;
use crate::route::table::{Entry, Table, Target};
use http::{HeaderValue, Method};
use proptest::prelude::*;

/// One request: its path (matched by `/{a}/{rest*}`) and query, header fields, body and client.
#[derive(Clone, Debug, Default)]
struct Request<'a> {
    target: &'a str,
    headers: &'a [(&'a str, &'a [u8])],
    body: Option<&'a [u8]>,
    client: Option<&'a str>,
}

impl Request<'_> {
    fn key(&self, template: &str) -> Option<String> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target, None),
        };
        let pattern = Pattern::parse("* /{a}/{rest*}").unwrap();
        let template = Template::parse(template).unwrap();
        let lone = lone_place(&template, &pattern);
        let table = Table::new(vec![Entry {
            pattern,
            host: None,
            policy: (),
        }]);
        let found = table.lookup(Target {
            method: &Method::GET,
            host: None,
            path,
        });
        let captures = found.map(|found| found.captures).unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        let client_ip = self.client.map(|ip| ip.parse().unwrap());
        let sources = Sources {
            captures: &captures,
            query,
            headers: &headers,
            body: self.body,
            client_ip,
        };
        let found = key(&template, lone, &sources);
        assert_eq!(found, key(&template, None, &sources), "{lone:?} {self:?}");
        found
    }
}

#[track_caller]
fn check(request: &Request<'_>, rows: &[(&str, Option<&str>)]) {
    for (template, expected) in rows {
        assert_eq!(
            request.key(template).as_deref(),
            *expected,
            "{template} of {request:?}"
        );
    }
}

fn get(target: &str) -> Request<'_> {
    Request {
        target,
        ..Request::default()
    }
}

#[test]
fn path_values_are_decoded_once() {
    check(
        &get("/b%C3%A9/x%2520/y+z"),
        &[
            ("{path.a}", Some("bé")),
            ("{path.rest}", Some("x%20/y+z")),
            ("{path.none}", None),
        ],
    );
    check(
        &get("/%FF/"),
        &[
            ("{path.a}", None),
            ("{path.rest}", None),
            ("{path.rest|path.a}", None),
        ],
    );
    let long = format!(
        "/{}/{}",
        "a".repeat(VALUE_LIMIT),
        "b".repeat(VALUE_LIMIT + 1)
    );
    check(
        &get(&long),
        &[
            ("{path.a}", Some(&"a".repeat(VALUE_LIMIT))),
            ("{path.rest}", None),
        ],
    );
}

#[test]
fn query_values_are_form_decoded_and_the_first_counts() {
    check(
        &get("/a/b?x=1+%2B%26&x=2&y&z=&%78y=3&é=%C3%A9&bad=%FF&a+b=c"),
        &[
            ("{query.x}", Some("1 +&")),
            ("{query.y}", None),
            ("{query.z}", None),
            ("{query.z|query.x}", Some("1 +&")),
            ("{query.xy}", Some("3")),
            ("{query.é}", Some("é")),
            ("{query.bad}", None),
            ("{query.a b}", Some("c")),
            ("{query.none}", None),
            ("{query.x}-{query.none}", None),
        ],
    );
    check(&get("/a/b?x=&x=2"), &[("{query.x}", None)]);
    check(&get("/a/b"), &[("{query.x}", None)]);
}

#[test]
fn header_values_are_trimmed_and_must_agree() {
    let headers: &[(&str, &[u8])] = &[
        ("x-user", b" \t42 "),
        ("x-same", b"a"),
        ("x-same", b" a"),
        ("x-two", b"a"),
        ("x-two", b"b"),
        ("x-empty", b"  "),
        ("x-utf8", "é".as_bytes()),
        ("x-latin", b"\xe9"),
        ("x-list", b"a, b"),
    ];
    check(
        &Request {
            target: "/",
            headers,
            ..Request::default()
        },
        &[
            ("{header.x-user}", Some("42")),
            ("{header.X-User}", Some("42")),
            ("{header.x-same}", Some("a")),
            ("{header.x-two}", None),
            ("{header.x-empty}", None),
            ("{header.x-empty|header.x-user}", Some("42")),
            ("{header.x-utf8}", Some("é")),
            ("{header.x-latin}", None),
            ("{header.x-list}", Some("a, b")),
            ("{header.x-none}", None),
        ],
    );
}

#[test]
fn cookies_are_found_in_every_field() {
    let headers: &[(&str, &[u8])] = &[
        ("cookie", b"a=1; sid = x=y ;b"),
        ("cookie", b"sid=2;c=\xff; d=; e=\"q\""),
    ];
    check(
        &Request {
            target: "/",
            headers,
            ..Request::default()
        },
        &[
            ("{cookie.a}", Some("1")),
            ("{cookie.sid}", Some("x=y")),
            ("{cookie.b}", None),
            ("{cookie.c}", None),
            ("{cookie.d}", None),
            ("{cookie.e}", Some("\"q\"")),
            ("{cookie.A}", None),
        ],
    );
}

#[test]
fn client_addresses_have_one_form() {
    for (client, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ] {
        check(
            &Request {
                target: "/",
                client: Some(client),
                ..Request::default()
            },
            &[("{client.ip}", Some(expected))],
        );
    }
    check(&get("/"), &[("{client.ip}", None), ("all", Some("all"))]);
}

#[test]
fn body_values_keep_their_characters() {
    let body = r#" {"s": "\u00e9\"", "n": 1.0, "big": 12345678901234567890, "e": -1E+2, "a": ["x", {"b": "y"}, 7],
        "t": true, "z": null, "o": {}, "": "empty name", "a/b": "slash", "m~n": "tilde", "~1": "both", "empty": "",
        "twice": "x", "twice": "x", "in": {"twice": 1, "twice": 2, "once": 3}} "#;
    let post = Request {
        target: "/",
        body: Some(body.as_bytes()),
        ..Request::default()
    };
    check(
        &post,
        &[
            ("{body./s}", Some("é\"")),
            ("{body./n}", Some("1.0")),
            ("{body./big}", Some("12345678901234567890")),
            ("{body./e}", Some("-1E+2")),
            ("{body./a/0}", Some("x")),
            ("{body./a/1/b}", Some("y")),
            ("{body./a/2}-{body./n}", Some("7-1.0")),
            ("{body./a/3}", None),
            ("{body./a/02}", None),
            ("{body./a/+2}", None),
            ("{body./a/-}", None),
            ("{body./a/}", None),
            ("{body./a}", None),
            ("{body./t}", None),
            ("{body./z}", None),
            ("{body./o}", None),
            ("{body./}", Some("empty name")),
            ("{body./a~1b}", Some("slash")),
            ("{body./m~0n}", Some("tilde")),
            ("{body./~01}", Some("both")),
            ("{body./empty}", None),
            ("{body./none}", None),
            ("{body./s/x}", None),
            ("{body./twice}", None),
            ("{body./in/twice}", None),
            ("{body./in/once}", Some("3")),
        ],
    );
    check(&get("/"), &[("{body./s}", None)]);
}

#[test]
fn a_body_that_is_not_whole_plain_json_has_no_values() {
    let good = br#"{"id": "x"}"#;
    let key = |body: &[u8], headers: &[(&str, &[u8])]| {
        Request {
            target: "/",
            headers,
            body: Some(body),
            client: None,
        }
        .key("{body./id}")
    };
    assert_eq!(key(good, &[]).as_deref(), Some("x"));
    assert_eq!(
        key(good, &[("content-encoding", b" Identity")]).as_deref(),
        Some("x")
    );
    assert_eq!(
        key(good, &[("content-type", b"text/plain")]).as_deref(),
        Some("x")
    );
    for coding in [&b"gzip"[..], b"identity, gzip", b""] {
        assert_eq!(key(good, &[("content-encoding", coding)]), None);
    }
    let bad: [&[u8]; 6] = [
        b"",
        b"{\"id\": \"x\"",
        b"{\"id\": \"x\"} {}",
        b"id=x",
        b"{\"id\": \"\xff\"}",
        b"{\"id\": \"\\ud800\"}",
    ];
    for body in bad {
        assert_eq!(key(body, &[]), None, "{}", body.escape_ascii());
    }
    let padded = |length: usize| [&good[..], &b" ".repeat(length - good.len())].concat();
    assert_eq!(key(&padded(BODY_LIMIT), &[]).as_deref(), Some("x"));
    assert_eq!(key(&padded(BODY_LIMIT + 1), &[]), None);
}

#[test]
fn a_placeholder_alone_has_a_place() {
    let pattern = Pattern::parse("* /a/{b}/c/{d*}").unwrap();
    let place = |key: &str| lone_place(&Template::parse(key).unwrap(), &pattern);
    assert_eq!(place("{path.b}"), Some(Place::One(1)));
    assert_eq!(place("{path.d}"), Some(Place::Rest(3)));
    for key in ["{path.a}", "{query.b}", "x{path.b}", "{path.b|path.d}", "b"] {
        assert_eq!(place(key), None, "{key}");
    }
    let far = |segments: usize| {
        let pattern = Pattern::parse(&format!("* {}/{{b}}", "/a".repeat(segments))).unwrap();
        lone_place(&Template::parse("{path.b}").unwrap(), &pattern)
    };
    assert_eq!(far(255), Some(Place::One(255)));
    assert_eq!(far(256), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_requests_never_panic(
        target in "(/[a%2fF]{0,6}){0,3}(\\?[a=&%+2fF]{0,12})?",
        header in prop::collection::vec(prop_oneof![Just(b'\t'), 32..=126_u8, 128..=255_u8], 0..24),
        body in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let request = Request { target: &target, headers: &[("cookie", &header), ("x", &header)], body: Some(&body), client: None };
        for template in ["{path.a}", "{path.rest|query.a}", "{cookie.a|header.x}", "{body./a|body./0}"] {
            if let Some(key) = request.key(template) {
                prop_assert!(!key.is_empty());
            }
        }
    }
}
