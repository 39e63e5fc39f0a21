//! Values that have other names on the other side: what is known of them decides, and grows with each pair in which nothing was wrong.

use super::{judge, rules, show, side};
use crate::compare::ids::Counts;
use crate::compare::lockstep::{Finding, compare as lockstep};
use crate::compare::rules::{By, Program};
use crate::compare::{Comparison, Ids, Rules, Verdict, compare_documents};
use crate::json::{Document, Limits, Unlimited};
use proptest::prelude::*;

/// A route with its table, which may have so many pairings.
struct Seen {
    rules: Rules,
    ids: Ids,
}

impl Seen {
    fn by(text: &str, most: usize) -> Self {
        let (rules, ids) = (rules(text), Ids::unkeyed());
        ids.bound(rules.id_names().into_iter().map(|name| (name, most)));
        Self { rules, ids }
    }

    fn compare(&self, old: &str, new: &str) -> Comparison {
        let by = By::new(&self.rules, &self.ids);
        compare_documents(old.as_bytes(), new.as_bytes(), by)
    }

    /// Judges what a record shows, and learns from it as the lab does.
    fn see(&self, record: &str, old: &str, new: &str) -> Comparison {
        let comparison = self.compare(old, new);
        if comparison.verdict != Verdict::Mismatch {
            let names = self.rules.id_names();
            self.ids.learn(&names, &comparison.pairings, ["", record]);
        }
        comparison
    }

    /// The same of several pairs, each written as `RECORD: OLD // NEW = EXPECTED`.
    #[track_caller]
    fn check(&self, pairs: &[&str]) {
        for pair in pairs {
            let (record, rest) = pair.split_once(": ").unwrap();
            let (old, rest) = rest.split_once(" // ").unwrap();
            let (new, expected) = rest.split_once(" = ").unwrap();
            let found = self.see(record, old, new);
            assert_eq!(show(&found), expected, "{pair}");
        }
    }

    fn counts(&self) -> Counts {
        self.ids.counts()[0].1
    }
}

#[test]
fn two_records_make_a_name_sure_and_the_third_may_contradict_it() {
    let seen = Seen::by("ids $.id tag-id", 100);
    seen.check(&[
        r#"a: {"id":7} // {"id":9} = match"#,
        r#"a: {"id":7} // {"id":9} = match"#,
        r#"b: {"id":7.0} // {"id":9e0} = match"#,
        r#"c: {"id":7} // {"id":10} = identity $.id"#,
        r#"c: {"id":8} // {"id":9} = identity $.id"#,
        r#"c: {"id":7} // {"id":"9"} = identity $.id"#,
        // To the byte the same, and yet another thing.
        r#"c: {"id":7} // {"id":7} = identity $.id"#,
        r#"c: {"id":7} // {"id":9} = match"#,
    ]);
    let counts = seen.counts();
    assert_eq!((counts.candidates, counts.confirmed), (0, 1));
}

#[test]
fn what_one_record_has_shown_is_no_reason_to_call_another_wrong() {
    let seen = Seen::by("ids $.id tag-id", 100);
    seen.check(&[
        r#"a: {"id":7} // {"id":"x"} = match"#,
        r#"b: {"id":7,"n":1} // {"id":"y","n":2} = changed $.n"#,
        r#"b: {"id":7} // {"id":"y"} = incomparable identity"#,
        r#"c: {"id":7} // {"id":"y"} = match"#,
        r#"d: {"id":7} // {"id":"x"} = identity $.id"#,
    ]);
    let counts = seen.counts();
    assert_eq!((counts.candidates, counts.confirmed), (0, 1));
}

