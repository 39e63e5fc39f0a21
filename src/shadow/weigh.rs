//! Two answers on the scales: short comparisons where they are, long ones on threads of their own.

use crate::compare::coding::{self, MAX_DECODED};
use crate::compare::recheck::{self, Look};
use crate::compare::{self, Answer, Comparison, Divergence, Rules};
use crate::json::{Document, Limits};
use crate::message::capture::Reservation;
use crate::message::fields::Fields;
use crate::plan::Judging;
use crate::shadow::offer::{AnswerCopy, judged_fields};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Bytes of two bodies that are compared where they arrive. What is longer, or coded, may take long: other pairs' answers must not wait for it.
const LIGHT: usize = 32 * 1024;

/// Long comparisons at a time, each on a thread of its own.
const HEAVY_AT_ONCE: usize = 2;

/// An answer that waits: in memory of its own, and no part of a connection's buffer.
pub(super) type Kept = AnswerCopy<Fields>;

/// Where comparisons take place.
#[derive(Debug)]
pub(super) struct Scales {
    heavy: Arc<Semaphore>,
}

impl Default for Scales {
    fn default() -> Self {
        Self {
            heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        }
    }
}

impl Scales {
    /// Does long work on a thread of its own, when it is its turn. `None` if it panics, which has been told where it happened.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.heavy).acquire_owned().await;
        let done = spawn_blocking(move || {
            let _until_done = turn;
            work()
        });
        done.await.ok()
    }
}

/// The lab's memory as the comparison asks for it.
struct Memory<'a>(&'a mut Reservation);

impl compare::Memory for Memory<'_> {
    fn charge(&mut self, bytes: usize) -> bool {
        self.0.grow(bytes)
    }
}

/// What may be compared: an answer's fields, as they came or as they are kept.
pub(super) trait Headers {
    /// Whether there is a coding to be undone.
    fn is_coded(&self) -> bool;
    /// As the comparison reads them.
    fn with_map<T>(&self, read: impl FnOnce(&HeaderMap) -> T) -> T;
}

impl Headers for HeaderMap {
    fn is_coded(&self) -> bool {
        self.contains_key(CONTENT_ENCODING)
    }

    fn with_map<T>(&self, read: impl FnOnce(&Self) -> T) -> T {
        read(self)
    }
}

impl Headers for Fields {
    fn is_coded(&self) -> bool {
        self.contains(&CONTENT_ENCODING)
    }

    fn with_map<T>(&self, read: impl FnOnce(&HeaderMap) -> T) -> T {
        read(&self.map(0, |_| true))
    }
}

/// Whether comparisons of answers are short, whatever is in the bodies.
pub(super) fn is_light(one: &AnswerCopy<impl Headers>, other: &AnswerCopy<impl Headers>) -> bool {
    !one.headers.is_coded()
        && !other.headers.is_coded()
        && one.body.len() + other.body.len() <= LIGHT
}

/// How two answers to a request are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure<'a> {
    /// The route's rules.
    pub(super) rules: &'a Rules,
    /// The request was HEAD: there are no bodies.
    pub(super) head_only: bool,
    /// Of the same budget as what the comparison takes of memory, which is given back when it is done.
    pub(super) memory: &'a Reservation,
}

impl Measure<'_> {
    /// Compares what is taken for old's answer with what is taken for new's.
    pub(super) fn compare(
        self,
        old: &AnswerCopy<impl Headers>,
        new: &AnswerCopy<impl Headers>,
    ) -> Comparison {
        let mut memory = self.memory.beside();
        old.headers.with_map(|old_headers| {
            new.headers.with_map(|new_headers| {
                let old = self.view(old, old_headers);
                let new = self.view(new, new_headers);
                compare::compare(&old, &new, self.rules, &mut Memory(&mut memory))
            })
        })
    }

    /// Compares what the sides answered when they were asked again with what they answered at first; old's stand before new's. `None` if an answer
    /// can't be compared.
    pub(super) fn look_again(
        self,
        first: [&Kept; 2],
        last: [&Kept; 2],
        found: &[Divergence],
    ) -> Option<recheck::Again> {
        let mut memory = self.memory.beside();
        let headers = [first, last].map(|look| look.map(|answer| answer.headers.map(0, |_| true)));
        let [first, last] =
            [(first, &headers[0]), (last, &headers[1])].map(|(look, headers)| Look {
                old: self.view(look[0], &headers[0]),
                new: self.view(look[1], &headers[1]),
            });
        recheck::look_again(first, last, found, self.rules, &mut Memory(&mut memory)).ok()
    }

    /// Counts the places of a pair's documents, which stand for so many pairs.
    pub(super) fn count(
        self,
        one: &AnswerCopy<impl Headers>,
        other: &AnswerCopy<impl Headers>,
        (judging, stands_for): (&Judging, u64),
    ) {
        self.with_documents(one, other, |documents| judging.count(documents, stands_for));
    }

    /// Remembers what two answers that differ say of their route's fields.
    pub(super) fn learn(
        self,
        one: &AnswerCopy<impl Headers>,
        other: &AnswerCopy<impl Headers>,
        (judging, found): (&Judging, &[Divergence]),
    ) {
        if judging.wants_documents(found) {
            self.with_documents(one, other, |documents| judging.learn(found, documents));
        } else {
            judging.learn(found, &[]);
        }
    }

    /// Reads both bodies, as far as they are JSON; of equal ones one.
    fn with_documents(
        self,
        one: &AnswerCopy<impl Headers>,
        other: &AnswerCopy<impl Headers>,
        read: impl FnOnce(&[&Document<'_>]),
    ) {
        let mut memory = self.memory.beside();
        let memory = &mut Memory(&mut memory);
        let one = one
            .headers
            .with_map(|headers| coding::decode(&one.body, headers, memory));
        let other = other
            .headers
            .with_map(|headers| coding::decode(&other.body, headers, memory));
        let limits = Limits {
            bytes: MAX_DECODED,
            ..Limits::default()
        };
        let bodies: Vec<_> = [one, other].into_iter().flatten().collect();
        let several = bodies.len() == 2 && bodies[0] != bodies[1];
        let bodies = bodies.iter().take(1 + usize::from(several));
        let documents: Vec<_> = bodies
            .filter_map(|body| Document::read(body, limits, memory).ok())
            .filter(|_| !self.head_only)
            .collect();
        read(&documents.iter().collect::<Vec<_>>());
    }

    fn view<'a, H>(self, answer: &'a AnswerCopy<H>, headers: &'a HeaderMap) -> Answer<'a> {
        Answer {
            status: answer.status,
            headers,
            body: (!self.head_only).then_some(&answer.body[..]),
        }
    }
}

/// An answer that has to wait a while before it is judged: it must keep no buffer of a connection.
pub(super) fn own(answer: &AnswerCopy<HeaderMap>, rules: &Rules) -> AnswerCopy<HeaderMap> {
    AnswerCopy {
        status: answer.status,
        headers: judged_fields(&answer.headers, rules).map(0, |_| true),
        body: Bytes::copy_from_slice(&answer.body),
        latency: answer.latency,
    }
}

/// An answer as it is kept while it waits.
pub(super) fn keep(answer: &AnswerCopy<HeaderMap>, rules: &Rules) -> Kept {
    AnswerCopy {
        status: answer.status,
        headers: judged_fields(&answer.headers, rules),
        body: Bytes::copy_from_slice(&answer.body),
        latency: answer.latency,
    }
}
