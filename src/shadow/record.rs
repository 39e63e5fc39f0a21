//! A mismatch as it is kept: what was asked, what differed, and how old becomes new; without values where they are private.

use crate::compare::Comparison;
use crate::config::settings::Values;
use crate::shadow::offer::{AnswerCopy, Pair};
use crate::side::Side;
use crate::store::{Answered, FieldRow, KeyText, Mismatch, Redactor, rfc3339};

pub(super) fn row(
    pair: &Pair,
    other: &AnswerCopy,
    comparison: &Comparison,
    redactor: &Redactor,
) -> Mismatch {
    let hide = match pair.route.values {
        Values::Redacted => Some(redactor),
        Values::Shown => None,
    };
    let (old, new) = match pair.served {
        Side::Old => (&pair.answer, other),
        Side::New => (other, &pair.answer),
    };
    let target = pair.request.target.to_string();
    Mismatch {
        id: 0,
        at: rfc3339(pair.at),
        route: pair.route.name().to_string(),
        method: pair.request.method.to_string(),
        target: match hide {
            Some(redactor) => {
                redactor.redact_target(&target, &pair.route.pattern, &pair.route.key_placeholders)
            }
            None => target,
        },
        key: pair.key.as_deref().map(|key| KeyText::new(key, hide)),
        bucket: pair.bucket,
        served: pair.served,
        generation: pair.generation,
        old: Answered::new(old.status, old.latency),
        new: Answered::new(new.status, new.latency),
        fields: comparison
            .divergences
            .iter()
            .cloned()
            .map(FieldRow::from)
            .collect(),
        fields_truncated: false,
        patch: comparison.patch.as_ref().map(|patch| match hide {
            Some(redactor) => redactor.redact_patch(patch),
            None => patch.clone(),
        }),
        patch_exact: comparison.patch_exact,
        patch_truncated: comparison.patch_truncated,
        redacted: hide.is_some(),
    }
}
