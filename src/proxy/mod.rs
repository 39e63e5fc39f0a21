//! The request path: a connection is accepted, each request decided once, forwarded, and its answer passed on.
//!
//! Reads from top to bottom: `accept` -> `greet` -> `converse` -> `serve` -> `forward` -> `answer`. Errors become a response in `failure` alone.

pub mod accept;
mod admit;
mod answer;
mod answering;
mod converse;
mod deadlines;
mod doorkeeper;
mod exit;
mod failure;
mod forward;
mod frames;
mod greet;
mod heads;
mod intake;
mod memory;
mod meter;
mod multiplex;
mod observe;
mod outbox;
mod overseen;
mod phases;
mod preamble;
mod prefix;
mod serve;
mod socket;
mod streams;
mod tls;
mod tunnel;
mod turns;
mod upload;
mod worker;

pub use doorkeeper::Doorkeeper;
pub use greet::Terms;
pub use memory::BodyMemory;
pub use socket::{Door, OpenDoor};
pub use tls::{Material, MaterialError, Pair, Tls};
pub use worker::{Worker, WorkerParts};
