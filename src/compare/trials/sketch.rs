//! The most frequent of many things, in the room for a few: the space-saving sketch of Metwally, Agrawal and El Abbadi (2005).
//!
//! Invariant: whatever occurs in more than one in [`Sketch::capacity`] is there, and no count is below the truth or above it by more than its error.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts of the most frequent.
#[derive(Clone, Debug)]
pub struct Sketch<T> {
    capacity: usize,
    counts: HashMap<T, Count>,
}

/// How often something occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// At most so often.
    pub count: u64,
    /// Too many by at most so many.
    pub error: u64,
}

impl<T: Eq + Hash + Clone + Ord> Sketch<T> {
    /// Room for so many, at least for one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            counts: HashMap::new(),
        }
    }

    /// How many are counted.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Counts one occurrence: of what was rarest, if there is no room left.
    pub fn add(&mut self, item: &T) {
        if let Some(known) = self.counts.get_mut(item) {
            known.count += 1;
            return;
        }
        let mut error = 0;
        if self.counts.len() == self.capacity {
            let rarest = self
                .counts
                .iter()
                .min_by_key(|(item, count)| (count.count, *item));
            let Some((rarest, count)) = rarest.map(|(item, count)| (item.clone(), *count)) else {
                return;
            };
            self.counts.remove(&rarest);
            error = count.count;
        }
        let count = Count {
            count: error + 1,
            error,
        };
        self.counts.insert(item.clone(), count);
    }

    /// What is counted, most frequent first.
    #[must_use]
    pub fn most_frequent(&self) -> Vec<(&T, Count)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .map(|(item, count)| (item, *count))
            .collect();
        all.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then_with(|| a.cmp(b)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_things_are_counted_exactly() {
        let mut sketch = Sketch::new(3);
        ["a", "b", "a", "c", "a", "b"]
            .iter()
            .for_each(|item| sketch.add(item));
        let found: Vec<_> = sketch
            .most_frequent()
            .into_iter()
            .map(|(item, count)| (*item, count.count, count.error))
            .collect();
        assert_eq!(found, [("a", 3, 0), ("b", 2, 0), ("c", 1, 0)]);
    }

    proptest! {
        #[test]
        fn what_is_frequent_is_there(items in proptest::collection::vec(0_u32..40, 1..600), capacity in 1_usize..12) {
            let mut sketch = Sketch::new(capacity);
            items.iter().for_each(|item| sketch.add(item));
            let found = sketch.most_frequent();
            prop_assert!(found.len() <= capacity);
            let truth = |item: u32| items.iter().filter(|&&other| other == item).count() as u64;
            for (item, count) in &found {
                prop_assert!(count.count >= truth(**item) && count.count - count.error <= truth(**item));
            }
            for item in 0..40 {
                if truth(item) > items.len() as u64 / capacity as u64 {
                    prop_assert!(found.iter().any(|(known, _)| **known == item));
                }
            }
        }
    }
}
