//! A key counts once an hour: one client that asks the same thing all day must not decide what a path is.
//!
//! Invariant: a key that has counted does not count again before the next hour. That one is taken for another is possible, the more so the more have
//! counted; then it does not count. That depends on keys alone and never on outcomes, so it favours nobody.

/// Bits of the filter: with a hundred thousand keys in an hour, nine of ten that are new still count.
const BITS: usize = 1 << 20;

/// The keys of one hour, for all paths of a route.
#[derive(Clone, Debug, Default)]
pub struct Once {
    hour: u64,
    /// Empty until something counts.
    bits: Vec<u64>,
}

impl Once {
    /// Whether a key has not counted for a path in this hour. `path` is any number of its own.
    #[must_use]
    pub fn is_new(&self, key: u64, path: u64, hour: u64) -> bool {
        let (word, bit) = place(key, path);
        self.hour != hour || self.bits.get(word).is_none_or(|bits| bits & bit == 0)
    }

    /// From now on it has; whether it had not.
    pub fn count(&mut self, key: u64, path: u64, hour: u64) -> bool {
        if self.hour != hour {
            self.hour = hour;
            self.bits.fill(0);
        }
        let new = self.is_new(key, path, hour);
        if self.bits.is_empty() {
            self.bits = vec![0; BITS / 64];
        }
        let (word, bit) = place(key, path);
        self.bits[word] |= bit;
        new
    }

    pub(crate) fn size(&self) -> usize {
        self.bits.capacity() * size_of::<u64>()
    }
}

fn place(key: u64, path: u64) -> (usize, u64) {
    let mixed =
        (key ^ path.wrapping_mul(0xD1B5_4A32_D192_ED03)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let bit = (mixed >> 40) as usize % BITS;
    (bit / 64, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_once_an_hour_for_each_path() {
        let mut once = Once::default();
        assert!(once.is_new(7, 1, 1));
        assert!(once.count(7, 1, 1));
        assert!(!once.count(7, 1, 1) && !once.is_new(7, 1, 1));
        assert!(once.count(7, 2, 1), "another path");
        assert!(once.count(8, 1, 1), "another key");
        assert!(once.is_new(7, 1, 2) && once.count(7, 1, 2), "another hour");
        assert!(once.is_new(8, 1, 2));
    }

    #[test]
    fn nine_of_ten_of_a_hundred_thousand_keys_count() {
        let mut once = Once::default();
        let new = (0..100_000).filter(|&key| once.count(key, 3, 1)).count();
        assert!((90_000..=100_000).contains(&new), "{new}");
    }
}
