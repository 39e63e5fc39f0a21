//! The key of a request: a template rendered from what the request carries.
//!
//! A value that is doubtful is absent: one that is not UTF-8, empty, over [`VALUE_LIMIT`] bytes, or of which two parsers
//! could read different things. A key with an absent part is absent, and such a request is served by old.

use crate::json::{Document, Limits, Node, Unlimited, Value};
use crate::route::pattern::{Pattern, Place};
use crate::route::table::Captures;
use crate::template::{Source, Template};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::net::IpAddr;

/// A body longer than this has no `{body..}` part of a key.
pub const BODY_LIMIT: usize = 64 * 1024;
/// A longer value is absent.
pub const VALUE_LIMIT: usize = 1024;

/// What a key may be made of.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Placeholders of the path.
    pub captures: &'a Captures<'a>,
    /// The query as it came, without `?`.
    pub query: Option<&'a str>,
    /// The request's header fields, as they came.
    pub headers: &'a HeaderMap,
    /// The whole body, if it was read and is at most [`BODY_LIMIT`] long.
    pub body: Option<&'a [u8]>,
    /// The client's address, as the trusted proxies tell it.
    pub client_ip: Option<IpAddr>,
}

/// Where the key stands in the paths of a pattern, if it is one placeholder and nothing else, as most are.
#[must_use]
pub fn lone_place(template: &Template, pattern: &Pattern) -> Option<Place> {
    match template.lone_source()? {
        Source::Path(name) => pattern.place(name),
        Source::Query(_)
        | Source::Header(_)
        | Source::Cookie(_)
        | Source::Body(_)
        | Source::ClientIp => None,
    }
}

/// The key, or `None` where a part is absent. With a [`lone_place`] the template is not read.
#[must_use]
pub fn key(template: &Template, lone: Option<Place>, from: &Sources<'_>) -> Option<String> {
    match lone {
        Some(place) => text(from.captures.at(place)?)
            .filter(|value| is_good(value))
            .map(Cow::into_owned),
        None => template.render(|source| value(source, from).filter(|value| is_good(value))),
    }
}

fn is_good(value: &str) -> bool {
    (1..=VALUE_LIMIT).contains(&value.len())
}

fn value<'a>(source: &Source, from: &Sources<'a>) -> Option<Cow<'a, str>> {
    match source {
        Source::Path(name) => text(from.captures.value(name)?),
        Source::Query(name) => query_value(from.query?, name),
        Source::Header(name) => header_value(from.headers, name),
        Source::Cookie(name) => cookie_value(from.headers, name),
        Source::Body(pointer) => body_value(from.body?, from.headers, pointer).map(Cow::Owned),
        // An IPv4 address in IPv6 clothes is the same client; Rust's own form is that of RFC 5952.
        Source::ClientIp => Some(from.client_ip?.to_canonical().to_string().into()),
    }
}

fn text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// The first occurrence counts, even if it is one that makes the value absent. Not `form_urlencoded::parse`, which
/// puts U+FFFD where the bytes are not UTF-8, and so gives different values the same text.
fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(key, _)| form_decode(key).as_ref() == name.as_bytes())?;
    text(form_decode(value))
}

/// `application/x-www-form-urlencoded`: a plus is a space, then percent codes.
fn form_decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_decode(spaced.as_bytes())
            .collect::<Vec<u8>>()
            .into();
    }
    percent_decode(text.as_bytes()).into()
}

fn header_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().trim_ascii());
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    text(Cow::Borrowed(first))
}

/// The first occurrence, in one field or over several as HTTP/2 may cut them (RFC 9113 §8.2.3).
fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let fields = headers.get_all(header::COOKIE).iter();
    let mut pairs = fields.flat_map(|field| field.as_bytes().split(|&byte| byte == b';'));
    pairs.find_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        (pair[..equals].trim_ascii() == name.as_bytes())
            .then(|| text(Cow::Borrowed(pair[equals + 1..].trim_ascii())))
    })?
}

/// A string's text or a number's characters, at an RFC 6901 pointer into a body that is JSON, whole and not coded. A
/// member that stands there twice is absent: which of the two counts differs from parser to parser.
fn body_value(body: &[u8], headers: &HeaderMap, pointer: &str) -> Option<String> {
    let is_plain = |coding: &HeaderValue| {
        coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"identity")
    };
    if body.len() > BODY_LIMIT
        || !headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .all(is_plain)
    {
        return None;
    }
    // Memory is bounded by the length of the body; one nested deeper than comparisons read is as good as no JSON.
    let document = Document::read(body, Limits::default(), &mut Unlimited).ok()?;
    let mut node = Node::ROOT;
    for token in pointer.split('/').skip(1) {
        node = step(
            &document,
            node,
            &token.replace("~1", "/").replace("~0", "~"),
        )?;
    }
    match document.value(node) {
        Value::String(text) | Value::Number(text) => Some(text.to_owned()),
        Value::Null | Value::Bool(_) | Value::Array | Value::Object => None,
    }
}

fn step(document: &Document<'_>, node: Node, token: &str) -> Option<Node> {
    let mut children = document.children(node);
    match document.value(node) {
        Value::Object => {
            let mut members = children.filter(|member| document.key(*member) == token);
            members.next().filter(|_| members.next().is_none())
        }
        Value::Array => {
            let is_index = token == "0"
                || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
            children.nth(token.parse().ok().filter(|_| is_index)?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests;
