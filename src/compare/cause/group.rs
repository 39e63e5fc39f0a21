//! Which fields go together: those that differ in the same pairs.
//!
//! Two strands are linked if they are found together far more often than two that have nothing to do with each other would be. That takes the pairs in
//! which neither is found: two defects of which each is in nine pairs of ten are together in eight, and are two. Where there is no such pair, or only a
//! few, only strands of one shape that are always together are linked. Strands of one shape need less evidence than those of two, and those of one field
//! and kind are never linked to each other: there two shapes are two defects.

use crate::compare::cause::book::Book;
use crate::compare::cause::entry::{EXAMPLES, remember};
use crate::compare::cause::id::{CauseId, Mark, OF_ONE};
use crate::compare::cause::rule;
use crate::compare::cause::settle::{self, Strand};
use crate::compare::cause::sketch::Keys;
use crate::compare::proposal::Silence;
use crate::compare::{Divergence, Kind};
use std::collections::{BTreeMap, HashSet};

/// What many mismatches have in common.
#[derive(Clone, Debug)]
pub struct Cause<E> {
    /// Its name.
    pub id: CauseId,
    /// Names of its parts, by which it is known too.
    pub aliases: Vec<CauseId>,
    /// The generalised paths, sorted.
    pub paths: Vec<String>,
    /// How they differ.
    pub kinds: Vec<Kind>,
    /// Public names of the shapes of the changes, that of most pairs first, joined by commas.
    pub shape: String,
    /// Pairs that have it.
    pub pairs: u64,
    /// Different keys among them, about (6.5 %); `None` if no request had one.
    pub keys: Option<u64>,
    /// When it was first seen, in milliseconds since 1970.
    pub first_seen: i64,
    /// When it was last seen.
    pub last_seen: i64,
    /// Generations of the settings it was seen with: the first, and the latest of the others.
    pub generations: Vec<u64>,
    /// The latest that were seen, oldest first.
    pub examples: Vec<E>,
    /// What would silence it, if something can.
    pub silence: Option<Silence>,
    marks: Vec<u64>,
}

impl<E> Cause<E> {
    /// Whether it goes by this name.
    #[must_use]
    pub fn is(&self, id: CauseId) -> bool {
        self.id == id || self.aliases.contains(&id)
    }

    /// All names that it goes by.
    pub fn names(&self) -> impl Iterator<Item = CauseId> {
        self.aliases.iter().copied().chain([self.id])
    }

    /// Whether it explains a mark of a mismatch.
    #[must_use]
    pub fn explains(&self, mark: Mark, others: &[Self]) -> bool {
        // A constant that is known explains before the field's other values do.
        let known = |cause: &Self, hash| cause.marks.contains(&hash);
        known(self, mark.constant)
            || known(self, mark.whole) && !others.iter().any(|cause| known(cause, mark.constant))
    }
}

impl<E: Clone + PartialEq> Book<E> {
    /// The name of the cause of a mismatch that was added, of the rarest of several. Causes are found anew now and then, so that this is cheap: in
    /// between it may be a name that another cause goes by, too. `None` if there was no room for it.
    pub fn name(
        &mut self,
        divergences: &[Divergence],
        trials: impl FnOnce() -> u64,
    ) -> Option<CauseId> {
        let marks = divergences.iter().take(OF_ONE).map(Mark::of);
        let mut marks: Vec<_> = marks.filter_map(|mark| self.place(mark)).collect();
        marks.sort_by_key(|place| &self.entries[*place].path);
        let is_new = |place: &usize| self.names.of(self.entries[*place].hash).is_none();
        if self.names.is_due(self.mismatches, marks.iter().any(is_new)) {
            let causes = self.causes(trials());
            let named = causes.iter().enumerate().flat_map(|(rank, cause)| {
                let marks = cause.marks.iter();
                marks.map(move |mark| (*mark, (rank, cause.id)))
            });
            self.names
                .tell(named, (self.mismatches, self.entries.len()));
        }
        let known = marks
            .iter()
            .filter_map(|place| self.names.of(self.entries[*place].hash));
        if let Some((_, name)) = known.max_by_key(|(rank, _)| *rank) {
            return Some(name);
        }
        let entry = &self.entries[*marks.first()?];
        let form = entry.change.form;
        let names = settle::names(&self.route, &entry.path, entry.kind, form);
        names.first().copied()
    }

    /// The causes, those of most pairs first. `trials` is how many pairs of the route were judged in all.
    #[must_use]
    pub fn causes(&self, trials: u64) -> Vec<Cause<E>> {
        causes(self, settle::strands(self), trials.max(self.mismatches()))
    }
}

