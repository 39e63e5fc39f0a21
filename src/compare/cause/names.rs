//! The names that marks go by, as they were last told. To tell them takes a look at all that a book has; so that happens often while there is little in it, and
//! seldom later on.

use crate::compare::cause::id::CauseId;
use std::collections::HashMap;

/// The names of a book's marks.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the mark's hash: the rank of its cause, that of most pairs first, and the name.
    of: HashMap<u64, (usize, CauseId)>,
    /// Mismatches from which on they are told anew, and from which on for the sake of a mark that has none.
    due: [u64; 2],
}

impl Names {
    /// Whether it is time to tell them, for a mismatch of which a mark has none, or all have.
    pub(super) fn is_due(&self, mismatches: u64, is_new: bool) -> bool {
        mismatches >= self.due[usize::from(is_new)]
    }

    /// All of them, after so many mismatches with so many marks.
    pub(super) fn tell(
        &mut self,
        named: impl Iterator<Item = (u64, (usize, CauseId))>,
        (mismatches, marks): (u64, usize),
    ) {
        self.of = named.collect();
        self.due = [2 * mismatches, mismatches + marks as u64];
    }

    pub(super) fn of(&self, mark: u64) -> Option<(usize, CauseId)> {
        self.of.get(&mark).copied()
    }

    /// A mark is no more.
    pub(super) fn forget(&mut self, mark: u64) {
        self.of.remove(&mark);
    }
}
