//! Who asked, and through whom: `via`, `forwarded`, `x-forwarded-*`, `x-crossfade-shadow` and the shadow's `traceparent`.
//!
//! Invariant: what a peer outside `trusted_proxies` says about others is never passed on nor believed.

use crate::message::lines::Lines;
use crate::message::request_id::{RequestId, X_REQUEST_ID};
use crate::message::survey::{Field, Survey, is_claim};
use bytes::Bytes;
use http::Version;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The trace that a request belongs to, and who in it has sent it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Marks the copy that the shadow side gets.
pub const X_CROSSFADE_SHADOW: HeaderName = HeaderName::from_static("x-crossfade-shadow");

/// This process's name in `via`: `crossfade-` and 16 hex digits.
#[derive(Clone, Debug)]
pub struct ProcessId {
    name: String,
    via_1_0: HeaderValue,
    via_1_1: HeaderValue,
    via_2_0: HeaderValue,
}

impl ProcessId {
    /// A name made of random bits; two processes with the same bits would take each other for themselves.
    #[must_use]
    pub fn new(random: u64) -> Self {
        let name = format!("crossfade-{random:016x}");
        let via = |version: &str| {
            HeaderValue::from_str(&format!("{version} {name}"))
                .expect("a hex name is a field value")
        };
        Self {
            via_1_0: via("1.0"),
            via_1_1: via("1.1"),
            via_2_0: via("2.0"),
            name,
        }
    }

    /// `crossfade-` and 16 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The member that this process adds to Via for a message of this version (RFC 9110 §7.6.3).
    fn via(&self, version: Version) -> HeaderValue {
        match version {
            Version::HTTP_10 => self.via_1_0.clone(),
            Version::HTTP_2 => self.via_2_0.clone(),
            _ => self.via_1_1.clone(),
        }
    }
}

/// Whether this process has passed the request on before: its name stands in Via.
#[must_use]
pub fn is_loop(headers: &HeaderMap, survey: Survey, id: &ProcessId) -> bool {
    survey.has(Field::Via)
        && elements(headers, &VIA).any(|member| {
            let mut words = member
                .split(|byte| byte.is_ascii_whitespace())
                .filter(|word| !word.is_empty());
            words
                .nth(1)
                .is_some_and(|received_by| received_by.eq_ignore_ascii_case(id.name.as_bytes()))
        })
}

/// The comma-separated elements of a list field, over all its lines; from the right with `rev`.
fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// The address at the other end of a connection, and what every request of the connection tells of it.
#[derive(Debug)]
pub struct Address {
    ip: IpAddr,
    text: HeaderValue,
    scheme: Scheme,
    /// What was told last: hardly a connection asks for more than one Host.
    told: Mutex<Option<Told>>,
}

/// What every request of a connection for one Host tells.
#[derive(Debug)]
struct Told {
    host: HeaderValue,
    forwarded: HeaderValue,
    /// All of it, as lines of a head.
    lines: Bytes,
}

impl Address {
    /// An IPv4 address in IPv6 form is brought to IPv4 form, so that a client has one text whatever socket it came by.
    #[must_use]
    pub fn new(address: IpAddr, scheme: Scheme) -> Self {
        let ip = address.to_canonical();
        let text = HeaderValue::from_maybe_shared(Bytes::from(ip.to_string()))
            .expect("the text of an address is a field value");
        Self {
            ip,
            text,
            scheme,
            told: Mutex::default(),
        }
    }

    /// What is told of a request for a Host in HTTP/1.1.
    fn told<T>(&self, host: &HeaderValue, process: &ProcessId, take: impl FnOnce(&Told) -> T) -> T {
        let mut last = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(told) if told.host == host => take(told),
            Some(_) | None => take(last.insert(self.tell(host, process))),
        }
    }

    fn tell(&self, host: &HeaderValue, process: &ProcessId) -> Told {
        let forwarded = forwarded_element(self, Some(host));
        let fields: [(&HeaderName, &[u8]); 5] = [
            (&X_FORWARDED_FOR, self.text.as_bytes()),
            (&FORWARDED, forwarded.as_bytes()),
            (&X_FORWARDED_PROTO, self.scheme.name().as_bytes()),
            (&X_FORWARDED_HOST, host.as_bytes()),
            (&VIA, process.via_1_1.as_bytes()),
        ];
        let mut lines = Vec::with_capacity(256);
        for (name, value) in fields {
            for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
        Told {
            // In memory of its own: a request's fields are slices of the buffer that it was read into.
            host: HeaderValue::from_bytes(host.as_bytes()).unwrap_or_else(|_| host.clone()),
            forwarded,
            lines: Bytes::from(lines),
        }
    }
}

