//! gzip, deflate, br and zstd, decoded within bounds.
//!
//! Invariant: no body decodes to more than 4 MiB, nor to more than 100 times its size; output, and what a decoder takes for its window, is charged before it is
//! allocated. A coding that is unknown, broken or cut short is an error, never a shorter body.

use crate::json::Memory;
use brotli_decompressor::{
    Allocator, BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc,
};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;

/// Bytes that a body may have once it is decoded.
pub const MAX_DECODED: usize = 4 * 1024 * 1024;
/// Codings that one body may have on top of each other.
const MAX_CODINGS: usize = 4;

/// Why a body was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// A name in `content-encoding` that is not gzip, deflate, br, zstd or identity, or too many of them.
    #[error("the content coding is unknown")]
    Unknown,
    /// Bytes that are not what `content-encoding` says.
    #[error("the content coding is broken")]
    Broken,
    /// More than [`MAX_DECODED`], or too many times what came.
    #[error("the decoded body is too large")]
    TooLarge,
    /// [`Memory`] said no.
    #[error("the memory for comparisons is used up")]
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Takes a body's codings off, the last first. An empty body is empty in every coding that is known.
///
/// A coded body may become [`MAX_DECODED`], and so many times its own size.
pub fn decode<'b>(
    body: &'b [u8],
    headers: &HeaderMap,
    memory: &mut dyn Memory,
) -> Result<Cow<'b, [u8]>, CodingError> {
    /// Lists of records that are all alike stay below it, and what is above it is hardly an answer.
    const RATIO: usize = 100;
    /// A body counts as one of so many bytes. Megabytes can be had for 24, so there is no more for nothing than what costs as little as the rest of an exchange.
    const LEAST: usize = 40;
    let most = body.len().max(LEAST).saturating_mul(RATIO);
    decode_within(body, headers, memory, most.min(MAX_DECODED))
}

fn decode_within<'b>(
    body: &'b [u8],
    headers: &HeaderMap,
    memory: &mut dyn Memory,
    most: usize,
) -> Result<Cow<'b, [u8]>, CodingError> {
    let meter = Meter {
        memory: RefCell::new(memory),
        refused: Cell::new(false),
    };
    let mut body = Cow::Borrowed(body);
    for coding in codings(headers)?.into_iter().rev() {
        if !body.is_empty() {
            body = Cow::Owned(match coding {
                Coding::Gzip => gunzip(&body, &meter, most)?,
                Coding::Deflate => inflate(&body, &meter, most)?,
                Coding::Brotli => unbrotli(&body, &meter, most)?,
                Coding::Zstd => unzstd(&body, &meter, most)?,
            });
        }
    }
    if body.len() > MAX_DECODED {
        Err(CodingError::TooLarge)
    } else {
        Ok(body)
    }
}

/// Whether two answers are coded alike, so that equal bytes are equal bodies: known or not, they list the same codings.
#[must_use]
pub fn coded_alike(old: &HeaderMap, new: &HeaderMap) -> bool {
    let lines = |headers: &HeaderMap| {
        headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    lines(old) == lines(new) || codings(old).is_ok_and(|old| codings(new) == Ok(old))
}

fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, CodingError> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        for name in line.to_str().map_err(|_| CodingError::Unknown)?.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                "identity" | "" => {}
                _ => return Err(CodingError::Unknown),
            }
        }
    }
    if codings.len() > MAX_CODINGS {
        Err(CodingError::Unknown)
    } else {
        Ok(codings)
    }
}

/// The memory, as several owners need it at once.
struct Meter<'m> {
    memory: RefCell<&'m mut dyn Memory>,
    refused: Cell<bool>,
}

impl Meter<'_> {
    fn charge(&self, bytes: usize) -> Result<(), CodingError> {
        if self.memory.borrow_mut().charge(bytes) {
            return Ok(());
        }
        self.refused.set(true);
        Err(CodingError::Refused)
    }
}

/// Decoded bytes, growing up to the bound.
struct Output<'m> {
    meter: &'m Meter<'m>,
    /// Filled up to `len`, zeros behind it.
    bytes: Vec<u8>,
    len: usize,
    first: usize,
    most: usize,
}

