//! Tables and properties of what must not travel on.

use super::*;
use proptest::prelude::*;

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

fn waits(version: Version, lines: &[(&str, &str)]) -> bool {
    let headers = fields(lines);
    expects_continue(version, &headers, Survey::of(&headers))
}

fn settle(version: Version, target: &Uri, headers: &mut HeaderMap) -> Result<(), HostError> {
    let survey = Survey::of(headers);
    let host = settle_host(version, target, headers, survey)?;
    assert_eq!(host.as_ref(), headers.get(HOST), "the Host that it returns");
    Ok(())
}

#[test]
fn only_chunked_is_a_transfer_coding_that_can_be_passed_on() {
    let check = |lines: &[&str], expected| {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| ("transfer-encoding", *line))
            .collect();
        assert_eq!(
            is_only_chunked(&fields(&lines), Survey::of(&fields(&lines))),
            expected,
            "{lines:?}"
        );
    };
    check(&[], true);
    check(&["chunked"], true);
    check(&[" ,Chunked, "], true);
    check(&["gzip, chunked"], false);
    check(&["gzip", "chunked"], false);
    check(&["chunked, chunked"], false);
    check(&["chunked;x=1"], false);
    check(&["identity"], false);
}

#[test]
fn a_length_is_said_once_or_not_at_all() {
    let check = |lines: &[&str], length, expected: &[&str]| {
        let fields = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("content-length", *line)).collect();
            fields(&lines)
        };
        let mut headers = fields(lines);
        settle_length(&mut headers, length);
        assert_eq!(headers, fields(expected), "{lines:?} {length:?}");
    };
    check(&[], Some(2), &[]);
    check(&["2"], Some(2), &["2"]);
    check(&["2"], Some(0), &["2"]);
    check(&["2"], None, &["2"]);
    check(&["2, 2"], Some(2), &["2"]);
    check(&["2", "2"], Some(2), &["2"]);
    check(&["2", "2,2"], Some(2), &["2"]);
    check(&["2, 3"], Some(0), &[]);
    check(&["2", "3"], Some(0), &[]);
    check(&["2", "2"], None, &[]);
}

#[test]
fn hop_by_hop_fields_go_and_all_others_stay() {
    let check = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        let mut headers = fields(before);
        let survey = Survey::of(&headers);
        remove_hop_by_hop(&mut headers, survey);
        assert_eq!(headers, fields(after), "{before:?}");
    };
    check(&[("accept", "*/*")], &[("accept", "*/*")]);
    check(&[("connection", "close")], &[]);
    check(
        &[
            ("connection", "keep-alive, X-One"),
            ("x-one", "1"),
            ("x-one", "2"),
            ("x-two", "2"),
        ],
        &[("x-two", "2")],
    );
    check(
        &[
            ("connection", "x-one"),
            ("connection", ",, x-two ,"),
            ("x-one", "1"),
            ("x-two", "2"),
        ],
        &[],
    );
    check(
        &[
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("upgrade", "h2c"),
        ],
        &[],
    );
    for connection in ["close", "transfer-encoding"] {
        check(
            &[
                ("connection", connection),
                ("transfer-encoding", "chunked"),
                ("content-length", "5"),
            ],
            &[],
        );
    }
    check(
        &[("transfer-encoding", "chunked"), ("trailer", "x-sum")],
        &[("trailer", "x-sum")],
    );
    check(
        &[("connection", "not a name, \"x-one\""), ("x-one", "1")],
        &[("x-one", "1")],
    );
    check(
        &[
            ("connection", "connection, keep-alive"),
            ("keep-alive", "timeout=5"),
        ],
        &[],
    );
    check(
        &[("proxy-authorization", "Basic eA==")],
        &[("proxy-authorization", "Basic eA==")],
    );
}

#[test]
fn connection_cannot_name_what_frames_routes_or_protects() {
    for name in [
        "Host",
        "Content-Length",
        "Trailer",
        "Authorization",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Crossfade-Shadow",
    ] {
        let mut headers = fields(&[("connection", name), (name, "1")]);
        let survey = Survey::of(&headers);
        remove_hop_by_hop(&mut headers, survey);
        assert_eq!(headers, fields(&[(name, "1")]), "{name}");
    }
}

#[test]
fn trailers_are_accepted_only_by_their_name() {
    let check = |te: &[&str], accepted: bool| {
        let lines: Vec<_> = te.iter().map(|value| ("te", *value)).collect();
        assert_eq!(
            accepts_trailers(&fields(&lines), Survey::of(&fields(&lines))),
            accepted,
            "{te:?}"
        );
    };
    check(&[], false);
    check(&["trailers"], true);
    check(&["gzip;q=0.5, Trailers"], true);
    check(&["gzip", "trailers"], true);
    check(&["trailers;q=1"], true);
    check(&["deflate, trailersx"], false);
    check(&["gzip;x=trailers"], false);
}

