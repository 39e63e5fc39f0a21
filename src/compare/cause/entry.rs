//! A mark, and what is known of the pairs that have it. Two of them make one of all their pairs, but for the count.

use crate::compare::cause::sketch::Keys;
use crate::compare::change::Change;
use crate::compare::proposal::Differences;
use crate::compare::{Divergence, Kind};

/// Examples that are kept of a cause: the latest.
pub const EXAMPLES: usize = 3;
/// Generations that are kept of a cause: the first, and the latest of the others.
const GENERATIONS: usize = 8;

/// A mismatch, as a book wants to know it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a, E> {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The generation of the settings.
    pub generation: u64,
    /// The request's key.
    pub key: Option<&'a str>,
    /// What differs.
    pub divergences: &'a [Divergence],
    /// What is shown as an example of it.
    pub example: &'a E,
}

/// A mark with all that is known of it.
#[derive(Debug)]
pub(super) struct Entry<E> {
    pub(super) hash: u64,
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) change: Change,
    /// New has always the same value.
    pub(super) constant: bool,
    /// Pairs that have it.
    pub(super) pairs: u64,
    /// What its values looked like.
    pub(super) differences: Differences,
    /// How many whole numbers would be off by one, or 0, if they differed by chance: the sum of 1 / gap.
    pub(super) chance: f64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) keys: Option<Keys>,
    pub(super) generations: Vec<u64>,
    pub(super) examples: Vec<(i64, E)>,
}

impl<E: Clone> Entry<E> {
    pub(super) fn new(hash: u64, divergence: &Divergence) -> Self {
        Self {
            hash,
            path: divergence.path.clone(),
            kind: divergence.kind,
            change: divergence.change,
            constant: false,
            differences: Differences::default(),
            pairs: 0,
            chance: 0.0,
            first: i64::MAX,
            last: i64::MIN,
            keys: None,
            generations: Vec::new(),
            examples: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, seen: &Seen<'_, E>) {
        self.pairs += 1;
        self.first = self.first.min(seen.at);
        self.last = self.last.max(seen.at);
        if let Some(key) = seen.key {
            self.keys.get_or_insert_default().add(key);
        }
        remember(&mut self.generations, seen.generation);
        keep(&mut self.examples, seen.at, seen.example);
    }

    /// The mark of a value that was seen so often under this one.
    pub(super) fn split(&mut self, hash: u64, pairs: u64) -> Self {
        self.pairs = self.pairs.saturating_sub(pairs);
        Self {
            hash,
            path: self.path.clone(),
            kind: self.kind,
            change: self.change,
            constant: true,
            differences: self.differences,
            pairs,
            chance: 0.0,
            first: self.first,
            last: self.last,
            // Which of the keys and generations were its own is not known; the next ones will be.
            keys: None,
            generations: Vec::new(),
            examples: Vec::new(),
        }
    }
}

/// Adds a generation: the first and the latest ones stay.
pub(super) fn remember(generations: &mut Vec<u64>, generation: u64) {
    if let Err(place) = generations.binary_search(&generation) {
        generations.insert(place, generation);
        if generations.len() > GENERATIONS {
            generations.remove(1);
        }
    }
}

/// Adds an example: the latest stay.
fn keep<E: Clone>(examples: &mut Vec<(i64, E)>, at: i64, example: &E) {
    let place = examples.partition_point(|(other, _)| *other <= at);
    if examples.len() == EXAMPLES && place == 0 {
        return;
    }
    examples.insert(place, (at, example.clone()));
    if examples.len() > EXAMPLES {
        examples.remove(0);
    }
}
