//! What a route's differences teach: which rule would say that they are harmless, and what speaks for it. Nothing is applied here.
//!
//! Invariant: the narrowest rule that covers all that was seen is proposed, and none for a field of which nobody knows that it is noise, but for the order
//! of arrays, where the elements themselves were found equal. What is kept is bounded by [`MAX_FIELDS`] and a few names for each array; no value is kept.

use crate::compare::change::Form;
use crate::compare::finding::{Divergence, Kind};
use crate::compare::proposal::{Differences, Rule};
use crate::json::path::{Progress, Step};
use crate::json::{Document, FieldPath, Node, Value};
use std::collections::{BTreeMap, HashSet};

/// Fields that are remembered of one route: those that came first.
pub const MAX_FIELDS: usize = 64;
/// Names, or pairs of names, that may tell an array's elements apart, of each array.
const MAX_NAMES: usize = 8;
/// Pairs of which documents are looked at: what tells elements apart is known by then.
const MAX_READ: u64 = 1_000;
/// Elements of an array that are looked at.
const MAX_ELEMENTS: usize = 10_000;

/// What was seen of one route's pairs that differ.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    fields: BTreeMap<String, Differences>,
    arrays: BTreeMap<String, Elements>,
    pairs: u64,
}

/// What was seen of the elements of one array.
#[derive(Clone, Debug, Default)]
struct Elements {
    /// Names that were in every element, and different in each of an array's; or, since no name alone is like that, pairs of such names. The best first.
    fields: Vec<Vec<String>>,
    paired: bool,
    /// Elements looked at for these.
    seen: u64,
}

/// A rule that is proposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// The key of `compare`.
    pub rule: Rule,
    /// The path that it is about.
    pub path: String,
    /// What speaks for it, for people.
    pub evidence: String,
}

/// What is known of a field's differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Noisy or blind.
    pub is_noise: bool,
    /// Checks that showed the sides stand or change places.
    pub checks: u64,
}

impl Lessons {
    /// Whether the documents of a pair that differs in this would teach something.
    #[must_use]
    pub fn wants_documents(&self, found: &[Divergence]) -> bool {
        self.pairs < MAX_READ && found.iter().any(|one| array_above(one).is_some())
    }

