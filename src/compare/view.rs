//! A document seen through the rules: what is dropped, what has no order, what may differ a little; and hashes of every subtree.
//!
//! Invariant: values that are equal under the rules have equal hashes (numbers with a tolerance hash alike, objects and unordered arrays without their
//! order). The converse is left to chance, and nobody relies on it: what hashes alike is compared before it counts as equal.

use crate::compare::hash::{
    ANY_ORDER, IN_ORDER, KNOWN, LOOSE, NAMED, SHAPE, STRING, fold, hash_number, hash_scalar,
    hash_seen, hash_text, strict,
};
use crate::compare::names::{Named, Names};
use crate::compare::rules::{Effect, Program};
use crate::compare::shape::{Seen, Shape};
use crate::json::path::{Progress, Step};
use crate::json::{Document, Node, Value};
use std::cell::{Cell, OnceCell};

/// What the rules say about one value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) ignored: bool,
    pub(crate) unordered: bool,
    pub(crate) map: bool,
    pub(crate) shape: bool,
    /// One more than the index of an identity.
    match_by: u16,
    /// One more than the index of a tolerance.
    tolerance: u16,
    /// One more than the index of a name.
    ids: u16,
}

impl Mark {
    pub(crate) fn match_by(self) -> Option<usize> {
        usize::from(self.match_by).checked_sub(1)
    }

    pub(crate) fn tolerance(self) -> Option<usize> {
        usize::from(self.tolerance).checked_sub(1)
    }

    pub(crate) fn ids(self) -> Option<u16> {
        self.ids.checked_sub(1)
    }

    pub(crate) fn apply(&mut self, effect: Effect) {
        let number = |index: usize| u16::try_from(index + 1).unwrap_or(u16::MAX);
        match effect {
            Effect::Ignore => self.ignored = true,
            Effect::Unordered => self.unordered = true,
            Effect::Map => self.map = true,
            Effect::Shape => self.shape = true,
            Effect::MatchBy(index) if self.match_by == 0 => self.match_by = number(index),
            Effect::Tolerance(index) if self.tolerance == 0 => self.tolerance = number(index),
            Effect::Ids(index) if self.ids == 0 => self.ids = number(index),
            Effect::MatchBy(_) | Effect::Tolerance(_) | Effect::Ids(_) => {}
        }
    }
}

/// A document seen through the rules.
#[derive(Debug)]
pub(crate) struct View<'d> {
    pub(crate) document: &'d Document<'d>,
    program: &'d Program<'d>,
    /// One for each value, or none at all where no rule has a path.
    marks: Vec<Mark>,
    /// One for each value that was asked for, 0 elsewhere.
    hashes: OnceCell<Vec<Cell<u64>>>,
    /// What is known of its values that may have other names on the other side.
    pub(crate) names: Names,
}

/// A value in its view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'v> {
    pub(crate) view: &'v View<'v>,
    pub(crate) node: Node,
}

/// Bytes that a view and the work on it may take for each value: marks, hashes, and lists of elements while they are aligned.
pub(crate) const BYTES_PER_VALUE: usize = size_of::<Mark>() + size_of::<u64>() + 24;

impl<'d> View<'d> {
    pub(crate) fn new(document: &'d Document<'d>, program: &'d Program<'d>) -> Self {
        let marks = if program.paths.is_empty() {
            Vec::new()
        } else {
            Marking::all(document, program)
        };
        Self {
            document,
            program,
            marks,
            hashes: OnceCell::new(),
            names: Names::default(),
        }
    }

    /// Says what is known of the values; what was made of anything else before is forgotten.
    pub(crate) fn know(&mut self, names: Names) {
        self.names = names;
        self.hashes.take();
    }

