//! Bytes to a document: strict RFC 8259, in one pass, without recursion, within bounds.
//!
//! Invariant: what is accepted is JSON and nothing else (no BOM, no trailing text, no lone surrogate, no invalid UTF-8), whatever the bytes cost at
//! most a constant for each of them, and the arena asks [`Memory`] before it grows. Errors name the first problem that the pass meets, so a
//! document that is too deep at its beginning and broken at its end is too deep.

use crate::json::bounds::{Limits, Memory, ReadError};
use crate::json::document::{Document, Slot, Span, Tag, index, span};
use crate::json::number::scan;
use crate::json::string::{Strings, plain_run};
use crate::json::word::{head, word};

impl<'a> Document<'a> {
    /// Reads bytes that are one JSON document.
    pub fn read(
        bytes: &'a [u8],
        limits: Limits,
        memory: &mut dyn Memory,
    ) -> Result<Self, ReadError> {
        if bytes.len() > limits.bytes.min(Span::UNESCAPED as usize - 1) {
            return Err(ReadError::TooLarge);
        }
        let input = std::str::from_utf8(bytes).map_err(|error| ReadError::NotJson {
            at: error.valid_up_to(),
            message: "invalid UTF-8",
        })?;
        let mut reader = Reader {
            bytes,
            at: 0,
            key: Span::default(),
            slots: Vec::new(),
            strings: Strings::new(input),
            inner: Container::OUTSIDE,
            outer: Vec::new(),
            names: Vec::new(),
            limits,
            memory,
            failure: ReadError::Refused,
        };
        match reader.document() {
            Some(()) => Ok(reader.strings.document(reader.slots)),
            None => Err(reader.failure),
        }
    }
}

/// Reads a document; what it returns is `None` where that failed, so that success costs little, and `failure` says why.
struct Reader<'a, 'm> {
    bytes: &'a [u8],
    at: usize,
    /// Name of the member whose value comes next.
    key: Span,
    slots: Vec<Slot>,
    strings: Strings<'a>,
    /// The innermost array or object that is not closed yet, and those around it.
    inner: Container,
    outer: Vec<Container>,
    /// A digest of each name of the objects that are not closed yet.
    names: Vec<u64>,
    limits: Limits,
    memory: &'m mut dyn Memory,
    failure: ReadError,
}

/// An array or object that is being read.
#[derive(Clone, Copy)]
struct Container {
    slot: u32,
    children: u32,
    /// The byte that closes it.
    close: u8,
}

impl Container {
    /// Around the outermost value; no byte closes it.
    const OUTSIDE: Self = Self {
        slot: 0,
        children: 0,
        close: 0,
    };
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Option<()> {
        self.blank();
        loop {
            if self.value()? == Next::Value {
                continue;
            }
            loop {
                self.blank();
                let close = self.inner.close;
                match self.peek() {
                    Some(b',') if close == b']' => {
                        self.at += 1;
                        self.blank();
                        break;
                    }
                    Some(b',') if close == b'}' => {
                        self.at += 1;
                        self.blank();
                        self.name()?;
                        break;
                    }
                    Some(byte) if byte == close && close != 0 => {
                        self.at += 1;
                        self.close()?;
                    }
                    None if close == 0 => return Some(()),
                    Some(_) | None => return self.expected_end(),
                }
            }
        }
    }

    #[cold]
    fn expected_end(&mut self) -> Option<()> {
        self.fail(match self.inner.close {
            b'}' => "expected `,` or `}`",
            b']' => "expected `,` or `]`",
            _ => "text behind the document",
        })
    }

