//! The way from an answer that switches protocols to the connection that it is the last answer of.

use crate::upstream::Far;
use std::sync::{Mutex, PoisonError};

/// Where an answer leaves the side's end of a tunnel for the connection that it is the last answer of.
#[derive(Debug, Default)]
pub(super) struct Exit(Mutex<Option<Far>>);

impl Exit {
    /// The connection leads to this side from now on.
    pub(super) fn open(&self, far: Far) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(far);
    }

    /// Where the connection leads, if its last answer has switched protocols.
    pub(super) fn take(&self) -> Option<Far> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
