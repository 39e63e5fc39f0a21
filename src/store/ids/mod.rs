//! What is known of identities, on disk: [`keeper`] writes it on a thread of its own and reads it at the start, `disk` is the file.
//!
//! Invariants: whoever learns never waits for a disk; what stands in the file is what was known at some moment, give or take the last second; a file of which
//! it is not known what is in it is never written over.

mod disk;
pub mod keeper;

pub use keeper::Keeper;

/// The name of the file in `state_dir`.
pub const FILE: &str = "ids.redb";

#[cfg(test)]
mod tests;
