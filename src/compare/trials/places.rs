//! The places of a route's answers: a tree of names that forgets names where they are data, with the weight of the pairs that have each place.
//!
//! Invariant: at most [`MAX_PLACES`] nodes, and at most [`MAX_NAMES`] names at one place: the next one shows that the names there are data, and they
//! all become one place, `.*`. A [`Place`] whose node is gone is never found again, also when the node has another owner.

use crate::json::location::Part;
use crate::json::{Document, FieldPath, Location, Node, Value};

/// Names of members at one place that are told apart.
pub const MAX_NAMES: usize = 32;

/// Places in all.
pub const MAX_PLACES: usize = 2_048;

/// Places that are made because a document has them; the others are left for differences.
const MAX_FROM_DOCUMENTS: usize = MAX_PLACES / 4 * 3;

/// A generalised path, such as `$.tags[*].name` or `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    index: u32,
    generation: u32,
}

/// What leads from a place to the one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(Box<str>),
    Entry,
    Element,
}

#[derive(Debug)]
struct Spot {
    generation: u32,
    parent: u32,
    step: Step,
    /// Members told apart by their names; none once they are data.
    members: Vec<u32>,
    /// What all members are, where their names are data.
    entries: Option<u32>,
    elements: Option<u32>,
    /// Weight of the samples that had the place, and of those in this hour.
    weight: [f64; 2],
    /// Weight of all samples of which it is not known whether they had it, in all and in this hour.
    before: [f64; 2],
    /// The last sample that had it.
    sample: u64,
}

/// The places of one route.
#[derive(Debug)]
pub struct Places {
    spots: Vec<Spot>,
    free: Vec<u32>,
    /// Weight of all samples, and of those in this hour.
    weight: [f64; 2],
    sample: u64,
}

/// Above all paths: `$` for what is in the body, and the other fields of an answer.
const TOP: u32 = 0;
const BODY: u32 = 1;

impl Default for Places {
    fn default() -> Self {
        let mut places = Self {
            spots: Vec::new(),
            free: Vec::new(),
            weight: [0.0; 2],
            sample: 0,
        };
        places.add(TOP, Step::Entry);
        let body = places.add(TOP, Step::Member("$".into()));
        places.spots[TOP as usize].members.push(body);
        places
    }
}

impl Places {
    /// The place of a generalised path. Is there none, it is made, if there is room.
    pub fn make(&mut self, path: &str) -> Option<Place> {
        let mut at = TOP;
        for step in steps(path)? {
            at = self.below(at, step, MAX_PLACES)?;
        }
        Some(self.place(at))
    }

