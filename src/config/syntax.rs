//! A text that may be broken TOML -> TOML that can be walked, and one problem for each mistake.
//!
//! One mistake of syntax must not hide the others, nor flood the reader with what follows from it. So: take the
//! parser's first error, put something harmless in the place of the broken value, header or line, parse again. What was
//! repaired is remembered, so that nobody complains about a value that nobody wrote.

use crate::config::nesting::too_deep;
use crate::config::problem::{Fault, Lines, Problem, shorten};
use crate::config::repair::{Repair, Repairs};
use crate::config::statement::{Kind, Open, Statement, statements};
use std::ops::Range;
use toml::de::DeTable;

/// A file with more mistakes of syntax than this is probably no TOML; only the first ones are told.
const MOST: usize = 50;

/// Each of them has the whole text parsed once more, so that of a large one fewer are told: these bytes in all, but some in any case.
const BUDGET: usize = 1024 * 1024;
const LEAST: usize = 5;

/// Of a text that is so many times as long as this, the beginning is looked at first; then that many times as much, and so on.
const SHORTEST: usize = 4096;
const FEWER: usize = 8;

/// Bytes of a statement of which all errors are looked at.
const LONG: usize = 4096;

/// TOML made of a text, and the way back to the text.
#[derive(Debug)]
pub(super) struct Source<'t> {
    /// The text as it was written.
    pub(super) lines: Lines<'t>,
    /// TOML that parses; the text itself unless it had to be repaired.
    pub(super) toml: String,
    /// The mistakes of syntax.
    pub(super) problems: Vec<Problem>,
    /// Whether `toml` is worth a walk.
    pub(super) readable: bool,
    /// Whole statements were lost, so a missing key may have been there.
    pub(super) lossy: bool,
    repairs: Repairs,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut source = Self {
            lines: Lines::new(text),
            toml: String::new(),
            problems: Vec::new(),
            readable: true,
            lossy: false,
            repairs: Repairs::default(),
        };
        if let Some(problems) = beginning(text).and_then(hopeless) {
            (source.problems, source.readable) = (problems, false);
            return source;
        }
        if let Some(place) = too_deep(text) {
            let fault = Fault::error("syntax", "this is nested more than 100 levels deep");
            source.report(
                fault.hint("arrays and keys of a routes.toml have a few levels"),
                &place,
            );
            source.readable = false;
            return source;
        }
        text.clone_into(&mut source.toml);
        if first_error(text).is_some() {
            source.repair(text);
        }
        source
    }

    /// The range of the text that a range of the TOML stands for.
    pub(super) fn original(&self, span: &Range<usize>) -> Range<usize> {
        self.repairs.original(span)
    }

    /// Whether a range of the text is something that nobody wrote.
    pub(super) fn hides(&self, span: &Range<usize>) -> bool {
        self.repairs.hide(span)
    }

    fn repair(&mut self, text: &str) {
        let most = (BUDGET / text.len().max(1)).clamp(LEAST, MOST);
        let statements = statements(text);
        let opening = statements.iter().filter(|s| s.open.is_some()).take(most);
        for statement in opening {
            if let Some(open) = statement.open {
                self.report(unclosed(open), &opened(text, open));
                self.replace_value(statement);
            }
        }
        while self.problems.len() < most {
            self.toml = self.repairs.apply(text);
            let Some(error) = first_error(&self.toml) else {
                return;
            };
            let place = self.original(&error.span.clone().unwrap_or(0..0));
            let index = statements
                .partition_point(|s| s.span.start <= place.start)
                .saturating_sub(1);
            let Some(statement) = statements
                .get(index)
                .filter(|s| !self.repairs.removed(&s.span))
            else {
                // No repair explains this one. It is told if it is the first; else it follows from what was told.
                if self.problems.is_empty() {
                    self.report(fault(&error, ""), &place);
                }
                break;
            };
            if self.repairs.touched(&statement.span) {
                self.remove(statement, header_body(text, &statements, index));
            } else {
                let (error, place) = earlier(text, statement).unwrap_or((error, place));
                let place = shown(text, &place);
                self.report(fault(&error, &text[place.clone()]), &place);
                self.replace(text, &statements, index, (&error, place.start));
            }
        }
        self.readable = false;
    }

    fn report(&mut self, fault: Fault, span: &Range<usize>) {
        self.problems.push(fault.at(&self.lines, span, ""));
    }

    /// Puts something harmless in the place of what is broken in a statement.
    fn replace(
        &mut self,
        text: &str,
        statements: &[Statement],
        index: usize,
        (error, at): (&SyntaxError, usize),
    ) {
        let statement = &statements[index];
        let written = &text[statement.span.clone()];
        let rest = &text[at.clamp(statement.span.start, statement.span.end)..statement.span.end];
        if error.message.starts_with("unexpected key") && begins_statement(rest) {
            // Two statements on one line.
            let span = at..at;
            self.repairs.push(Repair {
                hides: span.clone(),
                span,
                with: "\n".into(),
            });
            return;
        }
        match statement.kind {
            Kind::Pair {
                equals: Some(equals),
            } if at > equals => self.replace_value(statement),
            Kind::Pair { equals } if !error.is_duplicate() => {
                let key = word(written);
                if key.is_empty() {
                    self.remove(statement, None);
                } else {
                    self.lossy |= equals.is_some();
                    let span = statement.span.start + key.len()..statement.span.end;
                    self.repairs.push(Repair {
                        span,
                        with: "=0".into(),
                        hides: statement.span.clone(),
                    });
                }
            }
            Kind::Header if !error.is_duplicate() => match meant_header(written) {
                Some((with, rest)) => {
                    self.lossy |= !rest.is_empty();
                    let span = statement.span.clone();
                    self.repairs.push(Repair {
                        hides: span.clone(),
                        span,
                        with: with.into(),
                    });
                }
                None => self.remove(statement, header_body(text, statements, index)),
            },
            Kind::Header | Kind::Pair { .. } | Kind::Comment => {
                let lossy = self.lossy;
                self.remove(statement, header_body(text, statements, index));
                // What a duplicate says a first time is still there; a comment never said anything.
                if error.is_duplicate() || statement.kind == Kind::Comment {
                    self.lossy = lossy;
                }
            }
        }
    }

    fn replace_value(&mut self, statement: &Statement) {
        if let Kind::Pair {
            equals: Some(equals),
        } = statement.kind
        {
            let span = equals + 1..statement.span.end;
            self.repairs.push(Repair {
                hides: span.clone(),
                span,
                with: "0".into(),
            });
        }
    }

    /// Takes a statement out whole; a header with all that stands below it.
    fn remove(&mut self, statement: &Statement, body: Option<Range<usize>>) {
        self.lossy = true;
        for span in std::iter::once(statement.span.clone()).chain(body) {
            self.repairs.push(Repair {
                hides: span.clone(),
                span,
                with: "".into(),
            });
        }
    }
}

