//! A sample as answers that can be judged again: for each hidden value one of the same type that equals what the hidden one equalled, and nothing else.
//!
//! So rules of structure, order, identity and equality can be tried on samples without values. What they can't tell is how near two hidden values are to each other: with a
//! [`Blur`] those that a rule of that kind selects are all alike. What differs even then differs; what differs only without it is not known.

use crate::compare::body;
use crate::compare::media::ContentType;
use crate::json::path::{FieldPath, Progress, Step};
use crate::json::{Document, Limits, Node, Unlimited, Value};
use crate::redact::{HIDDEN, write_json};
use crate::store::samples::sample::{Body, Header, Look, Sample};
use form_urlencoded::Serializer;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Hidden values that count as equal: all of one type at these places, and below them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blur<'r> {
    /// The places.
    pub paths: &'r [FieldPath],
}

/// A sample as answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// What old answered.
    pub old: StandIn,
    /// What new answered.
    pub new: StandIn,
    /// What old answered at the last check.
    pub old2: Option<StandIn>,
    /// What new answered then.
    pub new2: Option<StandIn>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StandIn {
    /// The status.
    pub status: StatusCode,
    /// The fields that were kept.
    pub headers: HeaderMap,
    /// The body; `None` for the answer to HEAD.
    pub body: Option<Vec<u8>>,
}

impl Sample {
    /// Answers for this sample; `None` if it is none that was written here.
    #[must_use]
    pub fn replica(&self, blur: Blur<'_>) -> Option<Replica> {
        let looks = [
            Some(&self.old),
            Some(&self.new),
            self.old2.as_ref(),
            self.new2.as_ref(),
        ];
        let mut flags = BTreeSet::new();
        for look in looks.into_iter().flatten() {
            look.flags(&mut flags)?;
        }
        let maker = Maker {
            blur,
            truth: flags.into_iter().nth(1),
        };
        Some(Replica {
            old: maker.look(&self.old)?,
            new: maker.look(&self.new)?,
            old2: maker.maybe(self.old2.as_ref())?,
            new2: maker.maybe(self.new2.as_ref())?,
        })
    }
}

impl Look {
    fn document(&self) -> Option<Option<Document<'_>>> {
        match &self.body {
            Body::Json(raw) | Body::Lines(raw) | Body::Form(raw) => {
                Document::read(raw.get().as_bytes(), LIMITS, &mut Unlimited)
                    .ok()
                    .map(Some)
            }
            Body::None | Body::Text(_) | Body::Bytes { .. } => Some(None),
        }
    }

    /// The hashes of booleans, of which a process has two.
    fn flags(&self, flags: &mut BTreeSet<String>) -> Option<()> {
        if let Some(document) = self.document()? {
            for node in document.subtree(Node::ROOT) {
                if let Some(("boolean", hash)) = hidden(&document, node) {
                    flags.insert(hash.to_owned());
                }
            }
        }
        Some(())
    }
}

/// What stands for a value is larger than most values.
const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    depth: 130,
    nodes: 1_000_000,
};

/// The type and the hash of what stands for a value.
fn hidden<'d>(document: &'d Document<'_>, node: Node) -> Option<(&'d str, &'d str)> {
    if document.value(node) != Value::Object {
        return None;
    }
    let mut members = document.children(node);
    let (kind, hash, rest) = (members.next()?, members.next()?, members.next());
    let named = document.key(kind) == HIDDEN && document.key(hash) == "hash" && rest.is_none();
    match (named, document.value(kind), document.value(hash)) {
        (true, Value::String(kind), Value::String(hash)) => Some((kind, hash)),
        _ => None,
    }
}

struct Maker<'r> {
    blur: Blur<'r>,
    /// The hash that counts as true; which of the two it is does not matter, since nobody asks what a hidden value is.
    truth: Option<String>,
}

