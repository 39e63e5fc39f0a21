use super::*;
use proptest::prelude::*;
use std::cell::Cell;

/// Numbers as elements: equal within `tolerance`, and loose if it is not 0.
pub(crate) struct Numbers {
    old: Vec<i64>,
    new: Vec<i64>,
    tolerance: i64,
    steps: Cell<usize>,
}

impl Numbers {
    pub(crate) fn new(old: &[i64], new: &[i64]) -> Self {
        Self {
            old: old.to_vec(),
            new: new.to_vec(),
            tolerance: 0,
            steps: Cell::new(1_000_000),
        }
    }

    fn at(&self, side: Side, index: usize) -> i64 {
        match side {
            Side::Old => self.old[index],
            Side::New => self.new[index],
        }
    }
}

impl Elements for Numbers {
    fn len(&self, side: Side) -> usize {
        match side {
            Side::Old => self.old.len(),
            Side::New => self.new.len(),
        }
    }

    fn hash(&self, side: Side, index: usize) -> u64 {
        if self.tolerance == 0 {
            self.at(side, index).unsigned_abs()
        } else {
            1
        }
    }

    fn is_loose(&self, _side: Side, _index: usize) -> bool {
        self.tolerance != 0
    }

    fn are_alike(&self, _old: usize, _new: usize) -> bool {
        false
    }

    fn same(&self, old: usize, new: usize) -> bool {
        (self.old[old] - self.new[new]).abs() <= self.tolerance
    }

    fn try_same(&self, old: usize, new: usize) -> Option<bool> {
        self.spend(1).then(|| self.same(old, new))
    }

    fn weight(&self, side: Side, index: usize) -> Weight {
        let number = self.at(side, index);
        Weight {
            sum: number as f64,
            reach: self.tolerance as f64,
            fingerprint: number as u64,
        }
    }

    fn likeness(&self, old: usize, new: usize) -> u32 {
        // Numbers of one decade are alike.
        if self.old[old] / 10 == self.new[new] / 10 {
            9
        } else {
            2
        }
    }

    fn spend(&self, steps: usize) -> bool {
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.unwrap_or(self.steps.get()));
        left.is_some()
    }

    fn reserve(&self, _bytes: usize) -> bool {
        true
    }
}

pub(crate) fn check(
    found: &Alignment,
    pairs: &[(usize, usize)],
    old_only: &[usize],
    new_only: &[usize],
) {
    assert_eq!(
        (
            found.pairs.as_slice(),
            found.old_only.as_slice(),
            found.new_only.as_slice()
        ),
        (pairs, old_only, new_only)
    );
}

#[test]
fn multisets_pair_equal_elements() {
    let pair = |old: &[i64], new: &[i64]| multiset(&Numbers::new(old, new));
    check(&pair(&[], &[]), &[], &[], &[]);
    check(
        &pair(&[1, 2, 3], &[3, 1, 2]),
        &[(0, 1), (1, 2), (2, 0)],
        &[],
        &[],
    );
    check(&pair(&[1, 1, 2], &[1, 2, 2]), &[(0, 0), (2, 1)], &[1], &[2]);
    check(&pair(&[1], &[2]), &[], &[0], &[0]);
    check(&pair(&[], &[7, 7]), &[], &[], &[0, 1]);
    // -5 and 5 hash alike here: what collides is told apart all the same.
    check(
        &pair(&[5, -5, 5], &[-5, 5, -5]),
        &[(0, 1), (1, 0)],
        &[2],
        &[2],
    );
}

#[test]
fn tolerances_pair_the_nearest_in_order() {
    let mut numbers = Numbers::new(&[10, 20, 30], &[31, 19, 11]);
    numbers.tolerance = 1;
    check(&multiset(&numbers), &[(0, 2), (1, 1), (2, 0)], &[], &[]);
    // 10 takes 9, which leaves 11 to 12.
    let mut numbers = Numbers::new(&[12, 10], &[11, 9]);
    numbers.tolerance = 1;
    check(&multiset(&numbers), &[(0, 0), (1, 1)], &[], &[]);
    // Beyond the budget elements stay alone.
    numbers.steps = Cell::new(1);
    assert!(!multiset(&numbers).is_complete());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn multisets_pair_as_many_as_possible(
        old in proptest::collection::vec(0..30_i64, 0..12),
        new in proptest::collection::vec(0..30_i64, 0..12),
        tolerance in 0..4_i64,
    ) {
        let mut numbers = Numbers::new(&old, &new);
        numbers.tolerance = tolerance;
        let found = multiset(&numbers);
        if old != new {
            let mut swapped = Numbers::new(&new, &old);
            swapped.tolerance = tolerance;
            prop_assert_eq!(&multiset(&swapped).mirrored(), &found);
        }
        prop_assert!(found.pairs.iter().all(|&(i, j)| numbers.same(i, j)));
        prop_assert_eq!(found.pairs.len() + found.old_only.len(), old.len());
        prop_assert_eq!(found.pairs.len() + found.new_only.len(), new.len());
        // Going through both sides in ascending order and pairing what fits is best possible for equal tolerances.
        let (mut a, mut b) = (old, new);
        a.sort_unstable();
        b.sort_unstable();
        let (mut i, mut j, mut most) = (0, 0, 0);
        while i < a.len() && j < b.len() {
            if (a[i] - b[j]).abs() <= tolerance {
                (i, j, most) = (i + 1, j + 1, most + 1);
            } else if a[i] < b[j] {
                i += 1;
            } else {
                j += 1;
            }
        }
        prop_assert_eq!(found.pairs.len(), most);
    }
}
