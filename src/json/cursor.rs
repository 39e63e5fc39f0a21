//! A place in a text that moves over JSON and keeps nothing of it.
//!
//! Invariant: what it passes is what a document of the same text would have been read from: the grammar is as strict, the bounds are the same.

use crate::json::number::scan;
use crate::json::string::{escape, plain_run};
use crate::json::word::alike;

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

/// What values may still take up: arrays and objects within each other, and values in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) depth: usize,
    pub(crate) nodes: usize,
}

/// Why the cursor does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// This is no JSON.
    Broken,
    /// It takes more than there is room for.
    Bounds,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    /// Passes blanks.
    pub(crate) fn blank(&mut self) {
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    /// Passes one byte, if it stands here.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Passes some bytes, if they stand here.
    pub(crate) fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let here = self.bytes()[self.at..].starts_with(bytes);
        if here {
            self.at += bytes.len();
        }
        here
    }

    /// Passes what stands in another text, if it stands here too.
    pub(crate) fn eat_alike(&mut self, text: &[u8], from: usize, len: usize) -> bool {
        let here = alike(self.bytes(), self.at, text, from, len);
        if here {
            self.at += len;
        }
        here
    }

    /// Passes a number, and gives its text.
    pub(crate) fn number(&mut self) -> Result<&'a str, Stop> {
        let parts = scan(&self.bytes()[self.at..]).map_err(|_| Stop::Broken)?;
        let text = &self.text[self.at..self.at + parts.len];
        self.at += parts.len;
        Ok(text)
    }

    /// Passes one value, and takes the room for it.
    pub(crate) fn skip(&mut self, room: &mut Room) -> Result<(), Stop> {
        room.nodes = room.nodes.checked_sub(1).ok_or(Stop::Bounds)?;
        let passed = match self.peek() {
            Some(b'"') => return self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().is_ok(),
            Some(b'{') => return self.skip_all(room, b'}'),
            Some(b'[') => return self.skip_all(room, b']'),
            Some(b't') => self.eat_all(b"true"),
            Some(b'f') => self.eat_all(b"false"),
            Some(b'n') => self.eat_all(b"null"),
            Some(_) | None => false,
        };
        if passed { Ok(()) } else { Err(Stop::Broken) }
    }

    /// Passes an array or an object. As deep as there is room.
    fn skip_all(&mut self, room: &mut Room, close: u8) -> Result<(), Stop> {
        room.depth = room.depth.checked_sub(1).ok_or(Stop::Bounds)?;
        self.at += 1;
        self.blank();
        if !self.eat(close) {
            loop {
                if close == b'}' {
                    self.skip_string()?;
                    self.blank();
                    if !self.eat(b':') {
                        return Err(Stop::Broken);
                    }
                    self.blank();
                }
                self.skip(room)?;
                self.blank();
                if self.eat(close) {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Stop::Broken);
                }
                self.blank();
            }
        }
        room.depth += 1;
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), Stop> {
        if !self.eat(b'"') {
            return Err(Stop::Broken);
        }
        loop {
            self.at = plain_run(self.bytes(), self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    (_, self.at) = escape(self.bytes(), self.at).map_err(|_| Stop::Broken)?;
                }
                Some(_) | None => return Err(Stop::Broken),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits, ReadError, Unlimited};
    use proptest::prelude::*;

    /// Skips a whole text, within the bounds of `limits`; gives the number of values.
    fn skip(text: &str, limits: Limits) -> Result<usize, Stop> {
        let mut cursor = Cursor::new(text);
        let mut room = Room {
            depth: limits.depth,
            nodes: limits.nodes,
        };
        cursor.blank();
        cursor.skip(&mut room)?;
        cursor.blank();
        assert_eq!(room.depth, limits.depth);
        if cursor.at == text.len() {
            Ok(limits.nodes - room.nodes)
        } else {
            Err(Stop::Broken)
        }
    }

    fn read(text: &str, limits: Limits) -> Result<usize, Stop> {
        match Document::read(text.as_bytes(), limits, &mut Unlimited) {
            Ok(document) => Ok(document.len()),
            Err(ReadError::NotJson { .. }) => Err(Stop::Broken),
            Err(_) => Err(Stop::Bounds),
        }
    }

    #[test]
    fn bounds_are_those_of_documents() {
        for (text, depth, nodes) in [
            ("[[1]]", 2, 3),
            ("{\"a\":{}, \"b\":[2]}", 2, 4),
            ("1", 0, 1),
        ] {
            let limits = |depth, nodes| Limits {
                depth,
                nodes,
                ..Limits::default()
            };
            assert_eq!(skip(text, limits(depth, nodes)), Ok(nodes), "{text}");
            assert_eq!(skip(text, limits(depth, nodes - 1)), Err(Stop::Bounds));
            if depth > 0 {
                assert_eq!(skip(text, limits(depth - 1, nodes)), Err(Stop::Bounds));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn passes_what_is_read_as_a_document(
            parts in proptest::collection::vec(
                proptest::sample::select(&[
                    "{", "}", "[", "]", "\"a\":", "\"", ",", ":", "1", "-", "0", ".5", "e+7", "true", "false", "null", "nul", " ", "\n",
                    "\"x\"", "\"\\u00e9\"", "\\", "\\n", "\\ud800", "\\udc00", "\u{1}", "é", "[1,", "{\"b\":[", "]}",
                ][..]),
                0..12,
            ),
        ) {
            let text = parts.concat();
            let limits = Limits { depth: 4, ..Limits::default() };
            prop_assert_eq!(skip(&text, limits), read(&text, limits), "{}", text);
        }
    }
}