    pub(crate) fn root(&self) -> At<'_> {
        self.at(Node::ROOT)
    }

    pub(crate) fn at(&self, node: Node) -> At<'_> {
        At { view: self, node }
    }

    pub(crate) fn mark(&self, node: Node) -> Mark {
        self.marks.get(node.index()).copied().unwrap_or_default()
    }

    /// The children that count: neither ignored, nor members that are null where null is as absent.
    pub(crate) fn visible(&self, node: Node) -> impl Iterator<Item = Node> {
        let nulls_count =
            !self.program.null_is_absent || self.document.value(node) != Value::Object;
        self.document.children(node).filter(move |&child| {
            !self.mark(child).ignored && (nulls_count || self.document.value(child) != Value::Null)
        })
    }

    /// Whether some rule may have hidden something of this document.
    pub(crate) fn hides(&self) -> bool {
        let hidden = |mark: &Mark| {
            mark.ignored
                || mark.unordered
                || mark.shape
                || mark.match_by != 0
                || mark.tolerance != 0
                || mark.ids != 0
        };
        let null = |node| self.document.value(node) == Value::Null;
        self.marks.iter().any(hidden)
            || (self.program.null_is_absent && self.document.subtree(Node::ROOT).any(null))
    }

    /// A value's hash. The lowest bit says that some number in it has a tolerance.
    pub(crate) fn hash(&self, node: Node) -> u64 {
        let hashes = self
            .hashes
            .get_or_init(|| vec![Cell::default(); self.document.len()]);
        let known = &hashes[node.index()];
        if known.get() == 0 {
            known.set(self.own_hash(node) | KNOWN);
        }
        known.get()
    }

    /// As deep as the document, which is bounded.
    fn own_hash(&self, node: Node) -> u64 {
        let mark = self.mark(node);
        let document = self.document;
        if let Some(named) = self.names.get(node) {
            return strict(fold(NAMED ^ named.hash(&self.names), IN_ORDER));
        }
        if mark.shape {
            return strict(fold(SHAPE ^ Shape::of(document.value(node)).id(), IN_ORDER));
        }
        let value = document.value(node);
        if let Value::Number(_) = value
            && mark.tolerance().is_some()
        {
            return LOOSE | fold(8, IN_ORDER);
        }
        if let Some(hash) = hash_scalar(value) {
            return strict(hash);
        }
        if value == Value::Array {
            let any_order = mark.unordered || mark.match_by().is_some();
            let (mut hash, mut loose) = (7_u64, 0);
            for child in self.visible(node).map(|child| self.hash(child)) {
                hash = if any_order {
                    hash.wrapping_add(fold(child, ANY_ORDER))
                } else {
                    fold(hash ^ child, IN_ORDER)
                };
                loose |= child & LOOSE;
            }
            return strict(fold(hash, IN_ORDER)) | loose;
        }
        let (mut hash, mut loose) = (8_u64, 0);
        let mut add = |member: u64| hash = hash.wrapping_add(member);
        let members = self.visible(node).map(|child| {
            let hash = self.hash(child);
            loose |= hash & LOOSE;
            hash_text(hash, document.key_bytes(child))
        });
        if self.document.repeats(node) {
            // A key that says the same twice is as one that says it once.
            let mut members: Vec<_> = members.collect();
            members.sort_unstable();
            members.dedup();
            members.into_iter().for_each(&mut add);
        } else {
            members.for_each(&mut add);
        }
        strict(fold(hash, ANY_ORDER)) | loose
    }
}

