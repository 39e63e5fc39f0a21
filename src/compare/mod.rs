//! Do two answers say the same? Rules, alignment, divergences, verdicts. Pure.
//!
//! From the outside in: [`verdict`] judges a pair of answers, [`coding`] and [`media`] bring bodies and headers to a form that can be compared,
//! `equal` says whether two documents are equal under the rules, `diff` says where they are not and how one becomes the other (`patch`),
//! [`change`] how a value became another, and [`cause`] what many mismatches have in common. `align` and
//! `sequence` find which elements of two arrays belong together, `parts` which names of two objects; `view` is a document seen through the rules, and
//! `effort` what may be spent.
//! [`ids`] is what is known of values that have other names on the other side, and `names` how a comparison sees them (`named`: two of them). `lockstep` stands before all that: it knows most equal answers with one document, reading the other beside it.
//!
//! A mismatch may be asked again: [`recheck`] says what that has shown, and [`noise`] what a route's paths do by themselves, as far as many outcomes can
//! tell: by [`shape`], and as rates of the [`trials`] that there were. [`docket`] puts all of it in order: a pair's way through the judgement. [`proposal`] says which rule would
//! cover differences, if they were harmless: for noise ([`lesson`]) and for causes.

mod align;
pub mod body;
pub mod cause;
pub mod change;
pub mod coding;
mod diff;
pub mod docket;
mod effort;
mod equal;
pub mod finding;
mod hash;
pub mod ids;
pub mod lesson;
mod lockstep;
pub mod media;
mod named;
mod names;
pub mod noise;
mod parts;
mod patch;
pub mod proposal;
pub mod recheck;
pub mod rules;
mod sequence;
pub mod shape;
pub mod trials;
pub mod verdict;
mod view;

pub use finding::{Comparison, Divergence, Incomparable, Kind, Verdict};
pub use ids::Ids;
pub use rules::{By, Identity, MAX_IDENTITY, Rules, StatusRule};
pub use verdict::{Answer, Memory, Unlimited, compare, compare_documents};
