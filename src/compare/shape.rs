//! What a value looks like, whatever it says: the shape by which noise is told from change, and a hash of the value itself.
//!
//! Invariant: a shape depends on the value alone, and numbers that are equal have equal shapes however they are written (`2`, `2.0`, `2e0`). It is one
//! word, so that it can be counted, compared and kept without memory of its own. That a value is one of a few that a place has had is not known here:
//! `noise` keeps those of each place by the hashes in [`Seen`].

use crate::compare::hash::hash_text;
use crate::json::number::Small;
use crate::json::{Document, Node, Value};
use std::fmt;

/// The shape of a value: what it is (the highest byte) and the detail of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u32);

const TIME: u32 = 8;
const EPOCH_SECONDS: u32 = 9;
const EPOCH_MILLIS: u32 = 10;
const UUID: u32 = 11;
const HEX: u32 = 12;
const URL: u32 = 13;
const DIGITS: u32 = 14;
const TEXT: u32 = 15;
const INT: u32 = 16;
const FLOAT: u32 = 17;

/// Classes of characters, as bits of a text's shape.
const CLASSES: [(u32, &str); 6] = [
    (LOWER, "lower"),
    (UPPER, "upper"),
    (DIGIT, "digit"),
    (BLANK, "blank"),
    (MARK, "punctuation"),
    (WIDE, "non-ascii"),
];
const LOWER: u32 = 1;
const UPPER: u32 = 2;
const DIGIT: u32 = 4;
const BLANK: u32 = 8;
const MARK: u32 = 16;
const WIDE: u32 = 32;

impl Shape {
    /// No value at all.
    pub const ABSENT: Self = Self(0);
    /// `null`.
    pub const NULL: Self = Self(1 << 24);
    /// `true` or `false`.
    pub const BOOL: Self = Self(2 << 24);
    /// An array.
    pub const ARRAY: Self = Self(3 << 24);
    /// An object.
    pub const OBJECT: Self = Self(4 << 24);
    /// What is not looked into: a body that is no JSON.
    pub const BYTES: Self = Self(5 << 24);

    /// The shape of a value. Linear in a text, constant for all else.
    #[must_use]
    pub fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOL,
            Value::Number(text) => number(text),
            Value::String(text) => string(text),
            Value::Array => Self::ARRAY,
            Value::Object => Self::OBJECT,
        }
    }

    /// The shape as a number, which stays the same from release to release as long as the shapes do.
    #[must_use]
    pub fn id(self) -> u64 {
        u64::from(self.0)
    }

    fn new(kind: u32, detail: u32) -> Self {
        Self(kind << 24 | detail & 0x00FF_FFFF)
    }

    fn parts(self) -> (u32, u32) {
        (self.0 >> 24, self.0 & 0x00FF_FFFF)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, detail) = self.parts();
        match (kind, detail) {
            (0, _) => formatter.write_str("absent"),
            (1, _) => formatter.write_str("null"),
            (2, _) => formatter.write_str("bool"),
            (3, _) => formatter.write_str("array"),
            (4, _) => formatter.write_str("object"),
            (TIME, 0) => formatter.write_str("time Z"),
            (TIME, 1) => formatter.write_str("time +00:00"),
            (TIME, _) => formatter.write_str("time with offset"),
            (EPOCH_SECONDS, _) => formatter.write_str("epoch seconds"),
            (EPOCH_MILLIS, _) => formatter.write_str("epoch milliseconds"),
            (UUID, _) => formatter.write_str("uuid"),
            (HEX, detail) => {
                let case = ["", " upper"][(detail >> 23) as usize];
                write!(formatter, "hex{case} of {}", detail & 0x007F_FFFF)
            }
            (URL, 0) => formatter.write_str("url https"),
            (URL, 1) => formatter.write_str("url http"),
            (URL, _) => formatter.write_str("url"),
            (DIGITS, len) => write!(formatter, "{len} digits"),
            (TEXT, detail) => {
                let names = CLASSES
                    .iter()
                    .filter(|(class, _)| detail >> 8 & class != 0)
                    .map(|(_, name)| *name);
                let names: Vec<_> = names.collect();
                match detail & 0xFF {
                    0 => formatter.write_str("empty text"),
                    len => write!(
                        formatter,
                        "text of {} under {}",
                        names.join(" "),
                        1_u64 << len
                    ),
                }
            }
            (INT | FLOAT, detail) => {
                let name = if kind == INT { "int" } else { "float" };
                let sign = ["", "-"][(detail >> 16 & 1) as usize];
                match detail & 0xFFFF {
                    0 => write!(formatter, "{name} 0"),
                    decade => {
                        let decade = i64::from(decade) - DECADE_OF_ONE;
                        write!(formatter, "{name} {sign}1e{decade}")
                    }
                }
            }
            (_, _) => formatter.write_str("bytes"),
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Shape({self})")
    }
}

/// What was seen at a place: its shape, and a hash of the value that says nothing but whether two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    /// What it looks like.
    pub shape: Shape,
    /// Alike for equal values; the hash has no key, so it must not be shown.
    pub value: u64,
}

