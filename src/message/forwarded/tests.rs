//! Tables and properties of who asked, and through whom.

use super::*;
use crate::message::request_id::Names;
use http::header::HOST;
use proptest::prelude::*;

const ID: u64 = 0x00c0_ffee_0000_0001;

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

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn peer<'a>(address: &str, trusted_proxies: &'a [IpNet]) -> Peer<'a> {
    Peer {
        address: Arc::new(Address::new(address.parse().unwrap(), Scheme::Http)),
        trusted_proxies,
    }
}

fn stamp(headers: &mut HeaderMap, version: Version, peer: &Peer<'_>) {
    let survey = Survey::of(headers);
    let host = headers.get(HOST).cloned();
    let id = RequestId::of(headers, survey, &Names::new(1));
    let stamp = Stamp {
        peer,
        host: host.as_ref(),
        version,
        process: &ProcessId::new(ID),
        id: &id,
    };
    let mut written = headers.clone();
    let lines = stamp.write(&mut written, survey);
    if let Some(lines) = lines {
        lines.put(&mut written);
    }
    stamp.put(headers, survey);
    assert_eq!(written, *headers, "written it says the same");
    let ids: Vec<_> = headers.get_all(X_REQUEST_ID).iter().collect();
    assert_eq!(ids, [&id.value()]);
    // Looked at: what the tables below are about is the rest.
    headers.remove(X_REQUEST_ID);
}

#[test]
fn the_client_is_the_rightmost_untrusted_address() {
    let trusted = nets(&["10.0.0.0/8", "2001:db8:1::/48"]);
    let check = |address: &str, lines: &[&str], expected: &str| {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| ("x-forwarded-for", *line))
            .collect();
        assert_eq!(
            peer(address, &trusted)
                .client_ip(&fields(&lines))
                .to_string(),
            expected,
            "{address} {lines:?}"
        );
    };
    check("192.0.2.9", &["198.51.100.1"], "192.0.2.9");
    check("10.0.0.1", &[], "10.0.0.1");
    check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
    check(
        "10.0.0.1",
        &["203.0.113.7, 198.51.100.1, 10.9.9.9"],
        "198.51.100.1",
    );
    check("10.0.0.1", &["203.0.113.7", "198.51.100.1"], "198.51.100.1");
    check(
        "10.0.0.1",
        &["203.0.113.7", "10.1.1.1, 10.2.2.2"],
        "203.0.113.7",
    );
    check("10.0.0.1", &["10.3.3.3, 10.2.2.2"], "10.0.0.1");
    check("10.0.0.1", &["203.0.113.7, unknown, 10.2.2.2"], "10.0.0.1");
    check("10.0.0.1", &["203.0.113.7,, ,"], "203.0.113.7");
    check("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7");
    check(
        "10.0.0.1",
        &["[2001:DB8::0:1]:80, [2001:db8:1::5]"],
        "2001:db8::1",
    );
    check("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7");
    check("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7");
    check("::ffff:192.0.2.9", &["203.0.113.7"], "192.0.2.9");
    check("2001:db8:1::2", &["203.0.113.7"], "203.0.113.7");
}