impl<'m> Output<'m> {
    fn new(meter: &'m Meter<'m>, coded: usize, most: usize) -> Self {
        Self {
            meter,
            bytes: Vec::new(),
            len: 0,
            first: coded.saturating_mul(4).max(4_096).min(most),
            most,
        }
    }

    /// Room for more, never empty.
    fn room(&mut self) -> Result<&mut [u8], CodingError> {
        if self.len == self.bytes.len() {
            if self.len > self.most {
                return Err(CodingError::TooLarge);
            }
            // One byte over the bound is enough to know that there is one.
            let size = (self.bytes.len() * 2).clamp(self.first, self.most + 1);
            self.meter.charge(size)?;
            self.bytes.reserve_exact(size - self.bytes.len());
            self.bytes.resize(size, 0);
        }
        Ok(&mut self.bytes[self.len..])
    }

    fn finish(mut self) -> Result<Vec<u8>, CodingError> {
        if self.len > self.most {
            return Err(CodingError::TooLarge);
        }
        self.bytes.truncate(self.len);
        Ok(self.bytes)
    }
}

fn gunzip<'m>(body: &[u8], meter: &'m Meter<'m>, most: usize) -> Result<Vec<u8>, CodingError> {
    let output = Output::new(meter, body.len(), most);
    drain(&mut MultiGzDecoder::new(body), output)
}

/// The coding is zlib's format (RFC 9110 §8.4.1.2), but some have always sent what is in it alone.
fn inflate<'m>(body: &[u8], meter: &'m Meter<'m>, most: usize) -> Result<Vec<u8>, CodingError> {
    let output = Output::new(meter, body.len(), most);
    let is_zlib = body.first_chunk().is_some_and(|head: &[u8; 2]| {
        head[0] & 0x0f == 8 && u16::from_be_bytes(*head).is_multiple_of(31)
    });
    let (decoded, read) = if is_zlib {
        let mut decoder = ZlibDecoder::new(body);
        (drain(&mut decoder, output)?, decoder.total_in())
    } else {
        let mut decoder = DeflateDecoder::new(body);
        (drain(&mut decoder, output)?, decoder.total_in())
    };
    if read == body.len() as u64 {
        Ok(decoded)
    } else {
        Err(CodingError::Broken)
    }
}

/// All that an inflater gives.
fn drain(decoder: &mut dyn Read, mut output: Output<'_>) -> Result<Vec<u8>, CodingError> {
    /// Its window and its tables.
    const STATE: usize = 64 * 1024;
    output.meter.charge(STATE)?;
    loop {
        match decoder.read(output.room()?) {
            Ok(0) => return output.finish(),
            Ok(read) => output.len += read,
            Err(_) => return Err(CodingError::Broken),
        }
    }
}

fn unbrotli<'m>(body: &[u8], meter: &'m Meter<'m>, most: usize) -> Result<Vec<u8>, CodingError> {
    /// A decoder fills its window before it gives anything out. Those of encoders are larger than what is in them, but a few bytes may ask for 16 MiB, and fill them.
    const WINDOWS: usize = 16;
    const LEAST_WINDOW: usize = 256 * 1024;
    // Tables come from the standard allocator: their size does not depend on what the body says. Strict: windows up to 16 MiB, as RFC 7932 has them.
    const TABLES: usize = 256 * 1024;
    meter.charge(TABLES)?;
    let window = Window {
        meter,
        most: most.saturating_mul(WINDOWS).max(LEAST_WINDOW),
        burst: Rc::default(),
    };
    let burst = Rc::clone(&window.burst);
    let mut state =
        BrotliState::new_strict(window, StandardAlloc::default(), StandardAlloc::default());
    let mut output = Output::new(meter, body.len(), most);
    let (mut left, mut at, mut total) = (body.len(), 0, 0);
    loop {
        let room = output.room()?;
        let (mut room_left, mut written) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            body,
            &mut room_left,
            &mut written,
            room,
            &mut total,
            &mut state,
        );
        output.len += written;
        match result {
            BrotliResult::ResultSuccess if left == 0 => return output.finish(),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess
            | BrotliResult::NeedsMoreInput
            | BrotliResult::ResultFailure => {
                return Err(if burst.get() {
                    CodingError::TooLarge
                } else if meter.refused.get() {
                    CodingError::Refused
                } else {
                    CodingError::Broken
                });
            }
        }
    }
}

