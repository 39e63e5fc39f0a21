//! Decimal numbers by value: equality, order and distance of JSON number texts, exact for any length and any exponent.
//!
//! Invariant: every operation is linear in the texts, whatever their exponents say: `1e999999999` costs as much as `1e9`. No number is ever rounded.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

mod small;

pub(crate) use small::Small;

/// The parts of a number's text, as offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// End of the sign and the integer digits.
    pub(crate) whole: usize,
    /// End of the fraction, or `whole` where there is none.
    pub(crate) fraction: usize,
    /// End of the exponent, and of the number.
    pub(crate) len: usize,
}

/// Finds the number at the beginning of some bytes, by the grammar of RFC 8259 §6. The error is the offset of what doesn't fit.
pub(crate) fn scan(bytes: &[u8]) -> Result<Parts, usize> {
    let byte = |at: usize| bytes.get(at).copied();
    let digits = |mut at: usize| {
        while let Some(b'0'..=b'9') = byte(at) {
            at += 1;
        }
        at
    };
    let some_digits = |at: usize| {
        let end = digits(at);
        if end == at { Err(at) } else { Ok(end) }
    };
    let start = usize::from(byte(0) == Some(b'-'));
    let whole = match byte(start) {
        Some(b'0') => start + 1,
        _ => some_digits(start)?,
    };
    let fraction = if byte(whole) == Some(b'.') {
        some_digits(whole + 1)?
    } else {
        whole
    };
    let len = if let Some(b'e' | b'E') = byte(fraction) {
        let sign = usize::from(matches!(byte(fraction + 1), Some(b'+' | b'-')));
        some_digits(fraction + 1 + sign)?
    } else {
        fraction
    };
    Ok(Parts {
        whole,
        fraction,
        len,
    })
}

/// A number by value: `0.DIGITS` times ten to the power of `magnitude`, without zeros at either end of the digits.
#[derive(Clone, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// Digits before the point, then those behind it.
    digits: [&'a [u8]; 2],
    magnitude: Exponent,
}

impl<'a> Decimal<'a> {
    /// Takes a JSON number; `None` for any other text.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let parts = scan(bytes).ok().filter(|parts| parts.len == bytes.len())?;
        let negative = bytes[0] == b'-';
        let mut whole = &bytes[usize::from(negative)..parts.whole];
        let mut fraction = if parts.fraction > parts.whole {
            &bytes[parts.whole + 1..parts.fraction]
        } else {
            &[]
        };
        let exponent = if parts.len > parts.fraction {
            &bytes[parts.fraction + 1..]
        } else {
            &[]
        };

        whole = strip_front(whole);
        let mut shift = whole.len() as i64;
        if whole.is_empty() {
            let significant = strip_front(fraction);
            shift = -((fraction.len() - significant.len()) as i64);
            fraction = significant;
        }
        fraction = strip_back(fraction);
        if fraction.is_empty() {
            whole = strip_back(whole);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self {
                negative: false,
                digits: [&[], &[]],
                magnitude: Exponent::Small(0),
            });
        }
        Some(Self {
            negative,
            digits: [whole, fraction],
            magnitude: Exponent::parse(exponent, shift),
        })
    }

    /// Whether two numbers are at most `tolerance` apart; a negative tolerance permits nothing.
    ///
    /// Exact, but for digits more than 1,000 places below the tolerance's first one, which are cut off.
    #[must_use]
    pub fn within(&self, other: &Self, tolerance: &Decimal<'_>) -> bool {
        if self == other {
            return !tolerance.negative;
        }
        if tolerance.negative || tolerance.is_zero() {
            return false;
        }
        let (larger, smaller) = if self.cmp_absolute(other).is_ge() {
            (self, other)
        } else {
            (other, self)
        };
        // Exponents of 38 digits and more have no place in common with anything else, and decide by magnitude alone.
        let (Exponent::Small(top), Exponent::Small(bound)) =
            (&larger.magnitude, &tolerance.magnitude)
        else {
            return larger.magnitude < tolerance.magnitude;
        };
        let (top, bound) = (*top, *bound);
        if top < bound - 1 {
            return true;
        }
        let same_sign = larger.negative == smaller.negative;
        let mut low = larger.lowest().min(smaller.lowest());
        if top > bound + 1 {
            let near = same_sign && !smaller.is_zero() && smaller.magnitude.is_at_least(top - 1);
            if !near || low > bound {
                return false;
            }
        }
        // Both are near the tolerance, or near each other: subtract (or add) digit by digit, from `low` up.
        low = low.min(tolerance.lowest()).max(bound - 1_000);
        let mut sum = vec![0_i16; usize::try_from(top.max(bound) - low).unwrap_or(0) + 1];
        larger.add_digits(&mut sum, low, 1);
        smaller.add_digits(&mut sum, low, if same_sign { -1 } else { 1 });
        tolerance.add_digits(&mut sum, low, -1);
        is_at_most_zero(&mut sum)
    }

    /// Whether this is zero, of either sign.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits[0].is_empty() && self.digits[1].is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits[0].iter().chain(self.digits[1]).copied()
    }

    fn cmp_absolute(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Without trailing zeros a beginning of another number is smaller than it, as texts are.
            (false, false) => self
                .magnitude
                .cmp(&other.magnitude)
                .then_with(|| self.digits().cmp(other.digits())),
        }
    }

    /// The place of the last digit, where the first one behind the point is -1.
    fn lowest(&self) -> i128 {
        match self.magnitude {
            Exponent::Small(magnitude) => {
                magnitude - (self.digits[0].len() + self.digits[1].len()) as i128
            }
            Exponent::Large { negative: true, .. } => i128::MIN / 2,
            Exponent::Large {
                negative: false, ..
            } => i128::MAX / 2,
        }
    }

    /// Adds the digits to places `low` and up of a sum; what is below is cut off.
    fn add_digits(&self, sum: &mut [i16], low: i128, factor: i16) {
        let Exponent::Small(magnitude) = self.magnitude else {
            return;
        };
        let mut place = magnitude - low;
        for digit in self.digits() {
            place -= 1;
            let Ok(place) = usize::try_from(place) else {
                return;
            };
            if let Some(cell) = sum.get_mut(place) {
                *cell += factor * i16::from(digit - b'0');
            }
        }
    }
}

