//! The integration tests: one binary, a file a topic. What they share is in `harness`.
#![allow(
    clippy::unwrap_used,
    reason = "everything here is a test, and clippy knows only functions marked as tests by itself"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the harness bounds its waiting by a clock, and its backends start tasks of their own"
)]

mod tidy;
