//! Two answers on the scales: short comparisons where they are, long ones on threads of their own.

use crate::compare::docket::{Bench, Docket, Entered};
use crate::compare::recheck::{Again, Look};
use crate::compare::{self, Answer, By, Comparison, Divergence, Rules};
use crate::message::capture::Reservation;
use crate::message::fields::Fields;
use crate::plan::RoutePlan;
use crate::shadow::offer::{AnswerCopy, Pair, judged_fields};
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// Bytes of two bodies that are compared where they arrive. What is longer, or coded, may take long: other pairs' answers must not wait for it.
const LIGHT: usize = 32 * 1024;

/// Long comparisons at a time, each on a thread of its own.
const HEAVY_AT_ONCE: usize = 2;

/// Threads for them that there are at the most, with some to look names up meanwhile. One that is done with a comparison is not free for the next one at once: others would be started
/// beside it, each of which keeps memory of its own for a while.
pub const THREADS: usize = 2 * HEAVY_AT_ONCE;

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

/// How answers to a request are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure<'a> {
    /// The route, with its rules and what is remembered of it.
    pub(super) route: &'a RoutePlan,
    /// The request was HEAD: there are no bodies.
    pub(super) head_only: bool,
    /// Of the same budget as what a comparison takes of memory.
    pub(super) memory: &'a Reservation,
}

impl Bench for Measure<'_> {
    fn by(&self) -> By<'_> {
        self.route.by()
    }

    fn read<T>(&self, work: impl FnOnce(&mut dyn compare::Memory) -> T) -> T {
        work(&mut Memory(&mut self.memory.beside()))
    }

    fn recall<T>(&self, act: impl FnOnce(&mut Docket, Duration) -> T) -> T {
        self.route.judging.recall(Instant::now(), act)
    }
}

impl<'a> Measure<'a> {
    /// For a pair of a route.
    pub(super) fn new(route: &'a RoutePlan, pair: &'a Pair) -> Self {
        Self {
            route,
            head_only: pair.request.method == Method::HEAD,
            memory: &pair.memory,
        }
    }

    /// Judges two answers at first sight, old's before new's.
    pub(super) fn first_sight(
        self,
        entered: &Entered,
        old: &AnswerCopy<impl Headers>,
        new: &AnswerCopy<impl Headers>,
    ) -> Comparison {
        self.with_look(old, new, |look| Bench::first_sight(&self, entered, &look))
    }

    /// Tells what old does by itself.
    pub(super) fn hear_old(self, first: &Kept, second: &Kept) {
        self.with_look(first, second, |Look { old, new }| {
            Bench::hear_old(&self, &old, &new);
        });
    }

    /// Compares what the sides answered when they were asked again with what they answered at first; old's stand before new's. `None` if an answer
    /// can't be compared.
    pub(super) fn look_again(
        self,
        first: [&Kept; 2],
        last: [&Kept; 2],
        found: &[Divergence],
        earlier: Option<&Again>,
    ) -> Option<Again> {
        self.with_look(first[0], first[1], |first| {
            self.with_look(last[0], last[1], |last| {
                Bench::look_again(&self, [first, last], found, earlier)
            })
        })
    }

    fn with_look<T>(
        self,
        old: &AnswerCopy<impl Headers>,
        new: &AnswerCopy<impl Headers>,
        act: impl FnOnce(Look<'_>) -> T,
    ) -> T {
        old.headers.with_map(|old_headers| {
            new.headers.with_map(|new_headers| {
                act(Look {
                    old: self.view(old, old_headers),
                    new: self.view(new, new_headers),
                })
            })
        })
    }

    fn view<'v, H>(self, answer: &'v AnswerCopy<H>, headers: &'v HeaderMap) -> Answer<'v> {
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