    /// Reads a scalar whole, or the opening of an array or object.
    fn value(&mut self) -> Option<Next> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                self.push(Tag::String, text)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                match scan(&self.bytes[start..]) {
                    Ok(parts) => self.at += parts.len,
                    Err(at) => {
                        self.at += at;
                        return self.fail("not a number");
                    }
                }
                self.push(Tag::Number, span(start, self.at - start))?;
            }
            Some(b'{') => {
                self.open(Tag::Object, b'}')?;
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    self.close()?;
                } else {
                    self.name()?;
                    return Some(Next::Value);
                }
            }
            Some(b'[') => {
                self.open(Tag::Array, b']')?;
                if self.peek() == Some(b']') {
                    self.at += 1;
                    self.close()?;
                } else {
                    return Some(Next::Value);
                }
            }
            Some(b't') => self.literal(b"true", Tag::True)?,
            Some(b'f') => self.literal(b"false", Tag::False)?,
            Some(b'n') => self.literal(b"null", Tag::Null)?,
            Some(_) => return self.fail("expected a value"),
            None => return self.fail("the text ends where a value is expected"),
        }
        Some(Next::Separator)
    }

    fn literal(&mut self, word: &[u8], tag: Tag) -> Option<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        self.push(tag, Span::default())
    }

    fn open(&mut self, tag: Tag, close: u8) -> Option<()> {
        // The outside stands at the bottom of those around.
        if self.outer.len() >= self.limits.depth {
            return self.stop(ReadError::TooDeep);
        }
        let slot = index(self.slots.len());
        self.push(tag, span(self.at, 0))?;
        self.outer.push(self.inner);
        self.inner = Container {
            slot,
            children: 0,
            close,
        };
        self.at += 1;
        self.blank();
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let closed = self.inner;
        self.inner = self.outer.pop().unwrap_or(Container::OUTSIDE);
        let end = index(self.slots.len());
        let repeats = closed.close == b'}' && self.forget_names(closed)?;
        let slot = &mut self.slots[closed.slot as usize];
        slot.end = end;
        slot.text.len = index(self.at) - slot.text.start;
        slot.repeats = repeats;
        Some(())
    }

    /// Forgets the names of the innermost object, and says whether it has one twice.
    fn forget_names(&mut self, object: Container) -> Option<bool> {
        let start = self.names.len() - object.children as usize;
        let suspicious = some_twice(&mut self.names[start..]);
        self.names.truncate(start);
        if suspicious {
            self.has_repeats(object)
        } else {
            Some(false)
        }
    }

    /// Whether an object has a key twice, for sure.
    #[cold]
    fn has_repeats(&mut self, object: Container) -> Option<bool> {
        let count = object.children as usize;
        if !self.memory.charge(count * size_of::<u32>()) {
            return self.stop(ReadError::Refused);
        }
        let mut names = Vec::with_capacity(count);
        let end = self.slots.len();
        let mut next = object.slot as usize + 1;
        while next < end {
            names.push(self.slots[next].key);
            next = self.slots[next].end as usize;
        }
        names.sort_unstable_by(|&a, &b| self.strings.bytes(a).cmp(self.strings.bytes(b)));
        let same = |pair: &[Span]| self.strings.bytes(pair[0]) == self.strings.bytes(pair[1]);
        Some(names.windows(2).any(same))
    }

    /// Reads a member's name and the colon.
    fn name(&mut self) -> Option<()> {
        if self.peek() != Some(b'"') {
            return self.fail("expected a member's name in double quotes");
        }
        self.key = self.string()?;
        let len = self.key.len as usize;
        let digest = if self.key.start & Span::UNESCAPED == 0 {
            digest(self.bytes, self.key.start as usize, len)
        } else {
            digest(self.strings.bytes(self.key), 0, len)
        };
        if self.names.len() == self.names.capacity() {
            self.grow_names()?;
        }
        self.names.push(digest);
        self.blank();
        if self.peek() != Some(b':') {
            return self.fail("expected `:`");
        }
        self.at += 1;
        self.blank();
        Some(())
    }

    #[cold]
    fn grow_names(&mut self) -> Option<()> {
        let wanted = (self.names.capacity() * 2).max(16);
        if !self.memory.charge(wanted * size_of::<u64>()) {
            return self.stop(ReadError::Refused);
        }
        self.names.reserve_exact(wanted - self.names.len());
        Some(())
    }

    fn push(&mut self, tag: Tag, text: Span) -> Option<()> {
        let len = self.slots.len();
        if len == self.slots.capacity() || len >= self.limits.nodes {
            self.grow_slots()?;
        }
        self.inner.children += 1;
        let key = std::mem::take(&mut self.key);
        self.slots.push(Slot {
            key,
            text,
            end: index(len) + 1,
            tag,
            repeats: false,
        });
        Some(())
    }

    #[cold]
    fn grow_slots(&mut self) -> Option<()> {
        let len = self.slots.len();
        if len >= self.limits.nodes {
            return self.stop(ReadError::TooManyNodes);
        }
        // Small answers have a value for each twelve to twenty bytes, so the first guess is mostly the last.
        let wanted = if len == 0 {
            (self.bytes.len() / 12).max(8)
        } else {
            len * 2
        }
        .min(self.limits.nodes);
        if !self.memory.charge(wanted * size_of::<Slot>()) {
            return self.stop(ReadError::Refused);
        }
        self.slots.reserve_exact(wanted - len);
        Some(())
    }

    /// Reads a string from its opening to its closing quote.
    fn string(&mut self) -> Option<Span> {
        let start = self.at + 1;
        let end = plain_run(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Some(span(start, end - start));
        }
        self.escaped_string()
    }

    #[cold]
    fn escaped_string(&mut self) -> Option<Span> {
        match self.strings.read(self.at, self.memory) {
            Ok((text, end)) => {
                self.at = end;
                Some(text)
            }
            Err(error) => self.stop(error),
        }
    }

    fn blank(&mut self) {
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn fail<T>(&mut self, message: &'static str) -> Option<T> {
        self.stop(ReadError::NotJson {
            at: self.at,
            message,
        })
    }

    #[cold]
    fn stop<T>(&mut self, failure: ReadError) -> Option<T> {
        self.failure = failure;
        None
    }
}

/// What is read next.
#[derive(PartialEq, Eq)]
enum Next {
    Value,
    Separator,
}

/// A word that is the same for the same name, and mostly another for another one.
fn digest(text: &[u8], at: usize, len: usize) -> u64 {
    let tail = len
        .checked_sub(8)
        .and_then(|before| word(text, at + before));
    head(text, at, len) ^ tail.unwrap_or(0).rotate_left(29) ^ (len as u64).rotate_right(8)
}

/// Whether some word is there twice: each pair of a few, sorted if there are many.
fn some_twice(words: &mut [u64]) -> bool {
    const FEW: usize = 16;
    if words.len() <= FEW {
        let mut rest = &*words;
        while let Some((last, before)) = rest.split_last() {
            if before.contains(last) {
                return true;
            }
            rest = before;
        }
        return false;
    }
    words.sort_unstable();
    words.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests;