#[test]
fn trailers_are_asked_for_with_one_te_and_one_connection() {
    let mut headers = fields(&[("te", "gzip"), ("connection", "close")]);
    ask_for_trailers(&mut headers);
    assert_eq!(headers, fields(&[("te", "trailers"), ("connection", "te")]));
}

#[test]
fn an_expectation_is_100_continue_or_none() {
    let check = |version, value: &str, expected| {
        assert_eq!(
            waits(version, &[("expect", value)]),
            expected,
            "{version:?} {value}"
        );
    };
    check(Version::HTTP_11, "100-Continue", true);
    check(Version::HTTP_11, "x, 100-continue", true);
    check(Version::HTTP_11, "200-ok", false);
    check(Version::HTTP_10, "100-continue", false);
    assert!(!waits(Version::HTTP_11, &[]));
}

#[test]
fn host_is_settled_or_refused() {
    let check = |version: Version,
                 target: &str,
                 hosts: &[&str],
                 expected: Result<Option<&str>, HostError>| {
        let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let mut headers = fields(&lines);
        let result = settle(version, &target.parse().unwrap(), &mut headers);
        let found = result.map(|()| headers.get(HOST).map(|host| host.to_str().unwrap()));
        assert_eq!(found, expected, "{version:?} {target} {hosts:?}");
    };
    let (v10, v11) = (Version::HTTP_10, Version::HTTP_11);
    check(
        v11,
        "/",
        &["tags.example.org"],
        Ok(Some("tags.example.org")),
    );
    check(v11, "/", &["127.0.0.1:8080"], Ok(Some("127.0.0.1:8080")));
    check(
        v11,
        "/",
        &["[2001:db8::1]:80"],
        Ok(Some("[2001:db8::1]:80")),
    );
    check(v11, "/", &["a%20b"], Ok(Some("a%20b")));
    check(v11, "*", &["example.org:"], Ok(Some("example.org:")));
    check(v11, "/", &[], Err(HostError::Missing));
    check(v10, "/", &[], Ok(None));
    check(v10, "/", &["a", "a"], Err(HostError::Several));
    check(v11, "/", &["a", "b"], Err(HostError::Several));
    for wrong in [
        "", "a b", "u@a", "a:b", "a:80:81", "a/b", "[::1", "[]", "[::1]x", "::1", ":80", "a%2",
        "a:123456", "a,b:x", "a\"", "<a>",
    ] {
        check(v11, "/", &[wrong], Err(HostError::Invalid));
    }
    check(
        v11,
        "http://real.example/x",
        &["other.example"],
        Ok(Some("real.example")),
    );
    check(v11, "http://real.example/x", &[], Err(HostError::Missing));
    check(
        v11,
        "http://user@real.example/x",
        &["a"],
        Err(HostError::Invalid),
    );
    check(
        v10,
        "http://real.example:81/x",
        &[],
        Ok(Some("real.example:81")),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_hop_by_hop_field_survives_any_connection(
        options in prop::collection::vec("[a-zA-Z-]{0,12}|close|te|upgrade|host|[ -~]{0,8}", 0..6),
        named in prop::collection::vec("[a-z]{1,6}-[a-z]{1,6}", 0..4),
        kept in "end-[a-z]{3,9}",
        chunked in any::<bool>(),
    ) {
        let mut headers = HeaderMap::new();
        if chunked {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        for name in ["te", "upgrade", "keep-alive", "proxy-connection", "host", "content-length"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        for name in named.iter().chain([&kept]) {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("1"));
        }
        headers.append(CONNECTION, HeaderValue::from_str(&options.join(",")).unwrap());
        headers.append(CONNECTION, HeaderValue::from_str(&named.join(" , ")).unwrap());
        let is_named = |name: &str| {
            let listed = options.join(",");
            named.iter().any(|other| other == name) || listed.split(',').any(|other| other.trim().eq_ignore_ascii_case(name))
        };
        let survey = Survey::of(&headers);
        remove_hop_by_hop(&mut headers, survey);
        for name in ["connection", "te", "upgrade", "transfer-encoding", "keep-alive", "proxy-connection"] {
            prop_assert!(!headers.contains_key(name), "{} survived", name);
        }
        for name in &named {
            prop_assert!(!headers.contains_key(name.as_str()), "{} survived", name);
        }
        prop_assert!(headers.contains_key(HOST));
        prop_assert_eq!(headers.contains_key(CONTENT_LENGTH), !chunked);
        prop_assert_eq!(headers.contains_key(kept.as_str()), !is_named(&kept));
    }

    #[test]
    fn arbitrary_values_never_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut headers = HeaderMap::new();
        for (name, bytes) in [CONNECTION, TE, EXPECT, HOST, CONNECTION, TE].into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(name, value);
            }
        }
        let survey = Survey::of(&headers);
        let _: bool = accepts_trailers(&headers, survey);
        let _: bool = expects_continue(Version::HTTP_11, &headers, survey);
        let single = headers.clone();
        let settled = settle(Version::HTTP_11, &Uri::from_static("/"), &mut headers);
        prop_assert_eq!(&headers, &single);
        if settled.is_ok() {
            let host = headers[HOST].to_str().unwrap();
            prop_assert!(host.parse::<Authority>().is_ok(), "{:?}", host);
        }
        let survey = Survey::of(&headers);
        remove_hop_by_hop(&mut headers, survey);
        prop_assert!(!headers.contains_key(CONNECTION) && !headers.contains_key(TE));
    }
}

