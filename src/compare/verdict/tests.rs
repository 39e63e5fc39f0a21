//! Answers: status, headers, codings, bounds. Documents have a file of their own, and so have the properties.

use super::*;
use crate::compare::rules::Rules;
use crate::json::FieldPath;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue};
use std::io::Write;

mod arrays;
mod coded;
mod documents;
mod identities;
mod patches;
mod properties;

/// Rules written as `ignore $.a; unordered $.b; match_by $.c kind id; tolerance $.d 0.1; map $.e; shape $.f; ids $.g tag-id; nulls`.
pub(crate) fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    for rule in text
        .split(';')
        .map(str::trim)
        .filter(|rule| !rule.is_empty())
    {
        let words: Vec<_> = rule.split_whitespace().collect();
        let path = || FieldPath::parse(words[1]).unwrap();
        match words[0] {
            "ignore" => rules.ignore.push(path()),
            "unordered" => rules.unordered.push(path()),
            "match_by" => {
                let fields = words[2..].iter().map(|&field| field.to_owned());
                rules.match_by.push((path(), fields.collect()));
            }
            "tolerance" => rules.tolerance.push((path(), words[2].parse().unwrap())),
            "map" => rules.maps.push(path()),
            "shape" => rules.shape.push(path()),
            "ids" => rules.ids.push((path(), words[2].to_owned())),
            "nulls" => rules.null_is_absent = true,
            other => panic!("{other}"),
        }
    }
    rules
}

struct Side {
    status: u16,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

/// An answer written as `STATUS name=value .. | body`; without a bar it has no body at all, as for HEAD.
fn side(text: &str) -> Side {
    let (head, body) = text.split_once(" |").map_or((text, None), |(head, body)| {
        (head, Some(body.trim_start().as_bytes().to_vec()))
    });
    let mut words = head.split_whitespace();
    let status = words.next().unwrap().parse().unwrap();
    let headers = words.map(|word| {
        let (name, value) = word.split_once('=').unwrap();
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(&value.replace('_', " ")).unwrap(),
        )
    });
    Side {
        status,
        headers: headers.collect(),
        body,
    }
}

fn judge<'r>(old: &Side, new: &Side, by: impl Into<By<'r>>, memory: &mut dyn Memory) -> Comparison {
    let answer = |side: &Side| {
        (
            StatusCode::from_u16(side.status).unwrap(),
            side.headers.clone(),
            side.body.clone(),
        )
    };
    let ((old_status, old_headers, old_body), (new_status, new_headers, new_body)) =
        (answer(old), answer(new));
    compare(
        &Answer {
            status: old_status,
            headers: &old_headers,
            body: old_body.as_deref(),
        },
        &Answer {
            status: new_status,
            headers: &new_headers,
            body: new_body.as_deref(),
        },
        by,
        memory,
    )
}

/// `match`, `incomparable REASON`, or the kinds and paths of a mismatch.
fn show(comparison: &Comparison) -> String {
    match comparison.verdict {
        Verdict::Match => "match".into(),
        Verdict::Incomparable(reason) => format!("incomparable {}", reason.name()),
        Verdict::Mismatch => {
            let fields = comparison
                .divergences
                .iter()
                .map(|divergence| format!("{} {}", divergence.kind.name(), divergence.path));
            fields.collect::<Vec<_>>().join(", ")
        }
    }
}

fn check_by(rules: &Rules, old: &str, new: &str, expected: &str) {
    let comparison = judge(&side(old), &side(new), rules, &mut Unlimited);
    assert_eq!(show(&comparison), expected, "{old} // {new}");
    let mirrored = judge(&side(new), &side(old), rules, &mut Unlimited);
    assert_eq!(mirrored.verdict, comparison.verdict, "{new} // {old}");
}

fn check(old: &str, new: &str, expected: &str) {
    check_by(&Rules::default(), old, new, expected);
}

