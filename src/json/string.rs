//! The strings of a document: borrowed from the input, or unescaped into one buffer for the whole document.
//!
//! Invariant: every string is valid Unicode (a lone surrogate is no JSON), and unescaping never makes a text longer.

use crate::json::bounds::{Memory, ReadError};
use crate::json::document::{Document, Slot, Span, span};
use crate::json::word::word;

/// Reads the strings of one input.
pub(crate) struct Strings<'a> {
    input: &'a str,
    unescaped: String,
}

impl<'a> Strings<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            unescaped: String::new(),
        }
    }

    /// Reads the string whose opening quote stands at `open`; also gives the offset behind its closing quote.
    pub(crate) fn read(
        &mut self,
        open: usize,
        memory: &mut dyn Memory,
    ) -> Result<(Span, usize), ReadError> {
        let start = open + 1;
        let end = plain_run(self.input.as_bytes(), start);
        if self.peek(end) == Some(b'"') {
            return Ok((span(start, end - start), end + 1));
        }
        self.read_escaped(start, end, memory)
    }

    /// The bytes of a string that was read.
    pub(crate) fn bytes(&self, text: Span) -> &[u8] {
        let (from, start) = if text.start & Span::UNESCAPED == 0 {
            (self.input, text.start as usize)
        } else {
            (
                self.unescaped.as_str(),
                (text.start & !Span::UNESCAPED) as usize,
            )
        };
        &from.as_bytes()[start..start + text.len as usize]
    }

    /// The same as a text.
    pub(crate) fn text(&self, span: Span) -> &str {
        if span.start & Span::UNESCAPED == 0 {
            &self.input[span.start as usize..][..span.len as usize]
        } else {
            &self.unescaped[(span.start & !Span::UNESCAPED) as usize..][..span.len as usize]
        }
    }

    /// Forgets the texts that were unescaped; their spans say nothing any more.
    pub(crate) fn forget(&mut self) {
        self.unescaped.clear();
    }

    /// Makes the document that the strings belong to.
    pub(crate) fn document(self, slots: Vec<Slot>) -> Document<'a> {
        Document {
            input: self.input,
            unescaped: self.unescaped,
            slots,
        }
    }

    fn read_escaped(
        &mut self,
        start: usize,
        mut at: usize,
        memory: &mut dyn Memory,
    ) -> Result<(Span, usize), ReadError> {
        let unescaped_start = self.unescaped.len();
        let mut from = start;
        loop {
            self.keep(from, at, memory)?;
            match self.peek(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (character, end) = escape(self.input.as_bytes(), at)?;
                    self.unescaped.push(character);
                    from = end;
                    at = plain_run(self.input.as_bytes(), end);
                }
                Some(_) => return Err(error(at, "a control character in a string")),
                None => return Err(error(at, "the text ends within a string")),
            }
        }
        let Span { start, len } = span(unescaped_start, self.unescaped.len() - unescaped_start);
        Ok((
            Span {
                start: start | Span::UNESCAPED,
                len,
            },
            at + 1,
        ))
    }

    /// Appends plain text of the input, and leaves room for one character more.
    fn keep(&mut self, from: usize, to: usize, memory: &mut dyn Memory) -> Result<(), ReadError> {
        let wanted = self.unescaped.len() + (to - from) + 4;
        if wanted > self.unescaped.capacity() {
            let capacity = wanted.next_power_of_two().max(64);
            if !memory.charge(capacity) {
                return Err(ReadError::Refused);
            }
            self.unescaped
                .reserve_exact(capacity - self.unescaped.len());
        }
        self.unescaped.push_str(&self.input[from..to]);
        Ok(())
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.input.as_bytes().get(at).copied()
    }
}

/// Reads the escape sequence whose backslash stands at `at`; also gives the offset behind it.
pub(crate) fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), ReadError> {
    let character = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return code_point(bytes, at),
        Some(_) | None => return Err(error(at, "an unknown escape sequence")),
    };
    Ok((character, at + 2))
}

/// Reads `\u` and four digits; two of them that are a surrogate pair are one character.
fn code_point(bytes: &[u8], at: usize) -> Result<(char, usize), ReadError> {
    let lone = error(at, "a lone surrogate");
    let high = hex4(bytes, at + 2)?;
    let (code, end) = if (0xD800..0xDC00).contains(&high) {
        if !bytes[at + 6..].starts_with(b"\\u") {
            return Err(lone);
        }
        let low = hex4(bytes, at + 8)?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(lone);
        }
        (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), at + 12)
    } else {
        (high, at + 6)
    };
    Ok((char::from_u32(code).ok_or(lone)?, end))
}

fn hex4(bytes: &[u8], at: usize) -> Result<u32, ReadError> {
    let digits = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    digits
        .and_then(|digits| {
            digits.iter().try_fold(0, |code, &digit| {
                Some(code * 16 + char::from(digit).to_digit(16)?)
            })
        })
        .ok_or(error(at, "expected four hexadecimal digits"))
}

fn error(at: usize, message: &'static str) -> ReadError {
    ReadError::NotJson { at, message }
}

/// Where the next quote, backslash or control character stands (or the end), eight bytes at a step.
#[inline]
pub(crate) fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    while let Some(word) = word(bytes, at) {
        // Subtracting sets the highest bit of bytes that are smaller, and of larger ones that had it set before. The lowest byte that is marked is
        // exact; borrows can only mark wrong ones above it.
        let quotes = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let slashes = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let controls = word.wrapping_sub(ONES * 0x20);
        let found = (quotes | slashes | controls) & !word & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let rest = rest
        .iter()
        .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
    rest.map_or(bytes.len(), |offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &[u8], at: usize) {
        let stops = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        let expected = text[at..]
            .iter()
            .position(stops)
            .map_or(text.len(), |found| at + found);
        assert_eq!(
            plain_run(text, at),
            expected,
            "{} from {at}",
            text.escape_ascii()
        );
    }

    #[test]
    fn runs_end_at_the_first_special_byte() {
        for text in [
            "",
            "a",
            "\"",
            "1234567\"",
            "12345678\"",
            "!\u{1f}",
            "!!!!!!!\u{0}",
            "\u{80}\u{9f}é\\",
        ] {
            check(text.as_bytes(), 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn runs_end_where_a_slow_search_says(
            text in proptest::collection::vec(
                prop_oneof![any::<u8>(), proptest::sample::select(&b"a \x1f\"!\\]\x80\x9f\xa2\xdc"[..])],
                0..40,
            ),
            at in 0..8_usize,
        ) {
            check(&text, at.min(text.len()));
        }
    }
}
