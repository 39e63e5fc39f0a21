//! How many pairs of a group become samples: the first of them all, and then one now and then, so that a loud cause fills neither the queue nor the disk.
//! A sample costs what dozens of comparisons do, and the thousandth of a cause shows little that is new.

use jiff::Timestamp;
use std::collections::HashMap;
use std::fmt::Display;

/// Samples that a group may have at once.
pub const BURST: u32 = 1_000;
/// Milliseconds in which it may have one more then.
pub const EVERY: u64 = 10_000;
/// Groups that are told apart; the others share.
const GROUPS: usize = 4_096;
/// What no group of a cause is called.
const REST: &str = "";
/// The cause of mismatches whose cause has no name, since there are too many.
pub const UNNAMED: &str = "other";

/// A route's pairs of one cause, or of one verdict that has no causes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    /// The route's name.
    pub route: String,
    /// The cause, or the verdict.
    pub cause: String,
}

impl Group {
    /// A route's pairs of this cause, or of this verdict.
    #[must_use]
    pub fn new(route: &str, cause: impl Display) -> Self {
        Self {
            route: route.to_owned(),
            cause: cause.to_string(),
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
    /// Milliseconds that have passed and were not used for samples.
    left: u64,
    at: Timestamp,
    /// Pairs since they were last taken down.
    pairs: u64,
}

impl Gate {
    /// Counts a pair of a group at a time, and gives the group back if a sample may be made of the pair.
    pub fn pass(&mut self, group: Group, now: Timestamp) -> Option<Group> {
        const FULL: u64 = BURST as u64 * EVERY;
        let group = if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            Group::new(REST, REST)
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
            allowance.left = allowance.left.saturating_add(passed).min(FULL);
            allowance.at = now;
        }
        allowance.left = allowance.left.checked_sub(EVERY)?;
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

    fn group(cause: &str) -> Group {
        Group::new("tags", cause)
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
        // A while later one more, however the pairs lie in it; time that goes back gives none.
        let while_later = i64::try_from(EVERY).unwrap();
        assert_eq!(passed(&mut gate, "loud", 1..=while_later), 1);
        assert_eq!(passed(&mut gate, "loud", 0..while_later), 0);
        assert_eq!(passed(&mut gate, "loud", vec![2 * while_later; 100]), 1);
        // However long nothing came, no more than at first.
        let later = vec![100_000_000; 5_000];
        assert_eq!(passed(&mut gate, "loud", later), BURST as usize);
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
