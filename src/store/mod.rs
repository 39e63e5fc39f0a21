//! What outlives a request: durable state in `state_dir`, and in memory the latest mismatches and what they have in common.
//!
//! Invariants: a file of [`StateDir`] is the whole old text or the whole new one, whenever the machine stops; [`Mismatches`] never
//! holds more than its budget; what is redacted is redacted before it is stored, so no reader has to remember to. What is worth
//! storing is the callers' to decide.

mod side_text;

pub mod causes;
pub mod file;
pub mod ids;
pub mod mismatch;
pub mod patch_text;
pub mod redact;
pub mod ring;
pub mod samples;
pub mod scribe;
pub mod state;
pub mod target;

pub use causes::{Ack, Causes, Example, RouteCauses};
pub use file::{bytes, present};
pub use mismatch::{Answered, FieldRow, KeyText, Mismatch};
pub use patch_text::PatchText;
pub use redact::Redactor;
pub use ring::Mismatches;
pub use state::{SavedOverride, StateDir, StateError};

/// A moment as the admin API writes it: RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc3339(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_three_digits_and_a_z() {
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123Z"),
        ] {
            assert_eq!(
                super::rfc3339(jiff::Timestamp::from_nanosecond(nanoseconds).unwrap()),
                text
            );
        }
    }
}
