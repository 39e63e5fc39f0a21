//! The request path: a connection is accepted, each request decided once, forwarded, and its answer passed on.
//!
//! Reads from top to bottom: `accept` -> `greet` -> `serve` -> `forward` -> `answer`. Errors become a response in `failure` alone.

pub mod accept;
mod answer;
mod failure;
mod forward;
mod greet;
mod meter;
mod observe;
mod outbox;
mod serve;
mod socket;
mod timer;
mod tls;
mod upload;
mod worker;

pub use greet::Terms;
pub use serve::MAX_TARGET;
pub use socket::{Door, OpenDoor};
pub use tls::{Material, MaterialError, Pair, Tls};
pub use worker::{Worker, WorkerParts};
