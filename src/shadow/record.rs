//! A mismatch as it is kept: what was asked, what differed, and how old becomes new; without values where they are private.

use crate::compare::cause::{self, CauseId};
use crate::compare::ids::Pairing;
use crate::compare::recheck::Judgement;
use crate::compare::{Comparison, Divergence};
use crate::plan::RoutePlan;
use crate::shadow::offer::{AnswerCopy, Pair};
use crate::side::Side;
use crate::store::{Answered, Causes, FieldRow, Mismatch, Mismatches, Redactor, rfc3339};
use http::HeaderMap;
use jiff::Timestamp;
use std::sync::Arc;

/// What a first look has found, before it is known what it is.
#[derive(Debug)]
pub(super) struct Finding {
    divergences: Arc<[Divergence]>,
    /// As it will be kept, but for its fields.
    row: Mismatch,
    /// Which values stand for each other, and the record that shows it.
    pairings: Vec<Pairing>,
    record: String,
    at: Timestamp,
    key: Option<String>,
}

impl Finding {
    pub(super) fn new(
        route: &RoutePlan,
        pair: &Pair,
        other: &AnswerCopy<HeaderMap>,
        comparison: Comparison,
        redactor: &Redactor,
    ) -> Self {
        let row = row(route, pair, other, &comparison, redactor);
        Self {
            divergences: comparison.divergences.into(),
            row,
            record: if comparison.pairings.is_empty() {
                String::new()
            } else {
                pair.record()
            },
            pairings: comparison.pairings,
            at: pair.at,
            key: pair.key.clone(),
        }
    }

    /// Memory that it holds, in bytes, a little more rather than less.
    pub(super) fn weight(&self) -> usize {
        let held = |divergence: &Divergence| {
            size_of::<Divergence>() + divergence.path.len() + divergence.at.len()
        };
        self.row.weight()
            + self.divergences.iter().map(held).sum::<usize>()
            + self.key.as_ref().map_or(0, String::len)
            + self.record.len()
            + self.pairings.len() * size_of::<Pairing>()
    }

    /// What differed.
    pub(super) fn divergences(&self) -> &Arc<[Divergence]> {
        &self.divergences
    }

    /// Keeps it if it is a mismatch, and names its cause; learns from it if it is but noise. What differed comes back.
    pub(super) fn keep(
        self,
        route: &RoutePlan,
        judgement: Judgement,
        mismatches: &Mismatches,
        causes: &Causes,
    ) -> (Arc<[Divergence]>, Option<CauseId>) {
        if judgement == Judgement::Noise {
            route.learn(&self.pairings, || self.record);
        }
        let Judgement::Mismatch { flaky, rechecked } = judgement else {
            return (self.divergences, None);
        };
        route.metrics.divergences(&self.divergences);
        let row = mismatches.push(Mismatch {
            rechecked,
            flaky,
            fields: self.divergences.iter().map(FieldRow::from).collect(),
            ..self.row
        });
        let trials = || route.metrics.trials();
        let seen = (self.at, self.key.as_deref());
        let cause = causes.add(&row, seen, &self.divergences, trials);
        (self.divergences, cause)
    }
}

fn row(
    route: &RoutePlan,
    pair: &Pair,
    other: &AnswerCopy<HeaderMap>,
    comparison: &Comparison,
    redactor: &Redactor,
) -> Mismatch {
    let hiding = &route.hiding;
    let served = Answered::new(pair.answer.status, pair.answer.latency);
    let asked = Answered::new(other.status, other.latency);
    let (old, new) = match pair.served {
        Side::Old => (served, asked),
        Side::New => (asked, served),
    };
    let target = String::from_utf8_lossy(&pair.request.head.text()).into_owned();
    Mismatch {
        id: 0,
        at: rfc3339(pair.at),
        route: route.name().to_string(),
        method: pair.request.method.to_string(),
        target: hiding.target(&target, redactor),
        key: pair.key.as_deref().map(|key| hiding.key(key, redactor)),
        bucket: pair.bucket,
        served: pair.served,
        generation: pair.generation,
        rechecked: false,
        flaky: false,
        old,
        new,
        fields: Vec::new(),
        fields_truncated: false,
        patch: comparison.patch.as_ref().map(|patch| {
            if hiding.is_open() {
                redactor.redact_secrets(patch)
            } else {
                redactor.redact_patch(patch)
            }
        }),
        patch_exact: comparison.patch_exact,
        patch_truncated: comparison.patch_truncated,
        redacted: !hiding.is_open(),
        marks: cause::marks(&comparison.divergences),
    }
}
