//! What a route's differences teach: which rule would say that they are harmless, and what speaks for it. Nothing is applied here.
//!
//! Invariant: the narrowest rule that covers all that was seen is proposed, and none for a field of which nobody knows that it is noise, but for the order
//! of arrays, where the elements themselves were found equal. What is kept is bounded by [`MAX_FIELDS`] and a few names for each array; no value is kept.

use crate::compare::change::Form;
use crate::compare::finding::Divergence;
use crate::json::path::{Progress, Step};
use crate::json::{Document, FieldPath, Node, Value};
use std::collections::{BTreeMap, HashSet};

/// Fields that are remembered of one route: those that came first.
pub const MAX_FIELDS: usize = 64;
/// Names that may tell an array's elements apart, of each array.
const MAX_NAMES: usize = 8;
/// Pairs of which documents are looked at: what tells elements apart is known by then.
const MAX_READ: u64 = 1_000;
/// Elements of an array that are looked at.
const MAX_ELEMENTS: usize = 10_000;

/// What was seen of one route's pairs that differ.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    fields: BTreeMap<String, Field>,
    arrays: BTreeMap<String, Elements>,
    pairs: u64,
}

/// What was seen of one generalised path.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    /// Pairs that differ here.
    pairs: u64,
    /// Of these, pairs in which nothing but the order of elements differs here.
    reordered: u64,
    /// Of these, pairs in which all that differs here are numbers.
    numbers: u64,
    /// Of these, pairs in which all values that differ here have the same shape on both sides.
    in_shape: u64,
    /// The power of ten that no two numbers were further apart than.
    decade: Option<i16>,
}

/// What was seen of the elements of one array.
#[derive(Clone, Debug)]
struct Elements {
    /// Names that were in every element, and different in each of an array's; in the order of the first one.
    names: Vec<String>,
    /// Elements looked at.
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

/// Which rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `unordered`.
    Unordered,
    /// `match_by`, with the name.
    MatchBy(String),
    /// `tolerance`, with the amount: a power of ten.
    Tolerance(i16),
    /// `shape`.
    Shape,
    /// `ignore`.
    Ignore,
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
            arrays.extend(array_above(divergence));
            let same: Vec<_> = found.iter().filter(|other| other.path == *path).collect();
            if let Some(field) = entry(&mut self.fields, path) {
                field.remember(&same);
            }
        }
        for array in arrays {
            let known = self.arrays.len() < MAX_FIELDS || self.arrays.contains_key(array);
            if known
                && !documents.is_empty()
                && let Ok(path) = FieldPath::parse(array)
            {
                let elements = self
                    .arrays
                    .entry(array.to_owned())
                    .or_insert_with(|| Elements {
                        names: Vec::new(),
                        seen: 0,
                    });
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
                advice.push(field.harmless(path, noise.checks));
            }
        }
        advice
    }

    fn order(&self, path: &str, field: &Field) -> Advice {
        let share = field.reordered as f64 / field.pairs.max(1) as f64 * 100.0;
        let order = format!(
            "{share:.0} % of the {} pairs that differ here differ in order only",
            field.pairs
        );
        let name = self
            .arrays
            .get(path)
            .and_then(|elements| Some((elements.names.first()?, elements.seen)));
        let (rule, evidence) = match name {
            Some((name, seen)) => (
                Rule::MatchBy(name.clone()),
                format!("{order}; \"{name}\" is unique in each array, of {seen} elements"),
            ),
            None => (Rule::Unordered, order),
        };
        Advice {
            rule,
            path: path.to_owned(),
            evidence,
        }
    }
}

impl Field {
    fn remember(&mut self, same: &[&Divergence]) {
        self.pairs += 1;
        let all = |holds: fn(&Divergence) -> bool| same.iter().all(|one| holds(one));
        self.reordered += u64::from(all(|one| one.change.form == Form::Reordered));
        self.numbers += u64::from(all(|one| one.change.decade.is_some()));
        self.in_shape += u64::from(all(|one| one.seen[0].shape == one.seen[1].shape));
        let decade = same.iter().filter_map(|one| one.change.decade).max();
        self.decade = self.decade.max(decade);
    }

    /// The narrowest rule that covers all that was seen of a field that is noise.
    fn harmless(&self, path: &str, checks: u64) -> Advice {
        let noise = format!("noise in {checks} checks");
        let pairs = self.pairs;
        let (rule, evidence) = match self.decade {
            // A tolerance of a whole unit and more would hide what counts.
            Some(decade) if self.numbers == pairs && decade <= -1 => (
                Rule::Tolerance(decade),
                format!("{noise}; 1e{decade} covers all {pairs} differences"),
            ),
            _ if self.in_shape == pairs => (
                Rule::Shape,
                format!("{noise}; the shape is the same in all {pairs} pairs that differ here"),
            ),
            _ => (
                Rule::Ignore,
                format!(
                    "{noise}; nothing narrower holds: the shape differs in {} of {pairs} pairs",
                    pairs - self.in_shape
                ),
            ),
        };
        Advice {
            rule,
            path: path.to_owned(),
            evidence,
        }
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
            let unique = |name: &str| is_unique(document, &elements, name);
            if self.seen == 0 {
                let first = document.children(elements[0]);
                let names = first
                    .map(|member| document.key(member))
                    .filter(|name| !name.is_empty() && !name.contains(['.', '$']))
                    .filter(|name| unique(name));
                self.names = names.take(MAX_NAMES).map(str::to_owned).collect();
                // What is called an id is one rather than what is unique by chance.
                self.names.sort_by_key(|name| rank(name));
            } else {
                self.names.retain(|name| unique(name));
            }
            self.seen += elements.len() as u64;
        }
    }
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

/// Whether each element has a text or a number of that name, and no two the same.
fn is_unique(document: &Document<'_>, elements: &[Node], name: &str) -> bool {
    let mut seen = HashSet::new();
    elements.iter().all(|&element| {
        document.value(element) == Value::Object
            && document
                .children(element)
                .find(|&member| document.key(member) == name)
                .is_some_and(|member| match document.value(member) {
                    Value::String(text) => seen.insert((true, text)),
                    Value::Number(text) => seen.insert((false, text)),
                    Value::Null | Value::Bool(_) | Value::Array | Value::Object => false,
                })
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

fn entry<'m>(fields: &'m mut BTreeMap<String, Field>, path: &str) -> Option<&'m mut Field> {
    if fields.len() >= MAX_FIELDS && !fields.contains_key(path) {
        return None;
    }
    Some(fields.entry(path.to_owned()).or_default())
}

#[cfg(test)]
mod tests;
