//! As much HTTP/1.1 as both ends need: where a head ends, how long the body after it is, and whether the connection stays.

use bytes::{Buf, BytesMut};
use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head that is read.
const LONGEST: usize = 64 * 1024;

/// A message that was read whole.
#[derive(Debug)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) line: String,
    pub(crate) body: BytesMut,
    /// The sender closes after this message.
    pub(crate) last: bool,
}

/// Reads a message; `None` if the connection was closed before its first byte. What came after it stays in `buffer`.
///
/// A body without a length is an error: none of the programs here sends one.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Option<Message>> {
    let end = loop {
        if let Some(place) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break place + 4;
        }
        if buffer.len() > LONGEST {
            return Err(bad("a head without end"));
        }
        let nothing_yet = buffer.is_empty();
        if stream.read_buf(buffer).await? == 0 {
            return if nothing_yet {
                Ok(None)
            } else {
                Err(ErrorKind::UnexpectedEof.into())
            };
        }
    };
    let Head { line, length, last } = head(&buffer[..end])?;
    buffer.advance(end);
    while buffer.len() < length {
        buffer.reserve(length - buffer.len());
        if stream.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let body = buffer.split_to(length);
    Ok(Some(Message { line, body, last }))
}

struct Head {
    line: String,
    length: usize,
    last: bool,
}

fn head(bytes: &[u8]) -> Result<Head> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("a head that is no text"))?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let mut length = None;
    let mut last = false;
    for (name, value) in lines.filter_map(|field| field.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(
                value
                    .parse()
                    .map_err(|_| bad("a length that is no number"))?,
            );
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad("a body in chunks"));
        } else if name.eq_ignore_ascii_case("connection") {
            last = value.eq_ignore_ascii_case("close");
        }
    }
    let length = match length {
        Some(length) => length,
        None if line.starts_with("HTTP/") => return Err(bad("an answer without a length")),
        None => 0,
    };
    Ok(Head { line, length, last })
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