/// The connection that a request came by.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// The address at the other end.
    pub address: Arc<Address>,
    /// `server.trusted_proxies`.
    pub trusted_proxies: &'a [IpNet],
}

/// How a peer speaks with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The public name: in URLs and in `x-forwarded-proto`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Peer<'_> {
    /// Whether what the peer says about others is believed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusts(self.address.ip)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    /// Who asked first: the rightmost address of X-Forwarded-For outside `trusted_proxies`, else the peer; an untrusted peer is itself.
    ///
    /// An element that is no address ends the search with the peer: what stands left of it was vouched for by nobody. IPv4 addresses in
    /// IPv6 form are brought to IPv4 form, so that a client has one text whatever socket it came by.
    #[must_use]
    pub fn client_ip(&self, headers: &HeaderMap) -> IpAddr {
        let peer = self.address.ip;
        if !self.trusts(peer) {
            return peer;
        }
        for element in elements(headers, &X_FORWARDED_FOR)
            .rev()
            .filter(|element| !element.is_empty())
        {
            match address_of(element) {
                Some(address) if self.trusts(address) => {}
                Some(address) => return address,
                None => return peer,
            }
        }
        peer
    }
}

/// An element of X-Forwarded-For: an address, in brackets or not, with a port or without.
fn address_of(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// Fields that a stamp may add.
const STAMPED: usize = 6;

/// What a request tells the next hop of the way that it came.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The connection that it came by.
    pub peer: &'a Peer<'a>,
    /// The client's Host.
    pub host: Option<&'a HeaderValue>,
    /// The version in which it was received.
    pub version: Version,
    /// This process.
    pub process: &'a ProcessId,
    /// What the request is called.
    pub id: &'a RequestId,
}

impl Stamp<'_> {
    /// Sets `via`, `x-forwarded-for`, `-proto`, `-host` and `forwarded`, and `x-request-id` where the client's was not kept.
    ///
    /// From an untrusted peer every X-Forwarded-*, Forwarded and X-Crossfade-Shadow is removed first; from a trusted one the lists are appended
    /// to, `-proto`, `-host` and the shadow's mark are kept. Names with `_` for `-` count as the same: CGI-like services can't tell them apart.
    pub fn put(&self, headers: &mut HeaderMap, survey: Survey) {
        // What follows would make the map grow and hash all its names again, twice.
        headers.reserve(STAMPED);
        let peer = self.peer;
        let forwarded = match self.host {
            Some(host) => peer
                .address
                .told(host, self.process, |told| told.forwarded.clone()),
            None => forwarded_element(&peer.address, None),
        };
        let proto = HeaderValue::from_static(peer.address.scheme.name());
        if survey.has(Field::Claim) && peer.is_trusted() {
            append_to_list(headers, &X_FORWARDED_FOR, peer.address.text.as_bytes());
            append_to_list(headers, &FORWARDED, forwarded.as_bytes());
            headers.entry(X_FORWARDED_PROTO).or_insert(proto);
            if let Some(host) = self.host {
                headers
                    .entry(X_FORWARDED_HOST)
                    .or_insert_with(|| host.clone());
            }
        } else {
            if survey.has(Field::Claim) {
                remove_claims(headers);
            }
            headers.append(X_FORWARDED_FOR, peer.address.text.clone());
            headers.append(FORWARDED, forwarded);
            headers.append(X_FORWARDED_PROTO, proto);
            if let Some(host) = self.host {
                headers.append(X_FORWARDED_HOST, host.clone());
            }
        }
        headers.append(VIA, self.process.via(self.version));
        if let Some(made) = self.id.made() {
            headers.insert(X_REQUEST_ID, made.value());
        }
    }

    /// The same, but what is to be added comes as lines to be written after the fields, where all of it is new. `None` if it was put in.
    pub fn write(&self, headers: &mut HeaderMap, survey: Survey) -> Option<Lines> {
        let claims = survey.has(Field::Claim);
        let host = self
            .host
            .filter(|_| self.version == Version::HTTP_11 && !(claims && self.peer.is_trusted()));
        let Some(host) = host else {
            self.put(headers, survey);
            return None;
        };
        if claims {
            remove_claims(headers);
        }
        let id = self.id.made();
        if survey.has(Field::RequestId) && id.is_some() {
            headers.remove(X_REQUEST_ID);
        }
        let address = &self.peer.address;
        let shared = address.told(host, self.process, |told| told.lines.clone());
        Some(Lines { shared, id })
    }
}

