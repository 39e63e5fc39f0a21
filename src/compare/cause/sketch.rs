//! How many different keys there were, in 256 bytes: a HyperLogLog with 256 registers.
//!
//! Its standard error is 1.04 / sqrt(256), 6.5 %; below some 600 keys linear counting is taken, whose error is no larger. Two sketches make one of all
//! their keys, and neither order nor repetition matters.

use std::hash::{DefaultHasher, Hash, Hasher};

const REGISTERS: usize = 256;

/// Distinct keys, estimated.
#[derive(Clone, Debug)]
pub(super) struct Keys(Box<[u8; REGISTERS]>);

impl Default for Keys {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Keys {
    /// Counts a key.
    pub(super) fn add(&mut self, key: &str) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        let register = &mut self.0[(hash >> 56) as usize];
        // The place of the first bit that is set behind those that chose the register.
        let place = ((hash << 8) | 0x80).leading_zeros() as u8 + 1;
        *register = (*register).max(place);
    }

    /// Counts all keys of another sketch.
    pub(super) fn join(&mut self, other: &Self) {
        for (register, other) in self.0.iter_mut().zip(other.0.iter()) {
            *register = (*register).max(*other);
        }
    }

    /// How many there were, about.
    #[must_use]
    pub(super) fn count(&self) -> u64 {
        let registers = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|&place| (-f64::from(place)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
        let empty = self.0.iter().filter(|&&place| place == 0).count();
        let count = if empty > 0 && raw <= 2.5 * registers {
            registers * (registers / empty as f64).ln()
        } else {
            raw
        };
        count.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_what_is_stated() {
        for (count, most) in [
            (0, 0.0),
            (1, 0.0),
            (20, 0.15),
            (500, 0.25),
            (5_000, 0.25),
            (200_000, 0.25),
        ] {
            let mut squares = 0.0;
            for seed in 0..40 {
                let mut keys = Keys::default();
                (0..count).for_each(|key| keys.add(&format!("{seed}/{key}")));
                let off = (keys.count() as f64 - f64::from(count)) / f64::from(count.max(1));
                assert!(off.abs() <= most, "{count}: {off}");
                squares += off * off;
            }
            assert!((squares / 40.0).sqrt() <= 0.085, "{count}: {squares}");
        }
    }

    #[test]
    fn neither_order_nor_repetition_nor_parts_matter() {
        let sketch = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut keys = Keys::default();
            numbers.for_each(|key| keys.add(&key.to_string()));
            keys
        };
        let whole = sketch(&mut (0..1_000));
        let mut joined = sketch(&mut (300..1_000).rev().chain(300..400));
        joined.join(&sketch(&mut (0..500)));
        assert_eq!(whole.0, joined.0);
    }
}