impl Maker<'_> {
    fn maybe(&self, look: Option<&Look>) -> Option<Option<StandIn>> {
        match look {
            Some(look) => self.look(look).map(Some),
            None => Some(None),
        }
    }

    fn look(&self, look: &Look) -> Option<StandIn> {
        let mut headers = HeaderMap::new();
        for Header(name, value) in &look.headers {
            let text = value.as_str().or_else(|| value["hash"].as_str())?;
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_str(text).ok()?,
            );
        }
        let content_type = ContentType::of(&headers);
        let text = match &look.body {
            Body::None => None,
            Body::Text(text) => Some(text.clone()),
            // No document begins like this, as what it stands for was none.
            Body::Bytes { hash, .. } => Some(format!("{HIDDEN} {hash}")),
            Body::Json(_) => Some(self.text(look)?),
            Body::Lines(_) => Some(as_lines(&self.text(look)?)?),
            Body::Form(_) => Some(as_form(&self.text(look)?)?),
        };
        let body = text.map(|text| body::in_charset(text, content_type.as_ref()));
        Some(StandIn {
            status: StatusCode::from_u16(look.status).ok()?,
            headers,
            body,
        })
    }

    /// A document, with a value in place of each that is hidden.
    fn text(&self, look: &Look) -> Option<String> {
        let document = look.document()??;
        let mut text = String::new();
        let start = self.blur.paths.iter().map(FieldPath::start);
        let mut walk = Walk {
            maker: self,
            document: &document,
            progress: start.collect(),
            text: &mut text,
        };
        let blurred = walk.is_selected(0);
        walk.value(Node::ROOT, blurred);
        Some(text)
    }
}

/// The elements of an array, a line each.
fn as_lines(array: &str) -> Option<String> {
    let lines: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    let lines: Vec<_> = lines.into_iter().map(RawValue::get).collect();
    Some(lines.join("\n"))
}

/// The members of an object as a form. Of several values of one field each is a field.
fn as_form(object: &str) -> Option<String> {
    let members: Map<String, Json> = serde_json::from_str(object).ok()?;
    let mut form = Serializer::new(String::new());
    for (name, value) in &members {
        match value {
            Json::Array(values) => {
                for value in values {
                    form.append_pair(name, value.as_str()?);
                }
            }
            value => {
                form.append_pair(name, value.as_str()?);
            }
        }
    }
    Some(form.finish())
}

struct Walk<'a> {
    maker: &'a Maker<'a>,
    document: &'a Document<'a>,
    /// How far each path of the blur has come, for each level down to the present one.
    progress: Vec<Progress>,
    text: &'a mut String,
}

impl Walk<'_> {
    fn value(&mut self, node: Node, blurred: bool) {
        if let Some((kind, hash)) = hidden(self.document, node) {
            return self.stand_in(kind, hash, blurred);
        }
        match self.document.value(node) {
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.text.push_str(if value { "true" } else { "false" }),
            Value::Number(text) => self.text.push_str(text),
            Value::String(text) => self.string(text),
            Value::Array => {
                let len = self.document.count(node);
                self.text.push('[');
                for (at, child) in self.document.children(node).enumerate() {
                    self.comma(at);
                    self.child(child, Step::Index { at, len }, blurred);
                }
                self.text.push(']');
            }
            Value::Object => {
                self.text.push('{');
                for (at, child) in self.document.children(node).enumerate() {
                    self.comma(at);
                    self.string(self.document.key(child));
                    self.text.push(':');
                    self.child(child, Step::Name(self.document.key(child)), blurred);
                }
                self.text.push('}');
            }
        }
    }

    /// Documents are of bounded depth.
    fn child(&mut self, child: Node, step: Step<'_>, blurred: bool) {
        let paths = self.maker.blur.paths;
        let level = self.progress.len() - paths.len();
        for (index, path) in paths.iter().enumerate() {
            let progress = path.advance(self.progress[level + index], step);
            self.progress.push(progress);
        }
        let blurred = blurred || self.is_selected(level + paths.len());
        self.value(child, blurred);
        self.progress.truncate(level + paths.len());
    }

    fn is_selected(&self, level: usize) -> bool {
        let paths = self.maker.blur.paths.iter();
        paths
            .zip(&self.progress[level..])
            .any(|(path, progress)| path.selects(*progress))
    }

    fn stand_in(&mut self, kind: &str, hash: &str, blurred: bool) {
        match kind {
            "null" => self.text.push_str("null"),
            "boolean" => {
                let truth = self.maker.truth.as_deref() == Some(hash);
                self.text.push_str(if truth { "true" } else { "false" });
            }
            "number" if blurred => self.text.push('0'),
            "string" if blurred => self.string("0"),
            "number" => {
                let number = u64::from_str_radix(hash, 16).unwrap_or_default();
                write!(self.text, "{number}").expect("a String takes all text");
            }
            "array" => {
                self.text.push('[');
                self.string(hash);
                self.text.push(']');
            }
            "object" => {
                self.text.push_str("{\"$redacted\":");
                self.string(hash);
                self.text.push('}');
            }
            _ => self.string(hash),
        }
    }

    fn string(&mut self, text: &str) {
        write_json(text, self.text).expect("a String takes all text");
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.text.push(',');
        }
    }
}
