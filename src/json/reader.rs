//! Bytes to a document: strict RFC 8259, in one pass, without recursion, within bounds.
//!
//! Invariant: what is accepted is JSON and nothing else (no BOM, no trailing text, no lone surrogate, no invalid UTF-8), whatever the bytes cost at
//! most a constant for each of them, and the arena asks [`Memory`] before it grows. Errors name the first problem that the pass meets, so a
//! document that is too deep at its beginning and broken at its end is too deep.

use crate::json::bounds::{Limits, Memory, ReadError};
use crate::json::document::{Document, Slot, Span, Tag, index, span};
use crate::json::number::scan;
use crate::json::string::Strings;

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
        let reader = Reader {
            bytes,
            at: 0,
            key: Span::default(),
            slots: Vec::new(),
            strings: Strings::new(input),
            open: Vec::new(),
            names: Vec::new(),
            limits,
            memory,
        };
        reader.document()
    }
}

struct Reader<'a, 'm> {
    bytes: &'a [u8],
    at: usize,
    /// Name of the member whose value comes next.
    key: Span,
    slots: Vec<Slot>,
    strings: Strings<'a>,
    /// Arrays and objects that are not closed yet.
    open: Vec<u32>,
    /// Members of the object that is being closed.
    names: Vec<u32>,
    limits: Limits,
    memory: &'m mut dyn Memory,
}

impl<'a> Reader<'a, '_> {
    fn document(mut self) -> Result<Document<'a>, ReadError> {
        self.blank();
        loop {
            if self.value()? == Next::Value {
                continue;
            }
            loop {
                self.blank();
                let Some(&container) = self.open.last() else {
                    return if self.at == self.bytes.len() {
                        Ok(self.finish())
                    } else {
                        Err(self.error("text behind the document"))
                    };
                };
                let object = self.slots[container as usize].tag == Tag::Object;
                match (self.peek(), object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.blank();
                        self.name()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        self.blank();
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        self.close()?;
                    }
                    (_, true) => return Err(self.error("expected `,` or `}`")),
                    (_, false) => return Err(self.error("expected `,` or `]`")),
                }
            }
        }
    }

    fn finish(self) -> Document<'a> {
        self.strings.document(self.slots)
    }

    /// Reads a scalar whole, or the opening of an array or object.
    fn value(&mut self) -> Result<Next, ReadError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                self.push(Tag::String, text)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let len = scan(&self.bytes[start..])
                    .map_err(|at| ReadError::NotJson {
                        at: start + at,
                        message: "not a number",
                    })?
                    .len;
                self.at += len;
                self.push(Tag::Number, span(start, len))?;
            }
            Some(b'{') => {
                self.open(Tag::Object)?;
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    self.close()?;
                } else {
                    self.name()?;
                    return Ok(Next::Value);
                }
            }
            Some(b'[') => {
                self.open(Tag::Array)?;
                if self.peek() == Some(b']') {
                    self.at += 1;
                    self.close()?;
                } else {
                    return Ok(Next::Value);
                }
            }
            Some(b't') => self.literal("true", Tag::True)?,
            Some(b'f') => self.literal("false", Tag::False)?,
            Some(b'n') => self.literal("null", Tag::Null)?,
            Some(_) => return Err(self.error("expected a value")),
            None => return Err(self.error("the text ends where a value is expected")),
        }
        Ok(Next::Separator)
    }

    fn literal(&mut self, word: &str, tag: Tag) -> Result<(), ReadError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        self.push(tag, Span::default())
    }

    fn open(&mut self, tag: Tag) -> Result<(), ReadError> {
        if self.open.len() >= self.limits.depth {
            return Err(ReadError::TooDeep);
        }
        let place = index(self.slots.len());
        self.push(tag, Span::default())?;
        self.open.push(place);
        self.at += 1;
        self.blank();
        Ok(())
    }

    fn close(&mut self) -> Result<(), ReadError> {
        let Some(container) = self.open.pop() else {
            return Ok(());
        };
        let end = index(self.slots.len());
        let slot = &mut self.slots[container as usize];
        slot.end = end;
        if slot.tag == Tag::Object && slot.text.len > 1 {
            let repeats = self.has_repeats(container)?;
            self.slots[container as usize].repeats = repeats;
        }
        Ok(())
    }

    /// Whether an object has a key twice: each pair of a few, sorted if there are many.
    fn has_repeats(&mut self, container: u32) -> Result<bool, ReadError> {
        const FEW: usize = 12;
        let mut names = std::mem::take(&mut self.names);
        names.clear();
        let count = self.slots[container as usize].text.len as usize;
        if names.capacity() < count {
            if !self.memory.charge(count * size_of::<u32>()) {
                return Err(ReadError::Refused);
            }
            names.reserve_exact(count);
        }
        let end = self.slots[container as usize].end;
        let mut next = container + 1;
        while next < end {
            names.push(next);
            next = self.slots[next as usize].end;
        }
        let repeats = if names.len() <= FEW {
            names.iter().enumerate().any(|(i, &a)| {
                names[..i]
                    .iter()
                    .any(|&b| self.name_of(a) == self.name_of(b))
            })
        } else {
            names.sort_unstable_by(|&a, &b| self.name_of(a).cmp(self.name_of(b)));
            names
                .windows(2)
                .any(|pair| self.name_of(pair[0]) == self.name_of(pair[1]))
        };
        self.names = names;
        Ok(repeats)
    }

    fn name_of(&self, slot: u32) -> &[u8] {
        self.strings.bytes(self.slots[slot as usize].key)
    }

    /// Reads a member's name and the colon.
    fn name(&mut self) -> Result<(), ReadError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a member's name in double quotes"));
        }
        self.key = self.string()?;
        self.blank();
        if self.peek() != Some(b':') {
            return Err(self.error("expected `:`"));
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    fn push(&mut self, tag: Tag, text: Span) -> Result<(), ReadError> {
        let len = self.slots.len();
        if len >= self.limits.nodes {
            return Err(ReadError::TooManyNodes);
        }
        if len == self.slots.capacity() {
            // Small answers have a value for each ten to twenty bytes, so the first guess is mostly the last.
            let wanted = if len == 0 {
                (self.bytes.len() / 16).max(8)
            } else {
                len * 2
            }
            .min(self.limits.nodes);
            if !self.memory.charge(wanted * size_of::<Slot>()) {
                return Err(ReadError::Refused);
            }
            self.slots.reserve_exact(wanted - len);
        }
        if let Some(&container) = self.open.last() {
            self.slots[container as usize].text.len += 1;
        }
        let key = std::mem::take(&mut self.key);
        self.slots.push(Slot {
            key,
            text,
            end: index(len) + 1,
            tag,
            repeats: false,
        });
        Ok(())
    }

    /// Reads a string from its opening to its closing quote.
    fn string(&mut self) -> Result<Span, ReadError> {
        let (text, end) = self.strings.read(self.at, self.memory)?;
        self.at = end;
        Ok(text)
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error(&self, message: &'static str) -> ReadError {
        ReadError::NotJson {
            at: self.at.min(self.bytes.len()),
            message,
        }
    }
}

/// What is read next.
#[derive(PartialEq, Eq)]
enum Next {
    Value,
    Separator,
}

#[cfg(test)]
mod tests;
