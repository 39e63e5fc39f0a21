//! `[samples]`: what is kept of pairs that differ, and what of it is shown.

use crate::config::rules;
use crate::config::scalar;
use crate::config::section::Section;
use crate::config::walk::Sink;
use crate::json::FieldPath;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Of the file of samples: what it begins with, and what nobody wants to look through at a start.
const RING: RangeInclusive<u64> = 4 << 20..=64 << 30;

/// `[samples]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// Whether stored mismatches show values.
    pub values: Values,
    /// Places of documents whose values samples show, whatever the others.
    pub show: Arc<[FieldPath]>,
    /// Bytes of the file of samples.
    pub max_size: u64,
    /// How long a sample is kept.
    pub max_age: Duration,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            values: Values::default(),
            show: Arc::default(),
            max_size: 256 << 20,
            max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Whether stored mismatches show values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Values {
    /// A type and a keyed hash stand for each value.
    #[default]
    Redacted,
    /// As they came.
    Shown,
}

/// Reads `[samples]`.
pub(super) fn samples(section: &Section<'_>, sink: &mut Sink<'_>) -> Samples {
    const VALUES: [(&str, Values); 2] = [("redacted", Values::Redacted), ("shown", Values::Shown)];
    let values = section.read(sink, "values", |item, sink| item.one_of(sink, &VALUES));
    let show = section.read(sink, "show", rules::paths);
    let max_size = section.read(sink, "max_size", |item, sink| {
        scalar::size(item, sink, RING).map(|size| size as u64)
    });
    let max_age = section.read(sink, "max_age", scalar::duration);
    let default = Samples::default();
    Samples {
        values: values.good().unwrap_or_default(),
        show: show.good().unwrap_or_default().into(),
        max_size: max_size.good().unwrap_or(default.max_size),
        max_age: max_age.good().unwrap_or(default.max_age),
    }
}
