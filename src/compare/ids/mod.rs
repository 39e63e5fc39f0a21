//! Which values of old and new are one and the same thing, where the sides call it by different names: what `compare.map` rests on.
//!
//! [`Table`] holds what is known of one name of `[ids]`, [`Ids`] the tables of a proxy, and [`Secret`] makes the digests that stand in for values:
//! no value is kept. `kept` tells whoever writes a table what has changed. How a comparison reads them stands in `compare::names`, what it makes of them in `compare::diff`.
//!
//! A pairing of an old value with a new one is a *candidate* until two distinct records have shown it, and *confirmed* then. Invariants: at every moment
//! the pairings of a table are one to one; a confirmed one goes only by being evicted; and once something was evicted, what is not confirmed is unknown.

mod digest;
mod kept;
mod known;
mod table;

pub use digest::{Digest, Secret};
pub use kept::{Changes, Row};
pub(crate) use known::{Asked, MAX_LEARNT};
pub use known::{Ids, Pairing};
pub use table::{Counts, Standing, Table};

/// Pairings that a table may have, at most, and at least one: each takes some 70 to 90 bytes of memory.
pub const MAX_PAIRS: std::ops::RangeInclusive<usize> = 1..=10_000_000;
