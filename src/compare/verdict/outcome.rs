//! What was found between two documents -> a comparison.

use crate::compare::diff::Difference;
use crate::compare::effort::Effort;
use crate::compare::finding::{Comparison, Incomparable, Verdict};
use crate::compare::patch;
use crate::compare::view::View;

/// What two documents are between which this was found.
pub(super) fn conclude(
    found: Difference,
    [old, new]: [&View<'_>; 2],
    effort: &Effort<'_>,
) -> Comparison {
    if effort.is_refused() {
        return Comparison::incomparable(Incomparable::Bytes);
    }
    let mut comparison = Comparison::of(found.divergences);
    if comparison.verdict == Verdict::Mismatch {
        let whole = !found.patch_truncated && !found.contradictory;
        comparison.patch_exact = whole && patch::is_exact(old, new, &found.patch, effort);
        comparison.patch_truncated = found.patch_truncated;
        comparison.patch = Some(found.patch);
    } else if found.doubtful {
        comparison = Comparison::incomparable(Incomparable::Identity);
    }
    comparison.pairings = found.pairings;
    comparison
}
