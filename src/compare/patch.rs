//! The RFC 6902 patch from old to new.
//!
//! Invariant: operations apply one after the other; their places are those of old as the operations before have left it. What is cut off (after 200
//! operations, fewer of answers that came in few bytes, or where memory ends) is the end, so a truncated patch still applies.

use crate::compare::effort::Effort;
use crate::compare::view::{At, View};
use crate::json::location::Part;
use crate::json::number::Small;
use crate::json::{Decimal, Location, Value};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Number};

/// Operations of one patch.
const MAX_OPERATIONS: usize = 200;
/// Bytes of all its places; hostile names could make each of them as long as the document.
const MAX_PLACES: usize = 1 << 20;
/// A JSON value of `serde_json` with its share of a map or list.
const BYTES_PER_VALUE: usize = 120;
/// Values of both documents up to which exactness under rules is found out by applying the patch.
const MAX_PROVEN: usize = 20_000;

/// A patch in the making.
pub(crate) struct Builder<'v> {
    effort: &'v Effort<'v>,
    operations: Vec<PatchOperation>,
    places: usize,
    truncated: bool,
}

impl<'v> Builder<'v> {
    pub(crate) fn new(effort: &'v Effort<'v>) -> Self {
        Self {
            effort,
            operations: Vec::new(),
            places: 0,
            truncated: false,
        }
    }

    pub(crate) fn add(&mut self, location: &Location<'_>, value: At<'_>) {
        if let Some((path, value)) = self
            .place(location)
            .and_then(|path| Some((path, self.value(value)?)))
        {
            self.operations
                .push(PatchOperation::Add(AddOperation { path, value }));
        }
    }

    pub(crate) fn replace(&mut self, location: &Location<'_>, value: At<'_>) {
        if let Some((path, value)) = self
            .place(location)
            .and_then(|path| Some((path, self.value(value)?)))
        {
            self.operations
                .push(PatchOperation::Replace(ReplaceOperation { path, value }));
        }
    }

    pub(crate) fn remove(&mut self, location: &Location<'_>) {
        if let Some(path) = self.place(location) {
            self.operations
                .push(PatchOperation::Remove(RemoveOperation { path }));
        }
    }

    /// The patch, and whether it is only a beginning.
    pub(crate) fn finish(self) -> (Patch, bool) {
        (Patch(self.operations), self.truncated)
    }

    /// Where the next operation goes, if there is room for one.
    fn place(&mut self, location: &Location<'_>) -> Option<PointerBuf> {
        let name = |part: &Part<'_>| match part {
            Part::Member(name) | Part::Entry(name) => name.len() + 1,
            Part::Element(_) => 8,
        };
        let bytes: usize = location.parts().iter().map(name).sum();
        self.places += bytes;
        self.truncated |= self.operations.len() >= MAX_OPERATIONS.min(self.effort.operations())
            || self.places > MAX_PLACES
            || !self.effort.ask(bytes);
        if self.truncated {
            return None;
        }
        let mut path = PointerBuf::new();
        for part in location.parts() {
            match *part {
                Part::Member(name) | Part::Entry(name) => path.push_back(name),
                Part::Element(index) => path.push_back(index),
            }
        }
        Some(path)
    }

    fn value(&mut self, at: At<'_>) -> Option<serde_json::Value> {
        self.truncated |= !self.effort.ask(value_size(at));
        (!self.truncated).then(|| value_of(at))
    }
}

/// Whether a patch that is whole gives new, numbers compared by value: always, if no rule may have hidden something and every number is one that
/// `serde_json` represents exactly. Where a rule may have, small documents are patched to see, and large ones count as not exact.
pub(crate) fn is_exact(old: &View<'_>, new: &View<'_>, patch: &Patch, effort: &Effort<'_>) -> bool {
    if !has_exact_numbers(old) || !has_exact_numbers(new) {
        return false;
    }
    if !old.hides() && !new.hides() {
        return true;
    }
    let (old, new) = (old.root(), new.root());
    if old.size() + new.size() > MAX_PROVEN || !effort.ask(value_size(old) + value_size(new)) {
        return false;
    }
    let mut patched = value_of(old);
    json_patch::patch(&mut patched, patch).is_ok() && equal_values(&patched, &value_of(new))
}

fn has_exact_numbers(view: &View<'_>) -> bool {
    view.document.numbers().all(is_exact_number)
}

/// Whether `serde_json` writes a number by the value that it was read with.
fn is_exact_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    // A float keeps 15 digits, whatever they are; far from its ends that needs no trial.
    if Small::of(text)
        .is_some_and(|small| small.digits < 1_000_000_000_000_000 && small.exponent.abs() <= 100)
    {
        return true;
    }
    serde_json::from_str::<Number>(text).is_ok_and(|number| {
        Decimal::parse(&number.to_string()).is_some_and(|own| Decimal::parse(text) == Some(own))
    })
}

fn value_size(at: At<'_>) -> usize {
    let text = |node| match at.view.document.value(node) {
        Value::Number(text) | Value::String(text) => text.len(),
        Value::Null | Value::Bool(_) | Value::Array | Value::Object => 0,
    };
    let bytes = |node| BYTES_PER_VALUE + text(node) + at.view.document.key(node).len();
    at.view.document.subtree(at.node).map(bytes).sum()
}

/// A value as `serde_json` has it. A number that it can't hold (1e400) becomes a string of its text. As deep as the document, which is bounded.
fn value_of(at: At<'_>) -> serde_json::Value {
    let document = at.view.document;
    match document.value(at.node) {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Number(text) => serde_json::from_str::<Number>(text)
            .map_or_else(|_| text.into(), serde_json::Value::Number),
        Value::String(text) => text.into(),
        Value::Array => document
            .children(at.node)
            .map(|child| value_of(at.view.at(child)))
            .collect(),
        Value::Object => {
            let member = |child| (document.key(child).to_owned(), value_of(at.view.at(child)));
            serde_json::Value::Object(
                document
                    .children(at.node)
                    .map(member)
                    .collect::<Map<_, _>>(),
            )
        }
    }
}

/// Equality with numbers by value: `1` is `1.0`.
fn equal_values(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => {
            a == b || Decimal::parse(&a.to_string()) == Decimal::parse(&b.to_string())
        }
        (Array(a), Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_values(a, b))
        }
        (Object(a), Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| equal_values(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_where_serde_json_keeps_them() {
        for (text, expected) in [
            ("0", true),
            ("-0", true),
            ("1", true),
            ("1.0", true),
            ("1.50", true),
            ("0.1", true),
            ("1e300", true),
            ("100e-2", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("18446744073709551617", false),
            ("-9223372036854775808", true),
            ("9007199254740993", true),
            ("9007199254740993.0", false),
            ("0.10000000000000000001", false),
            ("1e400", false),
            ("1e-400", false),
        ] {
            assert_eq!(is_exact_number(text), expected, "{text}");
        }
    }
}