/// Whether a sum of digits, the lowest place first, is zero or negative.
fn is_at_most_zero(sum: &mut [i16]) -> bool {
    let mut carry = 0_i16;
    let mut any = false;
    for cell in sum.iter_mut() {
        let digit = *cell + carry;
        carry = digit.div_euclid(10);
        any |= digit.rem_euclid(10) != 0;
    }
    carry < 0 || (carry == 0 && !any)
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.magnitude == other.magnitude
            && self.digits[0].len() + self.digits[1].len()
                == other.digits[0].len() + other.digits[1].len()
            && self.digits().eq(other.digits())
    }
}

impl Eq for Decimal<'_> {}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_absolute(other),
            (true, true) => other.cmp_absolute(self),
        }
    }
}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.negative.hash(state);
        self.magnitude.hash(state);
        // Digits in portions that fit a word: most numbers are one portion.
        let mut portion = 0_u64;
        let mut count = 0_u64;
        for digit in self.digits() {
            portion = portion * 10 + u64::from(digit - b'0');
            count += 1;
            if count == 18 {
                state.write_u64(portion);
                (portion, count) = (0, 0);
            }
        }
        // With how many digits these are: zeros at the beginning of a portion count.
        state.write_u64(portion);
        state.write_u64(count);
    }
}

/// A whole number of any length. `Small` if and only if it has at most [`SMALL_DIGITS`] digits, so that equal numbers are equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Exponent {
    Small(i128),
    Large { negative: bool, digits: Vec<u8> },
}

/// Numbers of so many digits, and their sums with any shift, fit `i128`.
const SMALL_DIGITS: usize = 37;
const SMALL_END: i128 = 10_i128.pow(SMALL_DIGITS as u32);

impl Exponent {
    /// The number in a text (a sign perhaps, digits; empty is 0), plus `shift`.
    fn parse(text: &[u8], shift: i64) -> Self {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let digits = strip_front(digits);
        if digits.len() > SMALL_DIGITS {
            return Self::shifted(negative, digits, shift);
        }
        let absolute = digits
            .iter()
            .fold(0, |number, digit| number * 10 + i128::from(digit - b'0'));
        let sum = if negative { -absolute } else { absolute } + i128::from(shift);
        if sum.abs() < SMALL_END {
            Self::Small(sum)
        } else {
            Self::Large {
                negative: sum < 0,
                digits: sum.unsigned_abs().to_string().into_bytes(),
            }
        }
    }

    /// As [`parse`](Self::parse), for more digits than fit a machine's number, so that the shift can't turn the sign.
    fn shifted(negative: bool, digits: &[u8], shift: i64) -> Self {
        let mut digits = digits.to_vec();
        let mut rest = if negative {
            -i128::from(shift)
        } else {
            i128::from(shift)
        };
        for digit in digits.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            let sum = i128::from(*digit - b'0') + rest;
            *digit =
                b'0' + u8::try_from(sum.rem_euclid(10)).expect("a remainder of ten is a digit");
            rest = sum.div_euclid(10);
        }
        if rest > 0 {
            digits.insert(0, b'1');
        }
        let digits = strip_front(&digits);
        if digits.len() > SMALL_DIGITS {
            return Self::Large {
                negative,
                digits: digits.to_vec(),
            };
        }
        let absolute = digits
            .iter()
            .fold(0, |number, digit| number * 10 + i128::from(digit - b'0'));
        Self::Small(if negative { -absolute } else { absolute })
    }

    fn is_at_least(&self, bound: i128) -> bool {
        match self {
            Self::Small(number) => *number >= bound,
            Self::Large { negative, .. } => !negative,
        }
    }
}

impl PartialOrd for Exponent {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exponent {
    fn cmp(&self, other: &Self) -> Ordering {
        let absolute = |a: &[u8], b: &[u8]| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        match (self, other) {
            (Self::Small(a), Self::Small(b)) => a.cmp(b),
            (Self::Small(_), Self::Large { negative: true, .. })
            | (
                Self::Large {
                    negative: false, ..
                },
                Self::Small(_),
            ) => Ordering::Greater,
            (
                Self::Small(_),
                Self::Large {
                    negative: false, ..
                },
            )
            | (Self::Large { negative: true, .. }, Self::Small(_)) => Ordering::Less,
            (
                Self::Large {
                    negative: a,
                    digits: x,
                },
                Self::Large {
                    negative: b,
                    digits: y,
                },
            ) => match (a, b) {
                (false, true) => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, false) => absolute(x, y),
                (true, true) => absolute(y, x),
            },
        }
    }
}

fn strip_front(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

fn strip_back(digits: &[u8]) -> &[u8] {
    let zeros = digits
        .iter()
        .rev()
        .take_while(|&&digit| digit == b'0')
        .count();
    &digits[..digits.len() - zeros]
}

#[cfg(test)]
mod tests;
