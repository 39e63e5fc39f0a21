//! What need not be compared: a side that lacks what stood at a path before does not say the same there.
//!
//! Invariant: what is ruled out here a comparison rules out, too. Where one finds nothing at a path, above it or below it, each value there has a partner
//! that is equal, at the same generalised path; so what a first look has seen there is there again. The converse is left to the comparison. Old and new
//! of the last look are treated alike, as the test of `noise` needs it.

use crate::compare::finding::Divergence;
use crate::compare::hash::hash_seen;
use crate::compare::rules::By;
use crate::compare::shape::Shape;
use crate::compare::verdict::Answer;
use crate::json::{Document, FieldPath, Node, Value};
use http::header::CONTENT_TYPE;

/// Paths up to which it pays to look: where more differ one comparison says it of all.
const MOST_PATHS: usize = 8;

/// Which ways round a path may still stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Possible {
    pub(super) aligned: bool,
    pub(super) crossed: bool,
}

impl Possible {
    pub(super) const BOTH: Self = Self {
        aligned: true,
        crossed: true,
    };
}

/// Whether answers that are equal say the same values, and the four of two looks are read in one way.
pub(super) fn is_telling(answers: &[Answer<'_>; 4], by: By<'_>) -> bool {
    let rules = by.rules;
    let types = answers[0].headers.get_all(CONTENT_TYPE);
    let is_read_alike = |answer: &Answer<'_>| answer.headers.get_all(CONTENT_TYPE) == types;
    by.ids.is_none()
        && rules.shape.is_empty()
        && rules.tolerance.is_empty()
        && !rules.paths().any(FieldPath::has_indexes)
        && answers[1..].iter().all(is_read_alike)
}

/// Rules out what the documents of the last look, old's before new's, show not to be, for one divergence of each path of the first look.
pub(super) fn rule_out(
    paths: &[&Divergence],
    possible: &mut [Possible],
    documents: [&Document<'_>; 2],
) {
    if paths.len() > MOST_PATHS {
        return;
    }
    for (divergence, possible) in paths.iter().zip(possible) {
        if let [Some(in_old), Some(in_new)] = documents.map(|document| there(document, divergence))
        {
            *possible = Possible {
                aligned: in_old[0] && in_new[1],
                crossed: in_old[1] && in_new[0],
            };
        }
    }
}

/// Whether a document may have what was seen of old, and of new; `None` if the path can't be followed.
fn there(document: &Document<'_>, divergence: &Divergence) -> Option<[bool; 2]> {
    let rest = divergence.path.strip_prefix('$')?;
    let by_shape = divergence.is_out_of_shape();
    let is_container = |shape| matches!(shape, Shape::ARRAY | Shape::OBJECT);
    // Nothing was there, or what would have to be compared.
    let mut there = divergence
        .seen
        .map(|seen| seen.shape == Shape::ABSENT || !by_shape && is_container(seen.shape));
    let mut visit = |value: Value<'_>| {
        for (there, seen) in there.iter_mut().zip(divergence.seen) {
            *there |= if by_shape {
                Shape::of(value) == seen.shape
            } else {
                hash_seen(value) == Some(seen.value)
            };
        }
    };
    each_at(document, Node::ROOT, rest, &mut visit).then_some(there)
}

/// Visits the values at the rest of a generalised path; false if it has more than plain names and elements. As deep as the path, which is bounded.
fn each_at(
    document: &Document<'_>,
    node: Node,
    rest: &str,
    visit: &mut impl FnMut(Value<'_>),
) -> bool {
    let value = document.value(node);
    if rest.is_empty() {
        visit(value);
        return true;
    }
    if let Some(behind) = rest.strip_prefix("[*]") {
        return value != Value::Array
            || document
                .children(node)
                .all(|child| each_at(document, child, behind, visit));
    }
    let Some(plain) = rest.strip_prefix('.') else {
        return false;
    };
    let (name, behind) = plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()));
    if name == "*" || name.ends_with('…') {
        return false;
    }
    value != Value::Object
        || document
            .children(node)
            .filter(|child| document.key(*child) == name)
            .all(|child| each_at(document, child, behind, visit))
}
