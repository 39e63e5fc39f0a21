//! The admin API: health, the metrics page, what is in force, what differed, and the override. `INTERFACE` is its contract.
//!
//! It runs on the control runtime, never on a worker, and reads what others keep: the Plan in force, the metric cells, the stored
//! mismatches. It changes the override, and makes a route's judgements forget. Invariants: every error is `application/problem+json`; a change needs a
//! Host of ours and a JSON content type, so that no web page can make one; no number of idle or slow peers keeps a new one out.

mod access;
mod api;
mod causes;
mod config;
mod fields;
mod health;
mod input;
mod learn;
mod mismatches;
mod overrule;
mod query;
mod readiness;
mod refusal;
mod reset;
mod router;
mod routes;
mod samples;
mod server;
mod upstreams;

pub use api::Admin;
pub use readiness::Readiness;
pub use router::router;
pub use server::{Limits, serve};

#[cfg(test)]
mod tests;
