//! What belongs to one connection and must not travel on: hop-by-hop fields, `TE`, `Expect`, and the rules of Host.
//!
//! Invariant: after [`remove_hop_by_hop`] none of the fields of RFC 9110 §7.6.1 is left, and no client can make the proxy drop a field that
//! frames, routes or protects the message by naming it in Connection. What frames a body is read elsewhere: by hyper, and by
//! `upstream::plain` where it is one Content-Length.

use crate::message::request_id::X_REQUEST_ID;
use crate::message::survey::{Field, Survey};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, FORWARDED, HOST, HeaderMap,
    HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::{self, Authority, Scheme};
use http::{Method, Request, Uri, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The fields that are hop-by-hop whether Connection names them or not (RFC 9110 §7.6.1), but for Connection and Transfer-Encoding.
const HOP_BY_HOP: [(Field, HeaderName); 4] = [
    (Field::KeepAlive, KEEP_ALIVE),
    (Field::ProxyConnection, PROXY_CONNECTION),
    (Field::Te, TE),
    (Field::Upgrade, UPGRADE),
];

/// Takes out Connection, the fields that it names, and the fields that are hop-by-hop whether named or not (RFC 9110 §7.6.1).
///
/// Connection may not name what frames, routes or protects the message: Host, Content-Length, Trailer, Authorization, Via, Forwarded,
/// X-Forwarded-*, X-Crossfade-* and X-Request-Id. Such a name is ignored. A message without Connection, or with only `close` and `keep-alive` in it,
/// costs no allocation. With Transfer-Encoding goes Content-Length, which it overrides (RFC 9112 §6.3).
pub fn remove_hop_by_hop(headers: &mut HeaderMap, survey: Survey) {
    remove_hop_by_hop_but(headers, survey, |_| false);
}

/// The same, but Connection may not name a field that `keep` knows either: what decides over a request here must decide there too.
pub fn remove_hop_by_hop_but(
    headers: &mut HeaderMap,
    survey: Survey,
    keep: impl Fn(&HeaderName) -> bool,
) {
    if !survey.has_hop_by_hop() {
        return;
    }
    if survey.has(Field::Connection) {
        for name in take_connection(headers) {
            if !keep(&name) {
                remove(headers, &name);
            }
        }
    }
    if survey.has(Field::TransferEncoding) {
        remove(headers, &TRANSFER_ENCODING);
    }
    for (field, name) in &HOP_BY_HOP {
        if survey.has(*field) {
            headers.remove(name);
        }
    }
}

fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    if headers.remove(name).is_some() && name == TRANSFER_ENCODING {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Whether the body is in no transfer coding but `chunked`, once. Any other would be lost with the field: the next hop would take coded bytes for
/// the content itself (RFC 9112 §6.1). Ask before [`remove_hop_by_hop`].
#[must_use]
pub fn is_only_chunked(headers: &HeaderMap, survey: Survey) -> bool {
    if !survey.has(Field::TransferEncoding) {
        return true;
    }
    let mut codings = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty());
    codings
        .next()
        .is_none_or(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// Makes one Content-Length of a list or of several lines, which next to nobody reads alike; they have been found equal where they frame a body of
/// `length` bytes (RFC 9110 §8.6). Where there is no such body they are left out.
pub fn settle_length(headers: &mut HeaderMap, length: Option<u64>) {
    let Entry::Occupied(mut entry) = headers.entry(CONTENT_LENGTH) else {
        return;
    };
    let is_list = entry.iter().any(|line| line.as_bytes().contains(&b','));
    if !is_list && entry.iter().nth(1).is_none() {
        return;
    }
    match length.filter(|length| *length > 0) {
        Some(length) => drop(entry.insert(HeaderValue::from(length))),
        None => drop(entry.remove()),
    }
}

/// Takes Connection out; what it names.
fn take_connection(headers: &mut HeaderMap) -> Vec<HeaderName> {
    let mut named = Vec::new();
    if let Entry::Occupied(entry) = headers.entry(CONNECTION) {
        let (_, lines) = entry.remove_entry_mult();
        for line in lines.filter(|line| !is_about_keeping(line.as_bytes())) {
            let options = line.as_bytes().split(|byte| *byte == b',');
            let names = options
                .map(<[u8]>::trim_ascii)
                .filter(|option| !is_about_keeping(option))
                .filter_map(|option| HeaderName::from_bytes(option).ok());
            named.extend(names.filter(|name| !is_protected(name)));
        }
    }
    named
}

/// Options that name no field.
fn is_about_keeping(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
}

fn is_protected(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRAILER, AUTHORIZATION, VIA, FORWARDED].contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("x-crossfade-")
        || name == X_REQUEST_ID
}

/// Whether Content-Length is written so that nobody takes it for an octal number: `010` is ten bytes to some, and eight to others.
#[must_use]
pub fn is_plain_length(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| !length.as_bytes().starts_with(b"0"))
}

/// Whether the sender takes trailers: `TE` has `trailers` in it (RFC 9110 §10.1.4). Ask before [`remove_hop_by_hop`].
#[must_use]
pub fn accepts_trailers(headers: &HeaderMap, survey: Survey) -> bool {
    survey.has(Field::Te)
        && headers
            .get_all(TE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|coding| {
                coding
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or_default()
                    .trim_ascii()
            })
            .any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Makes `TE: trailers` anew towards the upstream, with the Connection option that it needs (RFC 9110 §10.1.4).
///
/// It replaces Connection: call it after [`remove_hop_by_hop`].
pub fn ask_for_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONNECTION, HeaderValue::from_static("te"));
}

