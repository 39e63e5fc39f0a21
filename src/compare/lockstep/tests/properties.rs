//! What holds for any two texts and any rules.

use super::texts::{clothed, document, pair, spoilt};
use super::{agree, find, match_as_documents};
use crate::compare::lockstep::*;
use crate::compare::rules::Rules;
use crate::compare::verdict::tests::rules;
use crate::compare::verdict::{Comparison, compare_documents, compare_read, read};
use crate::json::Unlimited;
use proptest::prelude::*;

/// The full comparison, without the lockstep before it.
fn compare_as_documents(old: &[u8], new: &[u8], rules: &Rules) -> Option<Comparison> {
    let limits = Limits::default();
    let came = old.len() + new.len();
    let old = read(old, limits, &mut Unlimited).ok()??;
    let new = read(new, limits, &mut Unlimited).ok()??;
    let program = Program::new(rules);
    Some(compare_read(
        [&old, &new],
        came,
        &program,
        Finding::Open,
        &mut Unlimited,
    ))
}

fn some_rules() -> impl Strategy<Value = String> {
    let rule = proptest::sample::select(
        &[
            "ignore $..a",
            "ignore $..id",
            "ignore $.b",
            "ignore $.*.c",
            "ignore $.b.*",
            "ignore $..c[*]",
            "ignore $..[0]",
            "ignore $..[-1]",
            "unordered $",
            "unordered $..*",
            "unordered $.a",
            "unordered $..b",
            "match_by $ id",
            "match_by $..* id",
            "match_by $.a b.c",
            "match_by $ a id",
            "match_by $..* id a.b",
            "shape $..a",
            "shape $.b",
            "shape $..*",
            "shape $[*]",
            "tolerance $..* 0.5",
            "tolerance $..b 1",
            "tolerance $..id 0.25",
            "tolerance $[*] 1.25",
            "map $",
            "map $..c",
            "nulls",
        ][..],
    );
    proptest::collection::vec(rule, 0..4).prop_map(|list| list.join(";"))
}

fn some_limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        3 => Just(Limits::default()),
        1 => (0..6_usize, 1..30_usize).prop_map(|(depth, nodes)| Limits { depth, nodes, ..Limits::default() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(3_000)))]

    /// What is said is true, of documents and of what is none.
    #[test]
    fn findings_are_those_of_the_full_comparison(
        (old, new) in pair(),
        clothes in any::<[u64; 2]>(),
        spoil in proptest::option::weighted(0.3, any::<[usize; 2]>()),
        text in some_rules(),
        limits in some_limits(),
    ) {
        let rules = rules(&text);
        let old = clothed(&old, clothes[0]).into_bytes();
        let mut new = clothed(&new, clothes[1]).into_bytes();
        if let Some(spoil) = spoil {
            spoilt(&mut new, spoil);
        }
        agree(&old, &new, &rules, limits)?;
        if let Some(expected) = compare_as_documents(&old, &new, &rules) {
            prop_assert_eq!(compare_documents(&old, &new, &rules), expected);
        }
    }

    /// What matches is known to match, but for what this file's head leaves open.
    #[test]
    fn matches_are_found(
        (old, new) in pair(),
        clothes in any::<[u64; 2]>(),
        text in some_rules(),
    ) {
        let rules = rules(&text);
        let loose = text.contains("tolerance") && text.contains("unordered");
        let certain = !loose && !text.contains("shape") && !text.contains("match_by") && !text.contains("[0]") && !text.contains("[-1]");
        if !certain || old.repeats() || new.repeats() {
            return Ok(());
        }
        let (old, new) = (clothed(&old, clothes[0]), clothed(&new, clothes[1]));
        let found = agree(old.as_bytes(), new.as_bytes(), &rules, Limits::default())?;
        let expected = match_as_documents(old.as_bytes(), new.as_bytes(), &rules, Limits::default());
        prop_assert_eq!(found == Some(Finding::Equal), expected, "{} // {}", old, new);
        if text.is_empty() {
            prop_assert_ne!(found, Some(Finding::Open), "{} // {}", old, new);
        }
    }

    /// A document matches itself however it is written, and never the same with another scalar in it.
    #[test]
    fn one_scalar_makes_the_difference(text in document(), clothes in any::<[u64; 2]>(), place in any::<usize>()) {
        let mut other = text.clone();
        other.alter(place);
        let [old, new] = clothes.map(|clothes| clothed(&text, clothes));
        let other = clothed(&other, clothes[1]);
        if text.repeats() || Document::read(old.as_bytes(), Limits::default(), &mut Unlimited).is_err() {
            return Ok(());
        }
        let finding = |new: &str| find(old.as_bytes(), new.as_bytes(), &Rules::default(), Limits::default());
        prop_assert_eq!(finding(&new), Some(Finding::Equal), "{} // {}", old, new);
        prop_assert_eq!(finding(&other), Some(Finding::Different), "{} // {}", old, other);
    }
}
