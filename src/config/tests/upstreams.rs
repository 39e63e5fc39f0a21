//! Several addresses of a side, and how they are checked.

use super::{HEAD, good, read};
use crate::config::settings::Health;
use http::Method;

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