fn remove_claims(headers: &mut HeaderMap) {
    let first = |headers: &HeaderMap| {
        let mut names = headers.keys();
        names.find(|name| is_claim(name.as_str())).cloned()
    };
    while let Some(name) = first(headers) {
        headers.remove(name);
    }
}

/// Puts all lines of a list field and one more element into one line: many services read the first line only.
fn append_to_list(headers: &mut HeaderMap, name: &HeaderName, element: &[u8]) {
    let mut list = Vec::with_capacity(96);
    for line in headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().trim_ascii())
        .filter(|line| !line.is_empty())
    {
        list.extend_from_slice(line);
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element);
    let value = HeaderValue::from_maybe_shared(Bytes::from(list))
        .expect("field values joined by a comma and an ASCII element are a field value");
    headers.insert(name, value);
}

/// One element of RFC 7239: `for=192.0.2.1;host=example.org;proto=http`. An IPv6 address stands in brackets and quotes (§6).
fn forwarded_element(address: &Address, host: Option<&HeaderValue>) -> HeaderValue {
    let (before, after): (&[u8], &[u8]) = match address.ip {
        IpAddr::V4(_) => (b"for=", b""),
        IpAddr::V6(_) => (b"for=\"[", b"]\""),
    };
    let host_size = host.map_or(0, HeaderValue::len);
    let mut element = Vec::with_capacity(48 + address.text.len() + host_size);
    element.extend_from_slice(before);
    element.extend_from_slice(address.text.as_bytes());
    element.extend_from_slice(after);
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        element.extend_from_slice(b";host=");
        push_token_or_quoted(&mut element, host.as_bytes());
    }
    element.extend_from_slice(b";proto=");
    element.extend_from_slice(address.scheme.name().as_bytes());
    HeaderValue::from_maybe_shared(Bytes::from(element))
        .expect("addresses, quoted hosts and schemes are visible ASCII")
}

fn push_token_or_quoted(text: &mut Vec<u8>, value: &[u8]) {
    let is_token_char =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if !value.is_empty() && value.iter().all(is_token_char) {
        text.extend_from_slice(value);
        return;
    }
    text.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
}

/// The `traceparent` of a copy: the same trace and flags, and a span id of its own made of random bits. `None` if the text is not valid
/// (W3C Trace Context §3.2); a later version is answered in the form of version 00, as the standard asks.
#[must_use]
pub fn child_traceparent(traceparent: &str, random: u64) -> Option<String> {
    let mut fields = traceparent.split('-');
    let (version, trace, parent, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id =
        |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
    let good =
        is_hex(version, 2) && version != "ff" && (version != "00" || fields.next().is_none());
    if !good || !is_id(trace, 32) || !is_id(parent, 16) || !is_hex(flags, 2) {
        return None;
    }
    let parent = u64::from_str_radix(parent, 16).ok()?;
    let span = [random, random ^ 1, random ^ 2]
        .into_iter()
        .find(|span| *span != 0 && *span != parent)?;
    Some(format!("00-{trace}-{span:016x}-{flags}"))
}

#[cfg(test)]
mod tests;
