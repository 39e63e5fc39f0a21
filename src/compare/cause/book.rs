//! The mismatches of one route, counted by their marks.

use crate::compare::Divergence;
use crate::compare::cause::constant::{self, Candidates};
use crate::compare::cause::entry::{Entry, Seen};
use crate::compare::cause::id::{Mark, OF_ONE};
use crate::compare::cause::names::Names;
use crate::compare::cause::tally::{MARKS, Tally};
use std::collections::HashMap;

/// The mismatches of one route, counted by what they have in common.
#[derive(Debug)]
pub struct Book<E> {
    pub(super) route: String,
    pub(super) mismatches: u64,
    pub(super) entries: Vec<Entry<E>>,
    pub(super) places: HashMap<u64, usize>,
    pub(super) tally: Tally,
    pub(super) candidates: HashMap<u64, Candidates>,
    pub(super) rest: u64,
    pub(super) names: Names,
}

impl<E: Clone> Book<E> {
    /// The empty book of a route.
    #[must_use]
    pub fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            mismatches: 0,
            entries: Vec::new(),
            places: HashMap::new(),
            tally: Tally::default(),
            candidates: HashMap::new(),
            rest: 0,
            names: Names::default(),
        }
    }

    /// Mismatches that were counted.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// Times that a mark was let go of, or found no room: pairs whose causes are not told.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.rest
    }

    /// How many marks it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Counts a mismatch. The book grows to `room` marks, and to no more than [`MARKS`].
    pub fn add(&mut self, seen: &Seen<'_, E>, room: usize) {
        self.mismatches += 1;
        let mut set = 0_u128;
        let mut places = [usize::MAX; OF_ONE];
        for (divergence, at) in seen.divergences.iter().zip(&mut places) {
            let mark = Mark::of(divergence);
            let known = self.place(mark);
            let place = known.or_else(|| self.make(mark.whole, divergence, room, set));
            let Some(place) = place else {
                self.rest += 1;
                continue;
            };
            if set & (1 << place) == 0 {
                set |= 1 << place;
                self.entries[place].count(seen);
                self.entries[place].chance += match divergence.change.gap {
                    0 => 0.0,
                    gap => 1.0 / f64::from(gap),
                };
            }
            *at = place;
            self.watch(place, mark, divergence);
        }
        for (index, place) in places.iter().enumerate() {
            if *place != usize::MAX && !places[..index].contains(place) {
                let all = seen.divergences.iter().zip(&places);
                let same = all.filter(|(_, at)| *at == place).map(|(one, _)| one);
                self.entries[*place].differences.remember(same);
            }
        }
        self.tally.add(set);
    }

    /// Where a mark stands: a constant that is known before the field's other values.
    pub(super) fn place(&self, mark: Mark) -> Option<usize> {
        let place = |hash| self.places.get(&hash).copied();
        place(mark.constant).or_else(|| place(mark.whole))
    }

    /// A place for a new mark: a free one, or that of the rarest that this mismatch does not have, the one that was not seen for longest among those.
    fn make(
        &mut self,
        hash: u64,
        divergence: &Divergence,
        room: usize,
        taken: u128,
    ) -> Option<usize> {
        let entry = Entry::new(hash, divergence);
        if self.entries.len() < room.clamp(1, MARKS) {
            self.entries.push(entry);
            self.places.insert(hash, self.entries.len() - 1);
            return Some(self.entries.len() - 1);
        }
        let free = |place: &usize| taken & (1 << place) == 0;
        let place = (0..self.entries.len())
            .filter(free)
            .min_by_key(|&place| (self.entries[place].pairs, self.entries[place].last))?;
        let gone = std::mem::replace(&mut self.entries[place], entry);
        self.rest += gone.pairs;
        self.places.remove(&gone.hash);
        self.candidates.remove(&gone.hash);
        self.names.forget(gone.hash);
        self.tally.forget(place);
        self.places.insert(hash, place);
        Some(place)
    }

    /// Looks out for values that new has again and again where old has many: they get marks of their own.
    fn watch(&mut self, place: usize, mark: Mark, divergence: &Divergence) {
        let entry = &self.entries[place];
        if entry.constant || !constant::may_be(divergence.change.form) {
            return;
        }
        let candidates = self.candidates.entry(mark.whole).or_default();
        let Some(seen) = candidates.add(divergence.seen) else {
            return;
        };
        // Only where there is room: nothing is let go of for a guess.
        let of_field = |other: &&Entry<E>| {
            other.constant && other.path == entry.path && other.kind == entry.kind
        };
        let constants = self.entries.iter().filter(of_field).count();
        if self.entries.len() < MARKS && constants <= constant::MOST {
            let own = self.entries[place].split(mark.constant, seen);
            self.entries.push(own);
            self.places.insert(mark.constant, self.entries.len() - 1);
        }
    }
}
