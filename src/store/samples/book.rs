//! What is in the ring, by group, and what has to go. Pure: the disk does what it says.
//!
//! Room is made at the cost of the group that takes most, its oldest sample first: so groups share what there is, and one that needs less than its share keeps all.

use std::collections::{HashMap, VecDeque};

/// A sample's place in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// What it takes of the file.
    pub(super) cost: u64,
}

/// The samples of a group, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) entries: VecDeque<Entry>,
    pub(super) cost: u64,
    /// Pairs of the group while it has had samples.
    pub(super) pairs: u64,
}

/// Every sample that there is.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) shelves: HashMap<String, Shelf>,
    pub(super) cost: u64,
    last_id: u64,
}

impl Book {
    /// The id of the next sample.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Puts a sample behind those of its group; later ones have higher ids.
    pub(super) fn add(&mut self, group: &str, entry: Entry) {
        self.last_id = self.last_id.max(entry.id);
        self.cost += entry.cost;
        let shelf = match self.shelves.get_mut(group) {
            Some(shelf) => shelf,
            None => self.shelves.entry(group.to_owned()).or_default(),
        };
        shelf.cost += entry.cost;
        shelf.entries.push_back(entry);
    }

    /// Takes out what is older than that. Within a group times go up with ids, but for what came at nearly the same time.
    pub(super) fn expire(&mut self, before: i64) -> Vec<u64> {
        let mut gone = Vec::new();
        for shelf in self.shelves.values_mut() {
            while let Some(entry) = shelf.entries.pop_front_if(|entry| entry.at < before) {
                shelf.cost -= entry.cost;
                self.cost -= entry.cost;
                gone.push(entry.id);
            }
        }
        self.shelves.retain(|_, shelf| !shelf.entries.is_empty());
        gone
    }

    /// Takes out what is too much.
    pub(super) fn make_room(&mut self, most: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        while self.cost > most {
            // Of two that take as much, the one whose first sample is older.
            let largest = self.shelves.iter_mut().max_by_key(|(_, shelf)| {
                let first = shelf.entries.front().map_or(0, |entry| entry.id);
                (shelf.cost, std::cmp::Reverse(first))
            });
            let Some((group, shelf)) = largest else {
                break;
            };
            let Some(entry) = shelf.entries.pop_front() else {
                break;
            };
            shelf.cost -= entry.cost;
            self.cost -= entry.cost;
            gone.push(entry.id);
            if shelf.entries.is_empty() {
                let group = group.clone();
                self.shelves.remove(&group);
            }
        }
        gone
    }
}

/// A group as one text.
pub(super) fn joined(route: &str, cause: &str) -> String {
    format!("{route} {cause}")
}

/// Names of routes have no blanks.
pub(super) fn parted(group: &str) -> (&str, &str) {
    group.split_once(' ').unwrap_or((group, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(id: u64, cost: u64) -> Entry {
        Entry {
            id,
            at: i64::try_from(id).unwrap(),
            cost,
        }
    }

    #[test]
    fn a_rare_group_keeps_its_samples_when_a_loud_one_fills_the_ring() {
        let mut book = Book::default();
        for id in 1..=3 {
            book.add("rare", entry(id, 10));
        }
        for id in 4..=10_000 {
            book.add("loud", entry(id, 10));
            book.make_room(1_000);
        }
        assert_eq!(book.shelves["rare"].entries.len(), 3);
        assert_eq!(book.shelves["loud"].entries.len(), 97);
        assert_eq!(book.shelves["loud"].entries[0].id, 9_904);
        assert_eq!(book.cost, 1_000);
        // A second loud one gets its share.
        for id in 10_001..=20_000 {
            book.add("other", entry(id, 10));
            book.make_room(1_000);
        }
        let kept = |group: &str| book.shelves[group].entries.len();
        assert_eq!((kept("rare"), kept("loud"), kept("other")), (3, 48, 49));
    }

    #[test]
    fn what_is_old_goes_and_what_is_not_stays() {
        let mut book = Book::default();
        book.add("a", entry(1, 1));
        book.add("a", entry(5, 1));
        book.add("b", entry(2, 1));
        let mut gone = book.expire(5);
        gone.sort_unstable();
        assert_eq!((gone, book.cost), (vec![1, 2], 1));
        assert_eq!(book.shelves.len(), 1);
        assert_eq!(book.next_id(), 6);
    }

    proptest! {
        #[test]
        fn the_sums_are_right(samples in prop::collection::vec((0..5_u8, 1..100_u64), 0..200), most in 0..2_000_u64) {
            let mut book = Book::default();
            let (mut added, mut gone) = (0, 0);
            for (group, cost) in samples {
                let id = book.next_id();
                book.add(&group.to_string(), entry(id, cost));
                added += 1;
                gone += book.make_room(most).len();
                prop_assert!(book.cost <= most);
            }
            let kept: usize = book.shelves.values().map(|shelf| shelf.entries.len()).sum();
            prop_assert_eq!(kept + gone, added);
            let cost: u64 = book.shelves.values().map(|shelf| shelf.cost).sum();
            prop_assert_eq!(cost, book.cost);
            prop_assert!(book.shelves.values().all(|shelf| !shelf.entries.is_empty()));
        }
    }
}
