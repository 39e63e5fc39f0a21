//! What is known to be wrong with the demo's new service. Pure: the place of the answer (`nth`) comes in as an argument.
//!
//! Everything here happens while an answer is rendered, in this order: the last true tag is left out of one content in a hundred; `role::program`, where it is left, reads `role::application`; the tags come
//! in an order of their own, under an `updated_at` of their own, in each answer. The first two are real defects, the last two are harmless and are what the sample's rules are for. On `/tags`
//! counts are texts: a real defect.

use crate::route::bucket::bucket;
use crate::side::Side;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Salt of the choice of contents that lack a tag.
const MISSING_SALT: &str = "demo-missing";
/// Contents with a bucket below it lack their last tag: one in a hundred.
const MISSING_BELOW: u16 = 100;
/// A tag that the new service misnames.
const TRUE_ROLE: &str = "role::program";
/// What it says instead.
const WRONG_ROLE: &str = "role::application";

/// The tags as a side shows them in its `nth` answer; `truth` is sorted bytewise.
#[must_use]
pub fn tags<'a>(
    side: Side,
    content: &str,
    truth: impl IntoIterator<Item = &'a str>,
    nth: u64,
) -> Vec<&'a str> {
    let mut tags: Vec<&str> = truth.into_iter().collect();
    match side {
        Side::Old => {}
        Side::New => {
            if bucket(MISSING_SALT, content) < MISSING_BELOW {
                tags.pop();
            }
            for tag in &mut tags {
                if *tag == TRUE_ROLE {
                    *tag = WRONG_ROLE;
                }
            }
            reorder(&mut tags, nth);
        }
    }
    tags
}

/// Never the order that came in, if there are two to choose from.
fn reorder(tags: &mut [&str], nth: u64) {
    let given = tags.to_vec();
    fastrand::Rng::with_seed(nth).shuffle(tags);
    if tags == given && tags.len() > 1 {
        tags.rotate_left(1);
    }
}

/// `updated_at` as a side shows it in its `nth` answer, counted from 0.
#[must_use]
pub fn updated_at(side: Side, truth: Timestamp, nth: u64) -> Timestamp {
    match side {
        Side::Old => truth,
        Side::New => {
            let shift = i64::try_from(nth).unwrap_or(i64::MAX).saturating_add(1);
            truth
                .saturating_add(SignedDuration::from_micros(shift))
                .unwrap_or(truth)
        }
    }
}

/// A count as a side shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Count {
    /// A JSON number.
    Number(usize),
    /// A JSON string of digits.
    Text(String),
}

/// The number of a tag's contents as a side shows it.
#[must_use]
pub fn count(side: Side, truth: usize) -> Count {
    match side {
        Side::Old => Count::Number(truth),
        Side::New => Count::Text(truth.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Names with a bucket below and above the bound, found once.
    fn named(missing: bool) -> String {
        (0..)
            .map(|n| format!("package-{n}"))
            .find(|name| (bucket(MISSING_SALT, name) < MISSING_BELOW) == missing)
            .unwrap()
    }

    fn check(missing: bool, truth: &[&str], expected: &[&str]) {
        let name = named(missing);
        assert_eq!(tags(Side::Old, &name, truth.iter().copied(), 7), truth);
        let mut shown = tags(Side::New, &name, truth.iter().copied(), 7);
        shown.sort_unstable();
        assert_eq!(shown, expected, "{name} {truth:?}");
    }

    #[test]
    fn known_differences() {
        check(false, &["a::1", "b::2"], &["a::1", "b::2"]);
        check(
            false,
            &["role::program", "z::1"],
            &["role::application", "z::1"],
        );
        check(true, &["role::program", "z::1"], &["role::application"]);
        check(true, &["a::1", "role::program"], &["a::1"]);
        check(true, &["role::program"], &[]);
        check(true, &["a::1"], &[]);
        check(true, &[], &[]);
    }

    #[test]
    fn counts_and_times() {
        let show = |side| serde_json::to_string(&count(side, 42)).unwrap();
        assert_eq!(
            (show(Side::Old).as_str(), show(Side::New).as_str()),
            ("42", "\"42\"")
        );
        let truth: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(updated_at(Side::Old, truth, 3), truth);
        assert_eq!(
            updated_at(Side::New, truth, 0).to_string(),
            "2024-01-01T00:00:00.000001Z"
        );
        assert_eq!(updated_at(Side::New, truth, u64::MAX), Timestamp::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn another_order_and_time_in_each_answer(tags in proptest::collection::btree_set("[a-d]{1,3}", 2..12), nth in 0..u64::MAX - 1) {
            let (name, truth) = (named(false), Timestamp::UNIX_EPOCH);
            let mut shown = super::tags(Side::New, &name, tags.iter().map(String::as_str), nth);
            prop_assert!(!shown.is_sorted(), "{:?}", shown);
            shown.sort_unstable();
            prop_assert!(shown.iter().eq(&tags), "{:?}", shown);
            let nth = nth % 1_000_000;
            prop_assert_ne!(updated_at(Side::New, truth, nth), updated_at(Side::New, truth, nth + 1));
            prop_assert_ne!(updated_at(Side::New, truth, nth), truth);
        }
    }
}
