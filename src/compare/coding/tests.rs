use super::*;
use crate::json::Unlimited;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The same without its first and last bytes.
fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[high, low]| digit(*high) * 16 + digit(*low))
        .collect()
}

/// What other programs made of one text.
fn sample() -> Vec<u8> {
    format!(
        "{{\"tags\":[\"a\",\"b\"],\"text\":\"{}\"}}",
        "crossfade ".repeat(20)
    )
    .into_bytes()
}
const SAMPLE_BROTLI: &str = "1be300f88dd315f32384758fc06d94eab85a4df3ab828b62b2e874a5240209980acc808be76835896e7a5cc63d553be70a7c";
const SAMPLE_ZSTD: &str = "28b52ffd046875010064027b2274616773223a5b2261222c2262225d2c2274657874223a2263726f73736661646520227d0100dc952a4f057164aa";
/// 5 MiB and 4 MiB of the letter a.
const FIVE_BROTLI: &str = "9bffff4ff825c2e2b14020f7fe09";
const FOUR_BROTLI: &str = "9bffff3ff825c2e2b14020f7fe07";
/// 16 MB of short texts in an array, with a window of as much.
const WIDE_BROTLI: &str = "8f03805b22222c2261222cfc1fa1070002200e8b4877833e020002315d03";

fn headers(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|line| (CONTENT_ENCODING, HeaderValue::from_str(line).unwrap()))
        .collect()
}

fn check(lines: &[&str], body: &[u8], expected: Result<&[u8], CodingError>) {
    let decoded = decode_within(body, &headers(lines), &mut Unlimited, MAX_DECODED);
    assert_eq!(
        decoded.as_deref().map_err(|error| *error),
        expected,
        "{lines:?}"
    );
}

#[test]
fn codings_are_taken_off() {
    let text = sample();
    let ok = Ok(text.as_slice());
    check(&[], &text, ok);
    check(&["identity"], &text, ok);
    check(&["gzip"], &gzip(&text), ok);
    check(&["X-GZIP"], &gzip(&text), ok);
    check(&["deflate"], &zlib(&text), ok);
    check(&["deflate"], &raw_deflate(&text), ok);
    check(&["zstd"], &zstd(&text), ok);
    check(&["zstd"], &unhex(SAMPLE_ZSTD), ok);
    check(&["br"], &unhex(SAMPLE_BROTLI), ok);
    check(&["gzip, zstd"], &zstd(&gzip(&text)), ok);
    check(&["gzip", "identity ,, zstd"], &zstd(&gzip(&text)), ok);
    check(
        &["br, gzip, gzip, zstd"],
        &zstd(&gzip(&gzip(&unhex(SAMPLE_BROTLI)))),
        ok,
    );
    check(
        &["gzip"],
        &[gzip(&text[..50]), gzip(&text[50..])].concat(),
        ok,
    );
    check(
        &["zstd"],
        &[
            zstd(&text[..50]),
            b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(),
            zstd(&text[50..]),
        ]
        .concat(),
        ok,
    );
    for name in ["gzip", "br", "zstd", "gzip, zstd"] {
        check(&[name], b"", Ok(b""));
    }
    check(&["gzip"], &gzip(b""), Ok(b""));
}

