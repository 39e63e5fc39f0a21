//! How often marks were found together: each two of them exactly, and whole sets as long as there are few of them.

use std::collections::BTreeMap;

/// Marks of one book.
pub const MARKS: usize = 128;
/// Sets that are told apart. Marks that are found by chance, or fields of which each differs only now and then, make many sets.
const SETS: usize = 512;

/// What was found together. Marks are known by their places.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Pairs that have two marks, a row for each mark with those before it.
    both: Vec<u64>,
    /// Pairs that have a set of marks and no other.
    sets: BTreeMap<u128, u64>,
}

impl Tally {
    /// Counts a pair with these marks.
    pub(super) fn add(&mut self, set: u128) {
        let mut left = set;
        while left != 0 {
            let high = (MARKS - 1) - left.leading_zeros() as usize;
            left &= !(1 << high);
            if self.both.len() < row(high + 1) {
                self.both.resize(row(high + 1), 0);
            }
            let mut others = left;
            while others != 0 {
                let low = others.trailing_zeros() as usize;
                others &= others - 1;
                self.both[row(high) + low] += 1;
            }
        }
        *self.sets.entry(set).or_default() += 1;
        if self.sets.len() > SETS {
            let rarest = self.sets.iter().min_by_key(|&(_, pairs)| pairs);
            if let Some(&rarest) = rarest.map(|(set, _)| set) {
                self.sets.remove(&rarest);
            }
        }
    }

    /// Lets go of a mark.
    pub(super) fn forget(&mut self, place: usize) {
        for other in 0..MARKS {
            if let Some(both) = self.both.get_mut(index(place, other)) {
                *both = 0;
            }
        }
        let sets = std::mem::take(&mut self.sets);
        for (set, pairs) in sets {
            *self.sets.entry(set & !(1 << place)).or_default() += pairs;
        }
    }

    /// Pairs that have both of two marks.
    pub(super) fn both(&self, one: usize, two: usize) -> u64 {
        self.both.get(index(one, two)).copied().unwrap_or(0)
    }

    /// Pairs that have any of some marks, of which the most frequent one is in `most.1` pairs: exact as long as no set was let go of; else what the sets
    /// that are left say of the share that has it.
    pub(super) fn any(&self, marks: u128, most: (usize, u64)) -> u64 {
        let (mut any, mut with) = (0_u64, 0_u64);
        for (set, pairs) in &self.sets {
            if set & marks != 0 {
                any += pairs;
            }
            if set & (1 << most.0) != 0 {
                with += pairs;
            }
        }
        if with == 0 || any == with {
            return most.1;
        }
        (most.1 as f64 * (any as f64 / with as f64)).round() as u64
    }
}

/// Where a mark's row begins.
fn row(place: usize) -> usize {
    place * place.saturating_sub(1) / 2
}

fn index(one: usize, two: usize) -> usize {
    if one == two {
        return usize::MAX;
    }
    row(one.max(two)) + one.min(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(marks: &[usize]) -> u128 {
        marks.iter().fold(0, |set, mark| set | 1 << mark)
    }

    #[test]
    fn what_was_found_together_is_counted() {
        let mut tally = Tally::default();
        for marks in [&[0, 127][..], &[0, 5, 127], &[5], &[5, 127]] {
            tally.add(set(marks));
        }
        let counted = |tally: &Tally| {
            [(0, 127), (127, 5), (0, 5), (1, 5), (5, 5)].map(|(one, two)| tally.both(one, two))
        };
        assert_eq!(counted(&tally), [2, 2, 1, 0, 0]);
        assert_eq!(tally.any(set(&[0, 5]), (5, 3)), 4);
        assert_eq!(tally.any(set(&[0, 127]), (127, 3)), 3);
        tally.forget(5);
        assert_eq!(counted(&tally), [2, 0, 0, 0, 0]);
        tally.add(set(&[5]));
        assert_eq!(tally.any(set(&[5]), (5, 1)), 1);
    }

    #[test]
    fn sets_that_are_let_go_of_leave_their_share() {
        let mut tally = Tally::default();
        // Ten fields of which each differs in four pairs of five.
        let mut random = 1_u64;
        let mut counts = [0; 10];
        for _ in 0..20_000 {
            let marks: Vec<usize> = (0..10)
                .filter(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    !(random >> 33).is_multiple_of(5)
                })
                .collect();
            marks.iter().for_each(|&mark| counts[mark] += 1);
            tally.add(set(&marks));
        }
        assert_eq!(tally.sets.len(), SETS);
        let found = tally.any(set(&(0..10).collect::<Vec<_>>()), (3, counts[3]));
        assert!((19_500..=20_500).contains(&found), "{found}");
    }
}