impl Seen {
    /// Nothing was there.
    pub const ABSENT: Self = Self {
        shape: Shape::ABSENT,
        value: 0,
    };
    /// Something was there that is not looked into.
    pub const BYTES: Self = Self {
        shape: Shape::BYTES,
        value: 0,
    };

    /// A text that stands alone, such as that of a header field; none is absent.
    #[must_use]
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Self::ABSENT, |text| Self {
            shape: string(text),
            value: hash_text(1, text.as_bytes()),
        })
    }

    /// A body that is not looked into, by all of its bytes.
    #[must_use]
    pub fn bytes(body: &[u8]) -> Self {
        Self {
            shape: Shape::BYTES,
            value: hash_text(1, body),
        }
    }

    /// A number that stands alone, such as a status.
    #[must_use]
    pub fn number(number: u16) -> Self {
        Self {
            shape: Shape::new(
                INT,
                DECADE_OF_ONE as u32 + number.checked_ilog10().unwrap_or(0),
            ),
            value: u64::from(number),
        }
    }

    /// A whole document, by its outermost value alone.
    #[must_use]
    pub fn root(document: &Document<'_>) -> Self {
        Self {
            shape: Shape::of(document.value(Node::ROOT)),
            value: 0,
        }
    }
}

/// Added to decades, so that none is negative or 0.
const DECADE_OF_ONE: i64 = 1 << 14;

fn number(text: &str) -> Shape {
    let (negative, integral, decade) = match Small::of(text) {
        Some(small) => {
            if small.digits == 0 {
                return Shape::new(INT, 0);
            }
            let decade = i64::from(small.digits.ilog10()).saturating_add(small.exponent);
            let lead = small.digits as f64 * 10_f64.powi(-(small.digits.ilog10() as i32));
            if !small.negative && lead < 4.0 {
                match decade {
                    9 => return Shape::new(EPOCH_SECONDS, 0),
                    12 => return Shape::new(EPOCH_MILLIS, 0),
                    _ => {}
                }
            }
            (small.negative, small.exponent >= 0, decade)
        }
        // More digits than fit a word: as near as a float comes.
        None => {
            let float = text.parse().unwrap_or(0.0_f64);
            let decade = float.abs().log10().clamp(-9_999.0, 9_999.0).floor() as i64;
            let integral = !text.contains(['.', 'e', 'E']);
            (float.is_sign_negative(), integral, decade)
        }
    };
    let decade = (decade.clamp(-9_999, 9_999) + DECADE_OF_ONE) as u32;
    let kind = if integral { INT } else { FLOAT };
    Shape::new(kind, u32::from(negative) << 16 | decade)
}

fn string(text: &str) -> Shape {
    let bytes = text.as_bytes();
    let detail = |len: usize| len.min(0x007F_FFFF) as u32;
    if let Some(zone) = time(bytes) {
        return Shape::new(TIME, zone);
    }
    if is_uuid(bytes) {
        return Shape::new(UUID, 0);
    }
    if let Some(scheme) = scheme(text) {
        let scheme = match scheme {
            "https" => 0,
            "http" => 1,
            _ => 2,
        };
        return Shape::new(URL, scheme);
    }
    let mut classes = 0;
    let mut hex = true;
    for &byte in bytes {
        classes |= match byte {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b' ' | b'\t' | b'\n' | b'\r' => BLANK,
            0x80.. => WIDE,
            _ => MARK,
        };
        hex &= byte.is_ascii_hexdigit();
    }
    if classes == DIGIT {
        return Shape::new(DIGITS, detail(bytes.len()));
    }
    // Words such as `decade` are no numbers; eight digits are.
    if hex && bytes.len() >= 8 && (classes == LOWER | DIGIT || classes == UPPER | DIGIT) {
        let upper = u32::from(classes & UPPER != 0) << 23;
        return Shape::new(HEX, upper | detail(bytes.len()));
    }
    let len = usize::BITS - bytes.len().leading_zeros();
    Shape::new(TEXT, classes << 8 | len)
}

/// The zone of an RFC 3339 time: 0 `Z`, 1 a zero offset, 2 another one; none if the text is no time.
fn time(text: &[u8]) -> Option<u32> {
    let (date, rest) = text.split_at_checked(19)?;
    let fits = date
        .iter()
        .zip(b"0000-00-00T00:00:00")
        .all(|(byte, pattern)| match pattern {
            b'0' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't' | b' '),
            other => byte == other,
        });
    if !fits {
        return None;
    }
    let fraction = match rest {
        [b'.', digits @ ..] => {
            let count = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if count == 0 {
                return None;
            }
            1 + count
        }
        _ => 0,
    };
    match &rest[fraction..] {
        b"Z" | b"z" => Some(0),
        b"+00:00" | b"-00:00" => Some(1),
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d]
            .iter()
            .all(|byte| byte.is_ascii_digit())
            .then_some(2),
        _ => None,
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 3986 §3.1, before `://`.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text
        .get(..text.len().min(32))
        .unwrap_or("")
        .split_once("://")?;
    let (first, rest) = scheme.as_bytes().split_first()?;
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (first.is_ascii_alphabetic() && rest.iter().all(fits)).then_some(scheme)
}

#[cfg(test)]
mod tests;
