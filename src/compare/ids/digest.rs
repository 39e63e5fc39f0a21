//! What stands for a value: 128 bits of a keyed hash. Nobody without the key can try values, and two values that have one digest will not be met: among ten
//! million the chance is less than one in 10^24.

use crate::json::number::Small;
use crate::json::{Decimal, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};

/// What stands for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub(super) [u64; 2]);

impl Digest {
    /// The digest as one number, to be stored.
    #[must_use]
    pub fn to_bits(self) -> u128 {
        u128::from(self.0[0]) << 64 | u128::from(self.0[1])
    }

    /// The digest that was stored.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self([(bits >> 64) as u64, bits as u64])
    }

    /// A part of it, which is as random as the whole.
    pub(crate) fn short(self) -> u64 {
        self.0[0]
    }
}

/// What makes digests.
#[derive(Clone)]
pub struct Secret {
    /// The hash after the key, which fills its first block.
    begun: Sha256,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    /// Digests by a key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        let mut begun = Sha256::new();
        begun.update(block);
        Self { begun }
    }

    /// The digest of a text or a number, of numbers that are equal the same; none of other values.
    #[must_use]
    pub fn digest(&self, value: Value<'_>) -> Option<Digest> {
        match value {
            Value::String(text) => Some(self.hash(b't', |feed| feed.write(text.as_bytes()))),
            Value::Number(text) => Some(match Small::of(text) {
                Some(Small {
                    negative,
                    digits,
                    exponent,
                }) => self.hash(b'n', |feed| {
                    feed.write(&digits.to_le_bytes());
                    feed.write(&exponent.to_le_bytes());
                    feed.write(&[u8::from(negative)]);
                }),
                None => self.hash(b'd', |feed| Decimal::parse(text).hash(feed)),
            }),
            Value::Null | Value::Bool(_) | Value::Array | Value::Object => None,
        }
    }

    /// What tells a record from others.
    pub(super) fn record(&self, of: [&str; 2]) -> u64 {
        let digest = self.hash(b'r', |feed| {
            for text in of {
                feed.write(&(text.len() as u64).to_le_bytes());
                feed.write(text.as_bytes());
            }
        });
        digest.short()
    }

    fn hash(&self, kind: u8, write: impl FnOnce(&mut Feed)) -> Digest {
        let mut feed = Feed(self.begun.clone());
        feed.write(&[kind]);
        write(&mut feed);
        let hash = feed.0.finalize();
        let word = |at: usize| {
            let bytes = hash[at..].iter().take(8);
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Digest([word(0), word(8)])
    }
}

/// Hashes what says by itself how it is hashed.
struct Feed(Sha256);

impl Hasher for Feed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_a_value_and_of_a_key() {
        let secret = Secret::new([1; 32]);
        let text = |text: &str| secret.digest(Value::String(text));
        let number = |text: &str| secret.digest(Value::Number(text));
        assert_eq!(text("a"), text("a"));
        assert_ne!(text("a"), text("b"));
        assert_ne!(text("7"), number("7"));
        for (one, other) in [
            ("7", "7.0"),
            ("70", "7e1"),
            ("-0", "0"),
            ("1e400", "10e399"),
            (
                "123456789012345678901234567890",
                "12345678901234567890123456789e1",
            ),
        ] {
            assert_eq!(number(one), number(other), "{one}");
        }
        for (one, other) in [
            ("7", "-7"),
            ("7", "70"),
            ("9007199254740993", "9007199254740992"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567891",
            ),
        ] {
            assert_ne!(number(one), number(other), "{one}");
        }
        assert_ne!(text("a"), Secret::new([2; 32]).digest(Value::String("a")));
        assert_eq!(secret.digest(Value::Null), None);
        assert_ne!(secret.record(["a", "bc"]), secret.record(["ab", "c"]));
        let digest = text("a").unwrap();
        assert_eq!(Digest::from_bits(digest.to_bits()), digest);
    }
}
