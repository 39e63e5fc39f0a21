//! What holds for any two documents.

use super::rules;
use crate::compare::rules::Rules;
use crate::compare::verdict::*;
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Documents of few names and few values, so that equal parts are common.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..4_i64).prop_map(Value::from),
        proptest::sample::select(&[0.5, 1.0, 1.25, -0.0][..]).prop_map(Value::from),
        proptest::sample::select(&["", "a", "b", "é"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = proptest::sample::select(&["a", "b", "c", "id", "x y", "~/"][..])
            .prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// One change of a document, at a place that is chosen by numbers.
fn change(value: &mut Value, mut choices: impl Iterator<Item = usize>, other: Value) {
    let mut choose = |bound: usize| choices.next().unwrap_or(0) % bound.max(1);
    match value {
        Value::Array(list) if !list.is_empty() => {
            let (at, to) = (choose(list.len()), choose(list.len()));
            match choose(6) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, other),
                2 => list.swap(at, to),
                3 => list.reverse(),
                _ => change(&mut list[at], choices, other),
            }
        }
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(choose(members.len())).unwrap().clone();
            match choose(5) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert("new".into(), other)),
                2 => {
                    // Another order of the names.
                    let first = members.shift_remove(&name);
                    members.insert(name, first.unwrap_or_default());
                }
                _ => change(&mut members[&name], choices, other),
            }
        }
        Value::Array(_)
        | Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => *value = other,
    }
}

/// A document and one that is mostly the same, or another altogether.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    let changes = proptest::collection::vec(
        (proptest::collection::vec(0..1_000_usize, 12), document()),
        0..4,
    );
    prop_oneof![
        4 => (document(), changes).prop_map(|(old, changes)| {
            let mut new = old.clone();
            for (choices, other) in changes {
                change(&mut new, choices.into_iter(), other);
            }
            (old, new)
        }),
        1 => (document(), document()),
    ]
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let rule = proptest::sample::select(
        &[
            "ignore $..a",
            "ignore $..[0]",
            "ignore $.b.*",
            "unordered $..*",
            "unordered $",
            "unordered $.a",
            "match_by $..* id",
            "match_by $ a.b",
            "match_by $..* id a",
            "shape $..a",
            "shape $.b",
            "shape $..*",
            "shape $[*]",
            "tolerance $..* 0.5",
            "tolerance $..b 1",
            "tolerance $[*] 1.25",
            "map $",
            "map $..c",
            "nulls",
        ][..],
    );
    proptest::collection::vec(rule, 0..4).prop_map(|list| rules(&list.join(";")))
}

fn judge(old: &Value, new: &Value, rules: &Rules) -> Comparison {
    compare_documents(
        old.to_string().as_bytes(),
        new.to_string().as_bytes(),
        rules,
    )
}

/// Paths with kinds; mirrored if the sides were swapped.
fn fields(comparison: &Comparison, mirrored: bool) -> BTreeSet<(String, Kind)> {
    let kind = |kind| match kind {
        Kind::Missing if mirrored => Kind::Extra,
        Kind::Extra if mirrored => Kind::Missing,
        kind => kind,
    };
    comparison
        .divergences
        .iter()
        .map(|found| (found.path.clone(), kind(found.kind)))
        .collect()
}

/// The same value in other clothes: names in another order, numbers and strings written differently, blanks.
fn disguise(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => match number.as_i64() {
            Some(0) => out.push_str("0.0E+7"),
            Some(number) => out.push_str(&format!("{number}0e-1")),
            None => out.push_str(&format!("{number}00")),
        },
        Value::String(text) => {
            let escaped: String = text
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04X}"))
                .collect();
            out.push_str(&format!("\"{escaped}\""));
        }
        Value::Array(list) => {
            out.push_str("[ ");
            for (at, element) in list.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { " ,\n" });
                disguise(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().rev().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                disguise(&Value::from(name.as_str()), out);
                out.push_str(":\t");
                disguise(member, out);
            }
            out.push('}');
        }
    }
}