    /// Remembers a pair that differs, with its documents if they were wanted.
    pub fn remember(&mut self, found: &[Divergence], documents: &[&Document<'_>]) {
        self.pairs += 1;
        let mut arrays = HashSet::new();
        for (index, divergence) in found.iter().enumerate() {
            let path = &divergence.path;
            if !path.starts_with('$') || found[..index].iter().any(|other| other.path == *path) {
                continue;
            }
            // What is not the same thing is silenced by no rule.
            let mut same = found.iter().filter(|other| other.path == *path);
            if same.any(|one| one.kind == Kind::Identity) {
                continue;
            }
            arrays.extend(array_above(divergence));
            if let Some(field) = entry(&mut self.fields, path) {
                field.remember(found.iter().filter(|other| other.path == *path));
            }
        }
        for array in arrays {
            let known = self.arrays.len() < MAX_FIELDS || self.arrays.contains_key(array);
            if known
                && !documents.is_empty()
                && let Ok(path) = FieldPath::parse(array)
            {
                let elements = self.arrays.entry(array.to_owned()).or_default();
                for document in documents {
                    elements.remember(document, &path);
                }
            }
        }
    }

    /// Pairs that were remembered.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The names that tell the elements of an array apart, if some are known.
    #[must_use]
    pub fn identity(&self, array: &str) -> Option<&[String]> {
        let elements = self.arrays.get(array)?;
        elements.fields.first().map(Vec::as_slice)
    }

    /// What is proposed, arrays first. `noise` tells what is known of a path.
    #[must_use]
    pub fn advice(&self, noise: impl Fn(&str) -> Known) -> Vec<Advice> {
        let mut advice: Vec<Advice> = Vec::new();
        for (path, field) in &self.fields {
            if field.reordered > 0 {
                advice.push(self.order(path, field));
            }
        }
        let ordered: Vec<_> = advice.iter().map(|one| one.path.clone()).collect();
        for (path, field) in &self.fields {
            let below = |array: &String| {
                path.strip_prefix(array.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("[*]"))
            };
            let noise = noise(path);
            // Elements that are paired wrongly differ in everything: first their order, and then a second look.
            if noise.is_noise && !ordered.iter().any(below) {
                advice.push(harmless(field, path, noise.checks));
            }
        }
        advice
    }

    fn order(&self, path: &str, field: &Differences) -> Advice {
        let share = field.reordered as f64 / field.pairs.max(1) as f64 * 100.0;
        let order = format!(
            "{share:.0} % of the {} pairs that differ here differ in order only",
            field.pairs
        );
        let identity = self.identity(path);
        let evidence = match identity {
            Some(names) => {
                let seen = self.arrays.get(path).map_or(0, |elements| elements.seen);
                let names = names.join("\" with \"");
                format!("{order}; \"{names}\" is unique in each array, of {seen} elements")
            }
            None => order,
        };
        let rule = Rule::of_order(identity);
        Advice {
            rule,
            path: path.to_owned(),
            evidence,
        }
    }
}

/// The narrowest rule that covers all that was seen of a field that is noise.
fn harmless(field: &Differences, path: &str, checks: u64) -> Advice {
    let (noise, pairs) = (format!("noise in {checks} checks"), field.pairs);
    let rule = field.rule(false);
    let evidence = match &rule {
        Rule::Tolerance(decade) => format!("{noise}; 1e{decade} covers all {pairs} differences"),
        Rule::Shape => {
            format!("{noise}; the shape is the same in all {pairs} pairs that differ here")
        }
        Rule::Ignore | Rule::Unordered | Rule::MatchBy(_) => format!(
            "{noise}; nothing narrower holds: the shape differs in {} of {pairs} pairs",
            pairs - field.in_shape
        ),
    };
    Advice {
        rule,
        path: path.to_owned(),
        evidence,
    }
}

impl Elements {
    /// Looks at the arrays that a path selects.
    fn remember(&mut self, document: &Document<'_>, path: &FieldPath) {
        let mut found = Vec::new();
        select(document, path, Node::ROOT, path.start(), &mut found);
        for array in found {
            let elements: Vec<_> = document.children(array).take(MAX_ELEMENTS).collect();
            if elements.is_empty() {
                continue;
            }
            let unique = |names: &Vec<String>| is_unique(document, &elements, names);
            let names = || {
                let first = document.children(elements[0]).filter(|&member| {
                    matches!(document.value(member), Value::String(_) | Value::Number(_))
                });
                let names = first.map(|member| document.key(member));
                names.filter(|name| !name.is_empty() && !name.contains(['.', '$']))
            };
            if self.seen == 0 {
                let names = names().map(|name| vec![name.to_owned()]);
                self.fields = best(names.filter(unique));
            } else {
                self.fields.retain(unique);
            }
            if self.fields.is_empty() && !self.paired {
                let names: Vec<_> = names().take(MAX_NAMES).collect();
                let pairs = names.iter().enumerate().flat_map(|(at, first)| {
                    let later = names[at + 1..].iter().filter(move |name| *name != first);
                    later.map(|name| vec![(*first).to_owned(), (*name).to_owned()])
                });
                self.fields = best(pairs.filter(unique));
                (self.paired, self.seen) = (true, 0);
            }
            self.seen += elements.len() as u64;
        }
    }
}

/// A few of those that tell elements apart: what is called an id does so rather than what is unique by chance.
fn best(fields: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut fields: Vec<_> = fields.take(MAX_NAMES).collect();
    fields.sort_by_key(|names| names.iter().map(|name| rank(name)).sum::<usize>());
    fields
}

/// Names that say that they tell things apart go first.
fn rank(name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "id" | "_id" | "uuid" | "guid" => 0,
        "key" | "slug" | "code" | "name" => 2,
        _ if name.ends_with("id") => 1,
        _ => 3,
    }
}

/// Whether each element has a text or a number of that name, or of both names, and no two the same.
fn is_unique(document: &Document<'_>, elements: &[Node], names: &[String]) -> bool {
    let of = |element: Node, name: &String| {
        let mut members = document.children(element);
        match document.value(members.find(|&member| document.key(member) == name)?) {
            Value::String(text) => Some((true, text)),
            Value::Number(text) => Some((false, text)),
            Value::Null | Value::Bool(_) | Value::Array | Value::Object => None,
        }
    };
    let mut seen = HashSet::new();
    elements.iter().all(|&element| {
        let mut found = [None; 2];
        for (name, found) in names.iter().zip(&mut found) {
            *found = of(element, name);
        }
        document.value(element) == Value::Object
            && found.iter().flatten().count() == names.len()
            && seen.insert(found)
    })
}

fn select(
    document: &Document<'_>,
    path: &FieldPath,
    node: Node,
    progress: Progress,
    found: &mut Vec<Node>,
) {
    if path.selects(progress) && document.value(node) == Value::Array {
        found.push(node);
    }
    if !path.continues(progress) {
        return;
    }
    let len = document.count(node);
    let is_object = document.value(node) == Value::Object;
    for (at, child) in document.children(node).enumerate() {
        let step = if is_object {
            Step::Name(document.key(child))
        } else {
            Step::Index { at, len }
        };
        select(document, path, child, path.advance(progress, step), found);
    }
}

/// The array whose order or elements differ.
fn array_above(divergence: &Divergence) -> Option<&str> {
    if divergence.change.form == Form::Reordered {
        return Some(&divergence.path);
    }
    Some(&divergence.path[..divergence.path.rfind("[*]")?])
}

fn entry<'m>(
    fields: &'m mut BTreeMap<String, Differences>,
    path: &str,
) -> Option<&'m mut Differences> {
    if fields.len() >= MAX_FIELDS && !fields.contains_key(path) {
        return None;
    }
    Some(fields.entry(path.to_owned()).or_default())
}

#[cfg(test)]
mod tests;