#[test]
fn what_may_be_switched_to() {
    let check = |version: Version, method: Method, lines: &[(&str, &str)], expected: bool| {
        let headers = fields(lines);
        let found = upgrade(version, &method, &headers, Survey::of(&headers));
        assert_eq!(found.is_some(), expected, "{version:?} {method} {lines:?}");
    };
    let (one, get) = (Version::HTTP_11, || Method::GET);
    let asked = |protocols| [("upgrade", protocols), ("connection", "x, Upgrade")];
    for good in ["websocket", "WebSocket, chat/2", "httpx", "h2x"] {
        check(one, get(), &asked(good), true);
    }
    for bad in [
        "",
        "h2c",
        "websocket, H2C",
        "h2",
        "HTTP/2.0",
        "TLS/1.0",
        "websocket,,chat",
    ] {
        check(one, get(), &asked(bad), false);
    }
    check(Version::HTTP_10, get(), &asked("websocket"), false);
    check(Version::HTTP_2, get(), &asked("websocket"), false);
    check(one, Method::POST, &asked("websocket"), false);
    let [upgrade, connection] = asked("websocket");
    check(one, get(), &[upgrade], false);
    check(one, get(), &[upgrade, ("connection", "close")], false);
    check(one, get(), &[upgrade, upgrade, connection], false);
    check(
        one,
        get(),
        &[upgrade, connection, ("content-length", "0")],
        false,
    );
    check(
        one,
        get(),
        &[upgrade, connection, ("transfer-encoding", "chunked")],
        false,
    );
}

#[test]
fn an_answer_switches_to_one_of_what_was_asked_for() {
    let check = |asked: &str, lines: &[(&str, &str)], expected: bool| {
        let asked = HeaderValue::from_str(asked).unwrap();
        let found = switches_to(&asked, &fields(lines));
        assert_eq!(found.is_some(), expected, "{asked:?} {lines:?}");
    };
    check("websocket", &[("upgrade", "WebSocket")], true);
    check("chat/2, websocket", &[("upgrade", "chat/2")], true);
    check("websocket", &[], false);
    check("websocket", &[("upgrade", "chat")], false);
    check("websocket, chat", &[("upgrade", "websocket, chat")], false);
    check(
        "websocket",
        &[("upgrade", "websocket"), ("upgrade", "websocket")],
        false,
    );
}

#[test]
fn a_head_of_http_2_becomes_one_of_http_1() {
    let check = |lines: &[(&str, &str)], expected: &[(&str, &str)]| {
        let mut headers = fields(lines);
        let survey = Survey::of(&headers);
        make_http_1(&mut headers, survey);
        assert_eq!(headers, fields(expected));
    };
    check(&[("accept", "x")], &[("accept", "x")]);
    check(&[("cookie", "a=1")], &[("cookie", "a=1")]);
    check(
        &[
            ("cookie", "a=1"),
            ("accept", "x"),
            ("cookie", "b=2; c=3"),
            ("cookie", ""),
        ],
        &[("accept", "x"), ("cookie", "a=1; b=2; c=3; ")],
    );
    check(
        &[("expect", "100-continue"), ("accept", "x")],
        &[("accept", "x")],
    );
}

#[test]
fn a_request_of_http_2_has_one_host() {
    let check = |target: &str, lines: &[(&str, &str)], expected: Result<&str, HostError>| {
        let mut headers = fields(lines);
        let survey = Survey::of(&headers);
        let target: Uri = target.parse().unwrap();
        let host = settle_host(Version::HTTP_2, &target, &mut headers, survey);
        let host = host.map(|host| host.unwrap().to_str().unwrap().to_owned());
        assert_eq!(host, expected.map(str::to_owned), "{target} {lines:?}");
    };
    check("https://a.test/x", &[], Ok("a.test"));
    check("https://a.test/x", &[("host", "A.test")], Ok("a.test"));
    check(
        "https://a.test/x",
        &[("host", "b.test")],
        Err(HostError::Several),
    );
    check(
        "https://a.test/x",
        &[("host", "a.test:443")],
        Err(HostError::Several),
    );
    check("/x", &[("host", "a.test")], Ok("a.test"));
    check("/x", &[], Err(HostError::Missing));
}
