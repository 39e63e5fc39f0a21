//! What is read of the ring at a time.

use crate::store::samples::book::parted;
use crate::store::samples::sample::Sample;
use serde::{Deserialize, Serialize};

/// Which samples are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this route alone.
    pub route: Option<String>,
    /// Of this cause alone.
    pub cause: Option<String>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl Query {
    pub(super) fn wants(&self, group: &str) -> bool {
        let (route, cause) = parted(group);
        self.route.as_ref().is_none_or(|name| name == route)
            && self.cause.as_ref().is_none_or(|name| name == cause)
    }
}

/// Samples, newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The samples.
    pub samples: Vec<Sample>,
    /// How many pairs they stand for; of all samples that were asked for, whatever the page.
    pub groups: Vec<GroupCount>,
    /// What to ask for as `before` to go on; `None` at the end.
    pub next: Option<u64>,
}

/// A group, and how many pairs its samples stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCount {
    /// The route's name.
    pub route: String,
    /// The cause, or the verdict of pairs that have none.
    pub cause: String,
    /// Samples that there are.
    pub samples: usize,
    /// Pairs that there were while there have been samples.
    pub pairs: u64,
}
