//! Bodies of other kinds than JSON, brought to a form in which they can be compared: lines of JSON as an array, the fields of a form as an object,
//! texts in UTF-8. What has no such form is compared by its bytes, or can't be.

use crate::compare::coding;
use crate::compare::finding::Incomparable;
use crate::compare::media::ContentType;
use crate::json::Memory;
use http::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How two bodies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As JSON.
    Json,
    /// As lines, each a document: an array.
    Lines,
    /// As the fields of a form: an object.
    Form,
    /// As bytes.
    Bytes,
}

/// How two bodies of these types are read. JSON goes before all else; a body that says nothing of itself may be JSON.
pub fn reading(
    old: Option<&ContentType>,
    new: Option<&ContentType>,
) -> Result<Reading, Incomparable> {
    let any = |is: fn(&ContentType) -> bool| old.is_some_and(is) || new.is_some_and(is);
    let both = |is: fn(&ContentType) -> bool| old.is_some_and(is) && new.is_some_and(is);
    if any(ContentType::is_stream) {
        // It may have no end, and then not all of it was read.
        Err(Incomparable::Stream)
    } else if both(ContentType::is_multipart) {
        Err(Incomparable::Multipart)
    } else if any(ContentType::is_json) || old.is_none() && new.is_none() {
        Ok(Reading::Json)
    } else if any(ContentType::is_lines) {
        Ok(Reading::Lines)
    } else if any(ContentType::is_form) {
        Ok(Reading::Form)
    } else {
        Ok(Reading::Bytes)
    }
}

/// A body without its coding, in UTF-8 if its charset is known.
pub fn plain<'b>(
    body: &'b [u8],
    headers: &HeaderMap,
    content_type: Option<&ContentType>,
    memory: &mut dyn Memory,
) -> Result<Cow<'b, [u8]>, Incomparable> {
    let decoded = coding::decode(body, headers, memory)?;
    to_utf8(decoded, content_type, memory)
}

/// A plain body as the text of one document; `None` if it is compared by its bytes.
pub fn document<'b>(
    reading: Reading,
    body: Cow<'b, [u8]>,
    memory: &mut dyn Memory,
) -> Result<Option<Cow<'b, [u8]>>, Incomparable> {
    Ok(match reading {
        Reading::Json => Some(body),
        Reading::Lines => lines(&body, memory)?.map(Cow::Owned),
        Reading::Form => Some(Cow::Owned(form(&body, memory)?)),
        Reading::Bytes => None,
    })
}

/// A body that [`plain`] reads as this text, where the type's charset has all of its letters; else the text as it is.
#[must_use]
pub fn in_charset(text: String, content_type: Option<&ContentType>) -> Vec<u8> {
    let wide =
        |unit: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(unit).collect() };
    match content_type.and_then(ContentType::charset) {
        Some("iso-8859-1" | "latin1" | "latin-1") => {
            let letters = text.chars().map(|one| u8::try_from(one).ok());
            let letters: Option<Vec<u8>> = letters.collect();
            letters.unwrap_or_else(|| text.into_bytes())
        }
        // RFC 2781 §4.3: without a mark it is this.
        Some("utf-16" | "utf-16be") => wide(u16::to_be_bytes),
        Some("utf-16le") => wide(u16::to_le_bytes),
        Some(_) | None => text.into_bytes(),
    }
}

/// A body in UTF-8, if its type says that it is in Latin-1 or UTF-16 and that is so; else as it is.
fn to_utf8<'b>(
    body: Cow<'b, [u8]>,
    content_type: Option<&ContentType>,
    memory: &mut dyn Memory,
) -> Result<Cow<'b, [u8]>, Incomparable> {
    let decode: fn(&[u8]) -> Option<String> = match content_type.and_then(ContentType::charset) {
        Some("iso-8859-1" | "latin1" | "latin-1") => |body| Some(latin(body)),
        Some("utf-16") => |body| match body {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            // RFC 2781 §4.3
            rest => utf16(rest, u16::from_be_bytes),
        },
        Some("utf-16le") => |body| utf16(body, u16::from_le_bytes),
        Some("utf-16be") => |body| utf16(body, u16::from_be_bytes),
        Some(_) | None => return Ok(body),
    };
    // Two bytes for one of Latin-1, three for two of UTF-16.
    if !memory.charge(2 * body.len()) {
        return Err(Incomparable::Bytes);
    }
    Ok(decode(&body).map_or(body, |text| Cow::Owned(text.into_bytes())))
}

fn latin(body: &[u8]) -> String {
    body.iter().copied().map(char::from).collect()
}

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (units, rest) = body.as_chunks::<2>();
    let units = units.iter().map(|bytes| unit(*bytes));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

