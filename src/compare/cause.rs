//! Many mismatches -> few causes.
//!
//! What differs in a pair is a set of *marks*: a generalised path, a kind, and the shape of the change. A route's [`Book`] counts each mark, and each two
//! of them together. When it is asked ([`Book::causes`]), it settles on one field after the other which shapes are one (`settle`), and then which
//! fields go together (`group`): those that differ in the same pairs far more often than chance would have it, chance being known from how many pairs
//! there were in all. So one defect on ten fields is one cause, two on one field are two, and a pair may have several.
//!
//! Invariants: a book holds at most [`MARKS`] marks, whatever comes; a new one takes the place of the rarest, whose pairs go to the rest. As long as
//! nothing had to go, what it says does not depend on the order in which mismatches came, but for constants (`constant`), which have to be seen a few
//! times first. What a book tells holds nothing of the values that it saw.

mod book;
mod constant;
mod entry;
mod group;
mod id;
mod names;
mod rule;
mod settle;
mod sketch;
mod tally;

pub use book::Book;
pub use entry::{EXAMPLES, Seen};
pub use group::Cause;
pub use id::{CauseId, Mark, marks};
pub use tally::MARKS;

#[cfg(test)]
mod tests;
