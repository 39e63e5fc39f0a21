//! A line for each request, if the file wants them: told by the request path, written by a thread of its own.
//!
//! Invariant: who tells never waits. A queue that is full and a disk that takes nothing cost lines, which are counted, and nothing else.

mod line;
mod record;
mod sink;
mod writer;

pub use record::{Begun, Record};
pub use sink::{AccessLog, Sink};
