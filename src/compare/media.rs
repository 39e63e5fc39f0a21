//! Header fields as the comparison reads them: content types by meaning, all others by their values.

use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName};

/// A content type: media type and parameters, in lower case, without `charset=utf-8` and without the parameters' order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    media_type: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// The content type of an answer; `None` if it has none, or an empty one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = combined(headers, &CONTENT_TYPE)?;
        let mut parts = split_parameters(&text).into_iter();
        let media_type = parts.next()?.trim().to_ascii_lowercase();
        let mut parameters: Vec<_> = parts
            .filter_map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let parameter = (
                    name.trim().to_ascii_lowercase(),
                    unquoted(value.trim()).to_ascii_lowercase(),
                );
                (!parameter.0.is_empty() && parameter != ("charset".into(), "utf-8".into()))
                    .then_some(parameter)
            })
            .collect();
        parameters.sort_unstable();
        (!media_type.is_empty() || !parameters.is_empty()).then_some(Self {
            media_type,
            parameters,
        })
    }

    /// Whether it says JSON: `application/json`, or a type that ends in `+json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.media_type == "application/json" || self.media_type.ends_with("+json")
    }

    /// Whether it says lines that are JSON each.
    #[must_use]
    pub fn is_lines(&self) -> bool {
        const NAMES: [&str; 5] = [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonlines",
            "application/json-lines",
        ];
        NAMES.contains(&&*self.media_type)
    }

    /// Whether it says the fields of a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.media_type == "application/x-www-form-urlencoded"
    }

    /// Whether it says several parts.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.media_type.starts_with("multipart/")
    }

    /// Whether it says events, of which there may be no end.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.media_type == "text/event-stream"
    }

    /// The charset that it says, if that is not UTF-8; in lower case.
    #[must_use]
    pub fn charset(&self) -> Option<&str> {
        let charset = self.parameters.iter().find(|(name, _)| name == "charset");
        charset.map(|(_, value)| &**value)
    }
}

/// Whether an answer is events, of which there may be no end.
#[must_use]
pub fn is_stream(headers: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let text = headers
        .get(CONTENT_TYPE)
        .map(|text| text.as_bytes().trim_ascii());
    let name = text.and_then(|text| text.split(|&byte| byte == b';').next());
    name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(EVENTS))
}

/// Whether a header field says the same in two answers: the content type by meaning, any other by its values. Several lines of one field are as one
/// line with commas (RFC 9110 §5.3), but for `set-cookie`.
#[must_use]
pub fn same_field(name: &HeaderName, old: &HeaderMap, new: &HeaderMap) -> bool {
    if name == CONTENT_TYPE {
        ContentType::of(old) == ContentType::of(new)
    } else if name == SET_COOKIE {
        old.get_all(name).iter().eq(new.get_all(name).iter())
    } else {
        combined(old, name) == combined(new, name)
    }
}

/// The lines of a field as one. Bytes beyond ASCII are kept apart from each other, whatever they mean.
pub(super) fn combined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let text = |line: &http::HeaderValue| -> String {
        line.as_bytes()
            .trim_ascii()
            .iter()
            .copied()
            .map(char::from)
            .collect()
    };
    Some(lines.map(text).collect::<Vec<_>>().join(", "))
}

/// Splits at semicolons outside quotes.
fn split_parameters(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' {
            characters.next().unwrap_or('\\')
        } else {
            character
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_bytes(line.as_bytes()).unwrap(),
                )
            })
            .collect()
    }

    fn check(name: &'static str, old: &[&'static str], new: &[&'static str], expected: bool) {
        let (old, new) = (headers(name, old), headers(name, new));
        let name = HeaderName::from_static(name);
        assert_eq!(same_field(&name, &old, &new), expected, "{old:?} {new:?}");
        assert_eq!(same_field(&name, &new, &old), expected, "{new:?} {old:?}");
    }

    #[test]
    fn content_types_compare_by_meaning() {
        let name = "content-type";
        check(
            name,
            &["application/json"],
            &["application/json; charset=utf-8"],
            true,
        );
        check(
            name,
            &["application/json"],
            &["Application/JSON;Charset=\"UTF-8\""],
            true,
        );
        check(
            name,
            &["text/html;a=1;b=2"],
            &["text/html; b=2 ; a=\"1\""],
            true,
        );
        check(
            name,
            &["text/html;a=\"x;y\""],
            &["text/html; a=\"x\\;y\""],
            true,
        );
        check(
            name,
            &["application/json"],
            &["application/json; charset=latin1"],
            false,
        );
        check(
            name,
            &["application/json"],
            &["application/problem+json"],
            false,
        );
        check(
            name,
            &["application/json;a=1"],
            &["application/json;a=2"],
            false,
        );
        check(name, &["application/json"], &[], false);
        check(name, &[""], &[], true);
        check(name, &[], &[], true);
        check(name, &["text/plain"], &["text/plain", "text/plain"], false);
        check(name, &["text/é"], &["text/è"], false);
    }

    #[test]
    fn other_fields_compare_by_value() {
        check("x-a", &["1"], &["1"], true);
        check("x-a", &["a"], &["A"], false);
        check("x-a", &["1", "2"], &["1, 2"], true);
        check("x-a", &["1", "2"], &["2, 1"], false);
        check("x-a", &[""], &[], false);
        check("set-cookie", &["a=1", "b=2"], &["a=1, b=2"], false);
        check("set-cookie", &["a=1", "b=2"], &["a=1", "b=2"], true);
    }

    #[test]
    fn json_is_known_by_its_type() {
        for (text, expected) in [
            ("application/json", true),
            ("APPLICATION/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/vnd.api+json;v=1", true),
            ("application/jsonp", false),
            ("text/json", false),
            ("text/plain; a=\"+json\"", false),
        ] {
            assert_eq!(
                ContentType::of(&headers("content-type", &[text]))
                    .unwrap()
                    .is_json(),
                expected,
                "{text}"
            );
        }
    }
}
