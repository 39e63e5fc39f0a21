//! What of a table has changed since it was written last: told in portions, so that nobody waits for whoever writes them.
//!
//! Invariant: who writes each portion, in their order, has what the table has; beyond a bound of what is remembered that is said to be all of it.

use crate::compare::ids::digest::Digest;

/// A pairing as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The old one and the new one.
    pub pair: [Digest; 2],
    /// Who has shown it first.
    pub record: u64,
    /// Whether a second record has shown it too.
    pub confirmed: bool,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What was written before counts no more: all there is has to be written anew, by [`Ids::rows`](crate::compare::ids::Ids::rows).
    pub all: bool,
    /// Old values whose pairings are gone; before what is put.
    pub gone: Vec<Digest>,
    /// Pairings that are new, or confirmed by now.
    pub put: Vec<Row>,
    /// Pairings that were evicted in all.
    pub evicted: u64,
    /// There is more.
    pub more: bool,
}

/// What is remembered for whoever writes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Places of entries that have changed.
    pub(super) changed: Vec<u32>,
    pub(super) gone: Vec<Digest>,
    pub(super) all: bool,
}

/// Pairings that are gone, of which each is remembered.
const GONE: usize = 1 << 16;

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty() && !self.all
    }

    pub(super) fn forget(&mut self, old: Digest) {
        if self.gone.len() < GONE {
            self.gone.push(old);
        } else {
            self.all = true;
        }
    }
}
