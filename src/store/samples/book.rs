//! What is in the ring, by group, and what has to go. Pure: the disk does what it says.
//!
//! Room is made at the cost of the group that takes most, its oldest sample first: so groups share what there is, and one that needs less than its share keeps all.

use crate::store::samples::stream::{self, Entry};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

/// The samples of a group, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// What the group is called in the file.
    pub(super) number: u32,
    pub(super) entries: VecDeque<Entry>,
    /// Pairs of the group while it has had samples.
    pub(super) pairs: u64,
    /// The blocks that the file has of it.
    pub(super) written: Range<u64>,
    /// The file says something else of it.
    pub(super) changed: bool,
}

impl Shelf {
    /// Where its samples are in the stream of the group.
    pub(super) fn bytes(&self) -> Range<u64> {
        match (self.entries.front(), self.entries.back()) {
            (Some(first), Some(last)) => first.start..last.end(),
            _ => 0..0,
        }
    }

    /// The blocks in which they are.
    pub(super) fn blocks(&self) -> Range<u64> {
        stream::blocks(&self.bytes())
    }

    fn taken(&self) -> u64 {
        let blocks = self.blocks();
        blocks.end - blocks.start
    }
}

/// Blocks of a group's number that the file is to lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) number: u32,
    pub(super) places: Range<u64>,
}

/// Every sample that there is.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) shelves: HashMap<String, Shelf>,
    /// Groups that have no samples any more, and that the file still has.
    emptied: BTreeMap<String, Gone>,
    /// Blocks that the samples take.
    blocks: u64,
    last_id: u64,
    last_number: u32,
}

impl Book {
    /// A group as the file has it.
    pub(super) fn restore(&mut self, group: String, shelf: Shelf) {
        self.blocks += shelf.taken();
        self.last_number = self.last_number.max(shelf.number);
        let last = shelf.entries.back().map_or(0, |entry| entry.id);
        self.last_id = self.last_id.max(last);
        self.shelves.insert(group, shelf);
    }

    /// Puts a sample of so many bytes behind those of its group.
    pub(super) fn add(&mut self, group: &str, at: i64, len: u32) -> Entry {
        self.last_id += 1;
        let shelf = match self.shelves.get_mut(group) {
            Some(shelf) => shelf,
            None => {
                self.last_number += 1;
                let shelf = self.shelves.entry(group.to_owned()).or_default();
                shelf.number = self.last_number;
                shelf
            }
        };
        let before = shelf.taken();
        let entry = Entry {
            id: self.last_id,
            at,
            start: shelf.bytes().end,
            len,
        };
        shelf.entries.push_back(entry);
        shelf.changed = true;
        self.blocks += shelf.taken() - before;
        entry
    }

    /// Counts pairs of a group that has samples.
    pub(super) fn count(&mut self, group: &str, pairs: u64) {
        if let Some(shelf) = self.shelves.get_mut(group) {
            shelf.pairs += pairs;
            shelf.changed = true;
        }
    }

    /// Blocks that the file has.
    pub(super) fn written(&self) -> u64 {
        let shelves = self.shelves.values().map(|shelf| &shelf.written);
        let emptied = self.emptied.values().map(|gone| &gone.places);
        let written = shelves.chain(emptied);
        written.map(|places| places.end - places.start).sum()
    }

    /// Takes out what is older than that. Within a group times go up with ids, but for what came at nearly the same time.
    pub(super) fn expire(&mut self, before: i64) {
        for shelf in self.shelves.values_mut() {
            while shelf.entries.front().is_some_and(|entry| entry.at < before) {
                self.blocks -= drop_oldest(shelf);
            }
        }
        self.put_away();
    }

    /// Takes out what is too much, until no more than so many blocks are taken.
    pub(super) fn make_room(&mut self, most: u64) {
        while self.blocks > most {
            // Of two that take as much, the one whose first sample is older.
            let largest = self.shelves.values_mut().max_by_key(|shelf| {
                let first = shelf.entries.front().map_or(0, |entry| entry.id);
                (shelf.taken(), std::cmp::Reverse(first))
            });
            let Some(shelf) = largest else {
                break;
            };
            let mut freed = 0;
            while freed == 0 && !shelf.entries.is_empty() {
                freed = drop_oldest(shelf);
            }
            self.blocks -= freed;
            if shelf.entries.is_empty() {
                self.put_away();
            }
        }
    }

    /// Whether the file has what there is.
    pub(super) fn is_as_written(&self) -> bool {
        self.emptied.is_empty() && self.changed().next().is_none()
    }

