//! A thread that has a redb file to itself, and the bounded queue to it. [`thread`] is the way there and back, `file` opens what is there,
//! `patience` says when a file that can't be used is tried again.
//!
//! Invariants: whoever hands something over need not wait; a file is left to another process, or taken back, in the order in which that is asked among all else;
//! a damaged file is put aside, and nobody but this process reads or writes one that is open.

pub mod file;
pub mod patience;
pub mod thread;

pub use file::FileError;
pub use patience::Patience;
pub use thread::{Inbox, Scribe, Work};
