//! What is known of one name of `[ids]`: pairings of old with new values, one to one, in a bounded number.
//!
//! Each pairing stands in one list of entries, is found from either side, and is linked into a queue by when it was seen last: candidates in one, confirmed
//! ones in another. Where there is no room for one more, the oldest candidate goes, and where there is none, the oldest of all.

use crate::compare::ids::digest::Digest;
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
        }
    }

    /// What is known of a value of a side.
    #[must_use]
    pub fn standing(&self, side: Side, value: Digest) -> Standing {
        let entry = self.find(side, value).map(|place| self.entry(place));
        match entry {
            Some(entry) if entry.confirmed => Standing::Confirmed(entry.pair[side.other().index()]),
            // What is not confirmed may contradict what was evicted.
            Some(_) | None if self.evicted > 0 => Standing::Unknown,
            Some(entry) => Standing::Candidate(entry.pair[side.other().index()]),
            None => Standing::Free,
        }
    }

    /// A record has shown two values at one place. A confirmed pairing that this contradicts stays, and candidates give way to what is newer.
    pub fn learn(&mut self, pair: [Digest; 2], record: u64) {
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
        self.insert(pair, record, false);
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
        self.entries[place as usize].confirmed = confirmed || first != record;
        self.link(place);
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

    fn insert(&mut self, pair: [Digest; 2], record: u64, confirmed: bool) {
        let entry = Entry {
            pair,
            record,
            newer: NONE,
            older: NONE,
            confirmed,
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
    }

    fn remove(&mut self, place: u32) {
        self.unlink(place);
        let pair = self.entry(place).pair;
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
