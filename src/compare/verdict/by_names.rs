//! Documents in which some values may have other names on the other side.
//!
//! They are walked whole, since each such value has to be met. Candidates are believed at first. Where the documents differ then, they are walked once more
//! without them: what differs in both ways differs for certain, and what does not can't be known.

use crate::compare::diff::difference;
use crate::compare::effort::Effort;
use crate::compare::equal::Judge;
use crate::compare::finding::{Comparison, Incomparable, Verdict};
use crate::compare::ids::Ids;
use crate::compare::named::{count, resolve};
use crate::compare::names::BYTES_PER_NAME;
use crate::compare::rules::Program;
use crate::compare::verdict::outcome::conclude;
use crate::compare::view::View;
use crate::json::{Document, Memory, Node};

pub(super) fn compare(
    documents: [&Document<'_>; 2],
    came: usize,
    (program, ids): (&Program<'_>, &Ids),
    memory: &mut dyn Memory,
) -> Comparison {
    let [mut old, mut new] = documents.map(|document| View::new(document, program));
    if old.mark(Node::ROOT).ignored {
        return Comparison::matching();
    }
    if !memory.charge((count(&old) + count(&new)) * BYTES_PER_NAME) {
        return Comparison::incomparable(Incomparable::Bytes);
    }
    let is_ready = ids.is_revealed();
    resolve(&mut old, &mut new, &program.names, ids);
    let (mut found, is_premature) = walk([&old, &new], came, program, memory);
    if !is_ready {
        // They go by no digests that will be used.
        found.pairings = Vec::new();
    }
    let mut views = [&mut old, &mut new];
    let has_candidates = views.iter().any(|view| view.names.has_candidates());
    if found.verdict != Verdict::Mismatch || !has_candidates {
        return found;
    }
    for view in &mut views {
        let names = view.names.distrusting();
        view.know(names);
    }
    let (doubted, _) = walk([&old, &new], came, program, memory);
    // Of two ways to see it that in which less differs, and never one that rests on a candidate.
    if is_premature || doubted.divergences.len() < found.divergences.len() {
        doubted
    } else {
        found
    }
}

/// Also whether something was found to differ by a candidate alone.
fn walk(
    [old, new]: [&View<'_>; 2],
    came: usize,
    program: &Program<'_>,
    memory: &mut dyn Memory,
) -> (Comparison, bool) {
    let effort = Effort::new(memory, came);
    let judge = Judge {
        program,
        effort: &effort,
    };
    let found = difference(judge, old.root(), new.root());
    let is_premature = found.premature;
    (conclude(found, [old, new], &effort), is_premature)
}
