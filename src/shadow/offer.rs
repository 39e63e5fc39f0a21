//! The way from the request path to the lab: bounded queues, one for each side that is asked, and `try_send`.

use crate::compare::Rules;
use crate::message::capture::{Budget, Reservation};
use crate::message::fields::Fields;
use crate::shadow::ticket::Ticket;
use crate::shadow::writes::Writes;
use crate::side::Side;
use crate::telemetry::Dropped;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

/// Requests that may lie in the queue of a side.
pub const QUEUE: usize = 1024;

/// Requests in the queue of a side that are worth waking the lab for.
pub(super) const BATCH: usize = 16;

/// Bytes of all pairs together: captured and decoded bodies, and trees.
pub const BYTES: usize = 48 * 1024 * 1024;

/// Bytes of all pairs from which on a side that is swamped gets no more: to lie in memory would not bring a pair closer to its answer.
pub const SWAMPED_BYTES: usize = 8 * 1024 * 1024;

/// A request as both sides are to see it, but for Host.
#[derive(Debug)]
pub struct RequestCopy {
    /// The method.
    pub method: Method,
    /// The target in origin form, as it came, and the fields that the served side got; Host is the client's.
    pub head: Fields,
    /// The whole body.
    pub body: Bytes,
}

/// A side's whole answer. Its fields are those of which the judgement knows.
#[derive(Clone, Debug)]
pub struct AnswerCopy<H> {
    /// The status.
    pub status: StatusCode,
    /// The fields, as they came.
    pub headers: H,
    /// The whole body, coded perhaps.
    pub body: Bytes,
    /// Sent to head.
    pub latency: Duration,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Pair {
    /// When the request came, for people.
    pub at: Timestamp,
    /// The same for who counts from it.
    pub began: Instant,
    /// The generation that decided.
    pub generation: u64,
    /// The request's key.
    pub key: Option<String>,
    /// The key's bucket.
    pub bucket: Option<u16>,
    /// The side that served.
    pub served: Side,
    /// The request.
    pub request: RequestCopy,
    /// The served side's answer.
    pub answer: AnswerCopy<Fields>,
    /// What the copies take of the lab's memory.
    pub memory: Reservation,
}

impl Pair {
    /// What tells the record that it is about from others of its route: its key, or its target where it has none.
    pub(super) fn record(&self) -> String {
        match &self.key {
            Some(key) => key.clone(),
            None => String::from_utf8_lossy(&self.request.head.text()).into_owned(),
        }
    }
}

/// A pair with its account.
pub(super) type Offer = (Ticket, Box<Pair>);

/// The workers' end of the way to the lab.
#[derive(Clone, Debug)]
pub struct Offers(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    queues: [Sender<Offer>; 2],
    swamped: [Arc<AtomicBool>; 2],
    /// Rung when a batch is there.
    bell: Sender<()>,
    budget: Arc<Budget>,
    writes: Arc<Writes>,
}

/// The lab's end: the pairs that wait to be asked, for each side.
#[derive(Debug)]
pub struct Queues {
    pub(super) by_side: [Queue; 2],
    pub(super) bell: Receiver<()>,
}

/// The lab's end for one side.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) pairs: Receiver<Offer>,
    /// Whether every hand for the side is at work: pairs come faster than it answers, if it does at all.
    pub(super) swamped: Arc<AtomicBool>,
}

impl Offers {
    /// Both ends.
    #[must_use]
    pub fn channel() -> (Self, Queues) {
        let (to_old, old) = mpsc::channel(QUEUE);
        let (to_new, new) = mpsc::channel(QUEUE);
        let (bell, rung) = mpsc::channel(1);
        let swamped: [Arc<AtomicBool>; 2] = Default::default();
        let by_side = [(old, &swamped[0]), (new, &swamped[1])].map(|(pairs, swamped)| Queue {
            pairs,
            swamped: Arc::clone(swamped),
        });
        let ends = Ends {
            queues: [to_old, to_new],
            swamped,
            bell,
            budget: Budget::new(BYTES),
            writes: Arc::default(),
        };
        (
            Self(Arc::new(ends)),
            Queues {
                by_side,
                bell: rung,
            },
        )
    }

    /// The memory of all pairs.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    /// The keys that requests write.
    #[must_use]
    pub fn writes(&self) -> &Arc<Writes> {
        &self.0.writes
    }

    /// Whether nothing more is taken now that is to be asked of a side.
    #[must_use]
    pub fn is_full(&self, asked: Side) -> bool {
        let Ends {
            queues,
            swamped,
            budget,
            ..
        } = &*self.0;
        queues[asked.index()].capacity() == 0
            || swamped[asked.index()].load(Ordering::Relaxed) && budget.used() >= SWAMPED_BYTES
    }

