//! A pair on its way to become a sample, with all its values: it goes to the thread of the samples, and no further.

use crate::compare::Divergence;
use crate::compare::body::{self, Reading};
use crate::compare::coding::MAX_DECODED;
use crate::compare::media::ContentType;
use crate::json::{self, Document, Limits, Node, Unlimited};
use crate::redact;
use crate::side::Side;
use crate::store::samples::gate::Group;
use crate::store::samples::hide::Hiding;
use crate::store::samples::sample::{Body, Found, Header, Look, Sample};
use crate::store::{Redactor, rfc3339};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Paths and kinds that a sample tells.
const MOST_FIELDS: usize = 100;

/// A pair that differed, as it came.
#[derive(Debug)]
pub struct RawSample {
    /// When the request came.
    pub at: Timestamp,
    /// The route's name.
    pub route: Arc<str>,
    /// The request's method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its key.
    pub key: Option<String>,
    /// The side whose answer the client got.
    pub served: Side,
    /// Generation of the settings that judged.
    pub generation: u64,
    /// A hash of the rules that judged.
    pub rules: u64,
    /// What it was judged to be.
    pub verdict: &'static str,
    /// What differed at the first look.
    pub found: Arc<[Divergence]>,
    /// The header fields that were compared.
    pub compared: Vec<HeaderName>,
    /// What of it is shown.
    pub hiding: Arc<Hiding>,
    /// What old answered.
    pub old: RawLook,
    /// What new answered.
    pub new: RawLook,
    /// What old answered at the last check.
    pub old2: Option<RawLook>,
    /// What new answered then.
    pub new2: Option<RawLook>,
}

/// What one side answered, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLook {
    /// The status.
    pub status: StatusCode,
    /// The fields that the judgement reads.
    pub headers: HeaderMap,
    /// The body, coded perhaps; `None` for the answer to HEAD. In memory of its own.
    pub body: Option<Bytes>,
}

impl RawSample {
    /// Bytes that it holds, roughly.
    pub(super) fn weight(&self) -> usize {
        let looks = [
            Some(&self.old),
            Some(&self.new),
            self.old2.as_ref(),
            self.new2.as_ref(),
        ];
        let bodies = looks.into_iter().flatten().flat_map(|look| &look.body);
        size_of::<Self>() + self.target.len() + bodies.map(Bytes::len).sum::<usize>()
    }

    /// The same without what is not shown.
    pub(super) fn hidden(&self, group: &Group, redactor: &Redactor) -> Sample {
        let hider = Hider {
            hiding: &self.hiding,
            redactor,
            known: RefCell::default(),
            reading: reading(&self.old.headers, &self.new.headers),
        };
        let mut hidden = !self.hiding.is_open();
        let mut look = |look: &RawLook| hider.look(look, &mut hidden);
        let (old, new) = (look(&self.old), look(&self.new));
        // A defect mostly says what it said.
        let mut again = |last: &Option<RawLook>, first: &RawLook, hidden: &Look| {
            let last = last.as_ref()?;
            Some(if last == first {
                hidden.clone()
            } else {
                look(last)
            })
        };
        let (old2, new2) = (
            again(&self.old2, &self.old, &old),
            again(&self.new2, &self.new, &new),
        );
        let key = self
            .key
            .as_deref()
            .map(|key| self.hiding.key(key, redactor));
        Sample {
            id: 0,
            at: rfc3339(self.at),
            route: self.route.to_string(),
            method: self.method.to_string(),
            target: self.hiding.target(&self.target, redactor),
            key: key.map(|key| json!(key)),
            served: self.served,
            generation: self.generation,
            rules: format!("{:016x}", self.rules),
            verdict: self.verdict.to_owned(),
            cause: group.cause.clone(),
            fields: fields(&self.found),
            compared: self
                .compared
                .iter()
                .filter(|name| **name != CONTENT_ENCODING)
                .map(HeaderName::to_string)
                .collect(),
            redacted: hidden,
            old,
            new,
            old2,
            new2,
        }
    }
}

