//! Pairs of arrays, each with what it must be.

use super::documents::{check, check_by};
use super::rules;
use crate::compare::rules::Rules;
use crate::compare::verdict::*;

#[test]
fn arrays_are_aligned_in_order() {
    check("[2,3]", "[1,2,3]", "extra $[*]");
    check("[1,2,3]", "[1,3]", "missing $[*]");
    check("[1,2,3]", "[1,9,3]", "changed $[*]");
    check("[1,2,3]", "[1,\"2\",3]", "type $[*]");
    check("[]", "[1]", "extra $[*]");
    check("[1,1,2]", "[1,2,1]", "order $");
    check("[1,1,2]", "[1,2,2]", "changed $[*]");
    check("[[1,2],[3]]", "[[2,1],[3]]", "order $[*]");
    // Their hashes were equal once.
    check("[null,[false],[true]]", "[[true],null,[false]]", "order $");
    check(
        r#"[{"c":true},{"a":false}]"#,
        r#"[{"a":false},{"c":true}]"#,
        "order $",
    );
    check(
        r#"[{"a":1,"b":1},{"a":2,"b":1}]"#,
        r#"[{"b":1,"a":2},{"b":1,"a":1}]"#,
        "order $",
    );
    let one = check(
        r#"[{"id":1,"x":1,"y":1},{"id":2,"x":1,"y":1}]"#,
        r#"[{"id":0,"x":0,"y":0},{"id":1,"x":1,"y":1},{"id":2,"x":9,"y":1}]"#,
        "changed $[*].x, extra $[*]",
    );
    assert_eq!(
        one.divergences
            .iter()
            .map(|found| found.at.as_str())
            .collect::<Vec<_>>(),
        ["$[1].x", "$[0]"]
    );
    // The element that lost a neighbour is not confused with it.
    let lost = check(
        r#"[{"id":1,"x":5,"y":6},{"id":2,"x":7,"y":8}]"#,
        r#"[{"id":2,"x":7,"y":9}]"#,
        "missing $[*], changed $[*].y",
    );
    assert_eq!(lost.divergences[0].at, "$[0]");
}

