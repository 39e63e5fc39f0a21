use super::*;
use crate::compare::align::tests::{Numbers, check};
use proptest::prelude::*;

#[test]
fn order_is_kept_and_gaps_are_filled_by_likeness() {
    let align = |old: &[i64], new: &[i64]| in_order(&Numbers::new(old, new)).unwrap();
    check(&align(&[1, 2, 3], &[1, 3]), &[(0, 0), (2, 1)], &[1], &[]);
    check(&align(&[2, 3], &[1, 2, 3]), &[(0, 1), (1, 2)], &[], &[0]);
    check(&align(&[1], &[9]), &[(0, 0)], &[], &[]);
    check(&align(&[], &[9]), &[], &[], &[0]);
    // 12 is nearer to 13 than 51 is.
    check(&align(&[51, 12, 1], &[13, 1]), &[(1, 0), (2, 1)], &[0], &[]);
    check(&align(&[51, 12], &[13, 99]), &[(1, 0)], &[0], &[1]);
    check(&align(&[1, 2], &[3, 4]), &[(0, 0), (1, 1)], &[], &[]);
}

#[test]
fn what_is_beyond_the_budget_is_not_aligned() {
    let equal = vec![1; 2_000];
    assert_eq!(in_order(&Numbers::new(&equal, &equal)), None);
    let distinct: Vec<_> = (0..20_000).collect();
    let mut rotated = distinct.clone();
    rotated.rotate_left(1);
    let found = in_order(&Numbers::new(&distinct, &rotated)).unwrap();
    assert_eq!((found.old_only, found.new_only), (vec![0], vec![19_999]));
}

#[test]
fn common_ends_do_not_overlap() {
    let ends = |old: &[i64], new: &[i64]| common_ends(&Numbers::new(old, new));
    assert_eq!(ends(&[1, 1, 1], &[1, 1]), (2, 0));
    assert_eq!(ends(&[1, 2, 3, 4], &[1, 3, 4]), (1, 2));
    assert_eq!(ends(&[], &[1]), (0, 0));
    assert_eq!(ends(&[1, 2], &[1, 2]), (2, 0));
}

/// Length of a longest common subsequence, by the table.
fn longest(old: &[i64], new: &[i64]) -> usize {
    let mut row = vec![0; new.len() + 1];
    for a in old {
        let mut diagonal = 0;
        for (j, b) in new.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if a == b {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    row[new.len()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn alignments_are_longest_whole_and_mirrored(
        old in proptest::collection::vec(0..8_i64, 0..14),
        new in proptest::collection::vec(0..8_i64, 0..14),
    ) {
        let found = in_order(&Numbers::new(&old, &new)).unwrap();
        let equal = found.pairs.iter().filter(|&&(i, j)| old[i] == new[j]).count();
        prop_assert_eq!(equal, longest(&old, &new));
        prop_assert!(found.pairs.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        for (whole, parts) in [
            (old.len(), found.pairs.iter().map(|pair| pair.0).chain(found.old_only.iter().copied()).collect::<Vec<_>>()),
            (new.len(), found.pairs.iter().map(|pair| pair.1).chain(found.new_only.iter().copied()).collect()),
        ] {
            let mut parts = parts;
            parts.sort_unstable();
            prop_assert_eq!(parts, (0..whole).collect::<Vec<_>>());
        }
        if old != new {
            prop_assert_eq!(in_order(&Numbers::new(&new, &old)).unwrap().mirrored(), found);
        }
    }
}