    /// The place of a generalised path, if it is known.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Place> {
        let found = steps(path)?
            .into_iter()
            .try_fold(TOP, |at, step| self.child(at, &step));
        found.map(|at| self.place(at))
    }

    /// How a place reads, if it is still there.
    #[must_use]
    pub fn path(&self, place: Place) -> Option<String> {
        let mut at = self.index(place)?;
        let mut parts = Vec::new();
        while at > BODY {
            let spot = &self.spots[at as usize];
            parts.push(match &spot.step {
                Step::Member(name) if spot.parent == TOP => return Some(name.to_string()),
                Step::Member(name) => Part::Member(name),
                Step::Entry => Part::Entry(""),
                Step::Element => Part::Element(0),
            });
            at = spot.parent;
        }
        let mut location = Location::default();
        parts.into_iter().rev().for_each(|part| location.push(part));
        Some(location.generalised())
    }

    /// A pair that stands for `weight` pairs, with its documents, if it has any: equal ones once.
    pub fn sample(&mut self, documents: &[&Document<'_>], weight: f64) {
        self.sample += 1;
        self.weight.iter_mut().for_each(|sum| *sum += weight);
        for document in documents {
            self.walk(document, Node::ROOT, BODY, weight);
        }
    }

    /// The share of pairs that have a place, of all and of this hour's. What is not known is 1: a rate is then no greater than it really is.
    #[must_use]
    pub fn share(&self, place: Place) -> [f64; 2] {
        let Some(spot) = self.index(place).map(|at| &self.spots[at as usize]) else {
            return [1.0; 2];
        };
        if spot.parent == TOP && self.place(BODY) != place {
            return [1.0; 2];
        }
        [0, 1].map(|which| {
            let trials = self.weight[which] - spot.before[which];
            if trials > 0.0 {
                spot.weight[which] / trials
            } else {
                1.0
            }
        })
    }

    /// A new hour begins.
    pub fn turn(&mut self) {
        self.weight[1] = 0.0;
        for spot in &mut self.spots {
            spot.weight[1] = 0.0;
            spot.before[1] = 0.0;
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spots.len() - self.free.len()
    }

    /// There is always the body's place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are kept, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let spot = |spot: &Spot| {
            let name = match &spot.step {
                Step::Member(name) => name.len(),
                Step::Entry | Step::Element => 0,
            };
            size_of::<Spot>() + name + spot.members.capacity() * size_of::<u32>()
        };
        self.spots.iter().map(spot).sum()
    }

    /// As deep as the document, which is bounded.
    fn walk(&mut self, document: &Document<'_>, node: Node, at: u32, weight: f64) {
        let sample = self.sample;
        let spot = &mut self.spots[at as usize];
        if spot.sample != sample {
            spot.sample = sample;
            spot.weight.iter_mut().for_each(|sum| *sum += weight);
        }
        match document.value(node) {
            Value::Array => {
                let Some(below) = self.below(at, Step::Element, MAX_FROM_DOCUMENTS) else {
                    return;
                };
                for child in document.children(node) {
                    self.walk(document, child, below, weight);
                }
            }
            Value::Object => {
                for (nth, child) in document.children(node).enumerate() {
                    if let Some(below) = self.member(at, document.key(child), nth) {
                        self.walk(document, child, below, weight);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The place of a document's member; mostly names stand in the same order.
    fn member(&mut self, at: u32, name: &str, nth: usize) -> Option<u32> {
        let spot = &self.spots[at as usize];
        if spot.entries.is_some() {
            return spot.entries;
        }
        let named = |child: &u32| matches!(&self.spots[*child as usize].step, Step::Member(known) if **known == *name);
        if let Some(child) = spot.members.get(nth).filter(|child| named(child)) {
            return Some(*child);
        }
        match spot.members.iter().find(|child| named(child)) {
            Some(child) => Some(*child),
            None => self.below(at, Step::Member(name.into()), MAX_FROM_DOCUMENTS),
        }
    }

    fn child(&self, at: u32, step: &Step) -> Option<u32> {
        let spot = &self.spots[at as usize];
        match step {
            Step::Element => spot.elements,
            Step::Entry => spot.entries,
            Step::Member(_) => spot.entries.or_else(|| {
                let mut members = spot.members.iter().copied();
                members.find(|&child| self.spots[child as usize].step == *step)
            }),
        }
    }

    /// The place below another one, made if there are fewer than `room`.
    fn below(&mut self, at: u32, step: Step, room: usize) -> Option<u32> {
        if let Some(child) = self.child(at, &step) {
            return Some(child);
        }
        match step {
            Step::Element => {
                let child = self.add_within(at, step, room)?;
                self.spots[at as usize].elements = Some(child);
                Some(child)
            }
            Step::Member(_) if at == TOP || self.spots[at as usize].members.len() < MAX_NAMES => {
                let child = self.add_within(at, step, room)?;
                self.spots[at as usize].members.push(child);
                Some(child)
            }
            Step::Member(_) | Step::Entry => {
                for child in std::mem::take(&mut self.spots[at as usize].members) {
                    self.forget(child);
                }
                let child = self.add_within(at, Step::Entry, MAX_PLACES)?;
                let above = &mut self.spots[at as usize];
                above.entries = Some(child);
                // Pairs that have the object have some entry of it, as far as is known.
                let (weight, before) = (above.weight, above.before);
                let spot = &mut self.spots[child as usize];
                (spot.weight, spot.before) = (weight, before);
                spot.sample = self.sample;
                Some(child)
            }
        }
    }

    fn add_within(&mut self, parent: u32, step: Step, room: usize) -> Option<u32> {
        (self.len() < room).then(|| self.add(parent, step))
    }

    fn add(&mut self, parent: u32, step: Step) -> u32 {
        let mut spot = Spot {
            generation: 0,
            parent,
            step,
            members: Vec::new(),
            entries: None,
            elements: None,
            weight: [0.0; 2],
            // A sample that had it would have made it, unless there was no room left.
            before: if self.len() < MAX_FROM_DOCUMENTS {
                [0.0; 2]
            } else {
                self.weight
            },
            sample: 0,
        };
        if let Some(index) = self.free.pop() {
            let old = &mut self.spots[index as usize];
            spot.generation = old.generation + 1;
            *old = spot;
            return index;
        }
        self.spots.push(spot);
        u32::try_from(self.spots.len() - 1).expect("there are at most two thousand places")
    }

    fn forget(&mut self, at: u32) {
        let spot = &mut self.spots[at as usize];
        spot.generation += 1;
        spot.step = Step::Entry;
        let below = std::mem::take(&mut spot.members).into_iter();
        let below: Vec<_> = below
            .chain(spot.entries.take())
            .chain(spot.elements.take())
            .collect();
        below.into_iter().for_each(|child| self.forget(child));
        self.free.push(at);
    }

    fn place(&self, at: u32) -> Place {
        Place {
            index: at,
            generation: self.spots[at as usize].generation,
        }
    }

    fn index(&self, place: Place) -> Option<u32> {
        let spot = self.spots.get(place.index as usize)?;
        (spot.generation == place.generation).then_some(place.index)
    }
}

/// The steps of a generalised path from the top; none if it was cut.
fn steps(path: &str) -> Option<Vec<Step>> {
    let Some(mut rest) = path.strip_prefix('$') else {
        return Some(vec![Step::Member(path.into())]);
    };
    let mut steps = vec![Step::Member("$".into())];
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(".*") {
            steps.push(Step::Entry);
            rest = behind;
            continue;
        }
        if let Some(behind) = rest.strip_prefix("[*]") {
            steps.push(Step::Element);
            rest = behind;
            continue;
        }
        let (name, behind) = if rest.starts_with("['") {
            let (step, behind) = rest.split_at(quoted_end(rest)?);
            let quoted = FieldPath::parse(&format!("${step}")).ok()?;
            (quoted.names()?.into_iter().next()?.into(), behind)
        } else {
            let plain = rest.strip_prefix('.')?;
            let (name, behind) = plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()));
            // Where a path was cut stands a sign that no name without quotes has.
            if name.ends_with('…') {
                return None;
            }
            (name.into(), behind)
        };
        steps.push(Step::Member(name));
        rest = behind;
    }
    Some(steps)
}

/// Behind the bracket that closes a quoted name.
fn quoted_end(step: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in step.bytes().enumerate().skip(2) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\'' => return (step.as_bytes().get(at + 1) == Some(&b']')).then_some(at + 2),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
