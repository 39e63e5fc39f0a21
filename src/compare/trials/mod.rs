//! What a path's rates are rates of: the places that a route's answers have, how many pairs have each, and which of them have a name of their own.
//!
//! A trial is a pair: a path that differs at a thousand places in a pair differs once, and its trials are the pairs in which it is there on either side.
//! Equal pairs are the many, and nothing is done for them: [`places`] is shown a few of them, and each stands for those since the last one.
//! Everything here has a bound that no traffic can move: places, names, counters.

pub mod labels;
pub mod places;
pub mod sketch;

pub use labels::Labels;
pub use places::{Place, Places};
pub use sketch::Sketch;