    /// Hands a pair over, or counts why not. Never waits.
    pub fn offer(&self, ticket: Ticket, pair: Box<Pair>) {
        let queue = &self.0.queues[pair.served.other().index()];
        match queue.try_send((ticket.queued(), pair)) {
            Ok(()) if QUEUE - queue.capacity() == BATCH => {
                // One that was rung before and not heard yet will do.
                let _ = self.0.bell.try_send(());
            }
            Ok(()) => {}
            Err(TrySendError::Full((ticket, _))) => ticket.dropped(Dropped::Queue),
            Err(TrySendError::Closed((ticket, _))) => ticket.dropped(Dropped::Shutdown),
        }
    }
}

/// The fields of an answer that the judgement reads, in memory of their own.
#[must_use]
pub fn judged_fields(headers: &HeaderMap, rules: &Rules) -> Fields {
    Fields::only(headers, |name| is_judged(name, rules))
}

/// Whether the judgement reads a field.
pub(super) fn is_judged(name: &HeaderName, rules: &Rules) -> bool {
    *name == CONTENT_TYPE || *name == CONTENT_ENCODING || rules.headers.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Answer, Unlimited, compare};
    use crate::shadow::fixture::{pair, route};
    use http::HeaderValue;

    /// Judges two answers with all their fields, and with those alone that are kept.
    #[track_caller]
    fn check(compared: &[&'static str], old: &[(&str, &str)], new: &[(&str, &str)]) {
        let map = |fields: &[(&str, &str)]| -> HeaderMap {
            let fields = fields.iter().map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            });
            fields.collect()
        };
        let rules = Rules {
            headers: compared
                .iter()
                .map(|name| HeaderName::from_static(name))
                .collect(),
            ..Rules::default()
        };
        let judge = |old: &HeaderMap, new: &HeaderMap| {
            let answer = |headers, body| Answer {
                status: StatusCode::OK,
                headers,
                body: Some(body),
            };
            compare(
                &answer(old, &b"{\"a\":1,\"b\":2}"[..]),
                &answer(new, &b"{\"b\":2,\"a\":1}"[..]),
                &rules,
                &mut Unlimited,
            )
        };
        let (old, new) = (map(old), map(new));
        let kept = |headers| judged_fields(headers, &rules).map(0, |_| true);
        assert_eq!(judge(&kept(&old), &kept(&new)), judge(&old, &new));
    }

    #[test]
    fn the_fields_that_are_kept_are_all_that_a_judgement_needs() {
        let json = ("content-type", "application/json");
        let text = ("content-type", "text/plain");
        let (one, two) = (("x-a", "1"), ("x-a", "2"));
        let coded = ("content-encoding", "gzip");
        for compared in [&[][..], &["content-type"], &["x-a", "set-cookie"]] {
            for (old, new) in [
                (vec![json, one], vec![json, two]),
                (vec![text, one], vec![json, one]),
                (vec![text], vec![text, one, two]),
                (vec![json, coded], vec![json]),
                (vec![json, ("set-cookie", "a")], vec![json, ("etag", "b")]),
                (vec![], vec![]),
            ] {
                check(compared, &old, &new);
            }
        }
    }

    #[test]
    fn a_batch_rings_once_and_a_full_queue_takes_no_more() {
        let route = route();
        let (offers, mut queues) = Offers::channel();
        let offer = || {
            let pair = pair(offers.budget(), 0);
            offers.offer(Ticket::sampled(Arc::clone(&route)), pair);
        };
        let dropped = |reason| route.metrics.dropped_count(reason);
        for number in 1..=QUEUE {
            assert!(!offers.is_full(Side::New), "{number}");
            offer();
            assert_eq!(queues.bell.try_recv().is_ok(), number == BATCH, "{number}");
        }
        assert!(offers.is_full(Side::New) && !offers.is_full(Side::Old));
        offer();
        assert_eq!(dropped(Dropped::Queue), 1);
        drop(queues);
        offer();
        assert_eq!(dropped(Dropped::Queue), 1);
        assert_eq!(dropped(Dropped::Shutdown), 1 + QUEUE as u64);
        assert!(route.metrics.ledger().is_settled());
    }

    #[test]
    fn a_swamped_side_gets_only_so_many_bytes() {
        let (offers, queues) = Offers::channel();
        let check = |swamped: Side, bytes: usize, full: bool| {
            let _held = pair(offers.budget(), bytes);
            for side in Side::BOTH {
                let swamped = side == swamped;
                queues.by_side[side.index()]
                    .swamped
                    .store(swamped, Ordering::Relaxed);
                assert_eq!(offers.is_full(side), swamped && full, "{side:?} {bytes}");
            }
        };
        for side in Side::BOTH {
            check(side, 0, false);
            check(side, SWAMPED_BYTES - 1, false);
            check(side, SWAMPED_BYTES, true);
            check(side, BYTES, true);
        }
    }
}
