//! A pair's way through the judgement: the same steps in the same order, whoever judges.
//!
//! The lab takes them one by one, since it has to ask between them; `judge` and `replay` have everything recorded, and take them all at once. What is
//! remembered of a route from one pair to the next is a [`Docket`]; where it is kept, and what the time is there, is the affair of a [`Bench`].
//!
//! Invariant: who has the same answers and the same docket comes to the same verdict. So verdicts of the lab can be checked from outside.

mod bench;
mod memory;
mod route;

pub use bench::{Bench, Circumstances, Recorded, Settled};
pub use memory::{Docket, Entered, Leave};
pub use route::{Desk, RoutePairs};