/// The first part of a long text, up to the end of a line. None of a text with texts of several lines, in which such an end may be within one.
fn beginning(text: &str) -> Option<&str> {
    let is_long = text.len() / FEWER >= SHORTEST;
    if !is_long || text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let end = text.as_bytes()[..text.len() / FEWER]
        .iter()
        .rposition(|byte| *byte == b'\n')?;
    Some(&text[..end])
}

/// The mistakes of a text's beginning, if there are so many that the rest need not be looked at: to parse it takes a hundred times its size where each line is
/// short and wrong.
fn hopeless(beginning: &str) -> Option<Vec<Problem>> {
    let source = Source::new(beginning);
    (!source.readable && source.problems.len() > 1).then_some(source.problems)
}

/// The bare key, dotted perhaps, with which a text starts.
fn word(text: &str) -> &str {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    &text[..text.len() - text.trim_start_matches(bare).len()]
}

/// Whether a text starts with a header or `key =`.
fn begins_statement(text: &str) -> bool {
    let key = word(text);
    text.starts_with('[') || (!key.is_empty() && text[key.len()..].trim_start().starts_with('='))
}

/// The header that a broken one was probably meant to be, and what stands behind it and is lost.
fn meant_header(written: &str) -> Option<(String, &str)> {
    let inner = written.trim_start_matches('[').trim_start();
    let name = word(inner);
    let tail = inner[name.len()..].trim_start();
    let rest = tail.trim_start_matches(']').trim_start();
    let (opens, closes) = (
        written.len() - written.trim_start_matches('[').len(),
        tail.len() - tail.trim_start_matches(']').len(),
    );
    let rest = if rest.starts_with('#') { "" } else { rest };
    // `[a b]`: who knows.
    if name.is_empty() || (closes == 0 && !rest.is_empty()) {
        return None;
    }
    let depth = opens.max(closes).clamp(1, 2);
    Some((
        format!("{}{name}{}", "[".repeat(depth), "]".repeat(depth)),
        rest,
    ))
}

