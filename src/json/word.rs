//! Bytes looked at eight at a step.

/// The eight bytes that begin there; none where there are fewer.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..at.wrapping_add(8))?;
    chunk.try_into().ok().map(u64::from_le_bytes)
}

/// The bytes that begin there, up to eight of so many, with zeros behind them.
pub(crate) fn head(bytes: &[u8], at: usize, len: usize) -> u64 {
    match word(bytes, at) {
        Some(word) => word & first(len),
        None => {
            let few = bytes.get(at..at + len.min(8)).unwrap_or_default();
            few.iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        }
    }
}

/// A mask for the first bytes of a word.
pub(crate) fn first(len: usize) -> u64 {
    if len < 8 {
        !(u64::MAX << (8 * len))
    } else {
        u64::MAX
    }
}

/// Whether two texts go on alike from two places, for so many bytes.
pub(crate) fn alike(a: &[u8], mut i: usize, b: &[u8], mut j: usize, len: usize) -> bool {
    /// What is longer is worth a call.
    const SHORT: usize = 32;
    let mut left = len;
    if left <= SHORT {
        while let (Some(x), Some(y)) = (word(a, i), word(b, j)) {
            let different = (x ^ y) & first(left);
            if different != 0 || left <= 8 {
                return different == 0;
            }
            (i, j, left) = (i + 8, j + 8, left - 8);
        }
    }
    match (a.get(i..i + left), b.get(j..j + left)) {
        (Some(x), Some(y)) => x == y,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_whole() {
        assert_eq!(word(b"12345678", 0), Some(u64::from_le_bytes(*b"12345678")));
        assert_eq!(word(b"12345678", 1), None);
        assert_eq!(word(b"", 7), None);
        assert_eq!(
            [first(0), first(1), first(7), first(8)],
            [0, 0xFF, u64::MAX >> 8, u64::MAX]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn texts_are_alike_as_slices_are(
            text in proptest::collection::vec(0..3_u8, 0..60),
            change in proptest::option::of(0..60_usize),
            [i, j] in any::<[u8; 2]>().prop_map(|places| places.map(|place| usize::from(place % 8))),
            len in 0..64_usize,
        ) {
            let a = [&vec![9; i][..], &text].concat();
            let mut b = [&vec![8; j][..], &text].concat();
            if let Some(byte) = change.and_then(|at| b.get_mut(j + at)) {
                *byte ^= 4;
            }
            let expected = a.get(i..i + len).is_some_and(|part| b.get(j..j + len) == Some(part));
            prop_assert_eq!(alike(&a, i, &b, j, len), expected);
        }
    }
}
