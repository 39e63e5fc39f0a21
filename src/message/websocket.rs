//! A WebSocket that was asked for over HTTP/2 (RFC 8441), in the words of HTTP/1.1 (RFC 6455 §4).
//!
//! HTTP/2 has no handshake of its own: whoever passes the request on as HTTP/1.1 makes the key, and checks what the other end makes of it.

use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What is appended to every key (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a side has to prove before it is taken for one that speaks WebSocket.
#[derive(Debug)]
pub struct Handshake {
    accept: String,
}

impl Handshake {
    /// Puts a key of this nonce into a request, in place of any that its client sent.
    #[must_use]
    pub fn begin(headers: &mut HeaderMap, nonce: [u8; 16]) -> Self {
        let key = base64(&nonce);
        let accept = accept(&key);
        let key = HeaderValue::try_from(key).expect("base64 is visible ASCII");
        headers.insert(SEC_WEBSOCKET_KEY, key);
        headers.remove(CONTENT_LENGTH);
        Self { accept }
    }

    /// Whether an answer with status 101 proves it.
    #[must_use]
    pub fn is_accepted(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let (Some(accept), None) = (lines.next(), lines.next()) else {
            return false;
        };
        accept.as_bytes().trim_ascii() == self.accept.as_bytes()
    }
}

/// Takes out of an accepting answer what HTTP/2 has no use for.
pub fn remove_handshake(headers: &mut HeaderMap) {
    for name in [SEC_WEBSOCKET_ACCEPT, CONNECTION, UPGRADE, CONTENT_LENGTH] {
        headers.remove(name);
    }
}

/// The answer to a key (RFC 6455 §4.2.2).
#[must_use]
pub fn accept(key: &str) -> String {
    let text = [key, GUID].concat();
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// RFC 4648 §4, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = word >> (18 - 6 * place) & 63;
            text.push(if place <= chunk.len() {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn a_key_has_one_right_answer() {
        // RFC 6455 §1.3.
        let expected = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), expected);
        let mut request = HeaderMap::new();
        request.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("the client's"));
        let handshake = Handshake::begin(&mut request, *b"the sample nonce");
        assert_eq!(request[SEC_WEBSOCKET_KEY], "dGhlIHNhbXBsZSBub25jZQ==");
        let check = |lines: &[&'static str], is_accepted| {
            let lines = lines.iter().map(|line| HeaderValue::from_static(line));
            let answer = HeaderMap::from_iter(lines.map(|line| (SEC_WEBSOCKET_ACCEPT, line)));
            assert_eq!(handshake.is_accepted(&answer), is_accepted, "{answer:?}");
        };
        check(&[expected], true);
        check(&[], false);
        check(&[expected, expected], false);
        check(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOO="], false);
        check(&["S3PPLMBITXAQ9KYGZZHZRBK+XOO="], false);
    }
}
