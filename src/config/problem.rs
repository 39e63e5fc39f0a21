//! One problem of a routes.toml: what is wrong, where, and what to write instead. Codes are public and stable;
//! messages are for people. Nothing here knows what a routes.toml holds.

use serde::Serialize;
use std::ops::Range;

/// Whether a problem makes a file unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, but says something that its author can hardly mean.
    Warning,
}

/// One problem, with its place. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it makes the file unusable.
    pub severity: Severity,
    /// Stable name of the kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// TOML path, such as `route[2].percent` (elements count from 0); empty where the text is no TOML.
    pub path: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column after the last character.
    pub end_column: usize,
}

/// The rows of `check --output json`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report<'a> {
    /// The file as it was named.
    pub file: &'a str,
    /// Whether the file can be used.
    pub valid: bool,
    /// Every problem, in the order of the file.
    pub problems: &'a [Problem],
}

impl<'a> Report<'a> {
    /// A report is valid if none of its problems is an error.
    #[must_use]
    pub fn new(file: &'a str, problems: &'a [Problem]) -> Self {
        Self {
            file,
            valid: is_valid(problems),
            problems,
        }
    }
}

/// Whether none of the problems is an error.
#[must_use]
pub fn is_valid(problems: &[Problem]) -> bool {
    problems.iter().all(|p| p.severity == Severity::Warning)
}

/// What is wrong, before its place is known in lines and columns.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The problem at a place (bytes) of a text.
    pub(super) fn at(self, lines: &Lines<'_>, span: &Range<usize>, path: &str) -> Problem {
        let (line, column) = lines.position(span.start);
        let (end_line, end_column) = lines.position(span.end.max(span.start));
        Problem {
            severity: self.severity,
            code: self.code,
            message: self.message,
            hint: self.hint,
            path: path.to_owned(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// Byte offsets of a text <-> lines and columns.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Where each line starts; the first is 0, or 3 after a byte order mark (no editor counts it as a column).
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let first = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let starts = std::iter::once(first)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Line and column of an offset, both from 1. Offsets beyond the end, or inside a character, are moved back.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = floor_char(self.text, offset).max(self.starts[0]);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The offset of a line and column; the nearest one that exists.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let line = self.line(line);
        let text = &self.text[line.clone()];
        text.char_indices()
            .nth(column.saturating_sub(1))
            .map_or(line.end, |(at, _)| line.start + at)
    }

    /// The bytes of a line, without its end.
    pub(super) fn line(&self, line: usize) -> Range<usize> {
        let index = line.clamp(1, self.starts.len()) - 1;
        let start = self.starts[index];
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |next| next - 1);
        let text = &self.text[start..end];
        start..start + text.strip_suffix('\r').unwrap_or(text).len()
    }
}

/// The nearest boundary of a character at or before an offset.
pub(super) fn floor_char(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// A text for a message: at most 60 characters, on one line.
pub(super) fn shorten(text: &str) -> String {
    let mut chars = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut short: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// The text of a file's bytes, or the problem that it is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let good = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
        let fault = Fault::error(
            "not-utf8",
            format!("the file is not UTF-8: byte {} is {:#04x}", at, bytes[at]),
        )
        .hint("save the file as UTF-8");
        Box::new(fault.at(&Lines::new(good), &(at..at), ""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_count_characters_and_a_byte_order_mark_is_none() {
        let lines = Lines::new("\u{feff}aé=1\r\n\nzß");
        assert_eq!(lines.position(3), (1, 1));
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(6), (1, 3));
        assert_eq!(lines.position(10), (2, 1));
        assert_eq!(lines.position(12), (3, 2));
        assert_eq!(lines.position(13), (3, 2), "inside a character");
        assert_eq!(lines.position(999), (3, 3));
        assert_eq!(lines.offset(1, 3), 6);
        assert_eq!(lines.line(1), 3..8);
    }

    #[test]
    fn bytes_that_are_not_utf8_have_a_place() {
        assert_eq!(decode("# ü".as_bytes()), Ok("# ü"));
        let problem = decode(b"a = 1\nb = \"\xff\"").unwrap_err();
        assert_eq!(
            (problem.line, problem.column, problem.code),
            (2, 6, "not-utf8")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn offset_is_the_inverse_of_position(text in "[aé\u{1f600}\n]{0,40}", at in 0usize..120) {
            let at = floor_char(&text, at);
            let lines = Lines::new(&text);
            let (line, column) = lines.position(at);
            prop_assert_eq!(lines.offset(line, column), at);
        }
    }
}
