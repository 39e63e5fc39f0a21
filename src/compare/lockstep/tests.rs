//! The lockstep against documents: what it says is what the full comparison finds.

use super::*;
use crate::compare::diff::difference;
use crate::compare::effort::Effort;
use crate::compare::equal::Judge;
use crate::compare::rules::Rules;
use crate::compare::verdict::tests::rules;
use crate::compare::view::View;
use crate::json::Unlimited;
use proptest::prelude::*;

mod properties;
mod texts;

/// Whether two texts are documents between which the full comparison finds nothing.
fn match_as_documents(old: &[u8], new: &[u8], rules: &Rules, limits: Limits) -> bool {
    let came = old.len() + new.len();
    let read = |bytes| Document::read(bytes, limits, &mut Unlimited);
    let (Ok(old), Ok(new)) = (read(old), read(new)) else {
        return false;
    };
    let program = Program::new(rules);
    let mut memory = Unlimited;
    let effort = Effort::new(&mut memory, came);
    let (old, new) = (View::new(&old, &program), View::new(&new, &program));
    let judge = Judge {
        program: &program,
        effort: &effort,
    };
    let equal = old.mark(Node::ROOT).ignored || judge.equal(old.root(), new.root());
    if !old.mark(Node::ROOT).ignored {
        effort.refill();
        let found = difference(judge, old.root(), new.root()).divergences;
        assert_eq!(equal, found.is_empty());
    }
    equal
}

/// What the lockstep says; nothing if old is no document.
fn find(old: &[u8], new: &[u8], rules: &Rules, limits: Limits) -> Option<Finding> {
    let old = Document::read(old, limits, &mut Unlimited).ok()?;
    Some(compare(
        &old,
        new,
        &Program::new(rules),
        limits,
        &mut Unlimited,
    ))
}

fn agree(
    old: &[u8],
    new: &[u8],
    rules: &Rules,
    limits: Limits,
) -> Result<Option<Finding>, TestCaseError> {
    let shown = || format!("{} // {}", old.escape_ascii(), new.escape_ascii());
    let finding = find(old, new, rules, limits);
    let expected = match_as_documents(old, new, rules, limits);
    match finding {
        Some(Finding::Equal) => prop_assert!(expected, "{}", shown()),
        Some(Finding::Different) => prop_assert!(!expected, "{}", shown()),
        Some(Finding::Open) | None => {}
    }
    Ok(finding)
}

