//! Do both sides give the same answer? A copy of a request and of its answer is offered, the other side is asked, the pair judged.
//!
//! Nothing here can make a request wait: offering never blocks, and all memory comes from a budget of the lab's own.
//! Every sampled request is counted exactly once more: as dropped with a reason, or as asked and then judged.

mod again;
pub mod exchange;
#[cfg(test)]
mod fixture;
mod hands;
mod judge;
pub mod offer;
mod record;
pub mod run;
mod sample;
pub mod ticket;
mod twice;
mod weigh;
mod writes;

pub use judge::Lab;
pub use offer::{AnswerCopy, Offers, Pair, RequestCopy};
pub use ticket::Ticket;
pub use weigh::THREADS;
pub use writes::{Writes, WrittenKey};
