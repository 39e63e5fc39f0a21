//! The way from the request path to the lab: bounded queues, one for each side that is asked, and `try_send`.

use crate::message::capture::{Budget, Reservation};
use crate::plan::RoutePlan;
use crate::shadow::ticket::Ticket;
use crate::side::Side;
use crate::telemetry::Dropped;
use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Requests that may lie in the queue of a side.
pub const QUEUE: usize = 1024;

/// Bytes of all pairs together: captured and decoded bodies, and trees.
pub const BYTES: usize = 48 * 1024 * 1024;

/// A request as both sides are to see it, but for Host.
#[derive(Clone, Debug)]
pub struct RequestCopy {
    /// The method.
    pub method: Method,
    /// The target in origin form, as it came.
    pub target: Uri,
    /// The fields that the served side got; Host is the client's.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// A side's whole answer.
#[derive(Clone, Debug)]
pub struct AnswerCopy {
    /// The status.
    pub status: StatusCode,
    /// The fields, as they came.
    pub headers: HeaderMap,
    /// The whole body, coded perhaps.
    pub body: Bytes,
    /// Sent to head.
    pub latency: Duration,
}

/// One request, its answer, and all that a judgement of the other side's answer needs.
#[derive(Debug)]
pub struct Pair {
    /// The route in force when it was decided.
    pub route: Arc<RoutePlan>,
    /// When the request came.
    pub at: Timestamp,
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
    pub answer: AnswerCopy,
    /// What the copies take of the lab's memory.
    pub memory: Vec<Reservation>,
}

/// A pair with its account.
pub(super) type Offer = (Ticket, Box<Pair>);

/// The workers' end of the way to the lab.
#[derive(Clone, Debug)]
pub struct Offers {
    queues: [Sender<Offer>; 2],
    budget: Arc<Budget>,
}

/// The lab's end: the pairs that wait to be asked, for each side.
#[derive(Debug)]
pub struct Queues {
    pub(super) by_side: [Receiver<Offer>; 2],
}

impl Offers {
    /// Both ends.
    #[must_use]
    pub fn channel() -> (Self, Queues) {
        let (to_old, old) = mpsc::channel(QUEUE);
        let (to_new, new) = mpsc::channel(QUEUE);
        (
            Self {
                queues: [to_old, to_new],
                budget: Budget::new(BYTES),
            },
            Queues {
                by_side: [old, new],
            },
        )
    }

    /// The memory of all pairs.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Hands a pair over, or counts why not. Never waits.
    pub fn offer(&self, ticket: Ticket, pair: Box<Pair>) {
        let queue = &self.queues[pair.served.other().index()];
        match queue.try_send((ticket.queued(), pair)) {
            Ok(()) => {}
            Err(TrySendError::Full((ticket, _))) => ticket.dropped(Dropped::Queue),
            Err(TrySendError::Closed((ticket, _))) => ticket.dropped(Dropped::Shutdown),
        }
    }
}

/// A head's fields in memory of their own: as they came they are slices of a connection's read buffer, and would keep all of it.
#[must_use]
pub fn own_fields(headers: &HeaderMap) -> HeaderMap {
    let mut values = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    for value in headers.values() {
        values.extend_from_slice(value.as_bytes());
    }
    let mut values = values.freeze();
    let mut own = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let value = HeaderValue::from_maybe_shared(values.split_to(value.len()))
            .expect("the bytes of a field value are a field value");
        own.append(name, value);
    }
    own
}

/// A target in memory of its own, for the same reason.
#[must_use]
pub fn own_target(target: &Uri) -> Uri {
    let text = Bytes::from(target.to_string());
    PathAndQuery::from_maybe_shared(text).map_or_else(|_| target.clone(), Uri::from)
}

/// What a head takes of memory, about.
#[must_use]
pub fn head_size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_head_keeps_nothing_of_the_buffer_that_it_came_from() {
        let buffer = Bytes::from_static(b"/a/b?c=d one two three");
        let range = buffer.as_ptr_range();
        let field = |from, to| HeaderValue::from_maybe_shared(buffer.slice(from..to)).unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-list", field(9, 12));
        headers.append("x-list", field(13, 16));
        headers.append("x-other", field(17, 22));
        headers.append("x-empty", HeaderValue::from_static(""));
        let own = own_fields(&headers);
        assert_eq!(own, headers);
        assert!(
            own.values()
                .all(|value| !range.contains(&value.as_bytes().as_ptr()))
        );

        for text in [0..8, 0..2] {
            let target = Uri::from(PathAndQuery::from_maybe_shared(buffer.slice(text)).unwrap());
            let own = own_target(&target);
            assert_eq!(own, target);
            assert!(!range.contains(&own.path().as_ptr()));
        }
        assert_eq!(own_target(&Uri::from_static("*")), "*");
    }
}
