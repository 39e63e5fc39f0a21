//! `hash(salt, key) -> 0..10_000`, and shares in steps of 0.01 percent.
//!
//! Nobody is ever moved by accident: the hash is our own code, its results are pinned by the public table, and a share
//! holds every bucket below it, so that raising one only ever adds keys. Any client can compute the same.

/// Number of buckets; a percent is 100 steps.
pub const BUCKETS: u16 = 10_000;

/// The bucket of a key under a salt, 0..10_000.
#[must_use]
pub fn bucket(salt: &str, key: &str) -> u16 {
    scale(murmur3_x86_32(&[salt.as_bytes(), b":", key.as_bytes()]))
}

/// The bucket that decides whether a key is mirrored: the same rule with salt `SALT/shadow`, so that the mirrored keys
/// are spread over both sides.
#[must_use]
pub fn shadow_bucket(salt: &str, key: &str) -> u16 {
    scale(murmur3_x86_32(&[
        salt.as_bytes(),
        b"/shadow:",
        key.as_bytes(),
    ]))
}

/// A hash's share of the whole range, as a bucket.
fn scale(hash: u32) -> u16 {
    let bucket = (u64::from(hash) * u64::from(BUCKETS)) >> 32;
    u16::try_from(bucket).expect("a hash below 2^32 gives a bucket below 10,000")
}

/// A salt, with the part of both hashes that is the same for every key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt {
    text: Box<str>,
    bucket: Murmur,
    shadow: Murmur,
}

impl Salt {
    /// Reads the salt once for all keys.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let salted = Murmur::default().with(text.as_bytes());
        Self {
            text: text.into(),
            bucket: salted.with(b":"),
            shadow: salted.with(b"/shadow:"),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// [`bucket`] of a key under this salt.
    #[must_use]
    pub fn bucket(&self, key: &str) -> u16 {
        scale(self.bucket.with(key.as_bytes()).hash())
    }

    /// [`shadow_bucket`] of a key under this salt.
    #[must_use]
    pub fn shadow_bucket(&self, key: &str) -> u16 {
        scale(self.shadow.with(key.as_bytes()).hash())
    }
}

/// MurmurHash3 x86 32 bits with seed 0, over the pieces as if they were one text.
fn murmur3_x86_32(pieces: &[&[u8]]) -> u32 {
    let pieces = pieces.iter();
    pieces
        .fold(Murmur::default(), |state, piece| state.with(piece))
        .hash()
}

/// The hash of what has come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Murmur {
    hash: u32,
    length: u32,
    /// The bytes of a block that is not full, and how many they are.
    tail: u32,
    filled: u32,
}

impl Murmur {
    /// After these bytes too.
    fn with(mut self, mut bytes: &[u8]) -> Self {
        // The algorithm itself takes the length modulo 2^32.
        self.length = self.length.wrapping_add(bytes.len() as u32);
        while self.filled > 0
            && let Some((byte, after)) = bytes.split_first()
        {
            self.byte(*byte);
            bytes = after;
        }
        let (blocks, tail) = bytes.as_chunks::<4>();
        for block in blocks {
            self.block(u32::from_le_bytes(*block));
        }
        for byte in tail {
            self.byte(*byte);
        }
        self
    }

    fn byte(&mut self, byte: u8) {
        self.tail |= u32::from(byte) << (8 * self.filled);
        self.filled += 1;
        if self.filled == 4 {
            self.block(self.tail);
            (self.tail, self.filled) = (0, 0);
        }
    }

    fn block(&mut self, block: u32) {
        self.hash = (self.hash ^ mix(block))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }

