//! A head's fields as a copy keeps them: in memory of their own, in two blocks, and made into a map again only where one is needed.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields and a text before them. As they came, values are slices of a connection's read buffer, and would keep all of it; names are not.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The text, then the values one after the other.
    bytes: Bytes,
    text: usize,
    /// Names, and how long their values are.
    names: Vec<(HeaderName, usize)>,
}

impl Fields {
    /// Copies a text and fields.
    #[must_use]
    pub fn copy(text: &str, headers: &HeaderMap) -> Self {
        let length: usize = headers.values().map(HeaderValue::len).sum();
        let mut fields = Writer::new(text, headers.len(), length);
        for (name, value) in headers {
            fields.add(name, value);
        }
        fields.finish()
    }

    /// Copies the fields that have one of these names.
    #[must_use]
    pub fn only(headers: &HeaderMap, is_wanted: impl Fn(&HeaderName) -> bool) -> Self {
        let wanted = || headers.iter().filter(|(name, _)| is_wanted(name));
        let (count, length) = wanted().fold((0, 0), |(count, length), (_, value)| {
            (count + 1, length + value.len())
        });
        let mut fields = Writer::new("", count, length);
        for (name, value) in wanted() {
            fields.add(name, value);
        }
        fields.finish()
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.bytes.slice(..self.text)
    }

    /// What it takes of memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.names.len() * size_of::<(HeaderName, usize)>()
    }

    /// Whether there is a field with this name.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.names.iter().any(|(known, _)| known == name)
    }

    /// The first line of a field.
    #[must_use]
    pub fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut start = self.text;
        let (_, length) = self.names.iter().find(|(known, length)| {
            let found = known == name;
            start += if found { 0 } else { *length };
            found
        })?;
        self.bytes.get(start..start + length)
    }

    /// Whether these are, byte for byte and in this order, the fields of a head that have one of these names.
    #[must_use]
    pub fn are_those_of(
        &self,
        headers: &HeaderMap,
        is_wanted: impl Fn(&HeaderName) -> bool,
    ) -> bool {
        let mut rest = self.bytes.get(self.text..).unwrap_or_default();
        let mut names = self.names.iter();
        let mut wanted = headers.iter().filter(|(name, _)| is_wanted(name));
        let same = wanted.all(|(name, value)| {
            names.next().is_some_and(|(own, length)| {
                own == name && rest.split_off(..*length) == Some(value.as_bytes())
            })
        });
        same && names.next().is_none()
    }

    /// The fields with one of these names, in the order of their lines; room for `more`.
    #[must_use]
    pub fn map(&self, more: usize, is_wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.names.len() + more);
        let mut start = self.text;
        for (name, length) in &self.names {
            let value = start..start + length;
            start = value.end;
            if is_wanted(name) {
                let value = HeaderValue::from_maybe_shared(self.bytes.slice(value))
                    .expect("the bytes of a field value are a field value");
                headers.append(name, value);
            }
        }
        headers
    }
}

/// What a copy of fields takes of memory, and some more: a map that is made of it is small and short-lived.
#[must_use]
pub fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 64)
        .sum()
}

struct Writer {
    bytes: BytesMut,
    text: usize,
    names: Vec<(HeaderName, usize)>,
}

impl Writer {
    fn new(text: &str, count: usize, length: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(text.len() + length);
        bytes.extend_from_slice(text.as_bytes());
        Self {
            bytes,
            text: text.len(),
            names: Vec::with_capacity(count),
        }
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.bytes.extend_from_slice(value.as_bytes());
        self.names.push((name.clone(), value.len()));
    }

    fn finish(self) -> Fields {
        Fields {
            bytes: self.bytes.freeze(),
            text: self.text,
            names: self.names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(buffer: &Bytes) -> HeaderMap {
        let field = |from, to| HeaderValue::from_maybe_shared(buffer.slice(from..to)).unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-list", field(0, 3));
        headers.append("x-other", field(8, 13));
        headers.append("x-list", field(4, 7));
        headers.append("x-empty", HeaderValue::from_static(""));
        headers
    }

    #[test]
    fn a_copy_keeps_nothing_of_the_buffer_that_it_came_from() {
        let buffer = Bytes::from_static(b"one two three");
        let range = buffer.as_ptr_range();
        let headers = headers(&buffer);
        let copies = [
            Fields::copy("/a/b?c=d", &headers),
            Fields::only(&headers, |_| true),
        ];
        for (copy, text) in copies.iter().zip(["/a/b?c=d", ""]) {
            assert_eq!(copy.text(), text);
            let map = copy.map(0, |_| true);
            assert_eq!(map, headers);
            assert!(
                map.values()
                    .all(|value| !range.contains(&value.as_bytes().as_ptr()))
            );
        }
    }

    #[test]
    fn only_the_fields_that_are_wanted() {
        let headers = headers(&Bytes::from_static(b"one two three"));
        let only = Fields::only(&headers, |name| name == "x-list");
        let copy = Fields::copy("text", &headers);
        let first = |name| copy.first(&HeaderName::from_static(name));
        assert_eq!(
            [
                first("x-list"),
                first("x-other"),
                first("x-empty"),
                first("x")
            ],
            [Some(&b"one"[..]), Some(b"three"), Some(b""), None]
        );
        let mut expected = HeaderMap::new();
        expected.append("x-list", HeaderValue::from_static("one"));
        expected.append("x-list", HeaderValue::from_static("two"));
        assert_eq!(only.map(0, |_| true), expected);
        let copy = Fields::copy("*", &headers);
        assert_eq!(copy.map(3, |name| name == "x-list"), expected);
        assert!(copy.map(0, |_| false).is_empty());
        assert_eq!(only.map(0, |name| name == "x-list"), expected);
    }

    #[test]
    fn fields_are_told_from_others() {
        let list = |fields: &[(&'static str, &'static str)]| -> HeaderMap {
            let fields = fields.iter().map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            fields.collect()
        };
        let kept = |name: &HeaderName| name != "x-left";
        let heads = [
            list(&[]),
            list(&[("x-a", "")]),
            list(&[("x-a", "1")]),
            list(&[("x-a", "12")]),
            list(&[("x-a", "2")]),
            list(&[("x-b", "1")]),
            list(&[("x-a", "1"), ("x-a", "2")]),
            list(&[("x-a", "1"), ("x-b", "2")]),
            list(&[("x-a", "12"), ("x-b", "")]),
            list(&[("x-a", ""), ("x-b", "12")]),
        ];
        for (place, head) in heads.iter().enumerate() {
            let own = Fields::copy("/text", head);
            for (other_place, other) in heads.iter().enumerate() {
                let mut other = other.clone();
                other.append("x-left", HeaderValue::from_static("out"));
                assert_eq!(
                    own.are_those_of(&other, kept),
                    place == other_place,
                    "{head:?} {other:?}"
                );
                assert!(!own.are_those_of(&other, |_| true));
            }
        }
    }
}
