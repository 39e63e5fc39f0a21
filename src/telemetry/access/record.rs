//! What is told of one request.

use crate::redact;
use crate::telemetry::labels::{FallbackReason, ServedBy};
use crate::telemetry::trace::Outcome;
use http::{Method, StatusCode, Version};
use jiff::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// More of a path, or of a query, is not told.
const LONGEST: usize = 2048;

/// A request as it came.
#[derive(Debug)]
pub struct Begun<'a> {
    /// What it is called.
    pub id: String,
    /// Who asked.
    pub client: IpAddr,
    /// The version in which it was received.
    pub version: Version,
    /// The method.
    pub method: &'a Method,
    /// The path, as it came.
    pub path: &'a str,
    /// The query, as it came.
    pub query: Option<&'a str>,
    /// `traceparent`, as it came.
    pub traceparent: Option<&'a [u8]>,
}

/// A request, from its head to the end of its answer.
#[derive(Debug)]
pub struct Record {
    pub(super) at: Timestamp,
    pub(super) id: String,
    pub(super) client: IpAddr,
    pub(super) version: Option<Version>,
    pub(super) method: Option<Method>,
    pub(super) path: Option<String>,
    pub(super) query: Option<String>,
    pub(super) trace: Option<String>,
    pub(super) route: Option<Arc<str>>,
    pub(super) served: ServedBy,
    pub(super) why: Option<&'static str>,
    pub(super) bucket: Option<u16>,
    pub(super) shadow: bool,
    pub(super) fallback: Option<FallbackReason>,
    pub(super) upstream: Option<Duration>,
    pub(super) status: Option<StatusCode>,
    pub(super) reason: Option<&'static str>,
    pub(super) bytes: u64,
    pub(super) whole: bool,
    pub(super) duration: Option<Duration>,
}

impl Record {
    /// A request that has just come.
    #[must_use]
    pub fn begin(begun: Begun<'_>) -> Box<Self> {
        Box::new(Self {
            version: Some(begun.version),
            method: Some(begun.method.clone()),
            path: Some(cut(begun.path).to_owned()),
            query: begun.query.map(|query| {
                let shown = redact::query(query, &|_| redact::HIDDEN.to_owned());
                cut(&shown).to_owned()
            }),
            trace: begun.traceparent.and_then(trace_id),
            ..Self::blank(begun.id, begun.client)
        })
    }

    /// What a client sent in place of a request: nobody knows what it asked, or since when.
    #[must_use]
    pub fn unread(id: String, client: IpAddr) -> Box<Self> {
        Box::new(Self {
            whole: true,
            ..Self::blank(id, client)
        })
    }

    fn blank(id: String, client: IpAddr) -> Self {
        Self {
            at: now(),
            id,
            client,
            version: None,
            method: None,
            path: None,
            query: None,
            trace: None,
            route: None,
            served: ServedBy::Nobody,
            why: None,
            bucket: None,
            shadow: false,
            fallback: None,
            upstream: None,
            status: None,
            reason: None,
            bytes: 0,
            whole: false,
            duration: None,
        }
    }

    /// Its route was found.
    pub fn routed(&mut self, route: &Arc<str>) {
        self.route = Some(Arc::clone(route));
    }

    /// It was decided.
    pub fn decided(&mut self, why: &'static str, bucket: Option<u16>, shadow: bool) {
        (self.why, self.bucket, self.shadow) = (Some(why), bucket, shadow);
    }

    /// Old is asked in place of new.
    pub fn fell_back(&mut self, reason: FallbackReason) {
        self.fallback = Some(reason);
    }

    /// A side's answer goes to the client; its head came this long after it was asked for.
    pub fn answered(&mut self, served: ServedBy, status: StatusCode, upstream: Duration) {
        (self.served, self.status) = (served, Some(status));
        self.upstream = Some(upstream);
    }

    /// The answer is the proxy's own, if there is one; `reason` is the code in it.
    pub fn refused(&mut self, status: impl Into<Option<StatusCode>>, reason: &'static str) {
        self.status = status.into();
        self.reason = Some(reason);
    }

    /// Bytes of the answer's body went by.
    pub fn passed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// It has ended. `whole` says whether the client got all of its answer.
    pub fn ended(&mut self, whole: bool, duration: Duration) {
        (self.whole, self.duration) = (whole, Some(duration));
    }

    /// What a span tells of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        Outcome {
            method: self.method.as_ref().map_or("", Method::as_str),
            path: self.path.as_deref().unwrap_or_default(),
            id: &self.id,
            route: self.route.as_deref(),
            side: self.served.name(),
            why: self.why,
            status: self.status.map(|status| status.as_u16()),
            whole: self.whole,
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// The trace's id, of a `traceparent` that has one (W3C Trace Context §3.2).
fn trace_id(traceparent: &[u8]) -> Option<String> {
    let id = traceparent.split(|byte| *byte == b'-').nth(1)?;
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let good = id.len() == 32 && id.iter().all(is_hex) && id.iter().any(|byte| *byte != b'0');
    good.then(|| String::from_utf8_lossy(id).into_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a line says when its request came"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
