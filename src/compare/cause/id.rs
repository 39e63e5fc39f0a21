//! Names: of causes, for people and scripts, and of marks, for rows that want to find their causes again.

use crate::compare::{Divergence, Kind};
use std::fmt;
use std::hash::{Hash, Hasher};

/// Marks of one mismatch that are looked at.
pub(super) const OF_ONE: usize = 64;

/// The name of a cause, or of a part of one: 12 hex digits of a hash of the route and of what is said of the change. It has nothing of any value in it,
/// and is the same in each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseId(u64);

impl CauseId {
    pub(super) fn of(route: &str, path: &str, kind: Kind, shape: &str) -> Self {
        Self(fnv(&[route, path, kind.name(), shape]) >> 16)
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 12
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

/// What a row keeps to find its causes again: hashes, which are shown nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Path, kind and shape.
    pub(super) whole: u64,
    /// The same with the value that new has.
    pub(super) constant: u64,
}

/// The marks of a mismatch, each once.
#[must_use]
pub fn marks(divergences: &[Divergence]) -> Vec<Mark> {
    let mut marks: Vec<_> = divergences.iter().take(OF_ONE).map(Mark::of).collect();
    marks.sort_unstable();
    marks.dedup();
    marks
}

impl Mark {
    pub(super) fn of(divergence: &Divergence) -> Self {
        let mut whole = Fnv::default();
        (&divergence.path, divergence.kind, divergence.change.form).hash(&mut whole);
        let mut constant = whole.clone();
        constant.write_u64(divergence.seen[1].value);
        Self {
            whole: whole.finish(),
            constant: constant.finish(),
        }
    }
}

/// A hasher whose hashes are the same in each process.
#[derive(Clone)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 29)
    }
}

/// FNV-1a over texts, with a mark between them, and mixed once more: the same everywhere and for ever.
fn fnv(texts: &[&str]) -> u64 {
    let mut hasher = Fnv::default();
    for text in texts {
        hasher.write(text.as_bytes());
        hasher.write(&[0xff]);
    }
    hasher.finish()
}
