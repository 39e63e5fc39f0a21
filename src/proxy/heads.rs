//! What the heads of a connection's requests become, by the bytes that they come in.
//!
//! In HTTP/2 a field that a client has sent once may be named again by one byte (RFC 7541 §6.1), and takes a place in a map each time: some hundred bytes of
//! memory. The library bounds each head; here is bounded what all heads of a connection have among them, as long as their requests last. Fields are counted
//! where they begin, and nothing is decoded: what they say is the library's business, and so is a block that is broken.

use crate::proxy::frames::{CONTINUATION, Frame, HEADERS, PADDED, PRIORITY};

/// Bytes with which a field has paid for its place.
const PAID: u32 = 8;
/// Fields named by one byte that as many heads may have as there may be streams. Clients have some 10 to 40, most of which were named before.
const NAMED: u32 = 40;
/// Streams that the bound is made for at the least, so that a head alone never exceeds it.
const LEAST_STREAMS: u32 = 16;

/// The heads of the requests that are under way.
#[derive(Debug)]
pub(super) struct Heads {
    /// The latest block of fields.
    block: Block,
    /// Each request's stream, and what its fields have not paid for.
    held: Vec<(u32, u32)>,
    /// The same of all of them.
    unpaid: u32,
    most: u32,
    /// The stream that the latest block belongs to.
    stream: u32,
    /// The latest stream that has begun.
    newest: u32,
}

impl Heads {
    /// Of a connection that may have so many streams at once.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            block: Block::default(),
            held: Vec::new(),
            unpaid: 0,
            most: streams.max(LEAST_STREAMS).saturating_mul(NAMED * PAID),
            stream: 0,
            newest: 0,
        }
    }

    /// One of the client's frames begins. Whether it begins a request.
    pub(super) fn begin(&mut self, frame: Frame) -> bool {
        let begins = frame.kind == HEADERS && frame.stream > self.newest;
        match frame.kind {
            HEADERS => {
                self.stream = frame.stream;
                if begins {
                    self.newest = frame.stream;
                    self.held.push((frame.stream, 0));
                }
                self.block = Block::default();
                self.block.enter(frame);
            }
            CONTINUATION => self.block.enter(frame),
            _ => self.block.leave(),
        }
        self.pass(frame.known());
        begins
    }

    /// Some of its payload passes.
    pub(super) fn pass(&mut self, payload: &[u8]) {
        if self.block.left == 0 {
            return;
        }
        let before = self.block.unpaid();
        self.block.pass(payload);
        let after = self.block.unpaid();
        if before == after {
            return;
        }
        // Trailers count with the head, if their request still lasts.
        let of = |held: &&mut (u32, u32)| held.0 == self.stream;
        if let Some((_, unpaid)) = self.held.iter_mut().rev().find(of) {
            *unpaid = *unpaid + after - before;
            self.unpaid = self.unpaid + after - before;
        }
    }

    /// A stream has been answered, or reset.
    pub(super) fn end(&mut self, stream: u32) {
        if let Some(place) = self.held.iter().position(|held| held.0 == stream) {
            self.unpaid -= self.held.swap_remove(place).1;
        }
    }

    /// Whether they have more among them than a client needs.
    pub(super) fn are_too_much(&self) -> bool {
        self.unpaid > self.most
    }
}

/// A block of fields (RFC 7541 §6), as far as it has passed.
#[derive(Debug, Default)]
struct Block {
    at: At,
    fields: u32,
    bytes: u32,
    /// Bytes of the frame before its part of the block.
    before: usize,
    /// Bytes of its part that are still to come.
    left: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Field,
    /// The rest of an integer, and then so many texts.
    Integer { texts: u8 },
    /// The length of a text, of which there are so many.
    Text { texts: u8 },
    /// The rest of its length.
    Length {
        texts: u8,
        length: usize,
        shift: u32,
    },
    /// So much of the text.
    Within { texts: u8, length: usize },
}

impl At {
    /// So many texts are left of a field.
    fn texts(texts: u8) -> Self {
        match texts {
            0 => Self::Field,
            texts => Self::Text { texts },
        }
    }

    fn within(texts: u8, length: usize) -> Self {
        match length {
            0 => Self::texts(texts - 1),
            length => Self::Within { texts, length },
        }
    }

    /// Behind an integer of the first byte's lowest bits, if they are not all set.
    fn integer(first: u8, bits: u8, texts: u8) -> Self {
        if first & bits == bits {
            Self::Integer { texts }
        } else {
            Self::texts(texts)
        }
    }
}

impl Block {
    /// What the fields have not paid for.
    fn unpaid(&self) -> u32 {
        self.fields.saturating_mul(PAID).saturating_sub(self.bytes)
    }

    /// A frame begins that has some of it.
    fn enter(&mut self, frame: Frame) {
        let of_head = |flag, bytes| usize::from(frame.kind == HEADERS && frame.has(flag)) * bytes;
        let filling = of_head(PADDED, usize::from(frame.payload[0]));
        self.before = of_head(PADDED, 1) + of_head(PRIORITY, 5);
        self.left = frame.length.saturating_sub(self.before + filling);
    }

    /// A frame begins that has nothing of it.
    fn leave(&mut self) {
        self.left = 0;
    }

    fn pass(&mut self, payload: &[u8]) {
        let skipped = self.before.min(payload.len());
        self.before -= skipped;
        let part = &payload[skipped..];
        let mut part = &part[..part.len().min(self.left)];
        self.left -= part.len();
        self.bytes = self.bytes.saturating_add(part.len() as u32);
        while let Some((first, rest)) = part.split_first() {
            part = match self.at {
                At::Within { texts, length } => {
                    let passed = length.min(part.len());
                    self.at = At::within(texts, length - passed);
                    &part[passed..]
                }
                at => {
                    self.at = self.after(at, *first);
                    rest
                }
            };
        }
    }

    /// What comes behind a byte.
    fn after(&mut self, at: At, byte: u8) -> At {
        let (goes_on, low) = (byte & 0x80 != 0, usize::from(byte & 0x7f));
        match at {
            At::Field => {
                // A new size of the table is no field.
                self.fields += u32::from(byte & 0xe0 != 0x20);
                match byte {
                    0x80.. => At::integer(byte, 0x7f, 0),
                    0x40 | 0x00 | 0x10 => At::texts(2),
                    0x41..0x80 => At::integer(byte, 0x3f, 1),
                    0x20..0x40 => At::integer(byte, 0x1f, 0),
                    0x01..0x20 => At::integer(byte, 0x0f, 1),
                }
            }
            At::Integer { .. } if goes_on => at,
            At::Integer { texts } => At::texts(texts),
            At::Text { texts } if low == 0x7f => At::Length {
                texts,
                length: low,
                shift: 0,
            },
            At::Text { texts } => At::within(texts, low),
            At::Length {
                texts,
                length,
                shift,
            } => {
                // No head is as long as what is cut off here.
                let length = length.saturating_add(low << shift.min(28));
                if goes_on {
                    At::Length {
                        texts,
                        length,
                        shift: shift + 7,
                    }
                } else {
                    At::within(texts, length)
                }
            }
            At::Within { .. } => at,
        }
    }
}

#[cfg(test)]
mod tests;