    /// The hash, if nothing more comes.
    fn hash(self) -> u32 {
        let mut hash = self.hash ^ mix(self.tail) ^ self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

/// What a block of four bytes adds; nothing for an empty one, so that an absent tail needs no case of its own.
fn mix(block: u32) -> u32 {
    block
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

/// A share of keys in steps of 0.01 percent, 0..=10_000 steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u16);

/// A percent outside 0..=100, or off a step of 0.01 by more than 1e-6.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a percent is a number from 0 to 100 in steps of 0.01")]
pub struct ShareError;

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(BUCKETS);

    /// `steps = round(percent * 100)`.
    pub fn from_percent(percent: f64) -> Result<Self, ShareError> {
        let steps = (percent * 100.0).round();
        // Written so that NaN is refused too.
        if !((0.0..=f64::from(BUCKETS)).contains(&steps) && (percent - steps / 100.0).abs() <= 1e-6)
        {
            return Err(ShareError);
        }
        // A whole number from 0 to 10,000, as was just seen.
        Ok(Self(steps as u16))
    }

    /// 0..=10_000.
    #[must_use]
    pub fn steps(self) -> u16 {
        self.0
    }

    /// 0.0..=100.0, for display.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether a bucket is inside: `bucket < steps`.
    #[must_use]
    pub fn contains(self, bucket: u16) -> bool {
        bucket < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The public table. A change of any row moves users between the sides: it must never be edited.
    #[test]
    fn the_public_vectors_hold() {
        let rows: [(&str, &str, u32, u16); 7] = [
            ("orders", "42", 2_883_549_775, 6713),
            ("orders", "user-1", 1_148_184_159, 2673),
            ("orders", "ünï", 4_096_627_480, 9538),
            ("tags", "0ad", 1_838_981_494, 4281),
            ("tags", "bash", 1_807_649_226, 4208),
            ("tags/shadow", "0ad", 3_321_777_782, 7734),
            ("tags/shadow", "bash", 2_908_616_766, 6772),
        ];
        for (salt, key, hash, expected) in rows {
            assert_eq!(
                murmur3_x86_32(&[format!("{salt}:{key}").as_bytes()]),
                hash,
                "{salt}:{key}"
            );
            assert_eq!(bucket(salt, key), expected, "{salt}:{key}");
        }
        assert_eq!(shadow_bucket("tags", "0ad"), 7734);
        assert_eq!(shadow_bucket("tags", "bash"), 6772);
    }

    /// Vectors that the algorithm's implementations share, for every length of the tail.
    #[test]
    fn the_hash_is_murmur3() {
        let rows: [(&[u8], u32); 8] = [
            (b"", 0),
            (&[0x21], 0x7266_1cf4),
            (&[0x21, 0x43], 0xa0f7_b07a),
            (&[0x21, 0x43, 0x65], 0x7e4a_8634),
            (&[0x21, 0x43, 0x65, 0x87], 0xf55b_516b),
            (b"test", 0xba6b_d213),
            (b"Hello, world!", 0xc036_3e43),
            (b"The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (text, hash) in rows {
            assert_eq!(murmur3_x86_32(&[text]), hash, "{}", text.escape_ascii());
        }
        assert_eq!(scale(0), 0);
        assert_eq!(scale(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn every_percent_is_its_own_step() {
        for steps in 0..=BUCKETS {
            let percent: f64 = format!("{}.{:02}", steps / 100, steps % 100)
                .parse()
                .unwrap();
            let share = Share::from_percent(percent).unwrap();
            assert_eq!(share.steps(), steps);
            assert_eq!(share.percent(), percent);
            assert_eq!(Share::from_percent(share.percent()), Ok(share));
            assert!(!share.contains(steps), "{percent}");
            assert!(
                steps == 0 || share.contains(steps - 1) && share.contains(0),
                "{percent}"
            );
        }
    }

    #[test]
    fn a_percent_between_two_steps_is_refused() {
        for percent in [
            -0.01,
            100.01,
            0.005,
            12.345,
            1e-5,
            33.333,
            -1e-5,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e300,
        ] {
            assert_eq!(Share::from_percent(percent), Err(ShareError), "{percent}");
        }
        for (percent, steps) in [
            (-0.0, 0),
            (0.1 + 0.2, 30),
            (100.000_000_5, 10_000),
            (29.999_999_5, 3_000),
        ] {
            assert_eq!(Share::from_percent(percent), Ok(Share(steps)), "{percent}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn where_pieces_are_cut_does_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..40), cuts in any::<(usize, usize)>()) {
            let first = cuts.0 % (bytes.len() + 1);
            let second = first + cuts.1 % (bytes.len() - first + 1);
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            prop_assert_eq!(murmur3_x86_32(&pieces), murmur3_x86_32(&[&bytes]));
        }

        #[test]
        fn a_key_keeps_its_bucket_and_a_larger_share_keeps_its_keys(salt in "[a-z]{1,8}", key in "\\PC{0,12}", low in 0..=BUCKETS, more in 0..=BUCKETS) {
            let place = bucket(&salt, &key);
            prop_assert!(place < BUCKETS && shadow_bucket(&salt, &key) < BUCKETS);
            prop_assert_eq!(place, bucket(&salt, &key));
            prop_assert_eq!(shadow_bucket(&salt, &key), bucket(&format!("{salt}/shadow"), &key));
            let ready = Salt::new(&salt);
            prop_assert_eq!((ready.bucket(&key), ready.shadow_bucket(&key)), (place, shadow_bucket(&salt, &key)));
            let high = low.saturating_add(more).min(BUCKETS);
            prop_assert!(!Share(low).contains(place) || Share(high).contains(place));
        }
    }
}