/// Lines of JSON as one array; `None` if some line is none. Empty lines do not count.
fn lines(body: &[u8], memory: &mut dyn Memory) -> Result<Option<Vec<u8>>, Incomparable> {
    let lines = body
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    if !memory.charge(2 * body.len() + 2) {
        return Err(Incomparable::Bytes);
    }
    let mut array = vec![b'['];
    for line in lines {
        if serde_json::from_slice::<IgnoredAny>(line).is_err() {
            return Ok(None);
        }
        if array.len() > 1 {
            array.push(b',');
        }
        array.extend_from_slice(line);
    }
    array.push(b']');
    Ok(Some(array))
}

/// The fields of a form as one object: a text for a field, an array of them for one that is there several times.
fn form(body: &[u8], memory: &mut dyn Memory) -> Result<Vec<u8>, Incomparable> {
    /// A field of a few bytes becomes a text and a name, each in memory of its own, and is written once more.
    const BYTES_PER_FIELD: usize = 160;
    let fields = body.split(|&byte| byte == b'&').count();
    // An escaped control character takes six bytes.
    if !memory.charge(8 * body.len() + BYTES_PER_FIELD * fields) {
        return Err(Incomparable::Bytes);
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        match members.get_mut(&*name) {
            None => {
                members.insert(name.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Ok(Value::Object(members).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{ContentType, in_charset, plain};
    use crate::compare::{Answer, Incomparable, Kind, Rules, Unlimited, Verdict, compare};
    use crate::json::{FieldPath, Memory};
    use http::{HeaderMap, HeaderValue, StatusCode, header};
    use proptest::prelude::*;

    /// Compares two bodies of these types by a rule that leaves `$..volatile` out and the content type alone.
    fn judge(
        old: (&str, &[u8]),
        new: (&str, &[u8]),
        memory: &mut dyn Memory,
    ) -> crate::compare::Comparison {
        let headers = |text: &str| {
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(text).unwrap())])
        };
        let maps = [headers(old.0), headers(new.0)];
        let answer = |headers, body| Answer {
            status: StatusCode::OK,
            headers,
            body: Some(body),
        };
        let rules = Rules {
            ignore: vec![FieldPath::parse("$..volatile").unwrap()],
            headers: Vec::new(),
            ..Rules::default()
        };
        compare(
            &answer(&maps[0], old.1),
            &answer(&maps[1], new.1),
            &rules,
            memory,
        )
    }

    #[track_caller]
    fn check(old: (&str, &[u8]), new: (&str, &[u8]), expected: &[(&str, Kind)]) {
        let found = judge(old, new, &mut Unlimited);
        assert!(
            !matches!(found.verdict, Verdict::Incomparable(_)),
            "{found:?}"
        );
        let found: Vec<_> = found
            .divergences
            .iter()
            .map(|found| (&*found.at, found.kind))
            .collect();
        assert_eq!(found, expected);
    }

    const LINES: &str = "application/x-ndjson";
    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn lines_are_compared_one_by_one() {
        for kind in [
            LINES,
            "application/ndjson; charset=utf-8",
            "application/jsonl",
        ] {
            let old = b"{\"a\":1,\"volatile\":1}\n{\"a\":2}\n".as_slice();
            check(
                (kind, old),
                (kind, b"{ \"a\": 1.0, \"volatile\":2}\r\n\n{\"a\":2}"),
                &[],
            );
            check(
                (kind, old),
                (kind, b"{\"a\":1}\n{\"a\":3}\n"),
                &[("$[1].a", Kind::Changed)],
            );
            // One more at the front is one more, and nothing else.
            check(
                (kind, old),
                (kind, b"{\"a\":0}\n{\"a\":1}\n{\"a\":2}\n"),
                &[("$[0]", Kind::Extra)],
            );
        }
        // What only looks like an array when it is put together.
        check(
            (LINES, b"[1\n2]"),
            (LINES, b"[1\n2 ]"),
            &[("body", Kind::Body)],
        );
        check((LINES, b"1\n2"), (LINES, b"1,2"), &[("body", Kind::Body)]);
        check((LINES, b""), (LINES, b"\n"), &[]);
    }

    #[test]
    fn forms_are_compared_field_by_field() {
        check((FORM, b"a=1&b=x+y"), (FORM, b"b=x%20y&a=1"), &[]);
        check(
            (FORM, b"a=1&b=2"),
            (FORM, b"a=1&b=3"),
            &[("$.b", Kind::Changed)],
        );
        check((FORM, b"a=1&volatile=2"), (FORM, b"a=1&volatile=3"), &[]);
        check((FORM, b"a=1&a=2"), (FORM, b"a=1"), &[("$.a", Kind::Type)]);
        check(
            (FORM, b"a=1&a=2"),
            (FORM, b"a=2&a=1"),
            &[("$.a", Kind::Order)],
        );
    }

    #[test]
    fn charsets_are_read_as_they_are_declared() {
        let json = "{\"a\":\"ü\"}";
        let wide =
            |unit: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let marked = [&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat();
        let latin: Vec<u8> = json.chars().map(|c| u8::try_from(c).unwrap()).collect();
        for (kind, body) in [
            ("application/json; charset=ISO-8859-1", &latin),
            ("application/json; charset=utf-16", &marked),
            ("application/json; charset=utf-16", &wide(u16::to_be_bytes)),
            (
                "application/json; charset=utf-16le",
                &wide(u16::to_le_bytes),
            ),
            (
                "application/json; charset=\"UTF-16BE\"",
                &wide(u16::to_be_bytes),
            ),
        ] {
            check((kind, body), ("application/json", json.as_bytes()), &[]);
            check(
                (kind, body),
                ("application/json", b"{\"a\":\"u\"}"),
                &[("$.a", Kind::Changed)],
            );
        }
        // A declaration that is not true: the bytes are what they are.
        check(
            ("application/json; charset=utf-16le", b"{} "),
            ("application/json", b"{}"),
            &[],
        );
        check(
            ("text/plain; charset=latin1", b"\xfc"),
            ("text/plain", "ü".as_bytes()),
            &[],
        );
    }

    #[test]
    fn what_is_written_in_a_charset_is_read_in_it() {
        for (charset, text) in [
            ("latin1", "ü"),
            ("latin1", "€"),
            ("utf-16", "ü\u{1f600}"),
            ("utf-16be", "ü€"),
            ("utf-16le", "ü€"),
            ("utf-8", "ü€"),
        ] {
            let kind = format!("text/plain; charset={charset}");
            let headers = HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_str(&kind).unwrap(),
            )]);
            let kind = ContentType::of(&headers);
            let body = in_charset(text.to_owned(), kind.as_ref());
            let read = plain(&body, &headers, kind.as_ref(), &mut Unlimited).unwrap();
            // A letter that Latin-1 lacks stays what it is, and is read as several.
            let same = read == text.as_bytes();
            assert_eq!(same, (charset, text) != ("latin1", "€"), "{charset} {text}");
        }
    }

    #[test]
    fn what_can_not_be_compared_says_why() {
        let reason =
            |old: &str, new: &str| match judge((old, b"a"), (new, b"b"), &mut Unlimited).verdict {
                Verdict::Incomparable(reason) => Some(reason),
                Verdict::Match | Verdict::Mismatch => None,
            };
        let (parts, stream) = ("multipart/form-data; boundary=x", "text/event-stream");
        assert_eq!(
            reason(parts, "multipart/form-data; boundary=y"),
            Some(Incomparable::Multipart)
        );
        // One that is and one that is not differ, whatever they say.
        assert_eq!(reason(parts, "text/html"), None);
        assert_eq!(reason(stream, stream), Some(Incomparable::Stream));
        assert_eq!(
            reason(stream, "application/json"),
            Some(Incomparable::Stream)
        );
        // Nor is one that was not read to its end like another that was not.
        let same = judge((stream, b""), (stream, b""), &mut Unlimited);
        assert_eq!(same.verdict, Verdict::Incomparable(Incomparable::Stream));
        for kind in ["text/html", "application/xml", "image/png"] {
            check((kind, b"<a>"), (kind, b"<A>"), &[("body", Kind::Body)]);
            check((kind, b"<a>"), (kind, b"<a>"), &[]);
        }
    }

    /// Memory that is used up.
    struct Nothing;

    impl Memory for Nothing {
        fn charge(&mut self, _: usize) -> bool {
            false
        }
    }

    #[test]
    fn memory_is_asked_before_it_is_taken() {
        for kind in [LINES, FORM, "text/plain; charset=latin1"] {
            let found = judge((kind, b"1"), (kind, b"2"), &mut Nothing);
            assert_eq!(
                found.verdict,
                Verdict::Incomparable(Incomparable::Bytes),
                "{kind}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_bytes_of_any_kind_are_judged(
            old in proptest::collection::vec(any::<u8>(), 0..40),
            new in "[a-z0-9={}\\[\\],\"&%+\n]{0,40}",
            kind in "application/(x-ndjson|x-www-form-urlencoded|json)(;charset=(utf-16|latin1))?",
        ) {
            let (one, two) = ((&*kind, &old[..]), (&*kind, new.as_bytes()));
            let forth = judge(one, two, &mut Unlimited).verdict;
            prop_assert_eq!(forth, judge(two, one, &mut Unlimited).verdict);
            prop_assert_eq!(judge(one, one, &mut Unlimited).verdict, Verdict::Match);
        }
    }
}