#[test]
fn statuses_come_first() {
    check("200 | {}", "200 | {}", "match");
    check(
        "200 | {\"a\":1}",
        "404 content-type=text/html | <p>",
        "status status",
    );
    check("200 content-encoding=rot13 | a", "500 | b", "status status");
    check("200", "404", "status status");
    check("200 | 1", "201 | 1", "status status");
    let class = Rules {
        status: StatusRule::Class,
        ..Rules::default()
    };
    check_by(&class, "200 | 1", "201 | 1.0", "match");
    check_by(&class, "200 | 1", "201 | 2", "changed $");
    check_by(&class, "404 | 1", "500 | 1", "status status");
    let comparison = judge(
        &side("200 | 1"),
        &side("404 | 2"),
        &Rules::default(),
        &mut Unlimited,
    );
    assert_eq!(comparison.patch, None);
}

#[test]
fn head_compares_status_and_headers() {
    check(
        "200 content-type=application/json",
        "200 content-type=application/json;_charset=utf-8",
        "match",
    );
    check(
        "200 content-type=text/html",
        "200",
        "header header:content-type",
    );
    check("200", "200 | {}", "match");
}

#[test]
fn headers_are_compared_as_the_rules_say() {
    check(
        "200 content-type=application/json | 1",
        "200 content-type=application/json;_charset=utf-8 | 1.0",
        "match",
    );
    check(
        "200 content-type=application/json | 1",
        "200 content-type=text/plain | 1",
        "header header:content-type",
    );
    check(
        "200 content-type=application/json | 1",
        "200 content-type=text/plain | 2",
        "header header:content-type, changed $",
    );
    check(
        "200 content-type=application/json | 1",
        "200 | 1",
        "header header:content-type",
    );
    check("200 etag=a | 1", "200 etag=b | 1", "match");
    let headers = vec![
        HeaderName::from_static("etag"),
        HeaderName::from_static("x-a"),
        HeaderName::from_static("etag"),
    ];
    let rules = Rules {
        headers,
        ..Rules::default()
    };
    check_by(
        &rules,
        "200 etag=a x-a=1 content-type=a/b | 1",
        "200 etag=b | 1",
        "header header:etag, header header:x-a",
    );
    check_by(&rules, "200 etag=a | 1", "200 etag=a | 1", "match");
}

#[test]
fn types_say_what_is_json() {
    let check = |old: &str, new: &str, expected: &str| {
        check(
            &format!("200 {old} | {{\"a\":1}}"),
            &format!("200 {new} | {{ \"a\": 1 }}"),
            expected,
        )
    };
    check("", "", "match");
    check(
        "content-type=application/json",
        "content-type=application/json",
        "match",
    );
    check(
        "content-type=application/hal+json",
        "content-type=application/hal+json",
        "match",
    );
    check(
        "content-type=text/plain",
        "content-type=text/plain",
        "body body",
    );
    check(
        "content-type=application/json",
        "content-type=text/plain",
        "header header:content-type",
    );
    check(
        "content-type=text/plain",
        "",
        "header header:content-type, body body",
    );
}

