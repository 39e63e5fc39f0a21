//! A judged pair as it is kept: one entry of `GET /api/samples`.

use crate::side::Side;
use crate::store::side_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A pair of answers that differed at the first look, and what it was judged to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Counts up, for as long as the file lives.
    #[serde(default)]
    pub id: u64,
    /// When the request came, RFC 3339.
    pub at: String,
    /// The route's name.
    pub route: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query, hidden as in a mismatch.
    pub target: String,
    /// The request's key: a text, or what stands for one.
    pub key: Option<Value>,
    /// The side whose answer the client got.
    #[serde(with = "side_text")]
    pub served: Side,
    /// Generation of the settings that judged.
    pub generation: u64,
    /// A hash of the rules that they had for the route.
    #[serde(default)]
    pub rules: String,
    /// What it was judged to be.
    pub verdict: String,
    /// What it was kept under, with others of its kind: the id of its cause, or the verdict of pairs that are no mismatches.
    pub cause: String,
    /// What differs, each path, kind and change once.
    pub fields: Vec<Found>,
    /// The header fields that were compared.
    pub compared: Vec<String>,
    /// Whether something stands for a value somewhere in it.
    pub redacted: bool,
    /// What old answered.
    pub old: Look,
    /// What new answered.
    pub new: Look,
    /// What old answered when both were asked together, at the last check.
    pub old2: Option<Look>,
    /// What new answered then.
    pub new2: Option<Look>,
}

/// A path that differs, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// The generalised path.
    pub path: String,
    /// The public name of the kind.
    pub kind: String,
    /// How one value became the other, in words that say nothing else of them.
    #[serde(default)]
    pub change: String,
}

/// What one side answered at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Look {
    /// The status.
    pub status: u16,
    /// The fields that were compared, and the content type; in order.
    pub headers: Vec<Header>,
    /// The body, decoded.
    pub body: Body,
}

/// A header field: its name, and its value or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header(pub String, pub Value);

/// A body.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// None was asked for: HEAD.
    None,
    /// A document, in which something may stand for each value.
    Json(Box<RawValue>),
    /// Lines of documents, as an array.
    Lines(Box<RawValue>),
    /// The fields of a form, as an object.
    Form(Box<RawValue>),
    /// Something else, as text.
    Text(String),
    /// Bytes that are not shown.
    Bytes {
        /// Their keyed hash.
        hash: String,
        /// How many there are.
        length: usize,
    },
}
