//! What is sent to a side, and the head and body of what it answers, whatever it is spoken to in.

use crate::message::body::{Outgoing, Progress};
use crate::message::hop::{ask_to_switch, is_only_chunked, remove_hop_by_hop, switches_to};
use crate::message::survey::Survey;
use crate::message::websocket::Handshake;
use crate::telemetry::Role;
use crate::upstream::call::Multiplexed;
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::failure::Fault;
use crate::upstream::pool::Pools;
use crate::upstream::wire::{Content, Far, Wire};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// What is sent, and how long its answer may take.
#[derive(Debug)]
pub struct Dispatch<'a> {
    /// The request, in origin form. Its Host becomes the one that the endpoint is to see. It is taken when it is sent.
    pub request: &'a mut Option<Request<Outgoing>>,
    /// From the last byte of the request to the head of the answer.
    pub timeout: Duration,
    /// Tells about a streamed body.
    pub progress: Option<&'a Progress>,
    /// What the request asks to switch to, if it does.
    pub switch: Option<&'a Switch>,
}

/// Another protocol that a request asks for.
#[derive(Debug)]
pub struct Switch {
    /// One of these.
    pub protocols: HeaderValue,
    /// What the side has to prove, if that is not for the client to judge.
    pub handshake: Option<Handshake>,
}

impl Switch {
    /// The protocol that a switching answer switches to.
    fn judge(&self, headers: &HeaderMap) -> Result<HeaderValue, Fault> {
        let chosen = switches_to(&self.protocols, headers).ok_or(Fault::Switched)?;
        match &self.handshake {
            Some(handshake) if !handshake.is_accepted(headers) => Err(Fault::Handshake),
            Some(_) | None => Ok(chosen),
        }
    }

    /// Whether the client would take an answer that does not switch for one that does: in HTTP/2 every 2xx opens a tunnel.
    fn is_misleading(&self, status: StatusCode) -> bool {
        self.handshake.is_some() && status.is_success()
    }
}

/// The head of an answer, its body to come.
#[derive(Debug)]
pub struct Answer {
    /// Status, header fields without those that belong to the connection, and the body as it arrives.
    pub response: Response<Arriving>,
    /// Sent to head.
    pub elapsed: Duration,
}

/// The body of an answer, and the connection that it arrives on: given back when the answer is complete, closed when dropped before. One that is not
/// shared moves only while the body is polled.
#[derive(Debug)]
pub struct Arriving {
    source: Source,
    pools: Arc<Pools>,
    in_flight: InFlight,
}

/// Where a body comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A connection that is this answer's until it has ended.
    Own {
        content: Content,
        wire: Option<Box<Wire>>,
    },
    /// One that is shared.
    Shared(Box<Multiplexed>),
}

impl Arriving {
    /// The answer has ended well: the connection may serve another request.
    pub fn complete(&mut self) {
        match &mut self.source {
            Source::Own { wire, .. } => {
                if let Some(wire) = wire.take() {
                    self.pools.give_back(self.in_flight.endpoint(), wire);
                }
            }
            Source::Shared(body) => body.end(),
        }
        // Not before: whose turn it is takes that connection.
        self.in_flight.end();
    }

    /// Nobody wants the rest: the connection, or the stream of one that is shared, is closed.
    pub fn close(&mut self) {
        match &mut self.source {
            Source::Own { wire, .. } => *wire = None,
            Source::Shared(body) => body.end(),
        }
        self.in_flight.end();
    }

    /// The side's end of a tunnel, after an answer that switches protocols.
    pub fn take_tunnel(&mut self) -> Option<Far> {
        let gone = Source::Own {
            content: Content::over(),
            wire: None,
        };
        let mut far = match std::mem::replace(&mut self.source, gone) {
            Source::Own { wire, .. } => wire?.into_tunnel()?,
            Source::Shared(body) => Far::new(Box::new(body.into_lane()?), Bytes::new(), None),
        };
        far.in_flight = Some(self.in_flight.go_on());
        Some(far)
    }

    /// The endpoint that answers.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        self.in_flight.endpoint()
    }

    /// Counts an answer that broke in the middle.
    pub fn broke(&self, fault: &Fault) {
        count(self.endpoint(), self.pools.role(), fault);
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        match &mut this.source {
            Source::Own {
                content,
                wire: Some(wire),
            } => wire.poll_frame(cx, content),
            Source::Own { wire: None, .. } => Poll::Ready(None),
            Source::Shared(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own { content, .. } => content.is_end_stream(),
            Source::Shared(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own { content, .. } => content.size_hint(),
            Source::Shared(body) => body.size_hint(),
        }
    }
}

impl Dispatch<'_> {
    /// Makes the request one to this endpoint.
    pub(super) fn address_to(&mut self, endpoint: &Endpoint) {
        if let Some(request) = self.request {
            endpoint.set_host(request.headers_mut());
        }
    }
}

/// The answer that a head begins, once it is found to be one.
pub(super) fn finish<T>(
    pools: &Arc<Pools>,
    switch: Option<&Switch>,
    (mut response, started): (Response<T>, Instant),
    in_flight: InFlight,
    source: impl FnOnce(T) -> Source,
) -> Result<Answer, Fault> {
    let elapsed = started.elapsed();
    let endpoint = in_flight.endpoint();
    let survey = Survey::of(response.headers());
    let mut switched = None;
    let fault = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let judged = switch.ok_or(Fault::Switched);
        match judged.and_then(|switch| switch.judge(response.headers())) {
            Ok(protocol) => {
                switched = Some(protocol);
                None
            }
            Err(fault) => Some(fault),
        }
    } else if switch.is_some_and(|switch| switch.is_misleading(response.status())) {
        Some(Fault::Handshake)
    } else if !is_only_chunked(response.headers(), survey) {
        Some(Fault::TransferCoding)
    } else {
        None
    };
    if let Some(fault) = fault {
        return Err(counted(endpoint, pools.role(), fault));
    }
    endpoint.answered(pools.role(), response.status());
    remove_hop_by_hop(response.headers_mut(), survey);
    if let Some(protocol) = switched {
        ask_to_switch(response.headers_mut(), protocol);
    }
    let response = response.map(|body| Arriving {
        source: source(body),
        pools: Arc::clone(pools),
        in_flight,
    });
    Ok(Answer { response, elapsed })
}

/// Counts a failure.
pub(super) fn counted(endpoint: &Endpoint, role: Role, fault: Fault) -> Fault {
    count(endpoint, role, &fault);
    fault
}

pub(super) fn count(endpoint: &Endpoint, role: Role, fault: &Fault) {
    if let Some(label) = fault.label() {
        endpoint.failed(role, label);
    }
}