/// Whether the client waits for `100 Continue` before it sends the body. In HTTP/1.0 the expectation means nothing (RFC 9110 §10.1.1); in HTTP/2 hyper
/// sends no interim answers, and no client may wait for one for ever.
#[must_use]
pub fn expects_continue(version: Version, headers: &HeaderMap, survey: Survey) -> bool {
    survey.has(Field::Expect)
        && version == Version::HTTP_11
        && headers
            .get_all(EXPECT)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|expectation| {
                expectation
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"100-continue")
            })
}

/// The protocols that a request asks to switch to (RFC 9110 §7.8), if it may: GET over HTTP/1.1, without a body. Ask before [`remove_hop_by_hop`].
///
/// Never another HTTP, nor TLS: what was refused here could be asked for again inside of it, past every rule.
#[must_use]
pub fn upgrade(
    version: Version,
    method: &Method,
    headers: &HeaderMap,
    survey: Survey,
) -> Option<HeaderValue> {
    if !survey.has(Field::Upgrade) || version != Version::HTTP_11 || method != Method::GET {
        return None;
    }
    let mut lines = headers.get_all(UPGRADE).iter();
    let (Some(protocols), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let is_wanted = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(elements)
        .any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    let has_body = headers.contains_key(CONTENT_LENGTH) || survey.has(Field::TransferEncoding);
    let is_allowed = |protocol: &[u8]| {
        let name = protocol
            .split(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        !name.is_empty()
            && ![&b"h2c"[..], b"h2", b"http", b"tls"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
    };
    (is_wanted && !has_body && elements(protocols).all(is_allowed)).then(|| protocols.clone())
}

/// Which of the protocols that were asked for an answer switches to; `None` if it names none of them, or several.
#[must_use]
pub fn switches_to(asked: &HeaderValue, answer: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = answer.get_all(UPGRADE).iter();
    let (Some(chosen), None) = (lines.next(), lines.next()) else {
        return None;
    };
    elements(asked)
        .any(|protocol| protocol.eq_ignore_ascii_case(chosen.as_bytes().trim_ascii()))
        .then(|| chosen.clone())
}

/// Asks the next hop to switch to these protocols, or says that it is done. Call it after [`remove_hop_by_hop`].
pub fn ask_to_switch(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(UPGRADE, protocols);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

fn elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|byte| *byte == b',');
    elements.map(<[u8]>::trim_ascii)
}

/// Makes a head of HTTP/2 one of HTTP/1.1: one line of Cookie (RFC 9113 §8.2.3), and no Expect, which nobody answers.
pub fn make_http_1(headers: &mut HeaderMap, survey: Survey) {
    if survey.has(Field::Expect) {
        headers.remove(EXPECT);
    }
    if let Entry::Occupied(entry) = headers.entry(COOKIE)
        && entry.iter().nth(1).is_some()
    {
        let (name, crumbs) = entry.remove_entry_mult();
        let crumbs: Vec<_> = crumbs.collect();
        let crumbs: Vec<_> = crumbs.iter().map(HeaderValue::as_bytes).collect();
        let cookie = HeaderValue::from_maybe_shared(Bytes::from(crumbs.join(&b"; "[..])))
            .expect("field values joined by a semicolon are a field value");
        headers.insert(name, cookie);
    }
}

/// Makes a head that is to go out one of HTTP/2: `:scheme` and `:authority` in place of Host, nothing of the connection, and no Expect.
///
/// A Host that no URL can have stays a field, which RFC 9113 §8.3.1 leaves to those who translate.
#[must_use]
pub fn make_http_2(head: Parts, scheme: Scheme) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.headers_mut() = head.headers;
    let headers = request.headers_mut();
    for name in [&CONNECTION, &UPGRADE, &TRANSFER_ENCODING, &EXPECT] {
        headers.remove(name);
    }
    let authority = headers
        .get(HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = authority {
        let mut parts = uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(authority);
        parts.path_and_query = request.uri().path_and_query().cloned();
        if let Ok(target) = Uri::from_parts(parts) {
            *request.uri_mut() = target;
            request.headers_mut().remove(HOST);
        }
    }
    request
}

/// Takes out of trailers what no trailer may be: fields of a connection, and fields that frame or route a message (RFC 9110 §6.5.1).
pub fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers, Survey::of(trailers));
    for name in [&CONTENT_LENGTH, &HOST, &TRAILER, &AUTHORIZATION] {
        trailers.remove(name);
    }
}

