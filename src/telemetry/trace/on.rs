//! Spans that are told to a bounded queue.

use crate::telemetry::cells::CounterCell;
use crate::telemetry::trace::outcome::Outcome;
use http::HeaderValue;
use jiff::Timestamp;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A word of ours.
    Word(&'static str),
    /// A number.
    Number(u16),
}

/// A piece of work that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: u128,
    /// Its own id, never 0.
    pub id: u64,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// What was done.
    pub name: String,
    /// 1 inside, 2 as a server, 3 as a client (OpenTelemetry's numbers).
    pub kind: u8,
    /// When it began.
    pub begun: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What is known of it; nothing of it is a secret.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub failed: bool,
}

/// Spans that may wait to be sent.
const QUEUE: usize = 2048;

/// A proxy's spans: those that wait to be sent, and the way to them.
#[derive(Debug)]
pub struct Traces {
    tracer: Arc<Tracer>,
    spans: Mutex<Option<Receiver<Span>>>,
}

impl Default for Traces {
    fn default() -> Self {
        let (queue, spans) = channel(QUEUE);
        Self {
            tracer: Arc::new(Tracer {
                queue,
                lost: CounterCell::default(),
            }),
            spans: Mutex::new(Some(spans)),
        }
    }
}

impl Traces {
    /// Where spans are told.
    #[must_use]
    pub fn tracer(&self) -> Option<Arc<Tracer>> {
        Some(Arc::clone(&self.tracer))
    }

    /// What is told, for the one who sends it; `None` the second time.
    #[must_use]
    pub fn spans(&self) -> Option<Receiver<Span>> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.take()
    }

    /// Spans were not sent.
    pub fn lose(&self, spans: usize) {
        self.tracer.lost.add(spans as u64);
    }

    /// Spans that were lost.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        Some(self.tracer.lost.value())
    }
}

/// Where spans are told.
#[derive(Debug)]
pub struct Tracer {
    queue: Sender<Span>,
    lost: CounterCell,
}

impl Tracer {
    /// The spans of a request that began then, below the span that its client tells of. `None` if the client says that nobody records it.
    #[must_use]
    pub fn request(
        self: &Arc<Self>,
        traceparent: Option<&[u8]>,
        started: Instant,
    ) -> Option<Tracing> {
        let parent = traceparent.and_then(Parent::read);
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        Some(Tracing(Box::new(Request {
            tracer: Arc::clone(self),
            trace: parent.map_or_else(|| fastrand::u128(1..), |parent| parent.trace),
            parent: parent.map(|parent| parent.span),
            id: fastrand::u64(1..),
            at: now(),
            started,
            asks: Vec::new(),
        })))
    }

    /// The spans of a copy of a request that was sent with this `traceparent`, if that is recorded.
    #[must_use]
    pub fn copy(self: &Arc<Self>, traceparent: Option<&[u8]>) -> Option<Copied> {
        let parent = traceparent.and_then(Parent::read)?;
        parent.sampled.then(|| {
            Copied(Box::new(Copy {
                tracer: Arc::clone(self),
                parent,
                id: fastrand::u64(1..),
                at: now(),
                started: clock(),
                heard: None,
            }))
        })
    }

    fn tell(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.lost.increment();
        }
    }
}

/// What a `traceparent` says (W3C Trace Context §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl Parent {
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        let (head, rest) = text.split_at_checked(55)?;
        let [version, trace, span, flags] = head.split('-').collect::<Vec<_>>().try_into().ok()?;
        let later = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        let sizes = [version.len(), trace.len(), span.len(), flags.len()];
        if version == "ff" || !later || sizes != [2, 32, 16, 2] || !head.bytes().all(is_hex) {
            return None;
        }
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }
}

/// The spans of a request.
#[derive(Debug)]
pub struct Tracing(Box<Request>);

#[derive(Debug)]
struct Request {
    tracer: Arc<Tracer>,
    trace: u128,
    parent: Option<u64>,
    id: u64,
    at: Timestamp,
    started: Instant,
    asks: Vec<Ask>,
}

#[derive(Debug)]
struct Ask {
    side: &'static str,
    begun: Instant,
    heard: Option<(Instant, Result<u16, &'static str>)>,
}

impl Tracing {
    /// What the sides are told: they work for the request's span.
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        let mut text = String::with_capacity(55);
        let _ = write!(text, "00-{:032x}-{:016x}-01", self.0.trace, self.0.id);
        HeaderValue::try_from(text).expect("hex and dashes are a field value")
    }

    /// A side is asked.
    pub fn asks(&mut self, side: &'static str) {
        self.0.asks.push(Ask {
            side,
            begun: clock(),
            heard: None,
        });
    }

    /// The side that was asked last has answered with a status, or failed.
    pub fn heard(&mut self, heard: Result<u16, &'static str>) {
        if let Some(ask) = self.0.asks.last_mut() {
            ask.heard = Some((clock(), heard));
        }
    }