#[test]
fn an_untrusted_peer_is_described_anew_and_a_trusted_one_appended() {
    let via = "1.1 crossfade-00c0ffee00000001";
    let trusted = nets(&["10.0.0.0/8"]);
    let check = |address: &str, before: &[(&str, &str)], after: &[(&str, &str)]| {
        let mut headers = fields(before);
        stamp(&mut headers, Version::HTTP_11, &peer(address, &trusted));
        assert_eq!(headers, fields(after), "{address} {before:?}");
    };
    check(
        "192.0.2.9",
        &[("host", "tags.example.org")],
        &[
            ("host", "tags.example.org"),
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "tags.example.org"),
            (
                "forwarded",
                "for=192.0.2.9;host=tags.example.org;proto=http",
            ),
            ("via", via),
        ],
    );
    check(
        "2001:db8::9",
        &[
            ("host", "a:8080"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-port", "443"),
            ("x_forwarded_for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-crossfade-shadow", "1"),
            ("x-crossfade-shadow", "1"),
            ("x-forwardedly", "kept"),
            ("via", "1.0 fred, 1.1 p.example.net"),
        ],
        &[
            ("host", "a:8080"),
            ("x-forwardedly", "kept"),
            ("x-forwarded-for", "2001:db8::9"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a:8080"),
            (
                "forwarded",
                "for=\"[2001:db8::9]\";host=\"a:8080\";proto=http",
            ),
            ("via", "1.0 fred, 1.1 p.example.net"),
            ("via", via),
        ],
    );
    check(
        "10.0.0.1",
        &[
            ("host", "inner"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-for", "10.2.2.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "public.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=203.0.113.7;proto=https"),
            ("x-crossfade-shadow", "1"),
        ],
        &[
            ("host", "inner"),
            ("x-forwarded-for", "203.0.113.7, 10.2.2.2, 10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "public.example"),
            ("x-forwarded-port", "443"),
            (
                "forwarded",
                "for=203.0.113.7;proto=https, for=10.0.0.1;host=inner;proto=http",
            ),
            ("x-crossfade-shadow", "1"),
            ("via", via),
        ],
    );
    check(
        "10.0.0.1",
        &[],
        &[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=10.0.0.1;proto=http"),
            ("via", via),
        ],
    );
}

#[test]
fn via_names_the_version_that_was_received() {
    let mut headers = HeaderMap::new();
    stamp(&mut headers, Version::HTTP_10, &peer("192.0.2.9", &[]));
    assert_eq!(headers[VIA], "1.0 crossfade-00c0ffee00000001");
}

#[test]
fn a_loop_is_our_own_name_and_no_other() {
    let id = ProcessId::new(ID);
    let check = |lines: &[&str], expected: bool| {
        let lines: Vec<_> = lines.iter().map(|line| ("via", *line)).collect();
        let headers = fields(&lines);
        assert_eq!(
            is_loop(&headers, Survey::of(&headers), &id),
            expected,
            "{lines:?}"
        );
    };
    check(&[], false);
    check(&["1.1 crossfade-00c0ffee00000001"], true);
    check(
        &[
            "1.0 fred",
            "HTTP/1.1  Crossfade-00C0FFEE00000001 (comment), 1.1 nowhere",
        ],
        true,
    );
    check(&["1.1 crossfade-00c0ffee00000002"], false);
    check(&["1.1 crossfade-00c0ffee000000011"], false);
    check(&["crossfade-00c0ffee00000001"], false);
}

#[test]
fn a_copy_has_the_same_trace_and_a_span_of_its_own() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let check = |text: &str, random: u64, expected: Option<&str>| {
        assert_eq!(
            child_traceparent(text, random).as_deref(),
            expected,
            "{text}"
        );
    };
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    check(
        &parent,
        0xab,
        Some(&format!("00-{trace}-00000000000000ab-01")),
    );
    check(&parent, 0, Some(&format!("00-{trace}-0000000000000001-01")));
    check(
        &parent,
        0x00f0_67aa_0ba9_02b7,
        Some(&format!("00-{trace}-00f067aa0ba902b6-01")),
    );
    check(
        &format!("cc-{trace}-00f067aa0ba902b7-01-later"),
        2,
        Some(&format!("00-{trace}-0000000000000002-01")),
    );
    check(&format!("00-{trace}-00f067aa0ba902b7-01-later"), 2, None);
    check(&format!("ff-{trace}-00f067aa0ba902b7-01"), 2, None);
    check(
        &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        2,
        None,
    );
    check(&format!("00-{trace}-0000000000000000-01"), 2, None);
    check(
        &format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
        2,
        None,
    );
    check(&format!("00-{trace}-00f067aa0ba902b7"), 2, None);
    check(&format!("00-{trace}-00f067aa0ba902b-01"), 2, None);
    check("", 2, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn arbitrary_values_never_panic_and_an_untrusted_peer_is_never_believed(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        address in any::<IpAddr>(),
    ) {
        let mut headers = HeaderMap::new();
        let names = ["x-forwarded-for", "forwarded", "via", "x-forwarded-host", "x-forwarded-proto", "host", "x-forwarded-for", "x-crossfade-shadow"];
        for (name, bytes) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let id = ProcessId::new(ID);
        let everybody = nets(&["0.0.0.0/0", "::/0"]);
        let survey = Survey::of(&headers);
        let trusted = Peer { address: Arc::new(Address::new(address, Scheme::Https)), trusted_proxies: &everybody };
        let untrusted = Peer { address: Arc::new(Address::new(address, Scheme::Https)), trusted_proxies: &[] };
        let peer = address.to_canonical();
        prop_assert!(!is_loop(&headers, survey, &id));
        prop_assert_eq!(trusted.client_ip(&headers), peer);
        prop_assert_eq!(untrusted.client_ip(&headers), peer);
        let mut kept = headers.clone();
        stamp(&mut kept, Version::HTTP_11, &trusted);
        prop_assert!(is_loop(&kept, Survey::of(&kept), &id));
        let list = kept[X_FORWARDED_FOR].as_bytes();
        prop_assert!(list.ends_with(peer.to_string().as_bytes()));
        stamp(&mut headers, Version::HTTP_11, &untrusted);
        prop_assert!(is_loop(&headers, Survey::of(&headers), &id));
        let expected = peer.to_string();
        prop_assert_eq!(headers[X_FORWARDED_FOR].as_bytes(), expected.as_bytes());
        prop_assert_eq!(headers.get_all(FORWARDED).iter().count(), 1);
        prop_assert_eq!(headers[X_FORWARDED_PROTO].as_bytes(), b"https");
        prop_assert_eq!(headers.get(X_FORWARDED_HOST), headers.get(HOST));
        prop_assert!(!headers.contains_key(X_CROSSFADE_SHADOW));
    }

    #[test]
    fn arbitrary_traceparents_never_panic_and_children_are_parents(text in any::<String>(), trace in 1_u128.., parent in 1_u64.., random: u64) {
        let _: Option<String> = child_traceparent(&text, random);
        let first = child_traceparent(&format!("00-{trace:032x}-{parent:016x}-00"), random).unwrap();
        let (parent, trace) = (format!("-{parent:016x}-"), format!("-{trace:032x}-"));
        prop_assert!(!first.contains(&parent));
        prop_assert!(first.contains(&trace));
        prop_assert!(child_traceparent(&first, random).is_some());
    }
}

#[test]
fn requests_of_one_connection_may_name_different_hosts() {
    let peer = peer("192.0.2.9", &[]);
    let check = |host: Option<&str>, expected: &str| {
        let mut headers = fields(&host.map_or(vec![], |host| vec![("host", host)]));
        stamp(&mut headers, Version::HTTP_11, &peer);
        assert_eq!(headers[FORWARDED], expected);
    };
    check(Some("a.example"), "for=192.0.2.9;host=a.example;proto=http");
    check(Some("a.example"), "for=192.0.2.9;host=a.example;proto=http");
    check(Some("b.example"), "for=192.0.2.9;host=b.example;proto=http");
    check(None, "for=192.0.2.9;proto=http");
    check(Some("a.example"), "for=192.0.2.9;host=a.example;proto=http");
}
