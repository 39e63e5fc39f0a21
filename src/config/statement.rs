//! The statements of a text that may be broken TOML: which lines belong together, and what was opened and never
//! closed. Only looked at when the TOML parser has found an error, to lay the blame where it belongs: the parser
//! finds an array that is never closed only at the first line that can't be one of its elements, and then once more
//! at each line after it. Guesses here never touch a valid file.

use std::ops::Range;

/// What a statement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[table]` or `[[table]]`.
    Header,
    /// `key = value`; the offset of `=`, if there is one.
    Pair {
        /// The offset of `=`.
        equals: Option<usize>,
    },
    /// A comment on a line of its own.
    Comment,
}

/// One statement: its lines, without the last line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// What it opens and never closes.
    pub(super) open: Option<Open>,
}

/// Something that is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// Where it is opened.
    pub(super) at: usize,
    /// `[`, `{`, `"` or `'`.
    pub(super) with: char,
}

/// The statements of a text, in order.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut at = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    while at < text.len() {
        let end = line_end(text, at);
        let line = text[at..end].trim_end_matches('\r');
        let start = at + (line.len() - line.trim_start_matches([' ', '\t']).len());
        let statement = match text[start..at + line.len()].chars().next() {
            None => None,
            Some('#') => Some(Statement {
                span: start..at + line.len(),
                kind: Kind::Comment,
                open: None,
            }),
            // Also one that lacks its opening bracket.
            Some(first) if first == '[' || is_closed_word(&text[start..at + line.len()]) => {
                Some(Statement {
                    span: start..at + line.len(),
                    kind: Kind::Header,
                    open: None,
                })
            }
            Some(_) => Some(pair(text, start)),
        };
        at = end + 1;
        if let Some(statement) = statement {
            at = at.max(line_end(text, statement.span.end) + 1);
            statements.push(statement);
        }
    }
    statements
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

fn is_closed_word(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default().trim_end();
    let name = code.trim_end_matches(']');
    name.len() < code.len() && name.chars().all(is_word)
}

/// A character of a bare key, or the dot between two.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// The statement `key = value` that starts here.
fn pair(text: &str, start: usize) -> Statement {
    let bytes = text.as_bytes();
    let mut equals = None;
    let mut brackets: Vec<Open> = Vec::new();
    let mut quote = None;
    // The last character that is neither space nor comment.
    let mut last = b' ';
    let mut at = start;
    let end = loop {
        let Some(byte) = bytes.get(at) else { break at };
        match byte {
            b'\n' if brackets.is_empty() || begins_anew(&text[at + 1..], &brackets, last) => {
                break at;
            }
            b'#' => {
                at = line_end(text, at);
                continue;
            }
            // Elsewhere a quote opens nothing: `name = don't` lacks its quotes, not their end.
            b'"' | b'\'' if at == start || b"=[{,.".contains(&last) => {
                let (after, closed) = string(text, at);
                if !closed {
                    // A text that is never closed ends with its line; the brackets go on.
                    quote = quote.or(Some(Open {
                        at,
                        with: char::from(*byte),
                    }));
                }
                last = *byte;
                at = after;
                continue;
            }
            b'=' if equals.is_none() => equals = Some(at),
            b'[' | b'{' if equals.is_some() => brackets.push(Open {
                at,
                with: char::from(*byte),
            }),
            b']' | b'}' => {
                brackets.pop();
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = *byte;
        }
        at += 1;
    };
    let open = quote.or(brackets.first().copied());
    let end = start + text[start..end].trim_end().len();
    Statement {
        span: start..end,
        kind: Kind::Pair { equals },
        open,
    }
}

/// Where a string that starts here ends, and whether it is closed.
fn string(text: &str, start: usize) -> (usize, bool) {
    let rest = &text[start..];
    for triple in ["\"\"\"", "'''"] {
        if let Some(body) = rest.strip_prefix(triple) {
            // One that is never closed ends with its line, so that the rest of the file is still read.
            return match body.find(triple) {
                Some(length) => {
                    let close = start + 3 + length + 3;
                    // Up to two quotes may stand before the closing three.
                    let more = text[close..]
                        .bytes()
                        .take(2)
                        .take_while(|b| *b == triple.as_bytes()[0])
                        .count();
                    (close + more, true)
                }
                None => (line_end(text, start), false),
            };
        }
    }
    let quote = rest.as_bytes()[0];
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            b'\n' => return (start + at, false),
            _ if escaped => escaped = false,
            b'\\' if quote == b'"' => escaped = true,
            _ if byte == quote => return (start + at + 1, true),
            _ => {}
        }
    }
    (text.len(), false)
}

