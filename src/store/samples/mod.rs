//! Samples: the latest pairs that differed, with both answers, in a ring on disk. `crossfade replay` judges them again.
//!
//! In the order of their way: [`gate`] lets so many of a group (a route's pairs of one cause, by the name that it had then) pass, [`hide`] takes their values away, [`writer`] gathers them on a
//! thread of its own, `book` says which old ones go, `stream` how they lie in the file, `disk` is the file, and `bounded` keeps it within its bound. [`stand_in`] makes answers of a sample that can be judged again.
//!
//! Invariants: whoever offers a sample never waits; what can't be kept is lost and counted, and nothing else happens; no group grows at the cost of a smaller one; the
//! file stays within `samples.max_size`; nothing in it is older than `samples.max_age` for longer than a minute while the proxy runs.

mod book;
mod bounded;
mod disk;
pub mod gate;
pub mod hide;
pub mod page;
mod raw;
pub mod sample;
pub mod stand_in;
mod stream;
pub mod writer;

pub use disk::Archive;
pub use gate::{Group, UNNAMED};
pub use hide::Hiding;
pub use page::{GroupCount, Page, Query};
pub use raw::{RawLook, RawSample};
pub use sample::{Body, Found, Header, Look, Sample};
pub use stand_in::{Blur, Replica, StandIn};
pub use writer::{Bounds, Count, LostSample, Samples, SamplesError};

/// The name of the file in `state_dir`.
pub const FILE: &str = "samples.redb";

#[cfg(test)]
mod tests;
