//! How many pairs of a group become samples: the first of them all, and then a few a second, so that a loud cause fills neither the queue nor the disk.

use crate::compare::Divergence;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// Samples that a group may have at once.
pub const BURST: u32 = 1_000;
/// Samples a second that it may have then.
pub const RATE: u32 = 10;
/// Groups that are told apart; the others share.
const GROUPS: usize = 4_096;
/// What no group of a cause is called.
const REST: &str = "";

/// A route's pairs of one cause, or of one verdict that has no causes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The route's name.
    pub route: String,
    /// The cause, or the verdict.
    pub cause: String,
}

impl Group {
    /// The group of a mismatch: by what differs and how, and how one value became the other, wherever that was.
    #[must_use]
    pub fn of(route: &str, divergences: &[Divergence]) -> Self {
        let marks = divergences.iter().map(|found| {
            let form = found.change.form;
            format!("{} {} {form:?}\n", found.path, found.kind.name())
        });
        let marks: BTreeSet<_> = marks.collect();
        let mut digest = Sha256::new();
        for mark in marks {
            digest.update(mark);
        }
        let cause = digest.finalize()[..6]
            .iter()
            .fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("a String takes all text");
                hex
            });
        Self {
            route: route.to_owned(),
            cause,
        }
    }

    /// The group of pairs that are no mismatches: by what they are.
    #[must_use]
    pub fn harmless(route: &str, verdict: &str) -> Self {
        Self {
            route: route.to_owned(),
            cause: verdict.to_owned(),
        }
    }
}

/// What each group has had, and how many pairs of it there were.
#[derive(Debug, Default)]
pub struct Gate {
    groups: HashMap<Group, Allowance>,
}

#[derive(Debug)]
struct Allowance {
    /// Thousandths of samples that it may have now.
    left: u64,
    at: Timestamp,
    /// Pairs since they were last taken down.
    pairs: u64,
}

impl Gate {
    /// Counts a pair of a group at a time, and gives the group back if a sample may be made of the pair.
    pub fn pass(&mut self, group: Group, now: Timestamp) -> Option<Group> {
        const FULL: u64 = BURST as u64 * 1_000;
        let group = if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            Group {
                cause: REST.to_owned(),
                route: REST.to_owned(),
            }
        } else {
            group
        };
        let allowance = self.groups.entry(group.clone()).or_insert(Allowance {
            left: FULL,
            at: now,
            pairs: 0,
        });
        allowance.pairs += 1;
        // Pairs come in no strict order, and the clock may step: what lies behind adds nothing.
        let passed = now.duration_since(allowance.at).as_millis();
        if let Ok(passed) = u64::try_from(passed)
            && passed > 0
        {
            allowance.left = (allowance.left + passed.saturating_mul(u64::from(RATE))).min(FULL);
            allowance.at = now;
        }
        allowance.left = allowance.left.checked_sub(1_000)?;
        Some(group)
    }

    /// How many pairs of each group there were since this was asked last.
    pub fn take_pairs(&mut self) -> Vec<(Group, u64)> {
        let counted = self
            .groups
            .iter_mut()
            .filter(|(_, allowance)| allowance.pairs > 0);
        let taken =
            counted.map(|(group, allowance)| (group.clone(), std::mem::take(&mut allowance.pairs)));
        taken.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Rules, compare_documents};

    fn group(cause: &str) -> Group {
        Group {
            route: "tags".to_owned(),
            cause: cause.to_owned(),
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    /// How many of these pairs pass.
    fn passed(gate: &mut Gate, cause: &str, times: impl IntoIterator<Item = i64>) -> usize {
        let passed = times
            .into_iter()
            .filter(|time| gate.pass(group(cause), at(*time)).is_some());
        passed.count()
    }

    #[test]
    fn a_loud_group_is_slowed_down_and_a_rare_one_is_not() {
        let mut gate = Gate::default();
        assert_eq!(passed(&mut gate, "loud", vec![0; 5_000]), BURST as usize);
        assert_eq!(passed(&mut gate, "rare", [0, 1]), 2);
        // A second later ten more, however the pairs lie in it; time that goes back gives none.
        assert_eq!(passed(&mut gate, "loud", 1..=1_000), RATE as usize);
        assert_eq!(passed(&mut gate, "loud", 0..1_000), 0);
        assert_eq!(passed(&mut gate, "loud", vec![2_000; 100]), RATE as usize);
        // However long nothing came, no more than at first.
        let later = vec![100_000_000; 5_000];
        assert_eq!(passed(&mut gate, "loud", later), BURST as usize);
    }

    #[test]
    fn a_group_is_what_differs_and_how() {
        let of = |old: &str, new: &str| {
            let rules = Rules::default();
            let found = compare_documents(old.as_bytes(), new.as_bytes(), &rules);
            Group::of("tags", &found.divergences)
        };
        let id = of(r#"[{"id": "ax", "n": 1}]"#, r#"[{"id": "by", "n": 1}]"#);
        let again = of(r#"[0, {"id": "ax"}]"#, r#"[0, {"id": "by"}]"#);
        assert_eq!(id, again);
        for (old, new) in [
            (r#"[{"id": 1}]"#, r#"[{}]"#),
            (r#"[{"id": 1}]"#, r#"[{"id": "1"}]"#),
            (r#"[{"id": 1, "n": 1}]"#, r#"[{"id": 2, "n": 2}]"#),
            (r#"[{"n": 1}]"#, r#"[{"n": 2}]"#),
            (r#"[{"id": "a"}]"#, r#"[{"id": "A"}]"#),
        ] {
            assert_ne!(of(old, new), id, "{old} {new}");
        }
        assert_eq!(id.cause.len(), 12);
    }

    #[test]
    fn every_pair_is_counted_once() {
        let mut gate = Gate::default();
        passed(&mut gate, "loud", vec![0; 5_000]);
        passed(&mut gate, "rare", [0]);
        let mut pairs = gate.take_pairs();
        pairs.sort();
        assert_eq!(pairs, [(group("loud"), 5_000), (group("rare"), 1)]);
        assert_eq!(gate.take_pairs(), []);
        passed(&mut gate, "rare", [1]);
        assert_eq!(gate.take_pairs(), [(group("rare"), 1)]);
    }

    #[test]
    fn however_many_groups_there_are_memory_is_bounded() {
        let mut gate = Gate::default();
        for number in 0..2 * GROUPS {
            gate.pass(group(&number.to_string()), at(0));
        }
        assert_eq!(gate.groups.len(), GROUPS + 1);
        let pairs: u64 = gate.take_pairs().into_iter().map(|(_, pairs)| pairs).sum();
        assert_eq!(pairs, 2 * GROUPS as u64);
    }
}
