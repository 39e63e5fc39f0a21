//! Which marks of one field and kind are one: the shape of a change is not always to be seen from one pair.
//!
//! 1 becomes 0 by one less, and by becoming 0; what a field's other pairs say decides. So for each field, kind and pair of types the trait that holds for
//! most pairs takes all of them, then the one that holds for most of the rest, and so on. What is left has no shape (`replaced`), unless new has always
//! the same value (`constant`).

use crate::compare::Kind;
use crate::compare::cause::book::Book;
use crate::compare::cause::constant::{Candidates, MOST as CONSTANTS};
use crate::compare::cause::entry::Entry;
use crate::compare::cause::id::CauseId;
use crate::compare::change::{Form, Trait, Traits, Type};
use crate::compare::proposal::Differences;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What is one on one field.
#[derive(Debug)]
pub(super) struct Strand {
    /// Places of its marks.
    pub(super) marks: u128,
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The public name of the shape.
    pub(super) shape: String,
    pub(super) id: CauseId,
    /// Names by which it went while less was known of it.
    pub(super) aliases: Vec<CauseId>,
    pub(super) pairs: u64,
    /// What its values looked like.
    pub(super) differences: Differences,
}

/// A path, how it differs, and the types of its values.
type Field<'b> = (&'b str, Kind, (Type, Type));

/// Traits that a number may have by chance.
const BY_CHANCE: [Trait; 6] = [
    Trait::OffByOne,
    Trait::Rounding,
    Trait::Sign,
    Trait::Scale,
    Trait::ToZero,
    Trait::FromZero,
];

/// A constant is so much more frequent than the next value of its field.
const APART: u64 = 8;

pub(super) fn strands<E>(book: &Book<E>) -> Vec<Strand> {
    let mut fields: BTreeMap<Field<'_>, Vec<usize>> = BTreeMap::new();
    let mut strands = Vec::new();
    for (place, entry) in book
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.pairs > 0)
    {
        match entry.change.form {
            Form::Values { from, to, .. } => {
                let field = (&*entry.path, entry.kind, (from, to));
                fields.entry(field).or_default().push(place);
            }
            form => strands.push(strand(book, 1 << place, &plain(form))),
        }
    }
    for ((_, _, (from, to)), places) in fields {
        if from == to {
            strands.extend(values(book, places));
            continue;
        }
        let marks = places.iter().fold(0, |set, place| set | 1 << place);
        strands.push(strand(book, marks, &types(from, to)));
    }
    strands
}

/// The strands of a field whose values are of one type on both sides.
fn values<E>(book: &Book<E>, places: Vec<usize>) -> Vec<Strand> {
    let pairs = |place: &usize| book.entries[*place].pairs;
    let (mut shaped, plain): (Vec<_>, Vec<_>) = places
        .into_iter()
        .partition(|&place| !traits(&book.entries[place]).is_empty());
    let (constants, others): (Vec<_>, Vec<_>) = plain
        .into_iter()
        .partition(|&place| book.entries[place].constant);
    let chance: f64 = others.iter().map(|&place| book.entries[place].chance).sum();
    let mut by_chance = 0_u128;
    let mut strands = Vec::new();
    while !shaped.is_empty() {
        let weight = |one: Trait| -> u64 {
            let having = shaped
                .iter()
                .filter(|&&place| traits(&book.entries[place]).has(one));
            having.map(pairs).sum()
        };
        // The first of those that weigh the same.
        let Some(one) = Trait::ALL.into_iter().rev().max_by_key(|one| weight(*one)) else {
            break;
        };
        let weight = weight(one);
        let (taken, left): (Vec<_>, Vec<_>) = shaped
            .into_iter()
            .partition(|&place| traits(&book.entries[place]).has(one));
        let marks = taken.iter().fold(0, |set, place| set | 1 << place);
        // What whole numbers that have nothing to do with each other would show anyway.
        if BY_CHANCE.contains(&one) && weight as f64 <= 1.5 * chance + 2.0 * chance.sqrt() {
            by_chance |= marks;
        } else {
            strands.push(strand(book, marks, one.name()));
        }
        shaped = left;
    }
    let watched = others
        .iter()
        .filter_map(|&place| book.candidates.get(&book.entries[place].hash));
    let next = watched.map(Candidates::most).max().unwrap_or(0);
    let (constants, not_constant) = apart(book, constants, next);
    let rest = others
        .iter()
        .chain(&not_constant)
        .fold(by_chance, |set, place| set | 1 << place);
    if rest != 0 {
        strands.push(strand(book, rest, replaced(book, rest)));
    }
    for (number, &place) in constants.iter().enumerate() {
        let mut own = strand(book, 1 << place, "constant");
        if number > 0 {
            own.id = CauseId::of(
                &book.route,
                &own.path,
                own.kind,
                &format!("constant {number}"),
            );
        } else if rest == 0 {
            own.aliases
                .push(CauseId::of(&book.route, &own.path, own.kind, "replaced"));
        }
        strands.push(own);
    }
    strands
}

