//! What is read of the ring at a time.

use crate::store::samples::book::parted;
use crate::store::samples::sample::Sample;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which samples are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this route alone.
    pub route: Option<String>,
    /// Of one cause alone, by all names that it goes by.
    pub cause: Option<Vec<String>>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl Query {
    pub(super) fn wants(&self, group: &str) -> bool {
        let (route, cause) = parted(group);
        self.route.as_ref().is_none_or(|name| name == route)
            && self
                .cause
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| name == cause))
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

impl Page {
    /// Calls causes by the names that they have now, by what `named` makes of a route's name and a cause's. Groups that are one by now become one.
    #[must_use]
    pub fn renamed(mut self, named: impl Fn(&str, &str) -> Option<String>) -> Self {
        for sample in &mut self.samples {
            if let Some(name) = named(&sample.route, &sample.cause) {
                sample.cause = name;
            }
        }
        let mut groups: BTreeMap<(String, String), GroupCount> = BTreeMap::new();
        for mut group in self.groups {
            if let Some(name) = named(&group.route, &group.cause) {
                group.cause = name;
            }
            let key = (group.route.clone(), group.cause.clone());
            match groups.get_mut(&key) {
                Some(known) => {
                    known.samples += group.samples;
                    known.pairs += group.pairs;
                }
                None => {
                    groups.insert(key, group);
                }
            }
        }
        self.groups = groups.into_values().collect();
        self
    }
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