impl<'v> At<'v> {
    pub(crate) fn value(self) -> Value<'v> {
        self.view.document.value(self.node)
    }

    /// What is there, if anything is.
    pub(crate) fn seen(at: Option<Self>) -> Seen {
        let Some(at) = at else {
            return Seen::ABSENT;
        };
        let value = at.value();
        let shape = Shape::of(value);
        if !at.mark().shape
            && at.named().is_none()
            && let Some(value) = hash_seen(value)
        {
            return Seen { shape, value };
        }
        Seen {
            shape,
            value: match value {
                // Not by the view: numbers that are near enough hash alike there, and so do names for one thing.
                Value::Number(text) if !at.mark().shape => hash_number(text),
                Value::String(text) if at.named().is_some() => hash_text(STRING, text.as_bytes()),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array
                | Value::Object => at.hash(),
            },
        }
    }

    pub(crate) fn key(self) -> &'v str {
        self.view.document.key(self.node)
    }

    pub(crate) fn mark(self) -> Mark {
        self.view.mark(self.node)
    }

    pub(crate) fn hash(self) -> u64 {
        self.view.hash(self.node)
    }

    /// What is known of the value, if it may have another name on the other side.
    pub(crate) fn named(self) -> Option<&'v Named> {
        self.view.names.get(self.node)
    }

    /// Whether there are such values in it.
    pub(crate) fn has_named(self) -> bool {
        let end = self.node.index() + self.size();
        self.view.names.any(self.node.index()..end)
    }

    /// Whether two arrays or objects are equal because they are written alike. Where the rules ask for places, or for names, that does not follow.
    pub(crate) fn is_written_as(self, other: Self) -> bool {
        let written = |at: Self| at.view.document.written(at.node);
        !self.view.program.has_indexes
            && self.view.program.ids.is_none()
            && written(self).is_some_and(|text| written(other) == Some(text))
    }

    /// Whether some number in the value has a tolerance, so that equal hashes say little.
    pub(crate) fn is_loose(self) -> bool {
        self.hash() & LOOSE != 0
    }

    pub(crate) fn visible(self) -> impl Iterator<Item = Self> {
        self.view.visible(self.node).map(move |node| Self {
            view: self.view,
            node,
        })
    }

    /// How many values there are in it.
    pub(crate) fn size(self) -> usize {
        self.view.document.subtree(self.node).len()
    }

    /// What the numbers with a tolerance come to.
    pub(crate) fn weight(self) -> Weight {
        let mut weight = Weight::default();
        for node in self.view.document.subtree(self.node) {
            if let (Some(tolerance), Value::Number(text)) = (
                self.view.mark(node).tolerance(),
                self.view.document.value(node),
            ) {
                let float = |text: &str| text.parse().unwrap_or(0.0_f64);
                weight.sum += float(text);
                weight.reach += float(&self.view.program.tolerances[tolerance]);
                weight.fingerprint = hash_text(weight.fingerprint, text.as_bytes());
            }
        }
        weight
    }
}

/// The numbers with a tolerance in one value or several, of which a hash says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    /// Their sum, as far as floats can say.
    pub(crate) sum: f64,
    /// The sum of their tolerances: the sums of equal values differ by no more than that.
    pub(crate) reach: f64,
    /// A hash of their texts in order.
    pub(crate) fingerprint: u64,
}

impl Weight {
    /// That of these numbers and those behind them.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            sum: self.sum + next.sum,
            reach: self.reach + next.reach,
            fingerprint: fold(self.fingerprint, IN_ORDER) ^ next.fingerprint,
        }
    }
}

/// One walk over a document that finds what the rules say of each value.
struct Marking<'d> {
    document: &'d Document<'d>,
    program: &'d Program<'d>,
    marks: Vec<Mark>,
    /// Progress of every path, a row for each level of the place where the walk is.
    rows: Vec<Progress>,
}

impl<'d> Marking<'d> {
    fn all(document: &'d Document<'d>, program: &'d Program<'d>) -> Vec<Mark> {
        let rows = program.paths.iter().map(|(path, _)| path.start()).collect();
        let mut marking = Self {
            document,
            program,
            marks: vec![Mark::default(); document.len()],
            rows,
        };
        marking.walk(Node::ROOT);
        marking.marks
    }

    /// Marks a value whose row is the last, and what is below it. As deep as the document, which is bounded.
    fn walk(&mut self, node: Node) {
        let width = self.program.paths.len();
        let row = self.rows.len() - width;
        let mut continues = false;
        for (index, (path, effect)) in self.program.paths.iter().enumerate() {
            let progress = self.rows[row + index];
            if path.selects(progress) {
                self.marks[node.index()].apply(*effect);
            }
            continues |= path.continues(progress);
        }
        if !continues || self.marks[node.index()].ignored {
            return;
        }
        let len = self.document.count(node);
        let object = self.document.value(node) == Value::Object;
        for (at, child) in self.document.children(node).enumerate() {
            let step = if object {
                Step::Name(self.document.key(child))
            } else {
                Step::Index { at, len }
            };
            for (index, (path, _)) in self.program.paths.iter().enumerate() {
                let progress = path.advance(self.rows[row + index], step);
                self.rows.push(progress);
            }
            self.walk(child);
            self.rows.truncate(row + width);
        }
    }
}