/// Equality by the rules of this comparison, as plainly as it can be said.
fn plainly_equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plainly_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |a: &Map<String, Value>, b: &Map<String, Value>| {
                a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| plainly_equal(a, b)))
            };
            a.len() == b.len() && same(a, b)
        }
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_document_equals_itself_in_any_clothes(value in document(), rules in some_rules()) {
        let mut disguised = String::new();
        disguise(&value, &mut disguised);
        let comparison = compare_documents(value.to_string().as_bytes(), disguised.as_bytes(), &rules);
        prop_assert_eq!(comparison, Comparison::matching(), "{} {}", value, disguised);
    }

    #[test]
    fn without_rules_what_is_different_differs((old, new) in pair()) {
        let comparison = judge(&old, &new, &Rules::default());
        prop_assert_eq!(comparison.verdict == Verdict::Match, plainly_equal(&old, &new), "{} {}", old, new);
        prop_assert_eq!(comparison.verdict == Verdict::Match, comparison.divergences.is_empty());
    }

    #[test]
    fn an_exact_patch_gives_new((old, new) in pair(), rules in some_rules()) {
        let comparison = judge(&old, &new, &rules);
        let Some(patch) = &comparison.patch else { return Ok(()) };
        let mut patched = old.clone();
        prop_assert!(json_patch::patch(&mut patched, patch).is_ok(), "{} {} {}", old, new, patch);
        if comparison.patch_exact {
            prop_assert!(plainly_equal(&patched, &new), "{} {} {}", old, new, patch);
        } else {
            prop_assert!(comparison.patch_truncated || !plainly_equal(&patched, &new), "{} {} {}", old, new, patch);
        }
    }

    #[test]
    fn without_rules_every_whole_patch_is_exact((old, new) in pair()) {
        let comparison = judge(&old, &new, &Rules::default());
        prop_assert_eq!(comparison.patch_exact, comparison.patch.is_some() && !comparison.patch_truncated, "{} {}", old, new);
    }

    #[test]
    fn swapped_sides_mirror_the_verdict((old, new) in pair(), rules in some_rules()) {
        let (comparison, mirrored) = (judge(&old, &new, &rules), judge(&new, &old, &rules));
        prop_assert_eq!(comparison.verdict, mirrored.verdict, "{} {}", old, new);
        prop_assert_eq!(fields(&comparison, false), fields(&mirrored, true), "{} {}", old, new);
    }

    #[test]
    fn ignoring_everything_matches((old, new) in pair()) {
        prop_assert_eq!(judge(&old, &new, &rules("ignore $")).verdict, Verdict::Match);
        let same_type = std::mem::discriminant(&old) == std::mem::discriminant(&new);
        let container = matches!(old, Value::Array(_) | Value::Object(_));
        if same_type && container {
            prop_assert_eq!(judge(&old, &new, &rules("ignore $.*")).verdict, Verdict::Match);
            prop_assert_eq!(judge(&old, &new, &rules("ignore $..*")).verdict, Verdict::Match);
        }
    }

    #[test]
    fn more_rules_never_make_a_match_differ((old, new) in pair(), path in proptest::sample::select(&["$..a", "$..*", "$.b", "$..[0]"][..])) {
        // Not so for ignored elements of arrays: without them neighbours move.
        if judge(&old, &new, &Rules::default()).verdict == Verdict::Match {
            for rule in ["ignore", "unordered"] {
                prop_assert_eq!(judge(&old, &new, &rules(&format!("{rule} {path}"))).verdict, Verdict::Match);
            }
        }
    }

    #[test]
    fn any_order_of_an_unordered_array_matches(list in proptest::collection::vec(document(), 0..8), seed in any::<u64>()) {
        let mut shuffled = list.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, (seed.rotate_left(at as u32 * 7) % (at as u64 + 1)) as usize);
        }
        let (old, new) = (Value::from(list), Value::from(shuffled));
        prop_assert_eq!(judge(&old, &new, &rules("unordered $")).verdict, Verdict::Match);
        let kinds: BTreeSet<_> = judge(&old, &new, &Rules::default()).divergences.iter().map(|found| (found.path.clone(), found.kind)).collect();
        prop_assert!(kinds.is_empty() || kinds == [("$".to_owned(), Kind::Order)].into(), "{} {} {:?}", old, new, kinds);
    }

    #[test]
    fn any_bytes_are_judged(
        old in proptest::collection::vec(proptest::sample::select(&b"{}[]\",:01.-e\\unltfrsa \xff\xc3\xa9"[..]), 0..24),
        new in proptest::collection::vec(proptest::sample::select(&b"{}[]\",:01.-e\\unltfrsa \xff\xc3\xa9"[..]), 0..24),
        rules in some_rules(),
    ) {
        let comparison = compare_documents(&old, &new, &rules);
        prop_assert!(old != new || comparison.verdict == Verdict::Match);
        let headers = HeaderMap::new();
        let [old, new] = [&old, &new].map(|body| Answer { status: StatusCode::OK, headers: &headers, body: Some(body) });
        prop_assert_eq!(compare(&old, &new, &rules, &mut Unlimited), comparison);
    }
}
