//! What the old side does to itself, told from what the new one does otherwise, without a second old instance.
//!
//! A mismatch that is asked again shows whether each side stands by its answer or the two have changed places ([`recheck`](crate::compare::recheck)).
//! Noise does either equally often, a defect stands. [`evidence`] measures how much the outcomes speak against chance, [`strata`] is the test of one
//! path, [`field`] knows what a path is, [`route`] keeps all of a route and is what a flow talks to; [`rate`] has the intervals of what is shown,
//! [`budget`] says which mismatch is asked again, and [`once`] that a key counts once an hour.
//!
//! Times are durations since any fixed moment. Chance, where any is needed, belongs to the flow: which side it asks first, and which pairs it has old
//! answer twice.

pub mod budget;
pub mod evidence;
pub mod field;
pub mod once;
pub mod rate;
pub mod route;
pub mod strata;

pub use field::{Report, State};
pub use route::{Noise, Settings};

#[cfg(test)]
mod tests;
