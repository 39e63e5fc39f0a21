//! What is in force: [`Plan`], made whole from settings or not at all, and [`Live`], the one place that swaps it.

pub mod build;
mod judging;
pub mod live;

pub use build::{Lasting, Plan, RoutePlan};
pub use judging::Judging;
pub use live::{LastError, Live};
