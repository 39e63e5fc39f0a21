//! Patches: their operations, when they are exact, and what hostile documents can make of them.

use super::rules;
use crate::compare::rules::Rules;
use crate::compare::verdict::*;

/// Checks the patch's operations, and that it gives new if it says so.
fn check_patch(rules_text: &str, old: &str, new: &str, expected: &str, exact: bool) {
    let comparison = compare_documents(old.as_bytes(), new.as_bytes(), &rules(rules_text));
    let patch = comparison.patch.unwrap();
    let shown: Vec<_> = patch
        .iter()
        .map(|operation| {
            let operation = serde_json::to_value(operation).unwrap();
            let value = operation
                .get("value")
                .map(|value| format!(" {value}"))
                .unwrap_or_default();
            format!(
                "{} {}{value}",
                operation["op"].as_str().unwrap(),
                operation["path"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(shown.join(", "), expected, "{old} // {new}");
    assert_eq!(
        comparison.patch_exact, exact,
        "{old} // {new} // {rules_text}"
    );
    let mut patched: serde_json::Value = serde_json::from_str(old).unwrap();
    json_patch::patch(&mut patched, &patch).unwrap();
    if exact {
        assert_eq!(
            compare_documents(
                patched.to_string().as_bytes(),
                new.as_bytes(),
                &Rules::default()
            )
            .verdict,
            Verdict::Match
        );
    }
}

#[test]
fn patches_lead_from_old_to_new() {
    check_patch("", "1", "2", "replace  2", true);
    check_patch(
        "",
        r#"{"a":1,"b/c~d":2}"#,
        r#"{"b/c~d":3,"e":[4]}"#,
        "remove /a, replace /b~1c~0d 3, add /e [4]",
        true,
    );
    check_patch(
        "",
        "[1,2,3]",
        "[2,3,4,5]",
        "remove /0, add /2 4, add /3 5",
        true,
    );
    check_patch("", "[2,3]", "[1,2,3]", "add /0 1", true);
    check_patch("", "[1,2,3]", "[3,2,1]", "replace  [3,2,1]", true);
    check_patch(
        "",
        r#"[[1],{"a":1},2,3]"#,
        r#"[{"a":2},2,4]"#,
        "replace /1/a 2, replace /3 4, remove /0",
        true,
    );
    // Numbers that serde_json doesn't keep.
    check_patch(
        "",
        r#"{"a":1,"b":0.10000000000000000001}"#,
        r#"{"a":2,"b":0.10000000000000000001}"#,
        "replace /a 2",
        false,
    );
    check_patch("", "1", "0.10000000000000000001", "replace  0.1", false);
    check_patch("", "1", "1e400", "replace  \"1e400\"", false);
    // Rules that hid something, and rules that did not.
    check_patch(
        "ignore $.t",
        r#"{"a":1,"t":1}"#,
        r#"{"a":2,"t":2}"#,
        "replace /a 2",
        false,
    );
    check_patch(
        "ignore $.t",
        r#"{"a":1,"t":1}"#,
        r#"{"a":2,"t":1}"#,
        "replace /a 2",
        true,
    );
    check_patch(
        "ignore $.x",
        r#"{"a":1,"t":1}"#,
        r#"{"a":2,"t":1}"#,
        "replace /a 2",
        true,
    );
    check_patch(
        "unordered $",
        "[1,2,3]",
        "[3,4,1]",
        "remove /1, add /1 4",
        false,
    );
    check_patch(
        "unordered $",
        "[1,2,3]",
        "[1,3,4]",
        "remove /1, add /2 4",
        true,
    );
    check_patch(
        "tolerance $.a 1",
        r#"{"a":1,"b":1}"#,
        r#"{"a":2,"b":2}"#,
        "replace /b 2",
        false,
    );
    check_patch(
        "tolerance $.a 1",
        r#"{"a":1,"b":1}"#,
        r#"{"a":1.0,"b":2}"#,
        "replace /b 2",
        true,
    );
    check_patch(
        "nulls",
        r#"{"a":null,"b":1}"#,
        r#"{"b":2}"#,
        "replace /b 2",
        false,
    );
    check_patch(
        "nulls",
        r#"{"a":null,"b":1}"#,
        r#"{"a":null,"b":2}"#,
        "replace /b 2",
        true,
    );
    check_patch("nulls", r#"{"a":null}"#, r#"{"a":1}"#, "add /a 1", true);
    check_patch(
        "match_by $ id",
        r#"[{"id":1,"x":1},{"id":2}]"#,
        r#"[{"id":2},{"id":1,"x":2}]"#,
        "replace /0/x 2",
        false,
    );
    check_patch(
        "match_by $ id",
        r#"[{"id":1,"x":1},{"id":2}]"#,
        r#"[{"id":1,"x":2},{"id":2}]"#,
        "replace /0/x 2",
        true,
    );
    check_patch("map $", r#"{"a":1}"#, r#"{"a":2}"#, "replace /a 2", true);
    // `1` and `1.0` are one number.
    check_patch(
        "",
        r#"{"a":1,"b":1}"#,
        r#"{"a":1.0,"b":2}"#,
        "replace /b 2",
        true,
    );
}

#[test]
fn hostile_documents_stay_within_bounds() {
    // Names as long as the document, many times: places of operations and paths are bounded.
    let name = "n".repeat(1_000_000);
    let document = |x: usize| {
        format!(
            "{{\"{name}\":[{}]}}",
            (0..5_000)
                .map(|n| format!("{{\"{n}\":{x}}}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let comparison = compare_documents(
        document(1).as_bytes(),
        document(2).as_bytes(),
        &Rules::default(),
    );
    assert!(comparison.patch_truncated);
    assert!(comparison.patch.unwrap().0.len() <= 1);
    assert!(
        comparison
            .divergences
            .iter()
            .all(|found| found.path.len() <= 1_100 && found.at.len() <= 1_100)
    );
    // 190,000 loose elements of one hash, none equal to another: the greedy search ends with its budget.
    let list = |from: usize| {
        format!(
            "[{}]",
            (0..95_000)
                .map(|n| (n * 2 + from).to_string())
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let comparison = compare_documents(
        list(0).as_bytes(),
        list(1).as_bytes(),
        &rules("unordered $; tolerance $[*] 0.25"),
    );
    assert_eq!(comparison.verdict, Verdict::Mismatch);
    // Permutations of many, nested as deep as may be.
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(127), "]".repeat(127));
    let numbers: Vec<_> = (0..100_000).map(|n: usize| n.to_string()).collect();
    let turned: Vec<_> = numbers.iter().rev().cloned().collect();
    let (old, new) = (
        deep(&format!("[{}]", numbers.join(","))),
        deep(&format!("[{}]", turned.join(","))),
    );
    let comparison = compare_documents(old.as_bytes(), new.as_bytes(), &Rules::default());
    assert_eq!(
        (comparison.divergences.len(), comparison.divergences[0].kind),
        (1, Kind::Order)
    );
    assert_eq!(
        compare_documents(old.as_bytes(), new.as_bytes(), &rules("unordered $..*")).verdict,
        Verdict::Match
    );
    // One key, 190,000 times.
    let keys = |last: usize| format!("{{{}\"k\":{last}}}", "\"k\":1,".repeat(190_000));
    let comparison = compare_documents(keys(1).as_bytes(), keys(2).as_bytes(), &Rules::default());
    assert_eq!(comparison.divergences[0].kind, Kind::Duplicate);
}