    /// The request has ended: its spans are told.
    pub fn ended(self, outcome: Outcome<'_>, took: Duration) {
        let request = self.0;
        for ask in &request.asks {
            let late = ask.begun.saturating_duration_since(request.started);
            let (took, result) = match ask.heard {
                Some((at, result)) => (at.saturating_duration_since(ask.begun), result),
                // It ran out of time, or of its client.
                None => (took.saturating_sub(late), Err("abandoned")),
            };
            request.tracer.tell(Span {
                trace: request.trace,
                id: fastrand::u64(1..),
                parent: Some(request.id),
                name: format!("ask {}", ask.side),
                kind: 3,
                begun: request.at + late,
                took,
                attributes: with_result(vec![("crossfade.side", Value::Word(ask.side))], result),
                failed: result.map_or(true, |status| status >= 500),
            });
        }
        let mut attributes = vec![
            (
                "http.request.method",
                Value::Text(outcome.method.to_owned()),
            ),
            ("url.path", Value::Text(outcome.path.to_owned())),
            ("crossfade.request_id", Value::Text(outcome.id.to_owned())),
            ("crossfade.side", Value::Word(outcome.side)),
        ];
        if let Some(route) = outcome.route {
            attributes.push(("crossfade.route", Value::Text(route.to_owned())));
        }
        if let Some(why) = outcome.why {
            attributes.push(("crossfade.why", Value::Word(why)));
        }
        if let Some(status) = outcome.status {
            attributes.push(("http.response.status_code", Value::Number(status)));
        }
        request.tracer.tell(Span {
            trace: request.trace,
            id: request.id,
            parent: request.parent,
            name: format!("{} {}", outcome.method, outcome.route.unwrap_or("refused")),
            kind: 2,
            begun: request.at,
            took,
            attributes,
            failed: !outcome.whole || outcome.status.is_none_or(|status| status >= 500),
        });
    }
}

fn with_result(
    mut attributes: Vec<(&'static str, Value)>,
    result: Result<u16, &'static str>,
) -> Vec<(&'static str, Value)> {
    attributes.push(match result {
        Ok(status) => ("http.response.status_code", Value::Number(status)),
        Err(error) => ("error.type", Value::Word(error)),
    });
    attributes
}

/// The spans of a copy.
#[derive(Debug)]
pub struct Copied(Box<Copy>);

#[derive(Debug)]
struct Copy {
    tracer: Arc<Tracer>,
    parent: Parent,
    id: u64,
    at: Timestamp,
    started: Instant,
    heard: Option<Duration>,
}

impl Copied {
    /// The id of the span that the other side works for.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.0.id
    }

    /// A side has answered whole, or failed.
    pub fn heard(&mut self, side: &'static str, result: Result<u16, &'static str>) {
        let copy = &mut self.0;
        let took = clock().saturating_duration_since(copy.started);
        copy.heard = Some(took);
        copy.tracer.tell(Span {
            trace: copy.parent.trace,
            id: copy.id,
            parent: Some(copy.parent.span),
            name: format!("shadow {side}"),
            kind: 3,
            begun: copy.at,
            took,
            attributes: with_result(vec![("crossfade.side", Value::Word(side))], result),
            failed: result.map_or(true, |status| status >= 500),
        });
    }

    /// The pair was judged.
    pub fn judged(self, route: &str, verdict: &'static str) {
        let copy = self.0;
        let all = clock().saturating_duration_since(copy.started);
        let begun = copy.heard.unwrap_or(all);
        copy.tracer.tell(Span {
            trace: copy.parent.trace,
            id: fastrand::u64(1..),
            parent: Some(copy.id),
            name: "compare".to_owned(),
            kind: 1,
            begun: copy.at + begun,
            took: all.saturating_sub(begun),
            attributes: vec![
                ("crossfade.route", Value::Text(route.to_owned())),
                ("crossfade.verdict", Value::Word(verdict)),
            ],
            failed: false,
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a span says when it was")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "a span says how long it took")]
fn clock() -> Instant {
    Instant::from_std(std::time::Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let check = |text: &str, expected: Option<bool>| {
            let read = Parent::read(text.as_bytes());
            assert_eq!(read.map(|parent| parent.sampled), expected, "{text}");
        };
        let of = |version: &str, flags: &str| {
            format!("{version}-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")
        };
        check(&of("00", "01"), Some(true));
        check(&of("00", "00"), Some(false));
        check(&of("cc", "03"), Some(true));
        check(&format!("{}-more", of("cc", "01")), Some(true));
        check(&format!("{}-more", of("00", "01")), None);
        check(&of("ff", "01"), None);
        check(&of("00", "0A"), None);
        check(&of("00", "0"), None);
        check("", None);
        check(
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            None,
        );
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            None,
        );
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e47-3600f067aa0ba902b7-01",
            None,
        );
    }

    #[test]
    fn a_full_queue_costs_spans_and_nothing_else() {
        let traces = Traces::default();
        let (tracer, mut spans) = (traces.tracer().unwrap(), traces.spans().unwrap());
        assert!(traces.spans().is_none());
        let outcome = Outcome {
            method: "GET",
            path: "/",
            id: "x",
            route: None,
            side: "none",
            why: None,
            status: None,
            whole: false,
        };
        for _ in 0..QUEUE + 2 {
            let tracing = tracer.request(None, clock()).unwrap();
            tracing.ended(outcome, Duration::ZERO);
        }
        assert_eq!(traces.lost(), Some(2));
        let mut told = 0;
        while let Ok(span) = spans.try_recv() {
            assert!(span.failed && span.parent.is_none());
            told += 1;
        }
        assert_eq!(told, QUEUE);
    }
}
