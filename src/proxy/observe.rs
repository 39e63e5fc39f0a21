//! What the request path does for a shadow: it keeps copies within bounds, and offers them when the served answer has ended.

use crate::message::capture::{Capture, Reservation, Spoiled};
use crate::message::fields::{self, Fields};
use crate::plan::RoutePlan;
use crate::proxy::upload::Upload;
use crate::route::decide::Decision;
use crate::shadow::offer::judged_fields;
use crate::shadow::{AnswerCopy, Offers, Pair, RequestCopy, Ticket};
use crate::side::Side;
use crate::telemetry::{Dropped, Role};
use crate::upstream::Arriving;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{StatusCode, request, response};
use http_body::Body;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A sampled request, before its answer.
#[derive(Debug)]
pub(super) struct Sampled {
    ticket: Ticket,
    pair: Box<Pair>,
    offers: Offers,
}

/// What was decided of a request.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) key: Option<String>,
    pub(super) decision: Decision,
    /// The generation that decided.
    pub(super) generation: u64,
    /// When its head was read.
    pub(super) began: Instant,
}

impl Sampled {
    /// Copies a request. `None`, and counted, if the lab takes no more now, there is no memory for it, or its body is too long.
    pub(super) fn take(
        route: &Arc<RoutePlan>,
        head: &request::Parts,
        upload: Option<&Upload>,
        offers: &Offers,
        decided: Decided,
    ) -> Option<Self> {
        let Decided {
            key,
            decision,
            generation,
            began,
        } = decided;
        let ticket = Ticket::sampled(Arc::clone(route));
        let asked = decision.side.other();
        if route.group(asked).common().guard(Role::Shadow).is_open() {
            ticket.dropped(Dropped::Breaker);
            return None;
        }
        // What has no place now will hardly have one when the answer is there: it is not worth a copy.
        if offers.is_full(asked) {
            ticket.dropped(Dropped::Queue);
            return None;
        }
        let mut memory = Reservation::new(Arc::clone(offers.budget()));
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let size = fields::size(&head.headers) + target.len() + key.as_ref().map_or(0, String::len);
        if !memory.grow(size) {
            ticket.dropped(Dropped::Bytes);
            return None;
        }
        if let Some(upload) = upload {
            let capture = Capture::new(route.shadow.max_body, memory.beside(), upload.expected());
            if let Some(why) = capture.spoiled() {
                ticket.dropped(reason(why));
                return None;
            }
            upload.copy_to(capture);
        }
        let pair = Box::new(Pair {
            at: now(),
            began,
            generation,
            key,
            bucket: decision.bucket,
            served: decision.side,
            request: RequestCopy {
                method: head.method.clone(),
                head: Fields::copy(target, &head.headers),
                body: Bytes::new(),
            },
            answer: AnswerCopy {
                status: StatusCode::OK,
                headers: Fields::default(),
                body: Bytes::new(),
                latency: Duration::ZERO,
            },
            memory,
        });
        Some(Self {
            ticket,
            pair,
            offers: offers.clone(),
        })
    }

    /// It makes no pair.
    pub(super) fn dropped(self, reason: Dropped) {
        self.ticket.dropped(reason);
    }

    /// The head of its answer is there, as the side sent it. `None`, and counted, if it can make no pair.
    pub(super) fn answered(
        mut self,
        side: Side,
        head: &response::Parts,
        body: &Arriving,
        latency: Duration,
    ) -> Option<Observed> {
        if matches!(
            head.status,
            StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
        ) {
            self.ticket.dropped(Dropped::Validator);
            return None;
        }
        let rules = &self.ticket.route().rules;
        let answer_fields = judged_fields(&head.headers, rules);
        let memory = &mut self.pair.memory;
        let capture = Capture::new(
            self.ticket.route().shadow.max_body,
            memory.beside(),
            body.size_hint().exact(),
        );
        let spoiled = if memory.grow(answer_fields.size()) {
            capture.spoiled()
        } else {
            Some(Spoiled::Budget)
        };
        if let Some(why) = spoiled {
            self.ticket.dropped(reason(why));
            return None;
        }
        self.pair.served = side;
        self.pair.answer.status = head.status;
        self.pair.answer.headers = answer_fields;
        self.pair.answer.latency = latency;
        Some(Observed {
            sampled: self,
            capture,
        })
    }
}

/// A sampled request whose answer is passing.
#[derive(Debug)]
pub(super) struct Observed {
    sampled: Sampled,
    capture: Capture,
}

impl Observed {
    /// A frame of the answer went by.
    pub(super) fn passed(&mut self, frame: &[u8]) {
        self.capture.push(frame);
    }

    /// The answer broke in the middle: there is nothing to compare with.
    pub(super) fn broke(self) {
        self.sampled.ticket.dropped(Dropped::ServedFailed);
    }

    /// The answer has ended: offers the pair, or counts why there is none.
    pub(super) fn ended(self, upload: Option<&Upload>) {
        let Self {
            sampled:
                Sampled {
                    ticket,
                    mut pair,
                    offers,
                },
            capture,
        } = self;
        if let Some(upload) = upload {
            // An answer that did not wait for the whole body leaves no whole copy of it.
            let copy = upload
                .take_copy()
                .map_or(Err(Spoiled::TooLarge), Capture::finish);
            match copy {
                Ok((body, memory)) => {
                    pair.request.body = body;
                    pair.memory.join(memory);
                }
                Err(why) => return ticket.dropped(reason(why)),
            }
        }
        match capture.finish() {
            Ok((body, memory)) => {
                pair.answer.body = body;
                pair.memory.join(memory);
                offers.offer(ticket, pair);
            }
            Err(why) => ticket.dropped(reason(why)),
        }
    }
}

fn reason(why: Spoiled) -> Dropped {
    match why {
        Spoiled::TooLarge => Dropped::Body,
        Spoiled::Budget => Dropped::Bytes,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a mismatch shows when it was seen"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
