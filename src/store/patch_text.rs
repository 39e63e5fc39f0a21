//! The patch of a row, as it is shown.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// An RFC 6902 patch as JSON. So it takes a tenth of the memory of its operations, and nobody reads it but to show it.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct PatchText(Box<RawValue>);

impl PatchText {
    /// What operations say.
    ///
    /// # Panics
    ///
    /// Panics if they are no JSON.
    #[must_use]
    pub fn new(operations: &impl Serialize) -> Self {
        Self(to_raw_value(operations).expect("operations are JSON"))
    }

    /// Bytes of the text.
    pub(super) fn len(&self) -> usize {
        self.0.get().len()
    }
}

impl PartialEq for PatchText {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}