#[test]
fn what_is_unknown_or_broken_is_an_error() {
    let text = sample();
    let unknown = Err(CodingError::Unknown);
    check(&["gzip, snappy"], &text, unknown);
    check(&["compress"], b"", unknown);
    check(&["gzip, gzip, gzip, gzip, gzip"], &text, unknown);

    let broken = Err(CodingError::Broken);
    for (name, coded) in [
        ("gzip", gzip(&text)),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text)),
        ("zstd", zstd(&text)),
        ("zstd", unhex(SAMPLE_ZSTD)),
        ("br", unhex(SAMPLE_BROTLI)),
    ] {
        check(&[name], &text, broken);
        check(&[name], &coded[..coded.len() - 1], broken);
        check(&[name], &[coded.as_slice(), b"x"].concat(), broken);
    }
    check(&["br, gzip"], &gzip(&gzip(&text)), broken);
    let mut wrong_sum = gzip(&text);
    let sum = wrong_sum.len() - 5;
    wrong_sum[sum] ^= 1;
    check(&["gzip"], &wrong_sum, broken);
    let mut wrong_sum = unhex(SAMPLE_ZSTD);
    *wrong_sum.last_mut().unwrap() ^= 1;
    check(&["zstd"], &wrong_sum, broken);
    check(&["zstd"], &zstd(b"").repeat(65), broken);
}

#[test]
fn bombs_end_at_the_bound() {
    let most = vec![b'a'; MAX_DECODED];
    let more = vec![b'a'; MAX_DECODED + 1];
    check(&[], &most, Ok(&most));
    check(&[], &more, Err(CodingError::TooLarge));
    for (name, fits, bursts) in [
        ("gzip", gzip(&most), gzip(&more)),
        ("deflate", zlib(&most), zlib(&more)),
        ("zstd", zstd(&most), zstd(&more)),
        ("br", unhex(FOUR_BROTLI), unhex(FIVE_BROTLI)),
    ] {
        check(&[name], &fits, Ok(&most));
        check(&[name], &bursts, Err(CodingError::TooLarge));
    }
    // Codings on top of each other are bounded at each step.
    let huge = gzip(&vec![0; 64 * MAX_DECODED]);
    check(&["gzip"], &huge, Err(CodingError::TooLarge));
    check(&["gzip, gzip"], &gzip(&huge), Err(CodingError::TooLarge));
    // A frame of run-length blocks: each four bytes become 128 KiB, and the window hides them all.
    let block = [1 << 1, 0, 1 << 4, 0];
    let frame = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3][..],
        &block.repeat(1_000),
        &[1, 0, 0],
    ]
    .concat();
    check(&["zstd"], &frame, Err(CodingError::TooLarge));
    // A frame that says that it has more.
    let frame = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..],
        &u32::MAX.to_le_bytes(),
        &[1, 0, 0],
    ]
    .concat();
    check(&["zstd"], &frame, Err(CodingError::TooLarge));
}

#[test]
fn a_coded_body_becomes_100_times_its_size_at_most() {
    let check = |coding: &str, coded: &[u8], expected: Result<usize, CodingError>| {
        let decoded = decode(coded, &headers(&[coding]), &mut Unlimited);
        assert_eq!(decoded.map(|body| body.len()), expected, "{coding}");
    };
    // A small one counts as one of 40 bytes.
    let most = vec![b' '; 4_000];
    let more = vec![b' '; 4_001];
    for (name, fits, bursts) in [
        ("gzip", gzip(&most), gzip(&more)),
        ("deflate", zlib(&most), zlib(&more)),
        ("zstd", zstd(&most), zstd(&more)),
    ] {
        assert!(bursts.len() <= 40, "{name}");
        check(name, &fits, Ok(4_000));
        check(name, &bursts, Err(CodingError::TooLarge));
    }
    check("br", &unhex(FOUR_BROTLI), Err(CodingError::TooLarge));
    // What asks for a window that it has no right to is refused before it fills it.
    let mut memory = Limited {
        left: usize::MAX,
        taken: 0,
    };
    let body = unhex(WIDE_BROTLI);
    let wide = decode(&body, &headers(&["br"]), &mut memory);
    assert_eq!(wide, Err(CodingError::TooLarge));
    assert!(memory.taken < 1 << 20, "{}", memory.taken);
    // Bytes that no coding makes smaller, and blanks, which take next to nothing.
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    };
    let noise: Vec<u8> = std::iter::successors(Some(1), next)
        .map(|state| (state >> 56) as u8)
        .take(5_000)
        .collect();
    let followed = |blanks: usize| gzip(&[noise.as_slice(), &vec![b' '; blanks]].concat());
    let coded = followed(450_000);
    assert!(coded.len() > 4_900, "{}", coded.len());
    check("gzip", &coded, Ok(455_000));
    check("gzip", &followed(700_000), Err(CodingError::TooLarge));
    // On top of each other they have one bound.
    check(
        "gzip, gzip",
        &gzip(&gzip(&[b' '; 10_000])),
        Err(CodingError::TooLarge),
    );
}

