//! One table being read: its keys are known, unknown or of a later version; a misspelt key is read as what it means.

use crate::config::problem::{Fault, shorten};
use crate::config::walk::{Item, Sink, written};
use crate::config::words::Words;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One table being read.
#[derive(Clone, Debug)]
pub(super) struct Section<'d> {
    path: String,
    /// Its header or braces; `None` if the file does not have it.
    span: Option<Range<usize>>,
    table: Option<&'d DeTable<'d>>,
    words: &'static Words,
    /// Known keys, and the first key of the table that is probably one of them misspelt. Found once for each key: a table may have thousands.
    misspelt: Vec<(&'static str, &'d str)>,
}

impl<'d> Section<'d> {
    /// The top level of a file.
    pub(super) fn top(table: &'d DeTable<'d>, words: &'static Words, sink: &mut Sink<'_>) -> Self {
        Self::open(String::new(), None, table, words, sink)
    }

    /// The table of an item; reports an item that is none.
    pub(super) fn of(item: &Item<'d>, words: &'static Words, sink: &mut Sink<'_>) -> Option<Self> {
        match item.value {
            DeValue::Table(table) => Some(Self::open(
                item.path.clone(),
                Some(item.span.clone()),
                table,
                words,
                sink,
            )),
            DeValue::Array(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                item.wrong_type(
                    sink,
                    "a table",
                    Some("write its keys below a header, or between braces: { key = value }"),
                );
                None
            }
        }
    }

    /// A table that the file does not have: every key is absent.
    pub(super) fn absent(path: &str, words: &'static Words) -> Self {
        Self {
            path: path.to_owned(),
            span: None,
            table: None,
            words,
            misspelt: Vec::new(),
        }
    }

    fn open(
        path: String,
        span: Option<Range<usize>>,
        table: &'d DeTable<'d>,
        words: &'static Words,
        sink: &mut Sink<'_>,
    ) -> Self {
        let mut section = Self {
            path,
            span,
            table: Some(table),
            words,
            misspelt: Vec::new(),
        };
        let mut unknown: Vec<_> = table
            .keys()
            .filter(|key| !words.known.contains(&key.get_ref().as_ref()))
            .collect();
        unknown.sort_by_key(|key| key.span().start);
        for key in unknown {
            if !sink.takes_more() {
                sink.leave_out();
                continue;
            }
            let name = key.get_ref().as_ref();
            let fault = if words.later.contains(&name) {
                Fault::error(
                    "not-implemented",
                    format!(
                        "`{name}` in {} is not implemented in this version",
                        words.place
                    ),
                )
                .hint("remove it: nothing is accepted and ignored")
            } else {
                let near = words.nearest(name);
                if let Some(near) = near
                    && !section.misspelt.iter().any(|(known, _)| *known == near)
                {
                    section.misspelt.push((near, name));
                }
                Fault::error(
                    "unknown-key",
                    format!("{} has no key `{}`", words.place, shorten(name)),
                )
                .hint(words.hint(name, near))
            };
            sink.report(&key.span(), &section.child(name), fault);
        }
        section
    }

    fn child(&self, name: &str) -> String {
        let name = written(name);
        if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Whether the file has a key, implemented or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// The value of a key, or of an unknown key that is probably this one misspelt: that it is misspelt was
    /// reported, and what follows from its absence would only hide that.
    pub(super) fn item(&self, name: &str) -> Option<Item<'d>> {
        let table = self.table?;
        let (key, value) = table.get_key_value(name).or_else(|| {
            let (_, written) = self.misspelt.iter().find(|(known, _)| *known == name)?;
            table.get_key_value(*written)
        })?;
        let path = self.child(key.get_ref());
        Some(Item {
            path,
            span: value.span(),
            key: key.span(),
            value: value.get_ref(),
        })
    }

    /// Reads a key that may be absent.
    pub(super) fn read<T>(
        &self,
        sink: &mut Sink<'_>,
        name: &str,
        read: impl FnOnce(&Item<'d>, &mut Sink<'_>) -> Option<T>,
    ) -> Found<T> {
        match self.item(name) {
            None => Found::Absent,
            Some(item) => read(&item, sink).map_or(Found::Broken, Found::Good),
        }
    }

    /// Reads a key that must be there.
    pub(super) fn require<T>(
        &self,
        sink: &mut Sink<'_>,
        name: &str,
        read: impl FnOnce(&Item<'d>, &mut Sink<'_>) -> Option<T>,
    ) -> Found<T> {
        let found = self.read(sink, name, read);
        if found.is_absent() {
            self.missing(sink, name);
            return Found::Broken;
        }
        found
    }

    /// Reports a key that must be there.
    fn missing(&self, sink: &mut Sink<'_>, name: &str) {
        if !sink.absence_is_sure() {
            return;
        }
        let place = self.words.place;
        let hint = match self.span {
            Some(_) => format!("add `{name} = ..` to {place}"),
            None => format!("add {place} with `{name} = ..`"),
        };
        let span = self.span.clone().unwrap_or_else(|| sink.end());
        let fault = Fault::error("missing-key", format!("{place} has no `{name}`")).hint(hint);
        sink.report(&span, &self.child(name), fault);
    }
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found<T> {
    /// The key is not there.
    Absent,
    /// The key is there; what is wrong with its value was reported.
    Broken,
    /// The key is there and its value is good.
    Good(T),
}

impl<T> Found<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn as_ref(&self) -> Found<&T> {
        match self {
            Self::Absent => Found::Absent,
            Self::Broken => Found::Broken,
            Self::Good(value) => Found::Good(value),
        }
    }

    /// The value, if it is good.
    pub(super) fn good(self) -> Option<T> {
        match self {
            Self::Good(value) => Some(value),
            Self::Absent | Self::Broken => None,
        }
    }
}