/// Bounds and charges the decoder's window, whose size the body chooses. An empty cell is a failed allocation, and ends the decoding.
struct Window<'m> {
    meter: &'m Meter<'m>,
    most: usize,
    /// It was asked for more.
    burst: Rc<Cell<bool>>,
}

impl Allocator<u8> for Window<'_> {
    type AllocatedMemory = <StandardAlloc as Allocator<u8>>::AllocatedMemory;

    fn alloc_cell(&mut self, len: usize) -> Self::AllocatedMemory {
        /// More than a decoder adds to the power of two that a window is.
        const SLACK: usize = 4096;
        if len > self.most + SLACK {
            self.burst.set(true);
            return Self::AllocatedMemory::default();
        }
        if self.meter.charge(len).is_err() {
            return Self::AllocatedMemory::default();
        }
        StandardAlloc::default().alloc_cell(len)
    }

    fn free_cell(&mut self, _cell: Self::AllocatedMemory) {}
}

fn unzstd<'m>(body: &[u8], meter: &'m Meter<'m>, most: usize) -> Result<Vec<u8>, CodingError> {
    /// RFC 9659: the window that a client must be able to keep, and a server must not exceed.
    const MAX_WINDOW: u64 = 8 * 1024 * 1024;
    /// Each frame costs a decoder with its tables.
    const MAX_FRAMES: usize = 64;
    const TABLES: usize = 512 * 1024;
    let mut output = Output::new(meter, body.len(), most);
    let mut rest = body;
    for _ in 0..MAX_FRAMES {
        if rest.is_empty() {
            return output.finish();
        }
        let single_segment = rest.get(4).is_some_and(|descriptor| descriptor & 0x20 != 0);
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        match decoder.init(&mut rest) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                rest = rest.get(length as usize..).ok_or(CodingError::Broken)?;
                continue;
            }
            // A frame of a single segment has its content as its window.
            Err(FrameDecoderError::WindowSizeTooBig { .. }) if single_segment => {
                return Err(CodingError::TooLarge);
            }
            Err(_) => return Err(CodingError::Broken),
        }
        // The decoder keeps a window before it gives anything out, so what the blocks may become is bounded before they are decoded.
        let blocks = zstd_blocks(rest)?;
        if blocks.at_least > most {
            return Err(CodingError::TooLarge);
        }
        meter.charge(TABLES + 2 * blocks.at_most.min(MAX_WINDOW as usize))?;
        while !decoder.is_finished() {
            decoder
                .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(|_| CodingError::Broken)?;
            while decoder.can_collect() > 0 {
                output.len += decoder
                    .read(output.room()?)
                    .map_err(|_| CodingError::Broken)?;
            }
        }
        let stated = decoder.get_checksum_from_data();
        if stated.is_some() && stated != decoder.get_calculated_checksum() {
            return Err(CodingError::Broken);
        }
    }
    if rest.is_empty() {
        output.finish()
    } else {
        Err(CodingError::Broken)
    }
}

/// What the blocks of a zstd frame become, as far as their headers say (RFC 8878 §3.1.1.2).
struct Blocks {
    at_least: usize,
    at_most: usize,
}

fn zstd_blocks(mut rest: &[u8]) -> Result<Blocks, CodingError> {
    const MAX_BLOCK: usize = 128 * 1024;
    let mut blocks = Blocks {
        at_least: 0,
        at_most: 0,
    };
    loop {
        let (&[a, b, c], body) = rest.split_first_chunk::<3>().ok_or(CodingError::Broken)?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = (header >> 3) as usize;
        let (coded, decoded) = match (header >> 1) & 3 {
            0 => (size, Some(size)),
            1 => (1, Some(size)),
            2 => (size, None),
            _ => return Err(CodingError::Broken),
        };
        blocks.at_least += decoded.unwrap_or(0);
        blocks.at_most += decoded.unwrap_or(MAX_BLOCK);
        rest = body.get(coded..).ok_or(CodingError::Broken)?;
        if header & 1 == 1 {
            return Ok(blocks);
        }
    }
}

#[cfg(test)]
mod tests;