/// Memory with a limit, which keeps the largest sum.
struct Limited {
    left: usize,
    taken: usize,
}

impl Memory for Limited {
    fn charge(&mut self, bytes: usize) -> bool {
        if bytes > self.left {
            return false;
        }
        self.left -= bytes;
        self.taken += bytes;
        true
    }
}

#[test]
fn memory_is_asked_before_it_is_taken() {
    let text = vec![b'a'; 1_000_000];
    for (name, coded) in [
        ("gzip", gzip(&text)),
        ("zstd", zstd(&text)),
        ("br", unhex(FOUR_BROTLI)),
    ] {
        let size = if name == "br" {
            MAX_DECODED
        } else {
            text.len()
        };
        let mut all = Limited {
            left: usize::MAX,
            taken: 0,
        };
        assert_eq!(
            decode_within(&coded, &headers(&[name]), &mut all, MAX_DECODED)
                .unwrap()
                .len(),
            size
        );
        assert!(all.taken >= size, "{name} {}", all.taken);
        for left in [0, 1_000, 100_000, size - 1, all.taken - 1] {
            let mut some = Limited { left, taken: 0 };
            assert_eq!(
                decode_within(&coded, &headers(&[name]), &mut some, MAX_DECODED),
                Err(CodingError::Refused),
                "{name} {left}"
            );
        }
    }
    let mut none = Limited { left: 0, taken: 0 };
    assert!(decode(&text, &headers(&[]), &mut none).is_ok());
}

#[test]
fn codings_are_alike_by_name() {
    let alike = |old: &[&str], new: &[&str]| coded_alike(&headers(old), &headers(new));
    assert!(alike(&[], &[]));
    assert!(alike(&["gzip"], &["x-gzip, identity"]));
    assert!(alike(&["gzip, br"], &["gzip", "br"]));
    assert!(alike(&["unknown"], &["unknown"]));
    assert!(!alike(&["unknown"], &["other"]));
    assert!(!alike(&["gzip"], &[]));
    assert!(!alike(&["gzip, br"], &["br, gzip"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_was_coded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..2_000), repeat in 1..20_usize) {
        let bytes = bytes.repeat(repeat);
        check(&["gzip"], &gzip(&bytes), Ok(&bytes));
        check(&["deflate"], &zlib(&bytes), Ok(&bytes));
        check(&["deflate"], &raw_deflate(&bytes), Ok(&bytes));
        check(&["zstd"], &zstd(&bytes), Ok(&bytes));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        coding in proptest::sample::select(&["gzip", "deflate", "br", "zstd"][..]),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        random in any::<bool>(),
    ) {
        let mut coded = match coding {
            _ if random => bytes,
            "gzip" => gzip(&bytes),
            "deflate" => zlib(&bytes),
            "br" => unhex(SAMPLE_BROTLI),
            _ => zstd(&bytes),
        };
        for (place, byte) in flips {
            if !coded.is_empty() {
                let place = place.index(coded.len());
                coded[place] = byte;
            }
        }
        let mut memory = Limited { left: 64 << 20, taken: 0 };
        if let Ok(decoded) = decode(&coded, &headers(&[coding]), &mut memory) {
            prop_assert!(decoded.len() <= MAX_DECODED);
            prop_assert!(decoded.len() <= 100 * coded.len().max(40));
        }
    }
}
