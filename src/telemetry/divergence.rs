//! Fields in which answers differ: the only label that comes from answers, and therefore bounded.
//!
//! Fields of a route that have a name ([`Labels`]) have a row each; all others count as `other`.
//! Behind a mutex, because only the lab counts here.

use crate::compare::trials::Labels;
use crate::compare::trials::labels::OTHER;
use crate::compare::{Divergence, Kind};
use crate::telemetry::cells::CounterCell;
use crate::telemetry::labels::Label;
use crate::telemetry::page::Series;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    labels: Labels,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    field: Arc<str>,
    kinds: [CounterCell; KINDS],
}

impl Fields {
    /// Keeps room for fields that the rules know by now.
    pub(super) fn reserve<'a>(&self, named: impl Iterator<Item = &'a str>) {
        self.lock().labels.reserve(named);
    }

    /// Counts one field and kind.
    pub(super) fn count(&self, field: &str, kind: Kind) {
        let mut rows = self.lock();
        rows.row(field).kinds[kind.index()].increment();
    }

    /// Counts a pair's differences, once for each row and kind.
    pub(super) fn count_pair(&self, found: &[Divergence]) {
        let mut rows = self.lock();
        let mut counted = HashSet::new();
        for divergence in found {
            let row = rows.row(&divergence.path);
            if counted.insert((Arc::clone(&row.field), divergence.kind)) {
                row.kinds[divergence.kind.index()].increment();
            }
        }
    }

    /// Everything counted, most first.
    pub(super) fn counts(&self) -> Vec<FieldCount> {
        let mut counts = Vec::new();
        for row in &self.lock().rows {
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
        for row in &self.lock().rows {
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

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// The row of a field, made where there is none.
    fn row(&mut self, field: &str) -> &mut Row {
        let name = if self.labels.has(field) { field } else { OTHER };
        let place = self.rows.iter().position(|row| &*row.field == name);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                field: name.into(),
                kinds: Default::default(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::change::Form;
    use crate::compare::shape::Seen;
    use crate::compare::trials::labels::{LABELS, LENGTH};

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
        assert_eq!(counts.len(), LABELS + 1);
        assert_eq!((&*counts[0].field, counts[0].count), ("$.f0", 2));
        let other: Vec<_> = counts.iter().filter(|c| &*c.field == OTHER).collect();
        assert_eq!(other.len(), 1);
        assert_eq!(
            other[0].count, 1,
            "ten fields without a row are one difference of one pair"
        );
    }

    #[test]
    fn a_field_that_the_rules_name_has_a_row_however_late_it_comes() {
        let fields = Fields::default();
        fields.reserve(["$.rule"].into_iter());
        for n in 0..LABELS {
            fields.count(&format!("$.f{n}"), Kind::Type);
        }
        fields.count("$.rule", Kind::Type);
        let counts = fields.counts();
        let count = |name: &str| counts.iter().filter(|row| &*row.field == name).count();
        assert_eq!(
            (count("$.rule"), count(OTHER), counts.len()),
            (1, 1, LABELS + 1)
        );
    }

    #[test]
    fn a_field_with_an_endless_name_is_other_and_leaves_the_rows_to_others() {
        let fields = Fields::default();
        fields.count(&format!("$.{}", "x".repeat(LENGTH)), Kind::Type);
        for n in 0..LABELS {
            fields.count(&format!("$.f{n}"), Kind::Type);
        }
        assert_eq!(fields.counts().len(), LABELS + 1);
    }
}
