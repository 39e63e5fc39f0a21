//! What is in force: [`Plan`], made whole from settings or not at all, and [`Live`], the one place that swaps it.

pub mod build;
pub mod live;

pub use build::{Plan, RoutePlan};
pub use live::{LastError, Live};
