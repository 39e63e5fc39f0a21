//! Pairs of documents, each with what it must be.

use super::{rules, show};
use crate::compare::verdict::*;

pub(super) fn check_by(rules_text: &str, old: &str, new: &str, expected: &str) -> Comparison {
    let rules = rules(rules_text);
    let comparison = compare_documents(old.as_bytes(), new.as_bytes(), &rules);
    assert_eq!(
        show(&comparison),
        expected,
        "{old} // {new} // {rules_text}"
    );
    let mirrored = compare_documents(new.as_bytes(), old.as_bytes(), &rules);
    assert_eq!(mirrored.verdict, comparison.verdict, "{new} // {old}");
    assert_eq!(
        comparison.patch.is_some(),
        comparison.verdict == Verdict::Mismatch && !expected.ends_with(" body")
    );
    comparison
}

pub(super) fn check(old: &str, new: &str, expected: &str) -> Comparison {
    check_by("", old, new, expected)
}

#[test]
fn the_table_of_the_interface() {
    for (old, new) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1.0", "1e0"),
        ("-0", "0"),
        ("1e400", "10e399"),
        ("\"é\"", "\"\\u00e9\""),
        ("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"),
    ] {
        check(old, new, "match");
    }
    check("9007199254740993", "9007199254740992", "changed $");
    check("1e400", "1e401", "changed $");
    check("1", "\"1\"", "type $");
    check("null", "{}", "type $");
    check(r#"{"a":null}"#, "{}", "missing $.a");
    check("{}", r#"{"a":null}"#, "extra $.a");
    check_by("nulls", r#"{"a":null}"#, "{}", "match");
    check_by("nulls", "{}", r#"{"a":null}"#, "match");
    check("[1,2,3]", "[3,1,2]", "order $");
    check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#, "duplicate $.a");
    for other in ["NaN", "1 x", "\"\\ud800\"", "\u{feff}1", ""] {
        check("1", other, "type body");
    }
    check("NaN", "nan", "body body");
}

#[test]
fn values_differ_in_value_or_type() {
    check("true", "false", "changed $");
    check("\"a\"", "\"b\"", "changed $");
    check("1", "2", "changed $");
    for (old, new) in [
        ("null", "false"),
        ("0", "false"),
        ("\"\"", "null"),
        ("[]", "{}"),
        ("\"[]\"", "[]"),
        ("{}", "0"),
    ] {
        check(old, new, "type $");
    }
    check(
        r#"{"a":{"b":[1,{"c":2}]}}"#,
        r#"{"a":{"b":[1,{"c":3}]}}"#,
        "changed $.a.b[*].c",
    );
    check(r#"{"a b":1}"#, r#"{"a b":2}"#, "changed $['a b']");
    check(r#"{"":1}"#, r#"{"":2}"#, "changed $['']");
    check(
        r#"{"a":1,"b":2,"c":3}"#,
        r#"{"c":4,"d":5,"a":1}"#,
        "missing $.b, changed $.c, extra $.d",
    );
    check(r#"{"\u0061":1}"#, r#"{"a":1}"#, "match");
}

#[test]
fn ignored_fields_are_dropped_on_both_sides() {
    check_by(
        "ignore $.t",
        r#"{"a":1,"t":1}"#,
        r#"{"a":1,"t":2}"#,
        "match",
    );
    check_by("ignore $.t", r#"{"a":1,"t":1}"#, r#"{"a":1}"#, "match");
    check_by(
        "ignore $.t",
        r#"{"a":1,"t":1}"#,
        r#"{"a":2}"#,
        "changed $.a",
    );
    check_by(
        "ignore $..t",
        r#"[{"t":1,"a":[{"t":2}]}]"#,
        r#"[{"a":[{}]}]"#,
        "match",
    );
    check_by("ignore $.a[*]", r#"{"a":[1,2]}"#, r#"{"a":[]}"#, "match");
    check_by("ignore $.a[-1]", "{\"a\":[1,2]}", "{\"a\":[1,3]}", "match");
    check_by(
        "ignore $.a[0]",
        "{\"a\":[1,2,3]}",
        "{\"a\":[9,2,4]}",
        "changed $.a[*]",
    );
    check_by("ignore $", "1", "{}", "match");
    check_by("ignore $", "1", "x", "type body");
    check_by(
        "ignore $..t",
        r#"[{"t":1,"i":1},{"t":2,"i":2}]"#,
        r#"[{"t":3,"i":2},{"t":4,"i":1}]"#,
        "order $",
    );
    check_by("ignore $..t", r#"{"t":1,"t":2}"#, "{}", "match");
}

#[test]
fn values_may_differ_where_only_their_shapes_count() {
    let check = |old: &str, new: &str, expected: &str| {
        check_by(
            "shape $.x",
            &format!("{{\"x\":{old}}}"),
            &format!("{{\"x\":{new}}}"),
            expected,
        );
    };
    check("1", "7", "match");
    check("1", "70", "changed $.x");
    check("1", "-1", "changed $.x");
    check("1.5", "2.5", "match");
    check("1", "\"1\"", "type $.x");
    check("null", "1", "type $.x");
    check(
        "\"2026-01-02T03:04:05Z\"",
        "\"2031-12-30T23:59:59Z\"",
        "match",
    );
    check("\"2026-01-02T03:04:05Z\"", "\"yesterday\"", "changed $.x");
    check(
        "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"",
        "\"123e4567-e89b-12d3-a456-426614174000\"",
        "match",
    );
    check("[1,2]", "[{}]", "match");
    check("[1,2]", "{}", "type $.x");
    check_by("shape $.x", r#"{"x":1}"#, "{}", "missing $.x");
    // An element is found by the shape of a field too.
    check_by(
        "shape $[*].at; unordered $",
        r#"[{"at":1,"n":1},{"at":2,"n":2}]"#,
        r#"[{"at":3,"n":2},{"at":4,"n":1}]"#,
        "match",
    );
}

#[test]
fn numbers_may_differ_by_the_tolerance() {
    check_by("tolerance $.x 0.1", r#"{"x":1.0}"#, r#"{"x":1.1}"#, "match");
    check_by(
        "tolerance $.x 0.1",
        r#"{"x":1.0}"#,
        r#"{"x":1.11}"#,
        "changed $.x",
    );
    check_by(
        "tolerance $.x 0.1",
        r#"{"x":1.0}"#,
        r#"{"x":"1.0"}"#,
        "type $.x",
    );
    check_by(
        "tolerance $.x 0.1; tolerance $..* 5",
        r#"{"x":1,"y":1}"#,
        r#"{"x":2,"y":2}"#,
        "changed $.x",
    );
    check_by(
        "tolerance $..w 0.5",
        r#"[{"i":1,"w":1},{"i":2,"w":2}]"#,
        r#"[{"i":2,"w":2.5},{"i":1,"w":0.5}]"#,
        "order $",
    );
    check_by("tolerance $[*] 0.5", "[1,2,3]", "[2.1,3.1]", "missing $[*]");
    check_by(
        "tolerance $[*] 0.5; unordered $",
        "[1,2,3]",
        "[3.5,0.5,2]",
        "match",
    );
    check_by(
        "tolerance $[*] 0.5; unordered $",
        "[1,2,3]",
        "[3.6,0.5,2]",
        "missing $[*], extra $[*]",
    );
    check_by(
        "tolerance $..w 1; unordered $",
        r#"[{"i":1,"w":5},{"i":1,"w":6}]"#,
        r#"[{"w":7,"i":1},{"w":4.5,"i":1}]"#,
        "match",
    );
    check_by(
        "tolerance $..w 1; match_by $ i",
        r#"[{"i":1,"w":5}]"#,
        r#"[{"i":1,"w":7}]"#,
        "changed $[*].w",
    );
}

#[test]
fn names_may_be_data() {
    let comparison = check_by(
        "map $.counts",
        r#"{"counts":{"a":1,"b":2}}"#,
        r#"{"counts":{"a":2,"c":2}}"#,
        "changed $.counts.*, missing $.counts.*, extra $.counts.*",
    );
    assert_eq!(comparison.divergences[0].at, "$.counts.a");
    check_by(
        "map $.m",
        r#"{"m":{"x y":{"n":[1]}}}"#,
        r#"{"m":{"x y":{"n":[2]}}}"#,
        "changed $.m.*.n[*]",
    );
}

#[test]
fn null_is_as_absent_where_the_rules_say_so() {
    check_by(
        "nulls",
        r#"{"a":null,"b":1}"#,
        r#"{"b":1,"c":null}"#,
        "match",
    );
    check_by("nulls", r#"{"a":null}"#, r#"{"a":1}"#, "extra $.a");
    check_by("nulls", "[null]", "[]", "missing $[*]");
    check_by("nulls", "null", "1", "type $");
    check_by(
        "nulls",
        r#"[{"a":null},{"b":1}]"#,
        r#"[{"b":1},{}]"#,
        "order $",
    );
}

#[test]
fn repeated_keys_are_seen() {
    check(r#"{"a":1,"a":1}"#, r#"{"a":1}"#, "match");
    check(r#"{"a":1,"a":1.0}"#, r#"{"a":1}"#, "match");
    check(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2.0}"#, "match");
    check(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, "duplicate $.a");
    check(r#"{"a":1,"a":2}"#, r#"{"a":1}"#, "duplicate $.a");
    check(r#"{"a":1,"a":2}"#, "{}", "duplicate $.a");
    check(r#"{"a":1,"a":1}"#, r#"{"a":2}"#, "changed $.a");
    check(r#"{"a":1,"a":1}"#, "{}", "missing $.a");
    check(
        r#"{"a":1,"a":2,"b":1}"#,
        r#"{"b":2,"a":1,"a":2}"#,
        "changed $.b",
    );
    check(
        r#"[{"a":1,"a":2}]"#,
        r#"[{"a":1,"a":3}]"#,
        "duplicate $[*].a",
    );
    check_by("tolerance $.a 1", r#"{"a":1,"a":2}"#, r#"{"a":2}"#, "match");
    let comparison = check(r#"{"a":1,"a":2}"#, r#"{"a":3}"#, "duplicate $.a");
    assert!(!comparison.patch_exact);
}