/// What stands below a header, up to the next one that is none of a table inside: `[route.compare]` below `[[route]]`.
fn header_body(text: &str, statements: &[Statement], index: usize) -> Option<Range<usize>> {
    if statements[index].kind != Kind::Header {
        return None;
    }
    let inside = |s: &&Statement| {
        let written = &text[s.span.clone()];
        s.kind != Kind::Header || (!written.starts_with("[[") && written.contains('.'))
    };
    let below = &statements[index + 1..];
    let count = below.iter().take_while(inside).count();
    let (first, last) = (below.first()?, below[..count].last()?);
    Some(first.span.start..last.span.end)
}

/// The first error that the parser tells: what is no TOML at all before what says a thing twice.
struct SyntaxError {
    message: String,
    span: Option<Range<usize>>,
}

impl SyntaxError {
    fn of(error: &toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            span: error.span(),
        }
    }

    fn is_duplicate(&self) -> bool {
        self.message.starts_with("duplicate key") || self.message.starts_with("cannot extend")
    }
}

/// A text in which every line is wrong has an error for each, and only one of them is ever kept.
fn first_error(toml: &str) -> Option<SyntaxError> {
    DeTable::parse(toml)
        .err()
        .map(|error| SyntaxError::of(&error))
}

/// The first error of one statement by its place, and that: what is wrong with a value is told only after what stands behind it. One that is long is left
/// alone, since all of its errors are kept here.
fn earlier(text: &str, statement: &Statement) -> Option<(SyntaxError, Range<usize>)> {
    let written = &text[statement.span.clone()];
    if written.len() > LONG {
        return None;
    }
    let (_, errors) = DeTable::parse_recoverable(written);
    let place = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let first = errors.iter().min_by_key(|error| place(error).start)?;
    let Range { start, end } = place(first);
    let at = statement.span.start;
    Some((SyntaxError::of(first), at + start..at + end))
}

/// At least one character, where there is one.
fn shown(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let one = text[start..]
        .chars()
        .next()
        .filter(|c| !matches!(c, '\n' | '\r'))
        .map_or(0, char::len_utf8);
    start..span.end.max(start + one)
}

/// A bracket that is never closed, or the rest of the line after a quote that is never closed.
fn opened(text: &str, open: Open) -> Range<usize> {
    let width = match open.with {
        '[' | '{' => 1,
        _ => text[open.at..]
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end()
            .len(),
    };
    open.at..open.at + width
}

fn unclosed(open: Open) -> Fault {
    let (what, close) = match open.with {
        '[' => ("array", "]"),
        '{' => ("inline table", "}"),
        '\'' => ("text", "'"),
        _ => ("text", "\""),
    };
    Fault::error("syntax", format!("this {what} is never closed"))
        .hint(format!("close it with {close}"))
}

/// `written` is what stands where the error is.
fn fault(error: &SyntaxError, written: &str) -> Fault {
    let message = error.message.trim_end_matches(", expected nothing");
    if message.starts_with("duplicate key") {
        return Fault::error(
            "duplicate-key",
            "this key or table stands here a second time",
        )
        .hint("keep one of the two; a table is written only once, a route as [[route]]");
    }
    if message.starts_with("string values must be quoted") {
        return Fault::error("syntax", "a text must stand between double quotes")
            .hint(format!("write \"{}\"", shorten(written.trim_end())));
    }
    let hint = match message {
        m if m.starts_with("key with no value") => {
            "write key = value; texts stand between double quotes"
        }
        m if m.starts_with("invalid basic string") || m.starts_with("invalid literal string") => {
            "a text stands between two double quotes on one line; in it, \\ is written \\\\"
        }
        m if m.contains("comma") => "elements are separated by one comma",
        m if m.starts_with("unclosed") => {
            "a table is [name], an element of a list of tables [[name]]"
        }
        m if m.starts_with("missing value") => "write a value after the =",
        m if m.starts_with("cannot extend") => "a key has a value or a table, not both",
        _ => "the file must be TOML: https://toml.io",
    };
    Fault::error("syntax", message).hint(hint)
}

#[cfg(test)]
mod tests;
