//! `[ids]`: names under which it is known which values of old and new are one thing, and what a route's `compare.map` asks for of them.

use crate::compare::ids::MAX_PAIRS;
use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::walk::{Item, Sink, written};
use crate::config::words::{IDS, list};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// `[ids.NAME]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTable {
    /// How many pairings are kept.
    pub max_pairs: usize,
}

impl Default for IdTable {
    fn default() -> Self {
        Self {
            max_pairs: 1_000_000,
        }
    }
}

/// What `[ids]` says, and where.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// `None` if something is wrong with the whole: then no name is unknown.
    names: Option<BTreeMap<String, (IdTable, Range<usize>)>>,
}

/// Reads `[ids]`.
pub(super) fn ids(top: &Section<'_>, sink: &mut Sink<'_>) -> Ids {
    match top.read(sink, "ids", tables) {
        Found::Absent => Ids {
            names: sink.absence_is_sure().then(BTreeMap::new),
        },
        Found::Broken => Ids::default(),
        Found::Good(names) => Ids { names: Some(names) },
    }
}

fn tables(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
) -> Option<BTreeMap<String, (IdTable, Range<usize>)>> {
    let mut tables = BTreeMap::new();
    let mut complete = true;
    for (name, item) in item.entries(sink, "tables, as in [ids.tag-id]")? {
        let is_good = scalar::name(name, sink, |sink, at| item.inside_key(sink, at), &item.path);
        let table = Section::of(&item, &IDS, sink).map(|section| {
            let bounds = *MAX_PAIRS.start() as u64..=*MAX_PAIRS.end() as u64;
            let most = section.read(sink, "max_pairs", |item, sink| {
                scalar::count(item, sink, bounds)
            });
            most.good()
                .map_or_else(IdTable::default, |max_pairs| IdTable { max_pairs })
        });
        complete &= is_good;
        // A name that is good is known, whatever else is wrong.
        if is_good {
            tables.insert(name.to_owned(), (table.unwrap_or_default(), item.key));
        }
    }
    complete.then_some(tables)
}

impl Ids {
    /// Reads the name that a path of `compare.map` has.
    pub(super) fn known(&self, item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
        let text = item.text(sink)?;
        let unknown = self
            .names
            .as_ref()
            .filter(|names| !names.contains_key(text));
        if let Some(names) = unknown {
            let names: Vec<&str> = names.keys().map(String::as_str).collect();
            let hint = if names.is_empty() {
                "add the table to the file's top level, as in [ids.tag-id]".to_owned()
            } else {
                format!("[ids] has {}", list(&names))
            };
            let fault = Fault::error(
                "unknown-ids",
                format!("there is no [ids.{}]", shorten(text)),
            );
            item.report(sink, fault.hint(hint));
            return None;
        }
        Some(text.to_owned())
    }

    /// Warns of names that no route asks for, in a file that is good: what is wrong in it may be where one does.
    pub(super) fn check_use(&self, used: &BTreeSet<&str>, sink: &mut Sink<'_>) {
        if sink.has_errors() {
            return;
        }
        for (name, (_, span)) in self.names.iter().flatten() {
            if !used.contains(name.as_str()) {
                let message = format!("no route asks for `{name}`");
                let fault = Fault::warning("unused-ids", message)
                    .hint("name it in a route's `compare.map`, as in map = { \"$.id\" = \"tag-id\" }, or remove it");
                sink.report(span, &format!("ids.{}", written(name)), fault);
            }
        }
    }

    /// The tables by name.
    pub(super) fn into_tables(self) -> BTreeMap<String, IdTable> {
        let names = self.names.into_iter().flatten();
        names.map(|(name, (table, _))| (name, table)).collect()
    }
}
