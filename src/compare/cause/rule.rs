//! What would silence a cause. Whether it is harmless is not for a program to say.

use crate::compare::Kind;
use crate::compare::cause::settle::Strand;
use crate::compare::proposal::{Differences, Rule, Silence};
use crate::json::FieldPath;
use std::collections::BTreeMap;

/// The narrowest that does; `None` where no rule can silence it, or none that would not silence everything.
pub(super) fn silence(strands: &[Strand]) -> Option<Silence> {
    // What is not the same thing is no matter of how closely one looks.
    if strands.iter().any(|strand| strand.kind == Kind::Identity) {
        return None;
    }
    let header = |strand: &Strand| strand.path.strip_prefix("header:").map(str::to_owned);
    if let Some(name) = strands.iter().find_map(header) {
        return (strands.len() == 1).then_some(Silence::Header(name));
    }
    if strands.iter().any(|strand| !is_path(&strand.path)) {
        let same_class = strands.iter().all(|strand| is_of_one_class(&strand.shape));
        return same_class.then_some(Silence::StatusClass);
    }
    let nulls = |strand: &Strand| matches!(&*strand.shape, "null_to_absent" | "absent_to_null");
    if strands.iter().all(nulls) {
        return Some(Silence::NullIsAbsent);
    }
    let mut paths: BTreeMap<&str, Vec<&Strand>> = BTreeMap::new();
    for strand in strands {
        paths.entry(&strand.path).or_default().push(strand);
    }
    let rules = paths
        .into_iter()
        .map(|(path, strands)| (path.to_owned(), rule(&strands)));
    Some(Silence::Paths(rules.collect()))
}

/// The rule for one path.
fn rule(strands: &[&Strand]) -> Rule {
    if strands.iter().all(|strand| strand.kind == Kind::Order) {
        return Rule::of_order(None);
    }
    let near = |strand: &&Strand| matches!(&*strand.shape, "rounding" | "precision" | "off_by_one");
    let seen = strands.iter().map(|strand| strand.differences);
    let seen = seen.fold(Differences::default(), Differences::join);
    seen.rule(strands.iter().all(near))
}

/// Whether a path is one that rules may have: not a place outside the document, nor one that was cut, nor the whole document.
fn is_path(path: &str) -> bool {
    path != "$" && !path.contains('…') && FieldPath::parse(path).is_ok()
}

/// Whether statuses differ within their class.
fn is_of_one_class(shape: &str) -> bool {
    shape
        .split_once("_to_")
        .is_some_and(|(old, new)| old.len() == 3 && new.len() == 3 && old[..1] == new[..1])
}
