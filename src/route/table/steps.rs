//! The segments from one fork to the next, and how a path is cut into its own.

use crate::route::pattern::decode_segment;
use std::borrow::Cow;

/// Segments without a fork between them. The first is that of the fork before, and was looked at there.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    length: u8,
    /// For each the length of its literal and its bytes, or [`ONE`].
    bytes: [u8; ROOM],
}

const ROOM: usize = 30;
/// A placeholder among the steps. No literal there is as long as this.
const ONE: u8 = u8::MAX;

/// A segment, or the name of one: `None` is a placeholder.
pub(super) type Label<'t> = Option<&'t [u8]>;

impl Steps {
    pub(super) fn new() -> Self {
        Self {
            length: 0,
            bytes: [0; ROOM],
        }
    }

    /// Adds one if there is room.
    pub(super) fn push(&mut self, label: Label<'_>) -> bool {
        let literal = label.unwrap_or_default();
        let start = usize::from(self.length);
        let end = start + 1 + literal.len();
        let Some(free) = self.bytes.get_mut(start..end) else {
            return false;
        };
        // Both lengths are at most that of the room.
        free[0] = label.map_or(ONE, |literal| literal.len() as u8);
        free[1..].copy_from_slice(literal);
        self.length = end as u8;
        true
    }

    /// The literal of the first.
    pub(super) fn first(&self) -> &[u8] {
        &self.bytes[1..=literal_length(self.bytes[0])]
    }

    /// What is left of a path after all steps but the first; `None` if it takes another way.
    pub(super) fn follow<'a>(&self, mut left: Option<&'a [u8]>) -> Option<Option<&'a [u8]>> {
        let mut at = 1 + literal_length(self.bytes[0]);
        while at < usize::from(self.length) {
            let piece = Piece::first(left?);
            let (step, start) = (self.bytes[at], at + 1);
            at = start + literal_length(step);
            let is_same = if step == ONE {
                !piece.text.is_empty()
            } else {
                piece.decoded().as_ref() == &self.bytes[start..at]
            };
            if !is_same {
                return None;
            }
            left = piece.after;
        }
        Some(left)
    }
}

/// The bytes of a literal that follow this byte among the steps.
fn literal_length(step: u8) -> usize {
    if step == ONE { 0 } else { usize::from(step) }
}

/// The first segment of a path.
pub(super) struct Piece<'a> {
    pub(super) text: &'a [u8],
    /// Whether it may have to be decoded.
    has_percent: bool,
    /// What follows the next slash.
    pub(super) after: Option<&'a [u8]>,
}

impl<'a> Piece<'a> {
    pub(super) fn first(path: &'a [u8]) -> Self {
        let mut has_percent = false;
        for (at, byte) in path.iter().enumerate() {
            match byte {
                b'/' => {
                    return Self {
                        text: &path[..at],
                        has_percent,
                        after: Some(&path[at + 1..]),
                    };
                }
                b'%' => has_percent = true,
                _ => {}
            }
        }
        Self {
            text: path,
            has_percent,
            after: None,
        }
    }

    pub(super) fn decoded(&self) -> Cow<'a, [u8]> {
        if self.has_percent {
            decode_segment(self.text)
        } else {
            Cow::Borrowed(self.text)
        }
    }
}
