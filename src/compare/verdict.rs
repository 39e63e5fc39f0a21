//! Two answers -> match, mismatch or incomparable.
//!
//! The order of the checks is the order of their cost: status, headers, bytes as they came, bytes decoded, the new text beside the old document, both
//! documents under the rules, and only for documents that differ the walk that says where.

use crate::compare::body::{self, Reading};
use crate::compare::change::{Change, Form, Type};
use crate::compare::coding::{self, CodingError, MAX_DECODED};
use crate::compare::diff::difference;
use crate::compare::effort::Effort;
use crate::compare::equal::Judge;
use crate::compare::lockstep::{self, Finding};
use crate::compare::media::{self, ContentType};
use crate::compare::rules::{By, Program, StatusRule};
use crate::compare::shape::Seen;
use crate::compare::view::{BYTES_PER_VALUE, View};
use crate::json::{Document, Limits, Node, ReadError};
use http::{HeaderMap, StatusCode};
use std::borrow::Cow;

mod by_names;
mod outcome;

use outcome::conclude;

pub use crate::compare::finding::{Comparison, Divergence, Incomparable, Kind, Verdict};
pub use crate::json::{Memory, Unlimited};

/// One side's whole answer, in the public shape.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The header fields, as they came.
    pub headers: &'a HeaderMap,
    /// The body's bytes as they came, coded perhaps; `None` for the answer to HEAD.
    pub body: Option<&'a [u8]>,
}

/// Compares two answers by a route's rules.
///
/// Statuses that differ under the rule are the only divergence, and bodies are not looked at. Bodies whose decoded bytes are equal are equal, JSON or
/// not. A body that can't be judged makes the whole pair incomparable, even if a header differs too.
pub fn compare<'r>(
    old: &Answer<'_>,
    new: &Answer<'_>,
    by: impl Into<By<'r>>,
    memory: &mut dyn Memory,
) -> Comparison {
    compare_by(old, new, by.into(), memory, Wanted::All)
}

/// Whether two answers match, by a route's rules. Documents of which reading them side by side shows that they do not are shown to `see`, old's before new's.
pub(super) fn judge(
    old: &Answer<'_>,
    new: &Answer<'_>,
    by: By<'_>,
    memory: &mut dyn Memory,
    see: &mut dyn FnMut([&Document<'_>; 2]),
) -> Verdict {
    compare_by(old, new, by, memory, Wanted::Verdict(see)).verdict
}

/// What is wanted of a comparison.
enum Wanted<'w> {
    /// All that differs.
    All,
    /// The verdict; who wants to see documents that differ.
    Verdict(&'w mut dyn FnMut([&Document<'_>; 2])),
}

fn compare_by(
    old: &Answer<'_>,
    new: &Answer<'_>,
    by: By<'_>,
    memory: &mut dyn Memory,
    wanted: Wanted<'_>,
) -> Comparison {
    let rules = by.rules;
    let same_status = match rules.status {
        StatusRule::Exact => old.status == new.status,
        StatusRule::Class => old.status.as_u16() / 100 == new.status.as_u16() / 100,
    };
    if !same_status {
        let seen = [old, new].map(|answer| Seen::number(answer.status.as_u16()));
        let change = Form::Status(old.status.as_u16(), new.status.as_u16()).into();
        let divergence = Divergence::whole("status", Kind::Status, seen, change);
        return Comparison::of(vec![divergence]);
    }
    let mut headers = Vec::new();
    for name in &rules.headers {
        if media::same_field(name, old.headers, new.headers) {
            continue;
        }
        let [old, new] = [old, new].map(|answer| media::combined(answer.headers, name));
        let (old, new) = (old.as_deref(), new.as_deref());
        let divergence = Divergence::whole(
            format!("header:{name}"),
            Kind::Header,
            [Seen::text(old), Seen::text(new)],
            Change::of_texts(old, new),
        );
        if !headers.contains(&divergence) {
            headers.push(divergence);
        }
    }
    let mut comparison = match (old.body, new.body) {
        (Some(old_body), Some(new_body)) => {
            compare_bodies((old, old_body), (new, new_body), by, memory, wanted)
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => Comparison::matching(),
    };
    let is_judged = match comparison.verdict {
        // Then there is something that differs for certain.
        Verdict::Incomparable(reason) => reason == Incomparable::Identity,
        Verdict::Match | Verdict::Mismatch => true,
    };
    if !headers.is_empty() && is_judged {
        comparison.verdict = Verdict::Mismatch;
        comparison.divergences.splice(0..0, headers);
    }
    comparison
}

/// Compares two documents by a route's rules, without bounds of memory: for files. Bytes that are no JSON are compared like bodies that are none.
#[must_use]
pub fn compare_documents<'r>(old: &[u8], new: &[u8], by: impl Into<By<'r>>) -> Comparison {
    let by = by.into();
    if old == new && by.ids.is_none() {
        Comparison::matching()
    } else {
        let came = [old.len(), new.len()];
        compare_json([old, new], came, by, &mut Unlimited, Wanted::All)
    }
}