/// Each path, kind and change once.
fn fields(found: &[Divergence]) -> Vec<Found> {
    let fields = found.iter().map(|divergence| Found {
        path: divergence.path.clone(),
        kind: divergence.kind.name().to_owned(),
        change: divergence.change.form.to_string(),
    });
    let fields: BTreeSet<_> = fields.collect();
    fields.into_iter().take(MOST_FIELDS).collect()
}

/// How the comparison reads these bodies, if it does.
fn reading(old: &HeaderMap, new: &HeaderMap) -> Option<Reading> {
    let types = [old, new].map(ContentType::of);
    body::reading(types[0].as_ref(), types[1].as_ref()).ok()
}

/// Whether a body that was not read as a document consists of names and values all the same: JSON that is broken, alone or in lines, or a form beside JSON.
fn may_name_secrets(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(CONTENT_TYPE).iter();
    let mut types =
        fields.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    types.any(|name| name.contains("json") || name.contains("form"))
}

struct Hider<'a> {
    hiding: &'a Hiding,
    redactor: &'a Redactor,
    /// Hashes of texts: the answers of a pair mostly say the same, and say some of it often.
    known: RefCell<HashMap<String, String>>,
    reading: Option<Reading>,
}

impl Hider<'_> {
    fn look(&self, look: &RawLook, hidden: &mut bool) -> Look {
        let fields = look
            .headers
            .iter()
            .filter(|(name, _)| **name != CONTENT_ENCODING);
        let headers = fields.map(|(name, value)| {
            let shown = self.hiding.is_open() || *name == CONTENT_TYPE;
            let text = String::from_utf8_lossy(value.as_bytes());
            let value = if shown && !redact::is_secret(name.as_str()) {
                Value::from(text)
            } else {
                *hidden = true;
                self.redactor.redact(&Value::from(text))
            };
            Header(name.to_string(), value)
        });
        Look {
            status: look.status.as_u16(),
            headers: headers.collect(),
            body: match &look.body {
                None => Body::None,
                Some(body) => self.body(body, &look.headers, hidden),
            },
        }
    }

    fn hash(&self, document: &Document<'_>, node: Node) -> String {
        /// Bytes of a text that is remembered: others seldom come again.
        const SHORT: usize = 64;
        let json::Value::String(text) = document.value(node) else {
            return self.redactor.hash_node(document, node);
        };
        if let Some(hash) = self.known.borrow().get(text) {
            return hash.clone();
        }
        let hash = self.redactor.hash_node(document, node);
        if text.len() <= SHORT {
            let mut known = self.known.borrow_mut();
            known.insert(text.to_owned(), hash.clone());
        }
        hash
    }

    fn body(&self, body: &[u8], headers: &HeaderMap, hidden: &mut bool) -> Body {
        // What can't be decoded is not judged, and so makes no sample.
        let plain = body::plain(
            body,
            headers,
            ContentType::of(headers).as_ref(),
            &mut Unlimited,
        );
        let plain = plain.as_deref().unwrap_or(body);
        if let Some(kept) = self.document(plain, hidden) {
            return kept;
        }
        match std::str::from_utf8(plain) {
            Ok(text) if self.hiding.is_open() && !may_name_secrets(headers) => {
                Body::Text(text.to_owned())
            }
            _ => {
                *hidden = true;
                Body::Bytes {
                    hash: self.redactor.hash_of(plain),
                    length: plain.len(),
                }
            }
        }
    }

    /// A body that the comparison reads as a document.
    fn document(&self, plain: &[u8], hidden: &mut bool) -> Option<Body> {
        let reading = self.reading?;
        let text = body::document(reading, plain.into(), &mut Unlimited).ok()??;
        let limits = Limits {
            bytes: MAX_DECODED,
            ..Limits::default()
        };
        let document = Document::read(&text, limits, &mut Unlimited).ok()?;
        let hash = |node| self.hash(&document, node);
        let text = self.hiding.document(&document, &hash);
        let raw = RawValue::from_string(text.text).ok()?;
        *hidden |= text.hidden;
        match reading {
            Reading::Json => Some(Body::Json(raw)),
            Reading::Lines => Some(Body::Lines(raw)),
            Reading::Form => Some(Body::Form(raw)),
            Reading::Bytes => None,
        }
    }
}
