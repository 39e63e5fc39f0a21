//! What is known of one name of `[ids]`: pairings of old with new values, one to one, in a bounded number.
//!
//! Each pairing stands in one list of entries, is found from either side, and is linked into a queue by when it was seen last: candidates in one, confirmed
//! ones in another. Where there is no room for one more, the oldest candidate goes, and where there is none, the oldest of all.

use crate::compare::ids::digest::Digest;
use crate::compare::ids::kept::{Changes, Kept, Row};
use crate::side::Side;
use hashbrown::HashTable;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never seen.
    Free,
    /// One record has shown it with this one.
    Candidate(Digest),
    /// It belongs with this one.
    Confirmed(Digest),
    /// It may have been known before: nothing can be said.
    Unknown,
}

/// How many pairings there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Shown by one record.
    pub candidates: usize,
    /// Shown by two.
    pub confirmed: usize,
    /// That were evicted, since the table was begun.
    pub evicted: u64,
}

/// The pairings of one name.
#[derive(Debug)]
pub struct Table {
    most: usize,
    entries: Vec<Entry>,
    /// Places of entries that hold nothing.
    free: Vec<u32>,
    /// Where a value's pairing is, by side.
    places: [HashTable<u32>; 2],
    candidates: Queue,
    confirmed: Queue,
    evicted: u64,
    /// For whoever writes it; none if nobody does.
    kept: Option<Kept>,
    /// What was written before has been read.
    loaded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pair: [Digest; 2],
    /// Who has shown it first.
    record: u64,
    /// Places in its queue: [`NONE`] at the ends.
    newer: u32,
    older: u32,
    confirmed: bool,
    /// It has not been written as it is.
    changed: bool,
    /// It is one.
    held: bool,
}

impl Entry {
    fn row(&self) -> Row {
        Row {
            pair: self.pair,
            record: self.record,
            confirmed: self.confirmed,
        }
    }
}

/// No place.
const NONE: u32 = u32::MAX;

/// Entries by when they were seen last.
#[derive(Debug)]
struct Queue {
    newest: u32,
    oldest: u32,
    len: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            len: 0,
        }
    }
}

