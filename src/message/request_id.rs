//! The name of a request: what the client calls it, or what it is called here. Both sides, a copy, the log and the proxy's own answers tell the same.
//!
//! It says nothing and is believed nothing: it only finds lines that belong together.

use crate::message::survey::{Field, Survey};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The field that carries it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's longer name is not kept.
pub const LONGEST: usize = 128;

/// How many characters a name has that is made here.
pub const LENGTH: usize = 32;

/// What a request is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// By its client.
    Kept(Box<str>),
    /// By this process.
    Made(Made),
}

impl RequestId {
    /// The client's name for it, if it came in one line that fits into every log as it is; else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap, survey: Survey, names: &Names) -> Self {
        if survey.has(Field::RequestId)
            && let Some(kept) = kept(headers)
        {
            return Self::Kept(kept);
        }
        Self::Made(names.next())
    }

    /// The name that was made here, if it was.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        match self {
            Self::Kept(_) => None,
            Self::Made(made) => Some(*made),
        }
    }

    /// As a field's value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        match self {
            Self::Kept(kept) => {
                HeaderValue::from_str(kept).expect("letters, digits and marks are a field value")
            }
            Self::Made(made) => made.value(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(kept) => f.write_str(kept),
            Self::Made(Made([high, low])) => write!(f, "{high:016x}{low:016x}"),
        }
    }
}

/// Letters, digits and `-._~:/=+@` need no escape anywhere, and can't be taken for two values.
fn kept(headers: &HeaderMap) -> Option<Box<str>> {
    let mut lines = headers.get_all(X_REQUEST_ID).iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let text = line.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/=+@".contains(&byte);
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.into())
}

/// A name that was made here: 32 hex digits, the same twice for no two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made([u64; 2]);

impl Made {
    /// Its text.
    #[must_use]
    pub fn digits(self) -> [u8; LENGTH] {
        let mut digits = [0; LENGTH];
        let bytes = self.0.into_iter().flat_map(u64::to_be_bytes);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&HEX[usize::from(byte)]);
        }
        digits
    }

    /// As a field's value.
    #[must_use]
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&self.digits()))
            .expect("hex digits are a field value")
    }
}

/// Two digits of each byte.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Where the names of one worker's requests come from: no call of the system, and nothing that workers share.
#[derive(Debug)]
pub struct Names {
    prefix: u64,
    count: AtomicU64,
}

impl Names {
    /// Names that begin with this, which nobody else's should.
    #[must_use]
    pub fn new(prefix: u64) -> Self {
        Self {
            prefix,
            count: AtomicU64::new(0),
        }
    }

    /// The next one. The count is mixed, so that names do not look alike: a one-to-one function of it, so that none comes twice (splitmix64).
    pub fn next(&self) -> Made {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.prefix;
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Made([self.prefix, mixed ^ (mixed >> 31)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn of(lines: &[&[u8]]) -> RequestId {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(line).unwrap());
        }
        RequestId::of(&headers, Survey::of(&headers), &Names::new(7))
    }

    #[test]
    fn a_plain_name_is_kept_and_no_other() {
        let check = |lines: &[&[u8]], kept: bool| {
            let id = of(lines);
            let is_kept = lines.len() == 1 && id.to_string().as_bytes() == lines[0];
            assert_eq!((id.made().is_none(), is_kept), (kept, kept), "{lines:?}");
        };
        check(&[b"a"], true);
        check(&[b"7f1c-._~:/=+@Z"], true);
        check(&[&[b'x'; LONGEST]], true);
        check(&[&[b'x'; LONGEST + 1]], false);
        for bad in [
            &b""[..],
            b"a b",
            b"a,b",
            b"\"a\"",
            b"a\\",
            b"a\tb",
            b"\xe9",
            b"a;b",
            b"<a>",
            b"{}",
        ] {
            check(&[bad], false);
        }
        check(&[], false);
        check(&[b"a", b"a"], false);
    }

    #[test]
    fn names_are_hex_and_never_the_same() {
        let names = [Names::new(7), Names::new(8)];
        let mut seen = HashSet::new();
        for names in &names {
            for _ in 0..10_000 {
                let made = names.next();
                assert!(seen.insert(made.digits()));
                let id = RequestId::Made(made);
                assert_eq!(id.to_string().as_bytes(), made.digits());
                assert_eq!(id.value().as_bytes(), made.digits());
            }
        }
        assert!(seen.iter().flatten().all(u8::is_ascii_hexdigit));
        assert_eq!(
            Made([1, 0x0123_4567_89ab_cdef]).digits(),
            *b"00000000000000010123456789abcdef"
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_the_name_fits_into_a_log(line in prop::collection::vec(any::<u8>(), 0..200)) {
            if HeaderValue::from_bytes(&line).is_ok() {
                let id = of(&[&line]).to_string();
                prop_assert!((1..=LONGEST).contains(&id.len()));
                let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,;<>{}".contains(&byte);
                prop_assert!(id.bytes().all(is_plain));
            }
        }
    }
}
