//! What belongs to one connection and must not travel on: hop-by-hop fields, `TE`, `Expect`, and the rules of Host.
//!
//! Invariant: after [`remove_hop_by_hop`] none of the fields of RFC 9110 §7.6.1 is left, and no client can make the proxy drop a field that
//! frames, routes or protects the message by naming it in Connection. Framing itself is hyper's, which unwraps `chunked` and nothing else.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{Method, Uri, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The fields that are hop-by-hop whether Connection names them or not (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out Connection, the fields that it names, and the fields that are hop-by-hop whether named or not (RFC 9110 §7.6.1).
///
/// Connection may not name what frames, routes or protects the message: Host, Content-Length, Trailer, Authorization, Via, Forwarded,
/// X-Forwarded-* and X-Crossfade-*. Such a name is ignored. A message without Connection, or with only `close` and `keep-alive` in it,
/// costs no allocation. With Transfer-Encoding goes Content-Length, which it overrides (RFC 9112 §6.3).
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Few messages have any, hardly one has two: looking over the names is cheaper than six searches.
    while let Some(found) = headers.keys().find(|name| HOP_BY_HOP.contains(name)) {
        let found = found.clone();
        if found == CONNECTION {
            for name in named_by_connection(headers) {
                remove(headers, &name);
            }
        }
        remove(headers, &found);
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
pub fn is_only_chunked(headers: &HeaderMap) -> bool {
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

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        })
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| !is_protected(name))
        .collect()
}

fn is_protected(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRAILER, AUTHORIZATION, VIA, FORWARDED].contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("x-crossfade-")
}

/// Whether the sender takes trailers: `TE` has `trailers` in it (RFC 9110 §10.1.4). Ask before [`remove_hop_by_hop`].
#[must_use]
pub fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
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

/// Whether the client waits for `100 Continue` before it sends the body. In HTTP/1.0 the expectation means nothing (RFC 9110 §10.1.1).
#[must_use]
pub fn expects_continue(version: Version, headers: &HeaderMap) -> bool {
    version != Version::HTTP_10
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

/// Checks Host and leaves it as the one truth: the authority of an absolute target replaces the field (RFC 9112 §3.2.2).
///
/// An HTTP/1.0 request may have no Host, and then has none afterwards.
///
/// # Errors
/// [`HostError`] says why the request must be refused; the fields are then untouched.
pub fn settle_host(
    version: Version,
    target: &Uri,
    headers: &mut HeaderMap,
) -> Result<(), HostError> {
    let mut fields = headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Several);
    }
    match field {
        Some(value) if !is_authority(value.as_bytes()) => return Err(HostError::Invalid),
        None if version == Version::HTTP_11 => return Err(HostError::Missing),
        Some(_) | None => {}
    }
    if let Some(authority) = target.authority() {
        if !is_authority(authority.as_str().as_bytes()) {
            return Err(HostError::Invalid);
        }
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| HostError::Invalid)?;
        headers.insert(HOST, value);
    }
    Ok(())
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
        let good = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .into_iter()
                .all(|digit| digit.is_some_and(u8::is_ascii_hexdigit)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => true,
            other => other.is_ascii_alphanumeric(),
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