fn check(text: &str, old: &str, new: &str, expected: Finding) {
    let finding = |old: &str, new: &str| {
        let found = agree(
            old.as_bytes(),
            new.as_bytes(),
            &rules(text),
            Limits::default(),
        );
        found.unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(finding(old, new), Some(expected), "{text}: {old} // {new}");
}

#[test]
fn plain_answers_are_decided() {
    use Finding::{Different, Equal};
    check("", "1", " 1.0 ", Equal);
    check("", "1", "2", Different);
    check("", "1", "1 2", Different);
    check("", "1", "10", Different);
    check("", "-0", "0e7", Equal);
    check("", "null", "nullx", Different);
    check("", r#""é""#, r#""\u00e9""#, Equal);
    check("", r#""\n""#, r#""\n""#, Equal);
    check("", r#""a""#, r#""a"#, Different);
    check(
        "",
        r#"{"a":1,"b":[2,{}]}"#,
        r#"{ "b" : [2 , { } ] , "a":1}"#,
        Equal,
    );
    check("", r#"{"a":1,"b":2}"#, r#"{"b":2}"#, Different);
    check("", r#"{"a":1}"#, r#"{"b":2,"a":1}"#, Different);
    check("", r#"{"a":1}"#, r#"{"a":1,}"#, Different);
    check("", r#"{"a":1}"#, r#"{"a" 1}"#, Different);
    check("", "[1,2]", "[1]", Different);
    check("", "[1]", "[1,2]", Different);
    check("", "[1]", "[1,]", Different);
    check("", "[]", "[,]", Different);
    check("", "[1,2]", "[2,1]", Different);
    check("", r#"{"":1}"#, r#"{"":1.0}"#, Equal);
    check("", r#"{"\"":1,"b":2}"#, r#"{"b":2,"\u0022":1}"#, Equal);
}

#[test]
fn repeated_names_are_left_open() {
    use Finding::Open;
    check("", r#"{"a":1,"a":1}"#, r#"{"a":1}"#, Open);
    check("", r#"{"a":1}"#, r#"{"a":1,"a":1}"#, Open);
    check("", r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1,"a":1}"#, Open);
    check("", r#"{"a":1,"b":1}"#, r#"{"a":1,"a":1}"#, Open);
}

#[test]
fn rules_are_kept_in_one_pass() {
    use Finding::{Different, Equal, Open};
    check(
        "ignore $.a",
        r#"{"a":1,"b":2}"#,
        r#"{"b":2,"a":[{}]}"#,
        Equal,
    );
    check("ignore $.a", r#"{"a":1,"b":2}"#, r#"{"b":2}"#, Equal);
    check("ignore $.a", r#"{"b":2}"#, r#"{"a":"","b":2}"#, Equal);
    check(
        "ignore $.a",
        r#"{"b":2}"#,
        r#"{"a":"\u12","b":2}"#,
        Different,
    );
    check(
        "ignore $.a",
        r#"{"b":2}"#,
        r#"{"a":"\ud800","b":2}"#,
        Different,
    );
    check(
        "ignore $..a",
        r#"[{"a":1,"b":2}]"#,
        r#"[{"b":2,"a":3}]"#,
        Equal,
    );
    check(
        "ignore $.a",
        r#"{"c":{"a":1}}"#,
        r#"{"c":{"a":2}}"#,
        Different,
    );
    check("ignore $", "1", "{}", Equal);
    check("ignore $", "1", "{", Different);
    check("ignore $[*]", "[1]", "[1,2]", Equal);
    check("ignore $[0]", "[1,2]", "[3,2]", Equal);
    check("ignore $[-1]", "[1,2]", "[1,3]", Equal);
    check("ignore $[0]; ignore $[-1]", "[1]", "[1,2]", Open);
    check("unordered $", "[1,2,2,[]]", "[[],2,1.0,2]", Equal);
    check("unordered $", "[1,2,2]", "[1,1,2]", Different);
    check("unordered $", "[1,2]", "[2,1,1]", Different);
    check("unordered $", "[1,2]", "[2]", Different);
    check("unordered $; ignore $[0]", "[1,2]", "[1, 2]", Open);
    check("unordered $; ignore $[0]", "[1,2]", "[1,2] ", Equal);
    check(
        "unordered $",
        r#"[{"a":1,"b":2},{"a":1,"b":3}]"#,
        r#"[{"a":1,"b":3},{"b":2,"a":1}]"#,
        Equal,
    );
    check("nulls", r#"{"a":null,"b":1}"#, r#"{"b":1,"c":null}"#, Equal);
    check("nulls", r#"{"a":null}"#, r#"{"a": null}"#, Equal);
    check("nulls", "[null]", "[]", Different);
    check("tolerance $.a 0.5", r#"{"a":1}"#, r#"{"a":1.5}"#, Equal);
    check(
        "tolerance $.a 0.5",
        r#"{"a":1,"b":1}"#,
        r#"{"a":1.5,"b":1.5}"#,
        Different,
    );
    check(
        "tolerance $..* 0.5; unordered $",
        "[[1],[2]]",
        "[[1], [2]]",
        Open,
    );
    check("tolerance $.* 0.5; unordered $", "[1,2]", "[1, 2]", Open);
    check("tolerance $.* 0.5; unordered $", "[1,2]", " [1,2]", Equal);
    check(
        "tolerance $.b 0.5; unordered $.a",
        r#"{"a":[1,2],"b":1}"#,
        r#"{"b":1.2,"a":[2,1]}"#,
        Equal,
    );
    check(
        "match_by $ id",
        r#"[{"id":1,"v":2}]"#,
        r#"[{"v":2,"id":1.0}]"#,
        Equal,
    );
    check(
        "match_by $ id",
        r#"[{"id":1},{"id":2}]"#,
        r#"[{"id":2},{"id":1}]"#,
        Open,
    );
    check(
        "match_by $ id; tolerance $..v 1",
        r#"[{"id":1,"v":2}]"#,
        r#"[{"id":1,"v":3}]"#,
        Equal,
    );
    check(
        "match_by $ id; tolerance $..v 1",
        r#"[{"v":2}]"#,
        r#"[{"v":3}]"#,
        Open,
    );
    check(
        "match_by $ id; tolerance $..id 1",
        r#"[{"id":2}]"#,
        r#"[{"id":3}]"#,
        Open,
    );
    check(
        "match_by $ id; ignore $..id",
        r#"[{"id":1}]"#,
        r#"[{"id":2}]"#,
        Open,
    );
    check(
        "match_by $ kind id; tolerance $..v 1",
        r#"[{"id":1,"kind":"a","v":2}]"#,
        r#"[{"id":1,"v":3,"kind":"a"}]"#,
        Equal,
    );
    // Without one of its fields an element has no identity.
    check(
        "match_by $ kind id; tolerance $..v 1",
        r#"[{"id":1,"v":2}]"#,
        r#"[{"id":1,"v":3}]"#,
        Open,
    );
    check(
        "match_by $ kind id; tolerance $..id 1",
        r#"[{"kind":1,"id":2}]"#,
        r#"[{"kind":1,"id":3}]"#,
        Open,
    );
    check(
        "match_by $ kind id; ignore $..id",
        r#"[{"kind":1,"id":1}]"#,
        r#"[{"kind":1,"id":2}]"#,
        Open,
    );
    check("match_by $ id; ignore $..id", "[{}]", r#"[{"id":2}]"#, Open);
    check(
        "match_by $ id; ignore $..v",
        r#"[{"id":1,"v":2}]"#,
        r#"[{"id":1,"v":3}]"#,
        Equal,
    );
}

#[test]
fn many_members_and_elements_find_each_other() {
    let member = |number: &usize| format!("\"name-{number}\":{number}");
    let write = |numbers: &[usize], open: &str, close: &str, write: &dyn Fn(&usize) -> String| {
        let parts: Vec<_> = numbers.iter().map(write).collect();
        format!("{open}{}{close}", parts.join(","))
    };
    let names: Vec<usize> = (0..500).collect();
    let mixed: Vec<usize> = (0..500).map(|number| number * 7 % 500).collect();
    let mut again = mixed.clone();
    again[3] = again[4];
    let object = |numbers: &[usize]| write(numbers, "{", "}", &member);
    check("", &object(&names), &object(&mixed), Finding::Equal);
    check("", &object(&names), &object(&again), Finding::Open);
    check(
        "",
        &object(&names),
        &object(&mixed[1..]),
        Finding::Different,
    );
    check(
        "",
        &object(&names[1..]),
        &object(&mixed),
        Finding::Different,
    );
    // Elements in any order are only tried so often.
    let array = |numbers: &[usize]| write(numbers, "[", "]", &usize::to_string);
    check(
        "unordered $",
        &array(&names[..20]),
        &array(&mixed[..1]),
        Finding::Different,
    );
    let backwards: Vec<usize> = names.iter().rev().copied().collect();
    check(
        "unordered $",
        &array(&names),
        &array(&names),
        Finding::Equal,
    );
    check(
        "unordered $",
        &array(&names),
        &array(&backwards),
        Finding::Open,
    );
}

#[test]
fn bounds_are_left_to_documents() {
    let limits = |depth, nodes, bytes| Limits {
        depth,
        nodes,
        bytes,
    };
    let check = |text: &str, old: &str, new: &str, limits: Limits, expected| {
        let found = agree(old.as_bytes(), new.as_bytes(), &rules(text), limits);
        assert_eq!(found.unwrap(), Some(expected), "{old} // {new}");
    };
    let old = r#"{"a":1}"#;
    let new = r#"{"b":[[2]],"a":1}"#;
    check("ignore $.b", old, new, limits(3, 5, 100), Finding::Equal);
    check("ignore $.b", old, new, limits(2, 5, 100), Finding::Open);
    check("ignore $.b", old, new, limits(3, 4, 100), Finding::Open);
    // Values within what is written alike count too.
    let (old, new) = (r#"{"a":[1,1],"c":[1,1]}"#, r#"{"b":2,"a":[1,1],"c":[1,1]}"#);
    check("ignore $.b", old, new, limits(3, 8, 100), Finding::Equal);
    check("ignore $.b", old, new, limits(3, 7, 100), Finding::Open);
    let (old, new) = (r#"{"a":1}"#, r#"{"b":[[2]],"a":1}"#);
    check(
        "ignore $.b",
        old,
        new,
        limits(3, 5, new.len() - 1),
        Finding::Open,
    );
    check(
        "ignore $[*]",
        "[1]",
        "[2,3]",
        limits(1, 3, 9),
        Finding::Equal,
    );
    check(
        "ignore $[*]",
        "[1]",
        "[2,3]",
        limits(1, 2, 9),
        Finding::Open,
    );
}

/// Memory of so many bytes.
struct Bytes(usize);

impl Memory for Bytes {
    fn charge(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[test]
fn without_memory_nothing_is_said() {
    let rules = rules("unordered $.c");
    let old = br#"{"a":1,"b":"\n","c":[1,2]}"#;
    let new = br#"{"b":"\u000a","\u0063":[2,1],"a":1}"#;
    let document = Document::read(old, Limits::default(), &mut Unlimited).unwrap();
    let program = Program::new(&rules);
    let found: Vec<_> = (0..2_000)
        .map(|bytes| {
            compare(
                &document,
                new,
                &program,
                Limits::default(),
                &mut Bytes(bytes),
            )
        })
        .collect();
    let enough = found
        .iter()
        .position(|&found| found == Finding::Equal)
        .unwrap();
    assert!(enough > 64);
    assert!(found[..enough].iter().all(|&found| found == Finding::Open));
    assert!(found[enough..].iter().all(|&found| found == Finding::Equal));
}