/// Whether a target has one of the forms that a gateway takes (RFC 9112 §3.2): a path, a URL of http or https, `*` with OPTIONS.
#[must_use]
pub fn is_target(method: &Method, target: &Uri) -> bool {
    match (target.scheme_str(), target.authority()) {
        (Some(scheme), Some(_)) => matches!(scheme, "http" | "https"),
        // `CONNECT`'s form, as in `GET example.org`: there is no path in it.
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => {
            target.path().starts_with('/') || (method == Method::OPTIONS && target.path() == "*")
        }
    }
}

/// A request whose host can't be told for certain (RFC 9112 §3.2): to be answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// HTTP/1.1 without Host.
    #[error("the request has no Host")]
    Missing,
    /// More than one Host.
    #[error("the request has more than one Host")]
    Several,
    /// Host, or the authority of an absolute target, is not `host[:port]`.
    #[error("the request's Host is not a host with an optional port")]
    Invalid,
}

/// Checks Host, leaves it as the one truth, and returns it: the authority of an absolute target replaces the field (RFC 9112 §3.2.2).
///
/// An HTTP/1.0 request may have no Host, and then has none afterwards.
///
/// # Errors
/// [`HostError`] says why the request must be refused; the fields are then untouched.
pub fn settle_host(
    version: Version,
    target: &Uri,
    headers: &mut HeaderMap,
    survey: Survey,
) -> Result<Option<HeaderValue>, HostError> {
    if survey.has(Field::SecondHost) {
        return Err(HostError::Several);
    }
    let field = headers.get(HOST);
    match field {
        Some(value) if !is_authority(value.as_bytes()) => return Err(HostError::Invalid),
        None if version == Version::HTTP_11 => return Err(HostError::Missing),
        None if version == Version::HTTP_2 && target.authority().is_none() => {
            return Err(HostError::Missing);
        }
        Some(_) | None => {}
    }
    if let Some(authority) = target.authority() {
        if !is_authority(authority.as_str().as_bytes()) {
            return Err(HostError::Invalid);
        }
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| HostError::Invalid)?;
        // RFC 9113 §8.3.1: two hosts in one request are two readings of it.
        let agrees = |field: &HeaderValue| {
            field
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        };
        if version == Version::HTTP_2 && field.is_some_and(|field| !agrees(field)) {
            return Err(HostError::Several);
        }
        headers.insert(HOST, value.clone());
        return Ok(Some(value));
    }
    Ok(field.cloned())
}

/// `uri-host [ ":" port ]` of RFC 9110 §7.2, without user information; an empty host is refused, as http and https have none.
fn is_authority(text: &[u8]) -> bool {
    let (host, rest) = match text.strip_prefix(b"[") {
        Some(inner) => {
            let Some(end) = inner.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let literal = &inner[..end];
            if literal.is_empty()
                || !literal
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
            {
                return false;
            }
            (literal, &inner[end + 1..])
        }
        None => text.split_at(
            text.iter()
                .position(|byte| *byte == b':')
                .unwrap_or(text.len()),
        ),
    };
    let port_is_good = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        [..] => false,
    };
    port_is_good && !host.is_empty() && (text[0] == b'[' || is_registered_name(host))
}

/// `reg-name` of RFC 3986 §3.2.2: unreserved, sub-delims and whole percent escapes.
fn is_registered_name(host: &[u8]) -> bool {
    let mut bytes = host.iter();
    while let Some(byte) = bytes.next() {
        let good = IN_NAMES[usize::from(*byte)]
            || *byte == b'%'
                && [bytes.next(), bytes.next()]
                    .into_iter()
                    .all(|digit| digit.is_some_and(u8::is_ascii_hexdigit));
        if !good {
            return false;
        }
    }
    true
}

/// The bytes that may stand in a registered name as they are. A table, since every request's Host is looked over.
const IN_NAMES: [bool; 256] = {
    let marks = b"-._~!$&'()*+,;=";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut place = 0;
    while place < marks.len() {
        table[marks[place] as usize] = true;
        place += 1;
    }
    table
};

#[cfg(test)]
mod tests;