impl Table {
    /// Nothing is known.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            entries: Vec::new(),
            free: Vec::new(),
            places: [HashTable::new(), HashTable::new()],
            candidates: Queue::default(),
            confirmed: Queue::default(),
            evicted: 0,
            kept: None,
            loaded: true,
        }
    }

    /// The same of a table that is written: until it is told what was written before ([`Self::load`]) nothing is known of any value, nor learnt.
    #[must_use]
    pub fn kept(most: usize) -> Self {
        Self {
            kept: Some(Kept::default()),
            loaded: false,
            ..Self::new(most)
        }
    }

    /// What is known of a value of a side.
    #[must_use]
    pub fn standing(&self, side: Side, value: Digest) -> Standing {
        let entry = self.find(side, value).map(|place| self.entry(place));
        match entry {
            Some(entry) if entry.confirmed => Standing::Confirmed(entry.pair[side.other().index()]),
            // What is not confirmed may contradict what was evicted, or what has not been read yet.
            Some(_) | None if self.evicted > 0 || !self.loaded => Standing::Unknown,
            Some(entry) => Standing::Candidate(entry.pair[side.other().index()]),
            None => Standing::Free,
        }
    }

    /// A record has shown two values at one place. A confirmed pairing that this contradicts stays, and candidates give way to what is newer.
    pub fn learn(&mut self, pair: [Digest; 2], record: u64) {
        if !self.loaded {
            return;
        }
        let known = Side::BOTH.map(|side| self.find(side, pair[side.index()]));
        if let [Some(old), Some(new)] = known
            && old == new
        {
            return self.seen(old, record);
        }
        let known = known.into_iter().flatten();
        if known.clone().any(|place| self.entry(place).confirmed) {
            return;
        }
        known.for_each(|place| self.remove(place));
        self.make_room(self.most - 1);
        let place = self.insert(Row {
            pair,
            record,
            confirmed: false,
        });
        self.note(place);
    }

    /// What was written before, in any order: what was seen longest ago is not known any more.
    pub fn load(&mut self, rows: impl IntoIterator<Item = Row>, evicted: u64) {
        self.loaded = true;
        self.evicted = evicted;
        for row in rows {
            let known = Side::BOTH.map(|side| self.find(side, row.pair[side.index()]));
            if known == [None, None] {
                self.insert(row);
            } else if let Some(kept) = &mut self.kept {
                // Nobody has written that: it is written anew.
                kept.all = true;
            }
        }
        self.make_room(self.most);
    }

    /// Whether it was told what was written before.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether something is to be written.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.is_empty())
    }

    /// What has changed since it was asked last, of new pairings no more than so many.
    pub fn take(&mut self, most: usize) -> Changes {
        let Some(kept) = &mut self.kept else {
            return Changes::default();
        };
        if kept.all {
            *kept = Kept::default();
            self.entries
                .iter_mut()
                .for_each(|entry| entry.changed = false);
            return Changes {
                all: true,
                evicted: self.evicted,
                ..Changes::default()
            };
        }
        let from = kept.changed.len().saturating_sub(most);
        let gone = std::mem::take(&mut kept.gone);
        let mut put = Vec::new();
        for place in kept.changed.drain(from..) {
            let entry = &mut self.entries[place as usize];
            if std::mem::take(&mut entry.changed) {
                put.push(entry.row());
            }
        }
        Changes {
            all: false,
            gone,
            put,
            evicted: self.evicted,
            more: !kept.is_empty(),
        }
    }

    /// Pairings from a place on, no more than so many, and the next place if there is one.
    #[must_use]
    pub fn rows(&self, from: usize, most: usize) -> (Vec<Row>, Option<usize>) {
        let next = from.saturating_add(most).min(self.entries.len());
        let is_held = |entry: &&Entry| entry.held;
        let rows = self.entries[from.min(next)..next].iter().filter(is_held);
        let rows = rows.map(Entry::row).collect();
        (rows, (next < self.entries.len()).then_some(next))
    }

    /// What was written counts no more.
    pub fn rewrite(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.all = true;
        }
    }

    /// Another bound from now on; beyond it pairings are evicted.
    pub fn bound(&mut self, most: usize) {
        self.most = most.max(1);
        self.make_room(self.most);
    }

    /// How many pairings there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            candidates: self.candidates.len,
            confirmed: self.confirmed.len,
            evicted: self.evicted,
        }
    }

    fn seen(&mut self, place: u32, record: u64) {
        let Entry {
            confirmed,
            record: first,
            ..
        } = *self.entry(place);
        self.unlink(place);
        let is_news = !confirmed && first != record;
        self.entries[place as usize].confirmed |= is_news;
        self.link(place);
        if is_news {
            self.note(place);
        }
    }

    /// An entry is to be written.
    fn note(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        if let Some(kept) = &mut self.kept
            && !std::mem::replace(&mut entry.changed, true)
        {
            kept.changed.push(place);
        }
    }

    fn make_room(&mut self, most: usize) {
        while self.candidates.len + self.confirmed.len > most {
            let place = match self.candidates.oldest {
                NONE => self.confirmed.oldest,
                place => place,
            };
            self.remove(place);
            self.evicted += 1;
        }
    }

    fn insert(&mut self, row: Row) -> u32 {
        let Row {
            pair,
            record,
            confirmed,
        } = row;
        let entry = Entry {
            pair,
            record,
            newer: NONE,
            older: NONE,
            confirmed,
            changed: false,
            held: true,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                let place = u32::try_from(self.entries.len()).unwrap_or(NONE);
                self.entries.push(entry);
                place
            }
        };
        let entries = &self.entries;
        for side in Side::BOTH {
            let hash = |place: &u32| entries[*place as usize].pair[side.index()].short();
            self.places[side.index()].insert_unique(pair[side.index()].short(), place, hash);
        }
        self.link(place);
        place
    }

    fn remove(&mut self, place: u32) {
        self.unlink(place);
        let entry = &mut self.entries[place as usize];
        (entry.changed, entry.held) = (false, false);
        let pair = entry.pair;
        if let Some(kept) = &mut self.kept {
            kept.forget(pair[0]);
        }
        for side in Side::BOTH {
            let hash = pair[side.index()].short();
            let found = self.places[side.index()].find_entry(hash, |other| *other == place);
            if let Ok(found) = found {
                found.remove();
            }
        }
        self.free.push(place);
    }

    fn find(&self, side: Side, value: Digest) -> Option<u32> {
        let is_it = |place: &u32| self.entry(*place).pair[side.index()] == value;
        self.places[side.index()]
            .find(value.short(), is_it)
            .copied()
    }

    fn entry(&self, place: u32) -> &Entry {
        &self.entries[place as usize]
    }

    /// Puts an entry at the newest end of its queue.
    fn link(&mut self, place: u32) {
        let queue = match self.entries[place as usize].confirmed {
            true => &mut self.confirmed,
            false => &mut self.candidates,
        };
        let before = std::mem::replace(&mut queue.newest, place);
        queue.len += 1;
        match before {
            NONE => queue.oldest = place,
            before => self.entries[before as usize].newer = place,
        }
        let entry = &mut self.entries[place as usize];
        (entry.newer, entry.older) = (NONE, before);
    }

    fn unlink(&mut self, place: u32) {
        let Entry {
            newer,
            older,
            confirmed,
            ..
        } = self.entries[place as usize];
        let queue = match confirmed {
            true => &mut self.confirmed,
            false => &mut self.candidates,
        };
        queue.len -= 1;
        match newer {
            NONE => queue.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => queue.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
    }
}

#[cfg(test)]
mod tests;