/// Whether the next line that says something starts a statement of its own, although brackets are open.
fn begins_anew(rest: &str, brackets: &[Open], last: u8) -> bool {
    let line = rest
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = line else { return true };
    if line.starts_with('[') {
        let key = line.trim_start_matches('[');
        let after = key.trim_start_matches(is_word);
        let code = after.split('#').next().unwrap_or_default().trim_end();
        return key.starts_with(|c: char| c.is_ascii_alphabetic()) && matches!(code, "]" | "]]");
    }
    let after = line.trim_start_matches(is_word);
    let looks_like_pair = after.len() < line.len() && after.trim_start().starts_with('=');
    // Lines of `key = value` may stand in an inline table, after its brace or a comma.
    let inside_table =
        brackets.last().is_some_and(|b| b.with == '{') && matches!(last, b'{' | b',');
    looks_like_pair && !inside_table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_belong_together() {
        let check = |text: &str, expected: &[(&str, Option<(usize, char)>)]| {
            let found: Vec<_> = statements(text)
                .into_iter()
                .map(|s| (&text[s.span], s.open.map(|o| (o.at, o.with))))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("", &[]);
        check(" \n\t\r\n", &[]);
        check(
            "# one\n[two]\r\na = 1 # three\n",
            &[("# one", None), ("[two]", None), ("a = 1 # three", None)],
        );
        check(
            "a = [\n 1,\n 2,\n]\nb = 1",
            &[("a = [\n 1,\n 2,\n]", None), ("b = 1", None)],
        );
        check(
            "a = { b = 1,\n c = 2 }\nd = 1",
            &[("a = { b = 1,\n c = 2 }", None), ("d = 1", None)],
        );
        check(
            "a = [ \"]\", ']', # ]\n]\nb = 1",
            &[("a = [ \"]\", ']', # ]\n]", None), ("b = 1", None)],
        );
        check(
            "a = \"\"\"\n[x]\n\"\"\"\nb = 1",
            &[("a = \"\"\"\n[x]\n\"\"\"", None), ("b = 1", None)],
        );
        check(
            "a = [1,\nb = 1",
            &[("a = [1,", Some((4, '['))), ("b = 1", None)],
        );
        check(
            "a = [1,\n\n[[b]]\n",
            &[("a = [1,", Some((4, '['))), ("[[b]]", None)],
        );
        check(
            "a = { b = 1\nc = 1",
            &[("a = { b = 1", Some((4, '{'))), ("c = 1", None)],
        );
        check(
            "a = [\"x, 1]\nc = 1",
            &[("a = [\"x, 1]", Some((5, '"'))), ("c = 1", None)],
        );
        check(
            "a = [\n\"x,\n\"y\"\n]\nc = 1",
            &[("a = [\n\"x,\n\"y\"\n]", Some((6, '"'))), ("c = 1", None)],
        );
        check("a = [1", &[("a = [1", Some((4, '[')))]);
        check(
            "a = \"\"\"x\nb = 1",
            &[("a = \"\"\"x", Some((4, '"'))), ("b = 1", None)],
        );
        check("a = don't\n", &[("a = don't", None)]);
        check("a 5\nb", &[("a 5", None), ("b", None)]);
    }
}