#[test]
fn what_is_no_json_compares_as_bytes() {
    check("200 | NaN", "200 | NaN", "match");
    check(
        "200 content-type=application/json | {broken",
        "200 content-type=application/json | {broken",
        "match",
    );
    check("200 | {broken", "200 | {broken ", "body body");
    check("200 |", "200 |", "match");
    for other in [
        "NaN",
        "1 x",
        "\"\\ud800\"",
        "\u{feff}1",
        "",
        "{\"a\":1,}",
        "01",
    ] {
        check("200 | 1", &format!("200 | {other}"), "type body");
    }
    let invalid = Side {
        status: 200,
        headers: HeaderMap::new(),
        body: Some(b"\"\xff\"".to_vec()),
    };
    assert_eq!(
        show(&judge(
            &side("200 | 1"),
            &invalid,
            &Rules::default(),
            &mut Unlimited
        )),
        "type body"
    );
    assert_eq!(
        show(&judge(
            &invalid,
            &invalid,
            &Rules::default(),
            &mut Unlimited
        )),
        "match"
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn codings_are_taken_off_first() {
    let coded = |coding: &str, body: &[u8]| Side {
        body: Some(body.to_vec()),
        ..side(&format!("200 content-encoding={coding}"))
    };
    let check = |old: &Side, new: &Side, expected: &str| {
        assert_eq!(
            show(&judge(old, new, &Rules::default(), &mut Unlimited)),
            expected
        );
    };
    let plain = side("200 | {\"a\":1}");
    check(&plain, &coded("gzip", &gzip(b"{\"a\":1}")), "match");
    check(&plain, &coded("gzip", &gzip(b"{ \"a\":1.0}")), "match");
    check(&coded("gzip", &gzip(b"{\"a\":2}")), &plain, "changed $.a");
    check(&plain, &coded("gzip", b"{\"a\":1}"), "incomparable coding");
    check(&plain, &coded("rot13", b"{\"a\":1}"), "incomparable coding");
    // Equal bytes in equal codings are equal, whatever they mean.
    check(&coded("rot13", b"x"), &coded("rot13", b"x"), "match");
    check(
        &coded("rot13", b"x"),
        &coded("rot13", b"y"),
        "incomparable coding",
    );
    check(&coded("gzip", b"x"), &coded("gzip", b"x"), "match");
    // A header that differs does not make a pair known whose bodies are not.
    let html = Side {
        headers: side("200 content-type=text/html content-encoding=gzip").headers,
        ..coded("gzip", b"x")
    };
    check(&plain, &html, "incomparable coding");
    check(
        &plain,
        &coded("gzip", &gzip(&vec![b' '; MAX_DECODED + 1])),
        "incomparable too_large",
    );
}

#[test]
fn beyond_bounds_only_equal_bytes_match() {
    let check = |old: String, new: String, expected: &str| {
        let side = |body: String| Side {
            status: 200,
            headers: HeaderMap::new(),
            body: Some(body.into_bytes()),
        };
        let comparison = judge(&side(old), &side(new), &Rules::default(), &mut Unlimited);
        assert_eq!(show(&comparison), expected);
        assert!(comparison.divergences.is_empty() && comparison.patch.is_none());
    };
    let deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
    check(deep.clone(), deep.clone(), "match");
    check(deep.clone(), format!("{deep} "), "incomparable too_deep");
    check(deep, "1".into(), "incomparable too_deep");
    let many = format!("[{}0]", "0,".repeat(200_000));
    check(many.clone(), many.clone(), "match");
    check("broken".into(), many, "incomparable too_many_nodes");
    let large = format!("\"{}\"", "a".repeat(MAX_DECODED));
    check(large.clone(), large.clone(), "match");
    check(large, "1".into(), "incomparable too_large");
}

/// Memory that ends at the first refusal, and counts.
struct Limited {
    left: usize,
}

impl Memory for Limited {
    fn charge(&mut self, bytes: usize) -> bool {
        let granted = bytes <= self.left;
        self.left = if granted { self.left - bytes } else { 0 };
        granted
    }
}

#[test]
fn without_memory_nothing_is_judged() {
    let items = |from: usize, step: usize| {
        (from..from + 2_000)
            .map(|n| format!("{{\"id\":{},\"x\":1}}", n * step))
            .collect::<Vec<_>>()
            .join(",")
    };
    let body = |text: String| Side {
        status: 200,
        headers: HeaderMap::new(),
        body: Some(text.into_bytes()),
    };
    let (old, new) = (
        body(format!("[{}]", items(0, 1))),
        body(format!("[{}]", items(7, 3))),
    );
    let judge_with = |left| {
        let mut memory = Limited { left };
        judge(&old, &new, &Rules::default(), &mut memory).verdict
    };
    assert_eq!(judge_with(100 << 20), Verdict::Mismatch);
    let mut known = 0;
    for left in (0..4_000_000).step_by(50_021) {
        match judge_with(left) {
            Verdict::Mismatch => known += 1,
            verdict => {
                assert_eq!(
                    verdict,
                    Verdict::Incomparable(Incomparable::Bytes),
                    "{left}"
                );
                assert_eq!(known, 0, "more memory never judges less: {left}");
            }
        }
    }
    assert!(known > 0);
    let mut none = Limited { left: 0 };
    assert_eq!(
        judge(&old, &old, &Rules::default(), &mut none).verdict,
        Verdict::Match
    );
}

#[test]
fn every_name_is_its_own() {
    let names = |names: Vec<&str>| {
        names
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!(names(Kind::ALL.map(Kind::name).to_vec()), 11);
    assert_eq!(
        names(Incomparable::ALL.map(Incomparable::name).to_vec()),
        15
    );
}
