//! One pair in the lab: asked, judged, counted and remembered.

use crate::compare::{self, Answer, Comparison, Incomparable, Rules, Verdict};
use crate::message::capture::{Budget, Reservation};
use crate::message::forwarded::TRACEPARENT;
use crate::shadow::exchange::ask;
use crate::shadow::offer::{AnswerCopy, Offer, Pair, is_judged, judged_fields};
use crate::shadow::record;
use crate::shadow::ticket::Asked;
use crate::side::Side;
use crate::store::{Mismatches, Redactor};
use crate::telemetry::trace::Copied;
use crate::telemetry::{Dropped, Role};
use crate::upstream::alarm::Alarm;
use crate::upstream::{Outcome, Pass, Pools};
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Bytes of two bodies that are compared where they arrive. What is longer, or coded, may take long: other pairs' answers must not wait for it.
const LIGHT: usize = 32 * 1024;

/// Long comparisons at a time, each on a thread of its own.
const HEAVY_AT_ONCE: usize = 2;

/// What the lab works with.
#[derive(Debug)]
pub struct Lab {
    /// Memory of all pairs.
    pub budget: Arc<Budget>,
    /// Connections of its own.
    pub pools: Arc<Pools>,
    /// Where mismatches are kept.
    pub mismatches: Arc<Mismatches>,
    /// What makes their values unreadable.
    pub redactor: Arc<Redactor>,
    heavy: Arc<Semaphore>,
}

/// The lab's memory as the comparison asks for it.
struct Memory<'a>(&'a mut Reservation);

impl compare::Memory for Memory<'_> {
    fn charge(&mut self, bytes: usize) -> bool {
        self.0.grow(bytes)
    }
}

impl Lab {
    /// A lab that keeps its mismatches there.
    #[must_use]
    pub fn new(
        budget: Arc<Budget>,
        mismatches: Arc<Mismatches>,
        redactor: Arc<Redactor>,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget,
            pools: Pools::new(Role::Shadow),
            mismatches,
            redactor,
            heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        })
    }

    /// Asks the other side, and judges.
    pub(super) async fn judge(self: &Arc<Self>, (ticket, mut pair): Offer, alarm: &mut Alarm) {
        let side = pair.served.other();
        let probe = match ticket
            .route()
            .group(side)
            .common()
            .guard(Role::Shadow)
            .pass()
        {
            Pass::Free => None,
            Pass::Probe(probe) => Some(probe),
            Pass::Refused => {
                drop(pair);
                return ticket.dropped(Dropped::Breaker);
            }
        };
        let mut asked = ticket.asked(side);
        let traceparent = || pair.request.head.first(&TRACEPARENT);
        let mut copied = asked
            .route()
            .tracer
            .as_ref()
            .and_then(|tracer| tracer.copy(traceparent()));
        let span = copied
            .as_ref()
            .map_or_else(|| fastrand::u64(..), Copied::span);
        let answer = ask(&self.pools, asked.route(), &mut pair, span, alarm).await;
        if let Some(copied) = &mut copied {
            copied.heard(side.name(), heard(&answer));
        }
        asked.trace(copied);
        if let Some(probe) = probe {
            probe.tell(outcome(&answer));
        }
        let mut other = match answer {
            Ok(other) => other,
            Err(reason) => {
                drop(pair);
                return asked.judged(Verdict::Incomparable(reason));
            }
        };
        asked.route().metrics.pair(match pair.served {
            Side::Old => [pair.answer.latency, other.latency],
            Side::New => [other.latency, pair.answer.latency],
        });
        if is_same(&pair, &other, &asked.route().rules) {
            drop(pair);
            return asked.judged(Verdict::Match);
        }
        if is_light(&pair, &other) {
            return self.conclude(asked, pair, &other);
        }
        // It waits here for its turn: it must keep no buffer of a connection.
        other.headers = judged_fields(&other.headers, &asked.route().rules).map(0, |_| true);
        other.body = Bytes::from(other.body.to_vec());
        let turn = Arc::clone(&self.heavy).acquire_owned().await;
        let lab = Arc::clone(self);
        let judged = spawn_blocking(move || {
            let _until_judged = turn;
            lab.conclude(asked, pair, &other);
        });
        // A panic has been told where it happened, and the account closes by itself, as `internal`.
        let _ = judged.await;
    }

    fn conclude(&self, asked: Asked, mut pair: Box<Pair>, other: &AnswerCopy<HeaderMap>) {
        let route = asked.route();
        let comparison = compare(&mut pair, other, &route.rules);
        if comparison.verdict == Verdict::Mismatch {
            route.metrics.divergences(&comparison.divergences);
            self.mismatches.push(record::row(
                route,
                &pair,
                other,
                &comparison,
                &self.redactor,
            ));
        }
        // When a pair counts as judged its memory is free.
        drop(pair);
        asked.judged(comparison.verdict);
    }
}

fn heard(answer: &Result<AnswerCopy<HeaderMap>, Incomparable>) -> Result<u16, &'static str> {
    match answer {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(reason) => Err(reason.name()),
    }
}

/// How the side did: what it sent was an answer, whether it can be compared or not.
fn outcome(answer: &Result<AnswerCopy<HeaderMap>, Incomparable>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_server_error() => Outcome::Lost,
        Ok(_) | Err(Incomparable::TooLarge | Incomparable::Bytes) => Outcome::Won,
        Err(_) => Outcome::Lost,
    }
}

/// Whether everything is the same, byte for byte, that a judgement reads: under no rules can such answers differ.
fn is_same(pair: &Pair, other: &AnswerCopy<HeaderMap>, rules: &Rules) -> bool {
    let served = &pair.answer;
    served.status == other.status
        && served.body == other.body
        && served
            .headers
            .are_those_of(&other.headers, |name| is_judged(name, rules))
}

/// Whether a comparison is short, whatever is in the bodies.
fn is_light(pair: &Pair, other: &AnswerCopy<HeaderMap>) -> bool {
    let coded = other.headers.contains_key(CONTENT_ENCODING)
        || pair.answer.headers.contains(&CONTENT_ENCODING);
    !coded && pair.answer.body.len() + other.body.len() <= LIGHT
}

fn compare(pair: &mut Pair, other: &AnswerCopy<HeaderMap>, rules: &Rules) -> Comparison {
    let head_only = pair.request.method == Method::HEAD;
    let headers = pair.answer.headers.map(0, |_| true);
    let served = view(&pair.answer, &headers, head_only);
    let asked = view(other, &other.headers, head_only);
    let (old, new) = match pair.served {
        Side::Old => (served, asked),
        Side::New => (asked, served),
    };
    compare::compare(&old, &new, rules, &mut Memory(&mut pair.memory))
}

fn view<'a, H>(answer: &'a AnswerCopy<H>, headers: &'a HeaderMap, head_only: bool) -> Answer<'a> {
    Answer {
        status: answer.status,
        headers,
        body: (!head_only).then_some(&answer.body[..]),
    }
}
