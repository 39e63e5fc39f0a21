//! Several addresses of a side, and how they are checked.

use super::{HEAD, good, read};
use crate::config::problem_at;
use crate::config::settings::{CertificateFiles, Health, Multiplexing, Protocol, SideTls};
use http::Method;
use std::time::Duration;

/// A file whose old side has these lines in place of its url.
fn old(lines: &str) -> String {
    let url = "url = \"http://127.0.0.1:7001\"\n";
    assert!(HEAD.contains(url));
    HEAD.replace(url, &format!("{lines}\n"))
}

#[test]
fn a_side_may_have_several_urls_and_a_check() {
    let settings = good(&old(
        "urls = [\"http://a:1\", \"http://[::1]\"]\nhealth = \"HEAD /up?x=1\"\nbreaker = false",
    ));
    let urls: Vec<_> = settings.old.urls.iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["http://a:1", "http://[::1]"]);
    let health = Health {
        method: Method::HEAD,
        target: "/up?x=1".to_owned(),
    };
    assert_eq!(
        (settings.old.health, settings.old.breaker),
        (Some(health), false)
    );
}

#[test]
fn a_side_that_speaks_http_2_is_bounded_by_requests_and_not_by_connections() {
    let limits = "[limits]\nin_flight = 7\nhttp2 = { ping = \"5s\", stream_window = \"128KiB\" }\n";
    let url = "url = \"http://127.0.0.1:7001\"\n";
    let check = |protocol: &str, expected: (Protocol, usize, usize)| {
        let settings = good(&format!(
            "{}{limits}",
            old(&format!(
                "{url}{protocol}\npool = {{ max_connections = 5 }}"
            ))
        ));
        let found = (
            settings.old.protocol,
            settings.old.in_flight,
            settings.old.pool.max_connections,
        );
        assert_eq!(found, expected, "{protocol}");
    };
    check("", (Protocol::Http1, 5, 5));
    check("protocol = \"h1\"", (Protocol::Http1, 5, 5));
    let multiplexing = Multiplexing {
        stream_window: 128 * 1024,
        ping: Duration::from_secs(5),
        ping_timeout: Duration::from_secs(20),
    };
    check("protocol = \"h2\"", (Protocol::Http2(multiplexing), 7, 5));
}

#[test]
fn a_list_of_urls_names_each_once_and_at_least_one() {
    let check = |list: &str, expected: &[(&str, &str)]| {
        let problems = read(&old(list)).problems;
        let found: Vec<_> = problems.iter().map(|p| (p.code, &*p.path)).collect();
        assert_eq!(found, expected, "{list}");
    };
    check("urls = []", &[("out-of-range", "old.urls")]);
    check("urls = \"http://a\"", &[("wrong-type", "old.urls")]);
    check(
        "urls = [\"http://a\", \"http://a\"]",
        &[("same-address", "old.urls[1]")],
    );
    check(
        "urls = [\"http://a\", \"b\"]",
        &[("bad-url", "old.urls[1]")],
    );
    check("", &[("missing-key", "old.url")]);
    let many: Vec<_> = (0..65)
        .map(|number| format!("\"http://h{number}\""))
        .collect();
    let list = format!("urls = [{}]", many.join(", "));
    check(&list, &[("out-of-range", "old.urls")]);
    check(
        "urls = [\"http://127.0.0.1:8080\"]",
        &[("own-address", "old.urls")],
    );
}

#[test]
fn a_side_of_https_has_tls() {
    let tls = |lines: &str| good(&old(lines)).old.tls;
    assert_eq!(tls("url = \"http://a\""), None);
    assert_eq!(tls("url = \"unix:/a\""), None);
    assert_eq!(
        tls("urls = [\"http://a\", \"https://a\"]"),
        Some(SideTls::default())
    );
    let all = "tls = { ca = \"ca.pem\", cert = \"c.pem\", key = \"/c.key\", server_name = \"b\" }";
    let expected = SideTls {
        ca: Some("/srv/ca.pem".into()),
        identity: Some(CertificateFiles {
            cert: "/srv/c.pem".into(),
            key: "/c.key".into(),
        }),
        server_name: Some("b".to_owned()),
    };
    assert_eq!(tls(&format!("url = \"https://a\"\n{all}")), Some(expected));
}

#[test]
fn tls_of_a_side_is_whole_and_used() {
    let check = |url: &str, tls: &str, expected: &[(&str, &str)]| {
        let text = old(&format!("url = \"{url}\"\ntls = {tls}"));
        let problems = read(&text).problems;
        let found: Vec<_> = problems.iter().map(|p| (p.code, &*p.path)).collect();
        assert_eq!(found, expected, "{url} {tls}");
    };
    let unused = [("bad-value", "old.tls")];
    check("http://a", "{}", &unused);
    check("unix:a", "{ ca = \"ca.pem\" }", &unused);
    let secured = "https://a";
    check(secured, "{}", &[]);
    check(secured, "true", &[("wrong-type", "old.tls")]);
    check(
        secured,
        "{ cert = \"c\" }",
        &[("missing-key", "old.tls.key")],
    );
    check(
        secured,
        "{ key = \"c\" }",
        &[("missing-key", "old.tls.cert")],
    );
    check(secured, "{ ca = \"\" }", &[("bad-value", "old.tls.ca")]);
    check(
        secured,
        "{ client_ca = \"x\" }",
        &[("unknown-key", "old.tls.client_ca")],
    );
    for name in ["", "a b", "https://a", "a:1", "-"] {
        check(
            secured,
            &format!("{{ server_name = \"{name}\" }}"),
            &[("bad-host", "old.tls.server_name")],
        );
    }
    for name in ["*.a", "a.b", "::1", "127.0.0.1"] {
        let problems = read(&old(&format!(
            "url = \"https://a\"\ntls = {{ server_name = \"{name}\" }}"
        )))
        .problems;
        assert_eq!(problems.is_empty(), name != "*.a", "{name}");
    }
}

#[test]
fn a_problem_that_shows_later_has_the_nearest_place() {
    let check = |text: &str, expected: (usize, usize, &str)| {
        let keys = ["old", "tls", "ca"];
        let problem = problem_at(text, &keys, "bad-tls", String::new(), "");
        assert_eq!(
            (problem.line, problem.column, &*problem.path),
            expected,
            "{text}"
        );
    };
    check("[old]\ntls = { ca = \"x\" }", (2, 14, "old.tls.ca"));
    check("[old.tls]\nca = \"x\"", (2, 6, "old.tls.ca"));
    check("[old]\ntls = {}", (2, 7, "old.tls"));
    check("a = 1\n[old]\nurl = \"\"", (2, 1, "old"));
}
