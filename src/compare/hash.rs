//! Hashes of values, without a key: the same value hashes alike everywhere, and numbers that are equal however they are written. Nobody relies on
//! different hashes for different values.

use crate::json::number::Small;
use crate::json::word::head;
use crate::json::{Decimal, Value};
use std::hash::{Hash, Hasher};

/// Set where some number in the value has a tolerance, so that its hash says little.
pub(crate) const LOOSE: u64 = 1;
/// Set in every hash, so that none is 0.
pub(crate) const KNOWN: u64 = 2;
pub(crate) const IN_ORDER: u64 = 0x9E37_79B9_7F4A_7C15;
/// What tells a number from a text of the same bits.
const NUMBER: u64 = 0x8EBC_6AF0_9C88_C6E3;
/// What tells a name of a thing from a value.
pub(crate) const NAMED: u64 = 0x94D0_49BB_1331_11EB;
/// What tells a shape from a value.
pub(crate) const SHAPE: u64 = 0x1D8E_4E27_C47D_124F;
pub(crate) const STRING: u64 = 0x5899_65CC_7537_4CC3;
pub(crate) const ANY_ORDER: u64 = 0xD1B5_4A32_D192_ED03;

pub(crate) fn strict(hash: u64) -> u64 {
    hash & !LOOSE
}

/// The hash of several values in their order, loose if one of them is; that of a single one is its own.
pub(crate) fn hash_together(hashes: impl Iterator<Item = u64>) -> u64 {
    let together = |a: u64, b: u64| strict(fold(a ^ b, IN_ORDER)) | (a | b) & LOOSE;
    hashes.reduce(together).unwrap_or(KNOWN)
}

/// Multiplies to 128 bits and folds the halves: each bit of the input reaches every bit of the result.
pub(crate) fn fold(value: u64, constant: u64) -> u64 {
    let product = u128::from(value ^ 0xA076_1D64_78BD_642F) * u128::from(constant);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A hash of a text, and of what a seed says. It has no key: the same document hashes alike everywhere.
pub(crate) fn hash_text(seed: u64, text: &[u8]) -> u64 {
    let (mut hash, mut at) = (seed ^ (text.len() as u64).rotate_right(16), 0);
    while text.len() - at > 8 {
        hash = fold(hash ^ head(text, at, 8), IN_ORDER);
        at += 8;
    }
    fold(
        fold(hash ^ head(text, at, text.len() - at), IN_ORDER),
        ANY_ORDER,
    )
}

/// Alike for numbers that are equal, however they are written.
pub(crate) fn hash_number(text: &str) -> u64 {
    if let Some(small) = Small::of(text) {
        let rest = (small.exponent as u64).rotate_left(8) | u64::from(small.negative);
        return fold(fold(NUMBER ^ small.digits, IN_ORDER) ^ rest, ANY_ORDER);
    }
    let mut mixer = Mixer(NUMBER);
    Decimal::parse(text).hash(&mut mixer);
    mixer.finish()
}

/// Alike for equal values; none for arrays and objects, which are hashed as rules see them.
pub(crate) fn hash_scalar(value: Value<'_>) -> Option<u64> {
    Some(match value {
        Value::Null => fold(2, IN_ORDER),
        Value::Bool(false) => fold(3, IN_ORDER),
        Value::Bool(true) => fold(4, IN_ORDER),
        Value::Number(text) => hash_number(text),
        Value::String(text) => hash_text(STRING, text.as_bytes()),
        Value::Array | Value::Object => return None,
    })
}

/// What stands for a value that was seen, if it is neither array nor object.
pub(crate) fn hash_seen(value: Value<'_>) -> Option<u64> {
    let hash = hash_scalar(value)?;
    Some(match value {
        Value::Number(_) => hash,
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array | Value::Object => {
            strict(hash) | KNOWN
        }
    })
}

/// Hashes what does not fit a word.
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_text(self.0, bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