fn compare_bodies(
    (old, old_body): (&Answer<'_>, &[u8]),
    (new, new_body): (&Answer<'_>, &[u8]),
    by: By<'_>,
    memory: &mut dyn Memory,
    wanted: Wanted<'_>,
) -> Comparison {
    let types = [old, new].map(|answer| ContentType::of(answer.headers));
    let reading = match body::reading(types[0].as_ref(), types[1].as_ref()) {
        // Parts that are the same are the same; events may be no more than the first of them.
        Err(Incomparable::Multipart) if old_body == new_body => return Comparison::matching(),
        Err(reason) => return Comparison::incomparable(reason),
        Ok(reading) => reading,
    };
    // Values that are the same may be names for two things.
    let literal = by.ids.is_none();
    if old_body == new_body && literal && coding::coded_alike(old.headers, new.headers) {
        return Comparison::matching();
    }
    let came = [old_body.len(), new_body.len()];
    let old_decoded = body::plain(old_body, old.headers, types[0].as_ref(), memory);
    let (old_body, new_body) = match old_decoded.and_then(|old| {
        Ok((
            old,
            body::plain(new_body, new.headers, types[1].as_ref(), memory)?,
        ))
    }) {
        Ok(bodies) => bodies,
        Err(reason) => return Comparison::incomparable(reason),
    };
    if old_body == new_body && literal {
        return Comparison::matching();
    }
    if reading == Reading::Json {
        return compare_json([&old_body, &new_body], came, by, memory, wanted);
    }
    let documents = body::document(reading, old_body.as_ref().into(), memory).and_then(|old| {
        let Some(old) = old else {
            return Ok(None);
        };
        let new = body::document(reading, new_body.as_ref().into(), memory)?;
        Ok(new.map(|new| [old, new]))
    });
    match documents {
        Ok(Some([old, new])) => compare_json([&old, &new], came, by, memory, wanted),
        Ok(None) => compare_bytes(&old_body, &new_body),
        Err(reason) => Comparison::incomparable(reason),
    }
}

/// Reads the bodies of two answers as they are compared, and gives the documents among them to `read`; of equal ones one.
pub fn with_documents(
    answers: [&Answer<'_>; 2],
    memory: &mut dyn Memory,
    read: impl FnOnce(&[&Document<'_>]),
) {
    let types = answers.map(|answer| ContentType::of(answer.headers));
    let mut texts: Vec<Cow<'_, [u8]>> = Vec::new();
    if let Ok(reading) = body::reading(types[0].as_ref(), types[1].as_ref()) {
        for (answer, content_type) in answers.into_iter().zip(&types) {
            let plain = answer
                .body
                .map(|body| body::plain(body, answer.headers, content_type.as_ref(), memory));
            if let Some(Ok(plain)) = plain
                && let Ok(Some(text)) = body::document(reading, plain, memory)
                && texts.first() != Some(&text)
            {
                texts.push(text);
            }
        }
    }
    let limits = Limits {
        bytes: MAX_DECODED,
        ..Limits::default()
    };
    let documents = texts
        .iter()
        .filter_map(|text| Document::read(text, limits, memory).ok());
    let documents: Vec<_> = documents.collect();
    read(&documents.iter().collect::<Vec<_>>());
}

/// Compares bodies that are no JSON.
fn compare_bytes(old: &[u8], new: &[u8]) -> Comparison {
    if old == new {
        Comparison::matching()
    } else {
        Comparison::of(vec![bodies(old, new)])
    }
}

/// Bodies that are no JSON, and differ.
fn bodies(old: &[u8], new: &[u8]) -> Divergence {
    let change = match (str::from_utf8(old), str::from_utf8(new)) {
        (Ok(old), Ok(new)) => Change::of_texts(Some(old), Some(new)),
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => Change::of_bodies(Type::Bytes, Type::Bytes),
    };
    Divergence::whole(
        "body",
        Kind::Body,
        [Seen::bytes(old), Seen::bytes(new)],
        change,
    )
}

/// What a body may be that had so many bytes as it came. Plain text has two bytes for a value at the least, and answers that are compressed to a twentieth hardly
/// four values for a byte: what has more is made to be costly.
fn limits(came: usize) -> Limits {
    const VALUES_OF_A_BYTE: usize = 4;
    const LEAST: usize = 250;
    let limits = Limits::default();
    let values = came.saturating_mul(VALUES_OF_A_BYTE).max(LEAST);
    Limits {
        bytes: MAX_DECODED,
        nodes: limits.nodes.min(values),
        ..limits
    }
}

/// Compares bytes that came as so many, and are not equal unless values in them may be names. The new ones become a document only if they are no match for the old one when read beside it.
fn compare_json(
    [old, new]: [&[u8]; 2],
    [old_came, new_came]: [usize; 2],
    by: By<'_>,
    memory: &mut dyn Memory,
    wanted: Wanted<'_>,
) -> Comparison {
    let texts = (old, new);
    let old = match read(old, limits(old_came), memory) {
        Ok(old) => old,
        Err(reason) => return Comparison::incomparable(reason),
    };
    let program = Program::new(by);
    let finding = old.as_ref().map_or(Finding::Open, |old| {
        lockstep::compare(old, new, &program, limits(new_came), memory)
    });
    if finding == Finding::Equal {
        return Comparison::matching();
    }
    let new = match read(new, limits(new_came), memory) {
        Ok(new) => new,
        Err(reason) => return Comparison::incomparable(reason),
    };
    match (old, new) {
        (Some(old), Some(new)) => {
            if let (Wanted::Verdict(see), Finding::Different) = (wanted, finding) {
                see([&old, &new]);
                return Comparison::differing();
            }
            let came = old_came + new_came;
            compare_read([&old, &new], came, &program, finding, memory)
        }
        (Some(old), None) => {
            let seen = [Seen::root(&old), Seen::BYTES];
            let change = Change::of_bodies(Type::Document, body_type(texts.1));
            Comparison::of(vec![Divergence::whole("body", Kind::Type, seen, change)])
        }
        (None, Some(new)) => {
            let seen = [Seen::BYTES, Seen::root(&new)];
            let change = Change::of_bodies(body_type(texts.0), Type::Document);
            Comparison::of(vec![Divergence::whole("body", Kind::Type, seen, change)])
        }
        (None, None) => compare_bytes(texts.0, texts.1),
    }
}

/// What a body is that is no JSON.
fn body_type(body: &[u8]) -> Type {
    if body.is_empty() {
        Type::Absent
    } else {
        Type::Bytes
    }
}

/// A document, or none if the bytes are no JSON.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    limits: Limits,
    memory: &mut dyn Memory,
) -> Result<Option<Document<'a>>, Incomparable> {
    match Document::read(bytes, limits, memory) {
        Ok(document) => Ok(Some(document)),
        Err(ReadError::NotJson { .. }) => Ok(None),
        Err(ReadError::TooLarge) => Err(Incomparable::TooLarge),
        Err(ReadError::TooDeep) => Err(Incomparable::TooDeep),
        Err(ReadError::TooManyNodes) => Err(Incomparable::TooManyNodes),
        Err(ReadError::Refused) => Err(Incomparable::Bytes),
    }
}

pub(super) fn compare_read(
    [old, new]: [&Document<'_>; 2],
    came: usize,
    program: &Program<'_>,
    finding: Finding,
    memory: &mut dyn Memory,
) -> Comparison {
    if !memory.charge((old.len() + new.len()) * BYTES_PER_VALUE) {
        return Comparison::incomparable(Incomparable::Bytes);
    }
    if let Some(ids) = program.ids {
        return by_names::compare([old, new], came, (program, ids), memory);
    }
    let effort = Effort::new(memory, came);
    let (old, new) = (View::new(old, program), View::new(new, program));
    let judge = Judge {
        program,
        effort: &effort,
    };
    if finding != Finding::Different {
        if old.mark(Node::ROOT).ignored || judge.equal(old.root(), new.root()) {
            return Comparison::matching();
        }
        effort.refill();
    }
    let found = difference(judge, old.root(), new.root());
    conclude(found, [&old, &new], &effort)
}

impl From<CodingError> for Incomparable {
    fn from(error: CodingError) -> Self {
        match error {
            CodingError::Unknown | CodingError::Broken => Self::Coding,
            CodingError::TooLarge => Self::TooLarge,
            CodingError::Refused => Self::Bytes,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
