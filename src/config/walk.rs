//! A walk over the spanned TOML tree that goes on after each problem. An [`Item`] is one value with its path and place;
//! a reader turns an item into a value, or reports why it can't and answers `None`. Tables are read by `section`; what
//! keys there are, and what they mean, stands in the files of the tables.

use crate::config::problem::{Fault, Problem, Severity, shorten};
use crate::config::quoted;
use crate::config::syntax::Source;
use crate::config::words::list;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// The environment that a file's `${NAME}` reads.
pub(super) type Env<'s> = &'s dyn Fn(&str) -> Option<String>;

/// Where the walk puts what it finds.
pub(super) struct Sink<'s> {
    source: &'s Source<'s>,
    /// What `${NAME}` may name.
    pub(super) env: Env<'s>,
    problems: Vec<Problem>,
    left_out: usize,
}

/// So many problems of a file are told: nobody reads more, and each takes many times what its cause takes in the file.
const MOST: usize = 500;

impl<'s> Sink<'s> {
    pub(super) fn new(source: &'s Source<'s>, env: Env<'s>) -> Self {
        Self {
            source,
            env,
            problems: Vec::new(),
            left_out: 0,
        }
    }

    /// Reports a fault at a range of the walked TOML, unless nobody wrote what stands there.
    pub(super) fn report(&mut self, span: &Range<usize>, path: &str, fault: Fault) {
        let span = self.source.original(span);
        if self.source.hides(&span) {
            return;
        }
        if self.takes_more() {
            self.problems
                .push(fault.at(&self.source.lines, &span, path));
        } else if fault.severity == Severity::Error {
            self.leave_out();
        }
    }

    /// Whether one more problem would be told.
    pub(super) fn takes_more(&self) -> bool {
        self.problems.len() < MOST
    }

    /// Whether there is an error.
    pub(super) fn has_errors(&self) -> bool {
        let is_error = |problem: &Problem| problem.severity == Severity::Error;
        self.left_out > 0 || self.problems.iter().any(is_error)
    }

    /// Counts an error that is not told.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Whether a key that is not there is one that nobody wrote; where whole lines could not be read it may have been
    /// in one of them.
    pub(super) fn absence_is_sure(&self) -> bool {
        !self.source.lossy
    }

    /// The end of what the file says.
    pub(super) fn end(&self) -> Range<usize> {
        let end = self.source.toml.trim_end().len();
        end..end
    }

    /// The line on which a range of the walked TOML starts.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.source
            .lines
            .position(self.source.original(span).start)
            .0
    }

    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        if self.left_out > 0 {
            let message = format!("{} more errors are not shown", self.left_out);
            let fault = Fault::error("too-many", message).hint("repair these first");
            let end = self.source.original(&self.end());
            self.problems.push(fault.at(&self.source.lines, &end, ""));
        }
        self.problems
    }
}

/// One value of the file.
#[derive(Clone, Debug)]
pub(super) struct Item<'d> {
    /// TOML path.
    pub(super) path: String,
    /// Where the value stands.
    pub(super) span: Range<usize>,
    /// Where its key stands; for an element of an array, the value.
    pub(super) key: Range<usize>,
    pub(super) value: &'d DeValue<'d>,
}

impl<'d> Item<'d> {
    pub(super) fn report(&self, sink: &mut Sink<'_>, fault: Fault) {
        sink.report(&self.span, &self.path, fault);
    }

    /// Reports a value of a type that this key does not take.
    pub(super) fn wrong_type(&self, sink: &mut Sink<'_>, wants: &str, hint: Option<&str>) {
        let message = format!(
            "`{}` must be {wants}, not {}",
            self.name(),
            type_name(self.value)
        );
        let fault = Fault::error("wrong-type", message);
        self.report(sink, hint.into_iter().fold(fault, Fault::hint));
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        match self.path.rfind('.') {
            Some(dot) if !self.path.ends_with('"') => &self.path[dot + 1..],
            _ => &self.path,
        }
    }

    /// The place of the byte `at` of a text's value; one character wide.
    pub(super) fn inside(&self, sink: &Sink<'_>, at: usize) -> Range<usize> {
        within(&sink.source.toml, &self.span, at)
    }

    /// The same, of the key.
    pub(super) fn inside_key(&self, sink: &Sink<'_>, at: usize) -> Range<usize> {
        within(&sink.source.toml, &self.key, at)
    }

    pub(super) fn text(&self, sink: &mut Sink<'_>) -> Option<&'d str> {
        if let DeValue::String(text) = self.value {
            return Some(text);
        }
        self.wrong_type(sink, "a text", Some("put it between double quotes"));
        None
    }

    pub(super) fn bool(&self, sink: &mut Sink<'_>) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value {
            return Some(*value);
        }
        self.wrong_type(
            sink,
            "true or false",
            Some("write true or false without quotes"),
        );
        None
    }

    /// The elements of an array.
    pub(super) fn array(&self, sink: &mut Sink<'_>, of: &str) -> Option<Vec<Self>> {
        if let DeValue::Array(array) = self.value {
            return Some(self.elements(array));
        }
        self.wrong_type(
            sink,
            &format!("a list of {of}"),
            Some("put it between brackets: [..]"),
        );
        None
    }

    /// Elements of an array as items.
    pub(super) fn elements(&self, array: &'d DeArray<'d>) -> Vec<Self> {
        let element = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| Self {
            path: format!("{}[{index}]", self.path),
            span: value.span(),
            key: value.span(),
            value: value.get_ref(),
        };
        array.iter().enumerate().map(element).collect()
    }

    /// Every element of a list of texts through a reader; `None` if any is bad.
    pub(super) fn texts<T>(
        &self,
        sink: &mut Sink<'_>,
        of: &str,
        read: impl Fn(&Self, &mut Sink<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<_> = self
            .array(sink, of)?
            .iter()
            .map(|item| read(item, sink))
            .collect();
        read.into_iter().collect()
    }

    /// The entries of a table whose keys are data, in the order of the file.
    pub(super) fn entries(&self, sink: &mut Sink<'_>, of: &str) -> Option<Vec<(&'d str, Self)>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_type(
                sink,
                &format!("a table of {of}"),
                Some("put it between braces: {..}"),
            );
            return None;
        };
        let entry = |(key, value): (&'d Spanned<_>, &'d Spanned<DeValue<'d>>)| {
            let name: &'d std::borrow::Cow<'d, str> = key.get_ref();
            let path = format!("{}.{}", self.path, written(name));
            (
                name.as_ref(),
                Self {
                    path,
                    span: value.span(),
                    key: key.span(),
                    value: value.get_ref(),
                },
            )
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|(_, item)| item.key.start);
        Some(entries)
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(
        &self,
        sink: &mut Sink<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(sink)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let fault = Fault::error(
            "bad-value",
            format!("`{}` can't be \"{}\"", self.name(), shorten(text)),
        );
        let hint = match crate::config::words::nearest(text, &names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it is one of {}", list(&names).replace('`', "\"")),
        };
        self.report(sink, fault.hint(hint));
        None
    }
}

fn within(toml: &str, span: &Range<usize>, at: usize) -> Range<usize> {
    let start = span.start + quoted::offset(&toml[span.clone()], at);
    let width = toml[start..span.end]
        .chars()
        .next()
        .map_or(0, char::len_utf8);
    start..start + width
}

/// A key as TOML writes it in a path.
pub(super) fn written(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