    /// Groups of which the file says something else.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&str, &Shelf)> {
        let shelves = self.shelves.iter().filter(|(_, shelf)| shelf.changed);
        shelves.map(|(group, shelf)| (group.as_str(), shelf))
    }

    /// Groups that the file is to lose.
    pub(super) fn emptied(&self) -> impl Iterator<Item = &str> {
        self.emptied.keys().map(String::as_str)
    }

    /// Blocks that the file is to lose.
    pub(super) fn gone(&self) -> impl Iterator<Item = Gone> {
        let kept = self.shelves.values().filter_map(|shelf| {
            let written = &shelf.written;
            let end = shelf.blocks().start.min(written.end);
            (written.start < end).then_some(Gone {
                number: shelf.number,
                places: written.start..end,
            })
        });
        kept.chain(self.emptied.values().cloned())
    }

    /// The file has what there is.
    pub(super) fn is_written(&mut self) {
        self.emptied.clear();
        for shelf in self.shelves.values_mut().filter(|shelf| shelf.changed) {
            shelf.written = shelf.blocks();
            shelf.changed = false;
        }
    }

    fn put_away(&mut self) {
        let emptied = self.shelves.extract_if(|_, shelf| shelf.entries.is_empty());
        self.emptied.extend(emptied.map(|(group, shelf)| {
            let gone = Gone {
                number: shelf.number,
                places: shelf.written,
            };
            (group, gone)
        }));
    }
}

/// Takes out the oldest sample of a group. Blocks that this frees.
fn drop_oldest(shelf: &mut Shelf) -> u64 {
    let before = shelf.taken();
    shelf.entries.pop_front();
    shelf.changed = true;
    before - shelf.taken()
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
    use crate::store::samples::stream::BLOCK;
    use proptest::prelude::*;

    /// Puts so many samples that fill a block each.
    fn add(book: &mut Book, group: &str, samples: u64) {
        for _ in 0..samples {
            let at = i64::try_from(book.last_id + 1).unwrap();
            book.add(group, at, BLOCK as u32);
        }
    }

    #[test]
    fn a_rare_group_keeps_its_samples_when_a_loud_one_fills_the_ring() {
        let mut book = Book::default();
        add(&mut book, "rare", 3);
        for _ in 4..=10_000 {
            add(&mut book, "loud", 1);
            book.make_room(100);
        }
        assert_eq!(book.shelves["rare"].entries.len(), 3);
        assert_eq!(book.shelves["loud"].entries.len(), 97);
        assert_eq!(book.shelves["loud"].entries[0].id, 9_904);
        assert_eq!(book.blocks, 100);
        // A second loud one gets its share.
        for _ in 10_001..=20_000 {
            add(&mut book, "other", 1);
            book.make_room(100);
        }
        let kept = |group: &str| book.shelves[group].entries.len();
        assert_eq!((kept("rare"), kept("loud"), kept("other")), (3, 48, 49));
    }

    #[test]
    fn what_is_old_goes_and_what_is_not_stays() {
        let mut book = Book::default();
        add(&mut book, "a", 1);
        add(&mut book, "b", 1);
        add(&mut book, "a", 3);
        book.is_written();
        book.expire(5);
        let gone: Vec<_> = book.gone().map(|gone| (gone.number, gone.places)).collect();
        assert_eq!(gone, [(1, 0..3), (2, 0..1)]);
        assert_eq!(book.emptied().collect::<Vec<_>>(), ["b"]);
        assert_eq!((book.shelves.len(), book.blocks, book.written()), (1, 1, 5));
        book.is_written();
        assert_eq!(
            (book.blocks, book.written(), book.gone().count()),
            (1, 1, 0)
        );
        let entry = book.add("b", 6, 1);
        assert_eq!((entry.id, entry.start, book.shelves["b"].number), (6, 0, 3));
    }

    #[test]
    fn a_block_goes_when_the_last_sample_in_it_has_gone() {
        let mut book = Book::default();
        let half = (BLOCK / 2) as u32;
        for at in 0..5 {
            book.add("a", at, half);
        }
        book.is_written();
        assert_eq!(book.blocks, 3);
        book.expire(1);
        assert_eq!((book.blocks, book.gone().count()), (3, 0));
        book.make_room(2);
        assert_eq!(book.shelves["a"].entries.len(), 3);
        let gone: Vec<_> = book.gone().map(|gone| (gone.number, gone.places)).collect();
        assert_eq!(gone, [(1, 0..1)]);
    }

    proptest! {
        #[test]
        fn the_sums_are_right(samples in prop::collection::vec((0..5_u8, 1..20_000_u32, any::<bool>()), 0..200), most in 0..100_u64) {
            let mut book = Book::default();
            for (group, len, is_written) in samples {
                book.add(&group.to_string(), 0, len);
                book.make_room(most);
                prop_assert!(book.blocks <= most);
                prop_assert_eq!(book.blocks, book.shelves.values().map(Shelf::taken).sum::<u64>());
                prop_assert!(book.shelves.values().all(|shelf| !shelf.entries.is_empty()));
                if is_written {
                    book.is_written();
                    prop_assert_eq!(book.written(), book.blocks);
                }
            }
        }
    }
}
