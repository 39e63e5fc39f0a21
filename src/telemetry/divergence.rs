//! Fields in which answers differ: the only label that comes from answers, and therefore bounded.
//!
//! The first [`FIELDS`] fields of a route have a row each; whatever comes later, or is longer than [`LENGTH`], counts as `other`.
//! Behind a mutex, because only the lab counts here.

use crate::compare::{Divergence, Kind};
use crate::telemetry::cells::CounterCell;
use crate::telemetry::labels::Label;
use crate::telemetry::page::Series;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Fields of a route that have rows of their own.
pub(super) const FIELDS: usize = 50;
/// Bytes of a field's name beyond which it is `other`.
pub(super) const LENGTH: usize = 512;
/// The row of all other fields. No field has this name: they begin with `$`, or are `status`, `body`, `header:NAME`.
pub(super) const OTHER: &str = "other";

const KINDS: usize = Kind::ALL.len();

/// How often a field differed in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCount {
    /// The generalised path, or `other`.
    pub field: Arc<str>,
    /// How it differed.
    pub kind: Kind,
    /// In how many pairs.
    pub count: u64,
}

/// Rows of fields.
#[derive(Debug, Default)]
pub(super) struct Fields {
    rows: Mutex<Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    field: Arc<str>,
    kinds: [CounterCell; KINDS],
}

impl Fields {
    /// Counts one field and kind.
    pub(super) fn count(&self, field: &str, kind: Kind) {
        let mut rows = self.lock();
        let place = place(&mut rows, field);
        rows[place].kinds[kind.index()].increment();
    }

    /// Counts a pair's differences, once for each row and kind.
    pub(super) fn count_pair(&self, found: &[Divergence]) {
        let mut rows = self.lock();
        let mut counted = HashSet::new();
        for divergence in found {
            let place = place(&mut rows, &divergence.path);
            if counted.insert((place, divergence.kind)) {
                rows[place].kinds[divergence.kind.index()].increment();
            }
        }
    }

    /// Everything counted, most first.
    pub(super) fn counts(&self) -> Vec<FieldCount> {
        let mut counts = Vec::new();
        for row in self.lock().iter() {
            for kind in Kind::ALL {
                let count = row.kinds[kind.index()].value();
                if count > 0 {
                    counts.push(FieldCount {
                        field: row.field.clone(),
                        kind,
                        count,
                    });
                }
            }
        }
        counts.sort_by(|one, two| {
            two.count
                .cmp(&one.count)
                .then_with(|| one.field.cmp(&two.field))
                .then(one.kind.cmp(&two.kind))
        });
        counts
    }

    /// The series of what was seen.
    pub(super) fn write(&self, route: &str, series: &mut Series<'_>) {
        for row in self.lock().iter() {
            for kind in Kind::ALL {
                let count = row.kinds[kind.index()].value();
                if count > 0 {
                    let labels = [
                        ("route", route),
                        ("field", &row.field),
                        ("kind", kind.text()),
                    ];
                    series.value(&labels, count);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row of a field, made where there is none and room for one.
fn place(rows: &mut Vec<Row>, field: &str) -> usize {
    if let Some(place) = rows.iter().position(|row| &*row.field == field) {
        return place;
    }
    let own = rows.iter().filter(|row| &*row.field != OTHER).count();
    let name = if own < FIELDS && field.len() <= LENGTH {
        field
    } else {
        OTHER
    };
    rows.iter()
        .position(|row| &*row.field == name)
        .unwrap_or_else(|| {
            rows.push(Row {
                field: name.into(),
                kinds: Default::default(),
            });
            rows.len() - 1
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::change::Form;
    use crate::compare::shape::Seen;

    fn divergence(path: &str, at: &str, kind: Kind) -> Divergence {
        Divergence {
            path: path.to_owned(),
            at: at.to_owned(),
            kind,
            seen: [Seen::ABSENT; 2],
            change: Form::Length.into(),
        }
    }

    #[test]
    fn a_pair_counts_once_for_each_field_and_kind() {
        let fields = Fields::default();
        fields.count_pair(&[
            divergence("$.tags[*]", "$.tags[0]", Kind::Missing),
            divergence("$.tags[*]", "$.tags[7]", Kind::Missing),
            divergence("$.tags[*]", "$.tags[7]", Kind::Extra),
        ]);
        let counts: Vec<_> = fields
            .counts()
            .into_iter()
            .map(|c| (c.kind, c.count))
            .collect();
        assert_eq!(counts, [(Kind::Missing, 1), (Kind::Extra, 1)]);
    }

    #[test]
    fn the_fifty_first_field_is_other_and_the_first_fifty_stay() {
        let fields = Fields::default();
        let many: Vec<_> = (0..60)
            .map(|n| divergence(&format!("$.f{n}"), "$", Kind::Changed))
            .collect();
        fields.count_pair(&many);
        fields.count_pair(&many[..1]);
        let counts = fields.counts();
        assert_eq!(counts.len(), FIELDS + 1);
        assert_eq!((&*counts[0].field, counts[0].count), ("$.f0", 2));
        let other: Vec<_> = counts.iter().filter(|c| &*c.field == OTHER).collect();
        assert_eq!(other.len(), 1);
        assert_eq!(
            other[0].count, 1,
            "ten fields without a row are one difference of one pair"
        );
    }

    #[test]
    fn a_field_with_an_endless_name_is_other_and_leaves_the_rows_to_others() {
        let fields = Fields::default();
        fields.count(&format!("$.{}", "x".repeat(LENGTH)), Kind::Type);
        for n in 0..FIELDS {
            fields.count(&format!("$.f{n}"), Kind::Type);
        }
        assert_eq!(fields.counts().len(), FIELDS + 1);
    }
}