fn causes<E: Clone + PartialEq>(
    book: &Book<E>,
    strands: Vec<Strand>,
    trials: u64,
) -> Vec<Cause<E>> {
    let mut group: Vec<usize> = (0..strands.len()).collect();
    for one in 0..strands.len() {
        for two in 0..one {
            if group[one] != group[two] && are_linked(book, &strands[one], &strands[two], trials) {
                let (from, to) = (group[one].max(group[two]), group[one].min(group[two]));
                group
                    .iter_mut()
                    .filter(|group| **group == from)
                    .for_each(|group| *group = to);
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<Strand>> = BTreeMap::new();
    for (strand, group) in strands.into_iter().zip(group) {
        groups.entry(group).or_default().push(strand);
    }
    let mut causes: Vec<_> = groups
        .into_values()
        .map(|strands| cause(book, strands))
        .collect();
    causes.sort_by(|one, two| two.pairs.cmp(&one.pairs).then(one.id.cmp(&two.id)));
    // A name that a part could have is not its own where another cause goes by it.
    let mut taken: HashSet<_> = causes.iter().map(|cause| cause.id).collect();
    for cause in &mut causes {
        cause.aliases.retain(|alias| taken.insert(*alias));
    }
    causes
}

fn are_linked<E>(book: &Book<E>, one: &Strand, two: &Strand, trials: u64) -> bool {
    /// Pairs without either, of which it takes so many to say anything of chance.
    const WITHOUT: f64 = 8.0;
    if one.path == two.path && one.kind == two.kind {
        return false;
    }
    let both = together(book, one, two) as f64;
    let (a, b, all) = (one.pairs as f64, two.pairs as f64, trials as f64);
    let (less, more) = (a.min(b), a.max(b));
    let both = both.min(less);
    let any = a + b - both;
    let same = one.shape == two.shape;
    if all - any < WITHOUT {
        return same && both >= 0.9 * any;
    }
    let expected = a * b / all;
    let (rare, common) = (1.0 - less / all, 1.0 - more / all);
    // In standard deviations from what chance would make of it.
    let surprise = (both - expected) / (expected * rare * common).sqrt();
    // 1 where they are always together, 0 where they have nothing to do with each other.
    let correlation = (both - expected) / (expected * all * rare * common).sqrt();
    // The same, whether the more frequent one is found alone or not.
    let within = (both / less - more / all) / common;
    surprise >= 5.0
        && if same {
            correlation >= 0.4 || within >= 0.8
        } else {
            both >= 3.0 && correlation >= 0.7
        }
}

/// Pairs that have both.
fn together<E>(book: &Book<E>, one: &Strand, two: &Strand) -> u64 {
    let places =
        |marks: u128| (0..book.entries.len()).filter(move |place| marks & (1 << place) != 0);
    places(one.marks)
        .flat_map(|i| places(two.marks).map(move |j| book.tally.both(i, j)))
        .sum()
}

fn cause<E: Clone + PartialEq>(book: &Book<E>, mut strands: Vec<Strand>) -> Cause<E> {
    let most = strands.iter().map(|strand| strand.pairs).max().unwrap_or(0);
    // The first in the alphabet of those that are nearly always there gives the name: it stays when a rare field joins.
    strands.sort_by(|a, b| (&a.path, a.kind, &a.shape).cmp(&(&b.path, b.kind, &b.shape)));
    let named = strands
        .iter()
        .position(|strand| strand.pairs * 2 >= most)
        .unwrap_or(0);
    let id = strands[named].id;
    let silence = rule::silence(&strands);
    let aliases = strands
        .iter()
        .flat_map(|strand| strand.aliases.iter().copied().chain([strand.id]))
        .filter(|alias| *alias != id)
        .collect();
    let mut paths: Vec<_> = strands.iter().map(|strand| strand.path.clone()).collect();
    paths.dedup();
    let mut kinds: Vec<_> = strands.iter().map(|strand| strand.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut shapes: Vec<(&str, u64)> = Vec::new();
    for strand in &strands {
        match shapes.iter_mut().find(|(shape, _)| *shape == strand.shape) {
            Some((_, pairs)) => *pairs = strand.pairs.max(*pairs),
            None => shapes.push((&strand.shape, strand.pairs)),
        }
    }
    shapes.sort_by(|one, two| two.1.cmp(&one.1).then(one.0.cmp(two.0)));
    let shapes: Vec<_> = shapes.into_iter().map(|(shape, _)| shape).collect();
    let marks = strands.iter().fold(0, |set, strand| set | strand.marks);
    let places: Vec<_> = (0..book.entries.len())
        .filter(|place| marks & (1 << place) != 0)
        .collect();
    let first = |place: &&usize| book.entries[**place].pairs;
    let top = places.iter().max_by_key(first).copied().unwrap_or(0);
    let any = book.tally.any(marks, (top, book.entries[top].pairs));
    let mut cause = Cause {
        id,
        aliases,
        paths,
        kinds,
        shape: shapes.join(", "),
        pairs: any.max(most).min(book.mismatches),
        keys: None,
        first_seen: i64::MAX,
        last_seen: i64::MIN,
        generations: Vec::new(),
        examples: Vec::new(),
        silence,
        marks: places
            .iter()
            .map(|&place| book.entries[place].hash)
            .collect(),
    };
    let mut keys: Option<Keys> = None;
    let mut examples: Vec<(i64, E)> = Vec::new();
    for &place in &places {
        let entry = &book.entries[place];
        cause.first_seen = cause.first_seen.min(entry.first);
        cause.last_seen = cause.last_seen.max(entry.last);
        entry
            .generations
            .iter()
            .for_each(|generation| remember(&mut cause.generations, *generation));
        if let Some(own) = &entry.keys {
            keys.get_or_insert_default().join(own);
        }
        examples.extend(entry.examples.iter().cloned());
    }
    cause.keys = keys.map(|keys| keys.count());
    examples.sort_by_key(|(at, _)| *at);
    for (_, example) in examples.into_iter().rev() {
        if cause.examples.len() < EXAMPLES && !cause.examples.contains(&example) {
            cause.examples.insert(0, example);
        }
    }
    cause
}
