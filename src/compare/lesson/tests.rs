use super::{Advice, Known, Lessons, MAX_FIELDS, Rule};
use crate::compare::{Kind, Rules, compare_documents};
use crate::json::{Document, Limits, Unlimited};

/// Everything is known to be noise, but for what is asked.
fn noisy(path: &str) -> Known {
    Known {
        is_noise: path != "$.real",
        checks: 40,
    }
}

fn remember(lessons: &mut Lessons, old: &str, new: &str) {
    let found = compare_documents(old.as_bytes(), new.as_bytes(), &Rules::default()).divergences;
    assert!(!found.is_empty(), "{old} {new}");
    let read = |text| Document::read(text, Limits::default(), &mut Unlimited).unwrap();
    let [a, b] = [read(old.as_bytes()), read(new.as_bytes())];
    assert!(
        lessons.pairs() > 0
            || lessons.wants_documents(&found)
                == found
                    .iter()
                    .any(|one| one.at.contains('[') || one.kind == Kind::Order)
    );
    lessons.remember(&found, &[&a, &b]);
}

/// What several pairs teach.
#[track_caller]
fn check(pairs: &[(&str, &str)], expected: &[(&str, Rule)]) -> Vec<Advice> {
    let mut lessons = Lessons::default();
    for (old, new) in pairs {
        remember(&mut lessons, old, new);
    }
    let advice = lessons.advice(noisy);
    let found: Vec<_> = advice
        .iter()
        .map(|advice| (advice.path.as_str(), advice.rule.clone()))
        .collect();
    assert_eq!(found, expected);
    advice
}

#[test]
fn the_narrowest_rule_that_covers_everything_is_proposed() {
    check(
        &[
            (r#"{"a": 1.25, "b": 1.5}"#, r#"{"a": 1.2500004, "b": 2.75}"#),
            (r#"{"a": 7.125, "b": 1.5}"#, r#"{"a": 7.12502, "b": 1.25}"#),
        ],
        &[("$.a", Rule::Tolerance(-4)), ("$.b", Rule::Shape)],
    );
    check(
        &[(
            r#"{"at": "2026-01-02T03:04:05Z"}"#,
            r#"{"at": "2026-01-02T03:04:06Z"}"#,
        )],
        &[("$.at", Rule::Shape)],
    );
    let advice = check(
        &[
            (
                r#"{"at": "2026-01-02T03:04:05Z"}"#,
                r#"{"at": "2026-01-02T03:04:06Z"}"#,
            ),
            (r#"{"at": null}"#, r#"{"at": "2026-01-02T03:04:06Z"}"#),
        ],
        &[("$.at", Rule::Ignore)],
    );
    assert_eq!(
        advice[0].evidence,
        "noise in 40 checks; nothing narrower holds: the shape differs in 1 of 2 pairs"
    );
}

#[test]
fn nothing_is_proposed_for_what_is_not_known_to_be_noise() {
    check(&[(r#"{"real": 1}"#, r#"{"real": 2}"#)], &[]);
    // The statuses and bodies that differ are no fields.
    let mut lessons = Lessons::default();
    let found = compare_documents(b"a", b"b", &Rules::default()).divergences;
    lessons.remember(&found, &[]);
    assert_eq!(lessons.advice(noisy), []);
    assert_eq!(lessons.pairs(), 1);
}

#[test]
fn the_order_of_elements_is_told_from_the_elements() {
    let advice = check(
        &[
            (
                r#"{"tags": ["a", "b", "c"]}"#,
                r#"{"tags": ["c", "a", "b"]}"#,
            ),
            (
                r#"{"tags": ["a", "b", "c"]}"#,
                r#"{"tags": ["b", "a", "c"]}"#,
            ),
        ],
        &[("$.tags", Rule::Unordered)],
    );
    assert_eq!(
        advice[0].evidence,
        "100 % of the 2 pairs that differ here differ in order only"
    );
    let advice = check(
        &[(
            r#"{"items": [{"n": 1, "id": "x"}, {"n": 2, "id": "y"}]}"#,
            r#"{"items": [{"n": 2, "id": "y"}, {"n": 1, "id": "x"}]}"#,
        )],
        &[("$.items", Rule::MatchBy(vec!["id".to_owned()]))],
    );
    assert_eq!(
        advice[0].evidence,
        "100 % of the 1 pairs that differ here differ in order only; \"id\" is unique in each array, of 4 elements"
    );
    // What no name tells apart, two together may.
    let lines = |order: [&str; 3]| {
        let lines = order.map(|line| {
            let (kind, no) = line.split_at(1);
            format!(r#"{{"amount": 7, "kind": "{kind}", "no": {no}, "free": {no}}}"#)
        });
        format!(r#"{{"lines": [{}]}}"#, lines.join(", "))
    };
    let advice = check(
        &[
            (&lines(["a1", "b2", "c3"]), &lines(["c3", "a1", "b2"])),
            (&lines(["a1", "a2", "b1"]), &lines(["b1", "a1", "a2"])),
        ],
        &[(
            "$.lines",
            Rule::MatchBy(["kind", "no"].map(str::to_owned).to_vec()),
        )],
    );
    assert_eq!(
        advice[0].evidence,
        "100 % of the 2 pairs that differ here differ in order only; \"kind\" with \"no\" is unique in each array, of 6 elements"
    );
    // An id that repeats tells nothing apart.
    check(
        &[(
            r#"{"items": [{"id": 1, "n": 1}, {"id": 1, "n": 1}, {"id": 2, "n": 1}]}"#,
            r#"{"items": [{"id": 2, "n": 1}, {"id": 1, "n": 1}, {"id": 1, "n": 1}]}"#,
        )],
        &[("$.items", Rule::Unordered)],
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut lessons = Lessons::default();
    for number in 0..MAX_FIELDS * 3 {
        remember(
            &mut lessons,
            &format!(r#"{{"f{number}": ["a", "b"]}}"#),
            &format!(r#"{{"f{number}": ["b", "a"]}}"#),
        );
    }
    assert_eq!(lessons.fields.len(), MAX_FIELDS);
    assert!(lessons.arrays.len() <= MAX_FIELDS);
}
