//! What one side answered, as a line tells it: a document, or with a head any answer that there can be.

use crate::compare::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::Error;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What one side answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered<'l> {
    status: StatusCode,
    headers: HeaderMap,
    /// `None` for the answer to HEAD.
    pub(super) body: Option<Cow<'l, [u8]>>,
}

/// What a line says of an answer beside its body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Head {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Form,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// As the document that it is.
    #[default]
    Json,
    /// As a text.
    Text,
    /// As base64 of its bytes, as they came.
    Base64,
    /// There is none, whatever is written.
    None,
}

impl<'l> Answered<'l> {
    pub(super) fn read<E: Error>(body: &'l str, head: Option<&'l RawValue>) -> Result<Self, E> {
        let head = head.map(|head| serde_json::from_str::<Head>(head.get()));
        let head = head.transpose().map_err(E::custom)?.unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &head.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(E::custom)?;
            // One byte for each character, as HTTP has them.
            let value: Option<Vec<u8>> = value.chars().map(|one| u8::try_from(one).ok()).collect();
            let value = value.and_then(|value| HeaderValue::from_bytes(&value).ok());
            let wrong = || E::custom(format!("no header field has this value of {name}"));
            headers.append(&name, value.ok_or_else(wrong)?);
        }
        let text = || -> Result<Cow<'l, str>, E> {
            serde_json::from_str(body).map_err(|_| E::custom("the body is no text"))
        };
        Ok(Self {
            status: StatusCode::from_u16(head.status.unwrap_or(200)).map_err(E::custom)?,
            headers,
            body: match head.body {
                Form::Json => Some(Cow::Borrowed(body.as_bytes())),
                Form::Text => Some(Cow::Owned(text()?.into_owned().into_bytes())),
                Form::Base64 => {
                    let bytes = from_base64(&text()?);
                    let wrong = || E::custom("the body is no base64");
                    Some(Cow::Owned(bytes.ok_or_else(wrong)?))
                }
                Form::None => None,
            },
        })
    }

    pub(super) fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            headers: &self.headers,
            body: self.body.as_deref(),
        }
    }
}

/// RFC 4648 §4; with or without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let digit = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        let bits = bits << (6 * (4 - group.len()));
        let whole = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Error;

    #[test]
    fn base64_is_read_as_the_rfc_writes_it() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg", Some(b"foob")),
            ("+//+", Some(&[0xfb, 0xff, 0xfe])),
            ("Z", None),
            ("Zm9v\n", None),
        ] {
            assert_eq!(from_base64(text).as_deref(), bytes, "{text}");
        }
    }

    #[test]
    fn a_head_says_what_the_body_is() {
        let read = |body: &'static str, head: &str| -> Result<_, Error> {
            let head: Box<RawValue> = serde_json::from_str(head)?;
            let read = Answered::read::<Error>(body, Some(&head))?;
            let headers: Vec<String> = read
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value:?}"))
                .collect();
            Ok((
                read.status.as_u16(),
                headers,
                read.body.map(Cow::into_owned),
            ))
        };
        let head = r#"{"status": 404, "headers": [["A", "1"], ["a", "\u00e9"]], "body": "base64"}"#;
        assert_eq!(
            read("\"Zm8=\"", head).unwrap(),
            (
                404,
                vec!["a: \"1\"".to_owned(), "a: \"\\xe9\"".to_owned()],
                Some(b"fo".to_vec())
            )
        );
        let body = |body, form: &str| read(body, &format!("{{\"body\": \"{form}\"}}")).ok();
        assert_eq!(body("{}", "none"), Some((200, vec![], None)));
        assert_eq!(
            body("\"a\\n\"", "text"),
            Some((200, vec![], Some(b"a\n".to_vec())))
        );
        assert_eq!(
            body("{ }", "json"),
            Some((200, vec![], Some(b"{ }".to_vec())))
        );
        for (written, form) in [("1", "text"), ("\"?\"", "base64"), ("1", "xml")] {
            assert_eq!(body(written, form), None, "{written} {form}");
        }
        for head in [
            r#"{"status": 99}"#,
            r#"{"headers": [["a b", "1"]]}"#,
            r#"{"headers": [["a", "\u20ac"]]}"#,
            r#"{"header": []}"#,
        ] {
            assert!(read("1", head).is_err(), "{head}");
        }
    }
}