#[test]
fn one_element_in_front_of_many_is_one_extra() {
    let list = |from: usize| {
        format!(
            "[{}]",
            (from..10_000)
                .map(|n| format!("{{\"id\":{n},\"name\":\"n{n}\"}}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let comparison = check(&list(1), &list(0), "extra $[*]");
    assert_eq!(comparison.divergences[0].at, "$[0]");
    assert_eq!(comparison.patch.unwrap().0.len(), 1);
    assert!(comparison.patch_exact);
    // The same among equal elements, where nearly every pair is equal.
    let equal = |count: usize| format!("[0{}]", ",1".repeat(count));
    check(&equal(50_000), &equal(50_001), "extra $[*]");
}

#[test]
fn what_can_not_be_aligned_is_compared_by_position() {
    let list = |parts: [&str; 3]| {
        format!(
            "[{}]",
            parts
                .map(|part| format!("{part}0").trim_end_matches(",0").to_owned())
                .join(",")
        )
    };
    let (ones, twos) = ("1,".repeat(5_000), "1,2,".repeat(2_500));
    let old = list([&format!("2,{ones}"), &twos, "3,"]);
    let new = list([&format!("3,{twos}"), &ones, "2,2,"]);
    let comparison = check(
        &old,
        &new,
        "length $, changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*], changed $[*]",
    );
    assert!(comparison.patch_truncated && !comparison.patch_exact);
    assert_eq!(comparison.patch.unwrap().0.len(), 200);
    // Many elements that differ inside, and none of them equal: they keep their partners.
    let list = |x: usize| {
        format!(
            "[{}]",
            (0..3_000)
                .map(|n| format!("{{\"id\":{n},\"x\":{x}}}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let comparison = compare_documents(list(1).as_bytes(), list(2).as_bytes(), &Rules::default());
    assert!(
        comparison
            .divergences
            .iter()
            .all(|found| found.path == "$[*].x" && found.kind == Kind::Changed)
    );
    assert_eq!(comparison.divergences.len(), 16);
}

#[test]
fn a_thousand_equal_differences_do_not_hide_another() {
    let document = |x: usize, total: usize| {
        let items: Vec<_> = (0..5_000)
            .map(|n| format!("{{\"id\":{n},\"x\":{x}}}"))
            .collect();
        format!("{{\"items\":[{}],\"total\":{total}}}", items.join(","))
    };
    let comparison = compare_documents(
        document(1, 1).as_bytes(),
        document(2, 2).as_bytes(),
        &Rules::default(),
    );
    assert_eq!(comparison.divergences.len(), 17);
    assert_eq!(comparison.divergences[16].path, "$.total");
    let names = |value: usize| {
        format!(
            "{{{}}}",
            (0..3_000)
                .map(|n| format!("\"k{n}\":{value}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    assert_eq!(
        compare_documents(names(1).as_bytes(), names(2).as_bytes(), &Rules::default())
            .divergences
            .len(),
        1_000
    );
    assert_eq!(
        compare_documents(names(1).as_bytes(), names(2).as_bytes(), &rules("map $"))
            .divergences
            .len(),
        16
    );
}

#[test]
fn unordered_arrays_are_multisets() {
    let rule = "unordered $.tags";
    check_by(
        rule,
        r#"{"tags":["a","b","c"]}"#,
        r#"{"tags":["c","a","b"]}"#,
        "match",
    );
    check_by(
        rule,
        r#"{"tags":["a","a","b"]}"#,
        r#"{"tags":["a","b","b"]}"#,
        "missing $.tags[*], extra $.tags[*]",
    );
    let comparison = check_by(
        rule,
        r#"{"tags":["a","b","c"]}"#,
        r#"{"tags":["d","c","a"]}"#,
        "missing $.tags[*], extra $.tags[*]",
    );
    assert_eq!(comparison.divergences[0].at, "$.tags[1]");
    assert_eq!(comparison.divergences[1].at, "$.tags[0]");
    check_by(
        "unordered $..*",
        "[[1,2],[3,[4,5]]]",
        "[[2,1],[[5,4],3]]",
        "match",
    );
    check_by(
        "unordered $; unordered $[*]",
        "[[1,2],[3,4]]",
        "[[4,3],[2,1]]",
        "match",
    );
    check_by(
        "unordered $; ignore $[*].t",
        r#"[{"i":1,"t":1},{"i":2,"t":2}]"#,
        r#"[{"i":2,"t":3},{"i":1,"t":4}]"#,
        "match",
    );
    check_by("unordered $", "[1,1.0,2]", "[2,1,1e0]", "match");
}

#[test]
fn elements_match_by_their_identity() {
    let rule = "match_by $.items id";
    let check = |old: &str, new: &str, expected: &str| {
        check_by(
            rule,
            &format!("{{\"items\":[{old}]}}"),
            &format!("{{\"items\":[{new}]}}"),
            expected,
        )
    };
    check(
        r#"{"id":1,"x":1},{"id":2,"x":2}"#,
        r#"{"x":2,"id":2},{"x":1,"id":1.0}"#,
        "match",
    );
    let changed = check(
        r#"{"id":1,"x":1},{"id":2,"x":2}"#,
        r#"{"id":2,"x":3},{"id":1,"x":1}"#,
        "changed $.items[*].x",
    );
    assert_eq!(changed.divergences[0].at, "$.items[1].x");
    check(
        r#"{"id":1}"#,
        r#"{"id":2}"#,
        "missing $.items[*], extra $.items[*]",
    );
    check(
        r#"{"id":1},{"id":1,"y":2}"#,
        r#"{"id":1},{"id":1,"y":3}"#,
        "changed $.items[*].y",
    );
    check(r#"{"id":1},{"id":1}"#, r#"{"id":1}"#, "missing $.items[*]");
    check(
        r#"{"id":1},7,{"x":1},null"#,
        r#"{"x":1},null,7,{"id":1}"#,
        "match",
    );
    check(
        r#"{"id":null,"x":1}"#,
        r#"{"id":null,"x":2}"#,
        "missing $.items[*], extra $.items[*]",
    );
    check(
        r#"{"id":"1"}"#,
        r#"{"id":1}"#,
        "missing $.items[*], extra $.items[*]",
    );
    check_by(
        "match_by $ meta.id",
        r#"[{"meta":{"id":1},"x":1},{"meta":{"id":2}}]"#,
        r#"[{"meta":{"id":2}},{"meta":{"id":1},"x":2}]"#,
        "changed $[*].x",
    );
    // An identity that is ignored still tells elements apart.
    check_by(
        "match_by $ id; ignore $[*].id",
        r#"[{"id":1,"x":1},{"id":2,"x":2}]"#,
        r#"[{"id":2,"x":2},{"id":1,"x":1}]"#,
        "match",
    );
    check_by(
        "match_by $ id; unordered $",
        r#"[{"id":1,"x":1}]"#,
        r#"[{"id":1,"x":2}]"#,
        "changed $[*].x",
    );
}

#[test]
fn elements_match_by_several_fields() {
    let check = |old: &str, new: &str, expected: &str| {
        check_by(
            "match_by $ kind meta.id",
            &format!("[{old}]"),
            &format!("[{new}]"),
            expected,
        )
    };
    let changed = check(
        r#"{"kind":"a","meta":{"id":1},"x":1},{"kind":"b","meta":{"id":1},"x":2},{"kind":"a","meta":{"id":2},"x":3}"#,
        r#"{"kind":"a","meta":{"id":2},"x":3},{"kind":"b","meta":{"id":1.0},"x":4},{"kind":"a","meta":{"id":1},"x":1}"#,
        "changed $[*].x",
    );
    assert_eq!(changed.divergences[0].at, "$[1].x");
    // One field alone is no identity, and neither are the same values in each other's place.
    for (old, new) in [
        (
            r#"{"kind":"a","meta":{"id":1}}"#,
            r#"{"kind":"a","meta":{"id":2}}"#,
        ),
        (
            r#"{"kind":"a","meta":{"id":1}}"#,
            r#"{"kind":"b","meta":{"id":1}}"#,
        ),
        (
            r#"{"kind":1,"meta":{"id":2}}"#,
            r#"{"kind":2,"meta":{"id":1}}"#,
        ),
    ] {
        check(old, new, "missing $[*], extra $[*]");
    }
    // Elements that lack a field are a multiset.
    check(
        r#"{"kind":"a","x":1},{"kind":"a","x":2},{"meta":{"id":1}},{"kind":"a","meta":{"id":1}}"#,
        r#"{"kind":"a","meta":{"id":1}},{"kind":"a","x":2},{"meta":{"id":1}},{"kind":"a","x":1}"#,
        "match",
    );
    for lacking in [r#""meta":{"id":null}"#, r#""meta":{}"#, r#""meta":7"#] {
        check(
            &format!(r#"{{"kind":"a",{lacking},"x":1}}"#),
            &format!(r#"{{"kind":"a",{lacking},"x":2}}"#),
            "missing $[*], extra $[*]",
        );
    }
    // Of several with one identity the first belongs to the first.
    check(
        r#"{"kind":"a","meta":{"id":1},"x":1},{"kind":"a","meta":{"id":1},"x":2}"#,
        r#"{"kind":"a","meta":{"id":1},"x":1},{"kind":"a","meta":{"id":1},"x":3},{"kind":"a","meta":{"id":1},"x":2}"#,
        "changed $[*].x, extra $[*]",
    );
    // Numbers with a tolerance among the fields.
    check_by(
        "match_by $ at v; tolerance $[*].v 0.5",
        r#"[{"at":1,"v":1,"x":1},{"at":1,"v":2,"x":2},{"at":2,"v":1,"x":3}]"#,
        r#"[{"at":2,"v":1.25,"x":3},{"at":1,"v":2.25,"x":2},{"at":1,"v":1.25,"x":4}]"#,
        "changed $[*].x",
    );
}

#[test]
fn identities_within_identities_cost_no_more_than_the_budget() {
    for (open, close) in [("[", "]"), ("[{\"id\":", "}]"), ("[{\"id\":1,\"a\":", "}]")] {
        let deep = |leaf| format!("{}{leaf}{}", open.repeat(60), close.repeat(60));
        let (old, new) = (deep("[1,2]"), deep("[2,1.0]"));
        let comparison = compare_documents(
            old.as_bytes(),
            new.as_bytes(),
            &rules("match_by $..* id; match_by $ id"),
        );
        // What is beyond the budget counts as different.
        assert_eq!(
            comparison.verdict == Verdict::Match,
            !open.ends_with("\"id\":"),
            "{open}"
        );
    }
}

#[test]
fn what_is_written_alike_may_differ_by_its_place() {
    // Without its name the first element of old is none of those of new.
    check_by(
        "ignore $[0].a",
        r#"[{"a":1},{"a":1}]"#,
        r#"[{"b":1},{"a":1},{"a":1}]"#,
        "extra $[*].b, extra $[*]",
    );
}
