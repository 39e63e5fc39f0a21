//! Numbers that fit a word, as almost all do.

use super::{Decimal, Exponent};

/// A number by value: digits without zeros at their end, times ten to the power of an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) negative: bool,
    pub(crate) digits: u64,
    pub(crate) exponent: i64,
}

impl Small {
    /// Any number of this many digits fits a word.
    const DIGITS: usize = 19;

    /// The number of a JSON text; none if it has too many digits. Equal numbers are equal here, however they are written.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::plain(text.as_bytes()).or_else(|| Decimal::parse(text)?.small())
    }

    /// The number of a short text without an exponent.
    fn plain(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', text @ ..] => (true, text),
            text => (false, text),
        };
        if text.len() > Self::DIGITS {
            return None;
        }
        let (mut digits, mut exponent, mut step) = (0, 0, 0);
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    digits = digits * 10 + u64::from(byte - b'0');
                    exponent -= step;
                }
                b'.' => step = 1,
                _ => return None,
            }
        }
        if digits == 0 {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        while digits % 10 == 0 {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }
}

impl Decimal<'_> {
    fn small(&self) -> Option<Small> {
        let count = self.digits[0].len() + self.digits[1].len();
        let Exponent::Small(magnitude) = self.magnitude else {
            return None;
        };
        if count > Small::DIGITS {
            return None;
        }
        let digit = |number: u64, digit| number * 10 + u64::from(digit - b'0');
        Some(Small {
            negative: self.negative,
            digits: self.digits().fold(0, digit),
            exponent: i64::try_from(magnitude - count as i128).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_fit_a_word() {
        let small =
            |text| Small::of(text).map(|small| (small.negative, small.digits, small.exponent));
        assert_eq!(small("0"), Some((false, 0, 0)));
        assert_eq!(small("-0.00e7"), Some((false, 0, 0)));
        assert_eq!(small("-120.50"), Some((true, 1205, -1)));
        assert_eq!(
            small("9999999999999999999"),
            Some((false, 9_999_999_999_999_999_999, 0))
        );
        assert_eq!(small("1e400"), Some((false, 1, 400)));
        assert_eq!(small("99999999999999999999"), None);
        assert_eq!(small("1e99999999999999999999"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn equal_numbers_are_equal(
            a in "-?(0|[1-9][0-9]{0,21})([.][0-9]{1,3})?(0{0,20})([eE][+-]?[0-9]{1,2})?",
            b in "-?(0|[1-9]0{0,21})([.]0{1,20}1?)?([eE][+-]?[0-9]{1,2})?",
        ) {
            for (x, y) in [(&a, &b), (&a, &format!("{a}e0")), (&b, &b.replace('.', "0.")), (&b, &a)] {
                let (Some(p), Some(q)) = (Decimal::parse(x), Decimal::parse(y)) else { continue };
                if p == q {
                    prop_assert_eq!(Small::of(x), Small::of(y), "{} {}", x, y);
                } else if let (Some(m), Some(n)) = (Small::of(x), Small::of(y)) {
                    prop_assert_ne!(m, n, "{} {}", x, y);
                }
            }
        }
    }
}