#[test]
fn only_texts_and_numbers_are_names() {
    Seen::by("ids $.id tag-id", 100).check(&[
        r#"a: {"id":null} // {"id":null} = match"#,
        r#"a: {"id":null} // {"id":1} = type $.id"#,
        r#"a: {"id":1} // {} = missing $.id"#,
        r#"a: {} // {"id":1} = extra $.id"#,
        r#"a: {"id":true} // {"id":false} = changed $.id"#,
        r#"a: {"id":[1]} // {"id":[2]} = changed $.id[*]"#,
        r#"a: {"id":{"a":1}} // {"id":{"a":1}} = match"#,
    ]);
    let nulls = Seen::by("ids $.id tag-id; nulls", 100);
    nulls.check(&[r#"a: {"id":null} // {} = match"#]);
}

#[test]
fn one_document_may_contradict_itself() {
    let seen = Seen::by("ids $.a tag-id; ids $.b tag-id; ids $.c other", 100);
    seen.check(&[
        r#"a: {"a":1,"b":1} // {"a":5,"b":6} = identity $.b"#,
        r#"a: {"a":1,"b":2} // {"a":5,"b":5} = identity $.b"#,
        r#"a: {"a":1,"b":1} // {"a":5,"b":5} = match"#,
        // Of another name the same value is another thing.
        r#"a: {"a":1,"c":1} // {"a":5,"c":6} = match"#,
    ]);
}

#[test]
fn elements_in_their_order_show_names_by_their_places() {
    let seen = Seen::by("ids $[*] tag-id", 100);
    seen.check(&[
        "a: [1,2,3] // [101,102,103] = match",
        "b: [1,2,3] // [101,102,103] = match",
        "c: [1,2,3] // [102,101,103] = order $",
        "c: [1,2,3] // [101,102] = missing $[*]",
        "c: [1,2,3] // [101,102,104] = identity $[*]",
        "c: [3,1] // [103,101] = match",
    ]);
    // Which one is gone nobody knows: nothing is learnt of it.
    let fresh = Seen::by("ids $[*] tag-id; tolerance $..* 1", 100);
    let found = fresh.see("a", "[1,2,3]", "[101,102]");
    assert_eq!(show(&found), "missing $[*]");
    assert_eq!(found.pairings, []);
}

#[test]
fn elements_in_any_order_show_names_by_what_stands_beside_them() {
    let seen = Seen::by("ids $.t[*].id tag-id; unordered $.t", 100);
    seen.check(&[
        r#"a: {"t":[{"id":1,"n":"x"},{"id":2,"n":"y"}]} // {"t":[{"id":12,"n":"y"},{"id":11,"n":"x"}]} = match"#,
        r#"b: {"t":[{"id":1,"n":"x"}]} // {"t":[{"id":11,"n":"x"}]} = match"#,
        r#"c: {"t":[{"id":1,"n":"x"}]} // {"t":[{"id":12,"n":"x"}]} = missing $.t[*], extra $.t[*]"#,
        r#"c: {"t":[{"id":2,"n":"x"}]} // {"t":[{"id":13,"n":"x"}]} = incomparable identity"#,
    ]);
    // Nothing stands beside them: all that is known is that there are two of each.
    let bare = Seen::by("ids $.t[*] tag-id; ids $.id tag-id; unordered $.t", 100);
    bare.check(&[
        r#"a: {"t":[1,2]} // {"t":[12,11]} = incomparable identity"#,
        r#"a: {"t":[1,1]} // {"t":[11,12]} = identity $.t[*]"#,
        r#"a: {"t":[1,1]} // {"t":[11,11]} = match"#,
        r#"b: {"t":[2,1]} // {"t":[11,12]} = match"#,
        r#"b: {"t":[3,4],"id":3} // {"t":[14,13],"id":13} = incomparable identity"#,
    ]);
    let counts = bare.counts();
    assert_eq!((counts.candidates, counts.confirmed), (2, 1));
}

#[test]
fn match_by_goes_by_the_other_name() {
    let seen = Seen::by("ids $[*].id tag-id; match_by $ id", 100);
    let first = r#"[{"id":1,"n":"x"},{"id":2,"n":"y"},{"id":3,"n":"z"}] // [{"id":13,"n":"z"},{"id":11,"n":"x"},{"id":12,"n":"y"}]"#;
    seen.check(&[
        &format!("a: {first} = match"),
        &format!("b: {first} = match"),
    ]);
    assert_eq!(seen.counts().confirmed, 3);
    let changed = r#"[{"id":1,"n":"x"},{"id":2,"n":"y"},{"id":3,"n":"z"}]"#;
    let found = seen.compare(
        changed,
        r#"[{"id":12,"n":"Y"},{"id":13,"n":"z"},{"id":11,"n":"x"}]"#,
    );
    assert_eq!(show(&found), "changed $[*].n");
    assert_eq!(found.divergences[0].at, "$[1].n");
    seen.check(&[
        r#"c: [{"id":1,"n":"x"},{"id":2,"n":"y"}] // [{"id":12,"n":"y"}] = missing $[*]"#,
        r#"c: [{"id":2,"n":"y"}] // [{"id":12,"n":"y"},{"id":14,"n":"x"}] = extra $[*]"#,
        r#"c: [{"id":1,"n":"x"}] // [{"id":12,"n":"x"}] = missing $[*], extra $[*]"#,
    ]);
    // Nobody knows these: they belong together by what they say, and those that say something else in their order.
    let fresh = Seen::by("ids $[*].id tag-id; match_by $ id", 100);
    let found = fresh.see(
        "a",
        r#"[{"id":1,"n":"x"},{"id":2,"n":"y"}]"#,
        r#"[{"id":12,"n":"y"},{"id":11,"n":"X"}]"#,
    );
    assert_eq!(show(&found), "changed $[*].n");
    assert_eq!(found.divergences[0].at, "$[0].n");
    // Of several fields one may be a name.
    let several = Seen::by("ids $[*].id tag-id; match_by $ k id", 100);
    several.check(&[
        r#"a: [{"k":"x","id":1,"n":1},{"k":"y","id":1,"n":2}] // [{"k":"y","id":11,"n":2},{"k":"x","id":11,"n":1}] = match"#,
        r#"b: [{"k":"x","id":1}] // [{"k":"x","id":11}] = match"#,
        r#"c: [{"k":"x","id":1,"n":1},{"k":"y","id":1,"n":1}] // [{"k":"y","id":11,"n":2},{"k":"x","id":11,"n":1}] = changed $[*].n"#,
    ]);
    // A candidate is as good as what is confirmed, as long as nothing speaks against it.
    let first = Seen::by("ids $[*].id tag-id; ids $.id tag-id; match_by $ id", 100);
    first.check(&[
        r#"a: {"id":1} // {"id":11} = match"#,
        r#"b: {"id":2} // {"id":12} = match"#,
        r#"c: [{"id":1},{"id":2}] // [{"id":12},{"id":11}] = match"#,
    ]);
    assert_eq!(first.counts().confirmed, 2);
}

#[test]
fn a_name_goes_before_nearness_and_shape_and_after_what_is_left_out() {
    Seen::by("ids $.id tag-id; tolerance $.id 5; shape $.id", 100).check(&[
        r#"a: {"id":7} // {"id":9} = match"#,
        r#"b: {"id":7} // {"id":9} = match"#,
        r#"c: {"id":7} // {"id":8} = identity $.id"#,
    ]);
    let ignored = Seen::by("ids $.id tag-id; ignore $.id", 100);
    ignored.check(&[
        r#"a: {"id":7} // {"id":9} = match"#,
        r#"b: {"id":7} // {"id":9} = match"#,
        r#"c: {"id":7} // {"id":[8]} = match"#,
    ]);
    assert_eq!(ignored.counts(), Counts::default());
    Seen::by("ids $ tag-id; ignore $", 100).check(&["a: 1 // 2 = match"]);
}

#[test]
fn what_may_have_been_known_before_is_no_match() {
    let seen = Seen::by("ids $.id tag-id", 1);
    seen.check(&[
        r#"a: {"id":1} // {"id":11} = match"#,
        r#"a: {"id":2} // {"id":12} = match"#,
        r#"a: {"id":1} // {"id":13} = incomparable identity"#,
        r#"a: {"id":1} // {"id":13} = incomparable identity"#,
        r#"b: {"id":1} // {"id":13} = incomparable identity"#,
        r#"b: {"id":1} // {"id":13} = match"#,
        r#"b: {"id":1,"n":1} // {"id":13,"n":2} = changed $.n"#,
    ]);
    assert_eq!(seen.counts().evicted, 2);
}

#[test]
fn a_patch_says_what_is_wrong_and_is_not_exact() {
    let seen = Seen::by("ids $.id tag-id", 100);
    for record in ["a", "b"] {
        seen.see(record, r#"{"id":1}"#, r#"{"id":11}"#);
    }
    let found = seen.compare(r#"{"id":1,"n":1}"#, r#"{"id":11,"n":2}"#);
    let patch = serde_json::to_string(&found.patch).unwrap();
    assert_eq!(patch, r#"[{"op":"replace","path":"/n","value":2}]"#);
    assert!(!found.patch_exact);
    let found = seen.compare(r#"{"id":1}"#, r#"{"id":12}"#);
    let patch = serde_json::to_string(&found.patch).unwrap();
    assert_eq!(patch, r#"[{"op":"replace","path":"/id","value":12}]"#);
}

#[test]
fn whole_answers() {
    let seen = Seen::by("ids $.id tag-id", 100);
    let by = By::new(&seen.rules, &seen.ids);
    let check = |old: &str, new: &str, expected: &str| {
        let found = judge(&side(old), &side(new), by, &mut Unlimited);
        if found.verdict != Verdict::Mismatch {
            seen.ids.learn(&["tag-id"], &found.pairings, ["", old]);
        }
        assert_eq!(show(&found), expected, "{old} // {new}");
    };
    check(r#"200 x=1 |{"id":1}"#, r#"200 x=1 |{"id":11}"#, "match");
    check(
        r#"200 |{"id":1}"#,
        r#"200 |{"id":12}"#,
        "incomparable identity",
    );
    // What else differs, differs for certain.
    let typed = r#"200 content-type=text/json+json |{"id":1}"#;
    check(typed, r#"200 |{"id":13}"#, "header header:content-type");
    check(r#"200 |{"id":1}"#, r#"200 |{"id":12}"#, "match");
    check(r#"200 |{"id":1}"#, r#"201 |{"id":7}"#, "status status");
    check("200 |[", "200 |[", "match");
    let lines = "200 content-type=application/x-ndjson |";
    check(&format!("{lines}["), &format!("{lines}["), "match");
    let text = "200 content-type=text/plain |1";
    check(text, text, "match");
}

#[test]
fn the_lockstep_leaves_names_to_who_knows_them() {
    let seen = Seen::by("ids $.id tag-id", 100);
    let text = r#"{"id":1}"#;
    let document = Document::read(text.as_bytes(), Limits::default(), &mut Unlimited).unwrap();
    let find = |by: By<'_>| {
        let (program, limits) = (Program::new(by), Limits::default());
        lockstep(&document, text.as_bytes(), &program, limits, &mut Unlimited)
    };
    let by = By::new(&seen.rules, &seen.ids);
    assert_eq!(find(by), Finding::Open);
    // A side against itself goes by the value.
    assert_eq!(find(by.itself()), Finding::Equal);
    let (old, new) = (r#"{"id":1}"#.as_bytes(), r#"{"id":2}"#.as_bytes());
    assert_eq!(
        show(&compare_documents(old, new, &seen.rules)),
        "changed $.id"
    );
}

/// A list of records with a number, a name and the numbers of others; the new side's with other numbers and in another order, where there is none.
fn lists() -> impl Strategy<Value = Vec<Vec<(u32, u8, Vec<u32>)>>> {
    let record = (
        0..12_u32,
        0..3_u8,
        proptest::collection::vec(0..12_u32, 0..3),
    );
    let list = proptest::collection::vec(record, 0..5);
    proptest::collection::vec(list, 1..8)
}

fn written(list: &[(u32, u8, Vec<u32>)], name: impl Fn(u32) -> u32) -> String {
    let record = |(id, title, others): &(u32, u8, Vec<u32>)| {
        let others: Vec<_> = others.iter().map(|id| name(*id)).collect();
        format!(r#"{{"id":{},"n":{title},"o":{others:?}}}"#, name(*id))
    };
    let records: Vec<_> = list.iter().map(record).collect();
    format!("[{}]", records.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Sides that say the same under other names are never called different, whatever was evicted, and in order they match as long as nothing was.
    #[test]
    fn names_that_are_one_to_one_are_never_wrong(
        lists in lists(),
        turn in any::<usize>(),
        text in proptest::sample::select(vec![
            "",
            "unordered $",
            "unordered $; unordered $[*].o",
            "match_by $ id",
            "match_by $ id; unordered $[*].o",
        ]),
        most in proptest::sample::select(vec![2_usize, 1_000]),
    ) {
        let seen = Seen::by(&format!("ids $[*].id tag-id; ids $[*].o[*] tag-id; {text}"), most);
        for (record, list) in lists.iter().enumerate() {
            let mut list = list.clone();
            if text.contains("match_by") {
                // Of several with one identity the first belongs to the first, whatever they say.
                list.sort();
                list.dedup_by_key(|(id, ..)| *id);
            }
            let mut other = list.clone();
            if !text.is_empty() && !other.is_empty() {
                other.rotate_left(turn % list.len());
            }
            let (old, new) = (written(&list, |id| id), written(&other, |id| 100 + id * 5 % 12));
            let found = seen.see(&record.to_string(), &old, &new);
            prop_assert_ne!(found.verdict, Verdict::Mismatch, "{} // {}: {}", old, new, show(&found));
            if text.is_empty() && most == 1_000 {
                prop_assert_eq!(found.verdict, Verdict::Match, "{} // {}", old, new);
            }
        }
    }

    /// A name that was made sure and is another one now is found, wherever it stands.
    #[test]
    fn a_name_that_is_not_the_right_one_is_found(lists in lists(), at in any::<(usize, usize)>()) {
        let seen = Seen::by("ids $[*].id tag-id; ids $[*].o[*] tag-id", 1_000);
        let name = |id: u32| 100 + id * 5 % 12;
        for record in ["a", "b"] {
            for list in &lists {
                seen.see(record, &written(list, |id| id), &written(list, name));
            }
        }
        let list = &lists[at.0 % lists.len()];
        prop_assume!(!list.is_empty());
        let mut wrong = list.clone();
        let place = at.1 % list.len();
        wrong[place].0 = (wrong[place].0 + 1) % 12;
        let found = seen.compare(&written(list, |id| id), &written(&wrong, name));
        prop_assert_eq!(found.verdict, Verdict::Mismatch);
    }

    /// Sides that change places are judged alike.
    #[test]
    fn swapped_sides_are_mirrored(
        pairs in proptest::collection::vec((lists(), lists()), 1..3),
        text in proptest::sample::select(vec!["", "unordered $", "match_by $ id"]),
    ) {
        let text = format!("ids $[*].id tag-id; ids $[*].o[*] tag-id; {text}");
        let (one, other) = (Seen::by(&text, 1_000), Seen::by(&text, 1_000));
        for (record, (old, new)) in pairs.iter().enumerate() {
            for (old, new) in old.iter().zip(new) {
                let [old, new] = [old, new].map(|list| written(list, |id| id));
                let record = record.to_string();
                let (found, mirrored) = (one.see(&record, &old, &new), other.see(&record, &new, &old));
                prop_assert_eq!(found.verdict, mirrored.verdict, "{} // {}", old, new);
            }
        }
    }
}