/// Constants that are no more than the most frequent ones of many values are none: between the last constant and the next value there is a gap.
fn apart<E>(book: &Book<E>, mut constants: Vec<usize>, next: u64) -> (Vec<usize>, Vec<usize>) {
    let pairs = |place: &usize| book.entries[*place].pairs;
    constants.sort_by_key(|place| (Reverse(pairs(place)), book.entries[*place].hash));
    let is_gap = |count: &usize| {
        let next = constants.get(*count).map_or(0, pairs).max(next);
        pairs(&constants[count - 1]) >= APART * next
    };
    let most = constants.len().min(CONSTANTS);
    let count = (1..=most).find(is_gap).unwrap_or(0);
    let rest = constants.split_off(count);
    (constants, rest)
}

/// The name that a mark of this form has by itself, and then the others that it may have among others of its field.
pub(super) fn names(route: &str, path: &str, kind: Kind, form: Form) -> Vec<CauseId> {
    let name = |shape: &str| CauseId::of(route, path, kind, shape);
    match form {
        Form::Values { from, to, traits } if from == to => {
            let shaped = Trait::ALL.into_iter().filter(|one| traits.has(*one));
            let shaped = shaped.map(|one| name(one.name()));
            shaped.chain([name(shapeless(form))]).collect()
        }
        form => vec![name(&plain(form))],
    }
}

/// The shape of a change that can be told from one pair.
fn plain(form: Form) -> String {
    match form {
        Form::Values { from, to, .. } => types(from, to),
        Form::Renamed => "renamed".to_owned(),
        Form::Reordered => "reordered".to_owned(),
        Form::Length => "length".to_owned(),
        Form::Duplicate => "duplicate".to_owned(),
        Form::Identity => "identity".to_owned(),
        Form::Status(old, new) => format!("{old}_to_{new}"),
    }
}

fn types(from: Type, to: Type) -> String {
    format!("{}_to_{}", from.name(), to.name())
}

/// The shape of values of which nothing can be said: true that became false has a name of its own.
fn replaced<E>(book: &Book<E>, marks: u128) -> &'static str {
    shapeless(book.entries[marks.trailing_zeros() as usize].change.form)
}

fn shapeless(form: Form) -> &'static str {
    match form {
        Form::Values {
            from: Type::Bool, ..
        } => "flipped",
        _ => "replaced",
    }
}

fn strand<E>(book: &Book<E>, marks: u128, shape: &str) -> Strand {
    let places = (0..book.entries.len()).filter(|place| marks & (1 << place) != 0);
    let seen = places.clone().map(|place| book.entries[place].differences);
    let differences = seen.fold(Differences::default(), Differences::join);
    let most = places
        .clone()
        .max_by_key(|&place| book.entries[place].pairs)
        .unwrap_or(0);
    let entry = &book.entries[most];
    let id = CauseId::of(&book.route, &entry.path, entry.kind, shape);
    let names = places.flat_map(|place| {
        let Entry {
            path, kind, change, ..
        } = &book.entries[place];
        names(&book.route, path, *kind, change.form)
    });
    Strand {
        marks,
        path: entry.path.clone(),
        kind: entry.kind,
        shape: shape.to_owned(),
        id,
        aliases: names.filter(|name| *name != id).collect(),
        pairs: book.tally.any(marks, (most, entry.pairs)),
        differences,
    }
}

fn traits<E>(entry: &Entry<E>) -> Traits {
    match entry.change.form {
        Form::Values { traits, .. } => traits,
        Form::Renamed
        | Form::Reordered
        | Form::Length
        | Form::Duplicate
        | Form::Identity
        | Form::Status(..) => Traits::default(),
    }
}
