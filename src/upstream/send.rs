//! One exchange with an endpoint of a side, up to the head of the answer.
//!
//! A stale pooled connection is replaced by one new try, and only where that can't do a thing twice: the request was never
//! sent, or it is GET or HEAD without a body. The latter is a retry: it is counted, and there is a budget for it.
//! Where a side has several endpoints another one gets that try, also after a connection that could not be made, or a new one that broke.

use crate::message::body::{Outgoing, Progress};
use crate::message::hop::{ask_to_switch, is_only_chunked, remove_hop_by_hop, switches_to};
use crate::message::survey::Survey;
use crate::message::websocket::Handshake;
use crate::telemetry::Role;
use crate::upstream::alarm::wait_until;
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::failure::Fault;
use crate::upstream::group::Group;
use crate::upstream::pool::Pools;
use crate::upstream::wire::{Asked, Content, Far, Wire};
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

/// The body of an answer, and the connection that it arrives on: given back when the answer is complete, closed when dropped before. The connection
/// moves only while the body is polled.
#[derive(Debug)]
pub struct Arriving {
    content: Content,
    pools: Arc<Pools>,
    wire: Option<Box<Wire>>,
    in_flight: InFlight,
}

impl Arriving {
    /// The answer has ended well: the connection may serve another request.
    pub fn complete(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.pools.give_back(self.in_flight.endpoint(), wire);
        }
        // Not before: whose turn it is takes that connection.
        self.in_flight.end();
    }

    /// Nobody wants the rest: the connection is closed.
    pub fn close(&mut self) {
        self.wire = None;
        self.in_flight.end();
    }

    /// The side's end of a tunnel, after an answer that switches protocols.
    pub fn take_tunnel(&mut self) -> Option<Far> {
        let mut far = self.wire.take()?.into_tunnel()?;
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
        match &mut this.wire {
            Some(wire) => wire.poll_frame(cx, &mut this.content),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// Sends a request to an endpoint of a side, and waits for the head of its answer. A failure is counted here, once.
pub async fn send(
    pools: &Arc<Pools>,
    group: &Group,
    mut dispatch: Dispatch<'_>,
) -> Result<Answer, Fault> {
    let (role, pool) = (pools.role(), pools.number());
    group.common().guard(role).asked(pool);
    // What is rare is boxed: it would make the future of every request large.
    let (endpoint, in_flight) = match group.begin(role, pool) {
        Some(begun) => begun,
        None => match Box::pin(group.begin_late(role, pool)).await {
            Ok(begun) => begun,
            Err(fault) => {
                if let Some(label) = fault.label() {
                    group.common().failed(role, label);
                }
                return Err(fault);
            }
        },
    };
    dispatch.address_to(endpoint);
    let now = Instant::now();
    let (mut wire, started) = match pools.take_idle(endpoint, now) {
        Some(wire) => (wire, now),
        None => match Box::pin(pools.fresh(endpoint)).await {
            Ok(wire) => (wire, Instant::now()),
            Err(fault) => {
                let fault = counted(endpoint, pools.role(), fault);
                if group.is_several() && matches!(fault, Fault::Connect(_) | Fault::ConnectTimeout)
                {
                    let another = group.pick_after(endpoint);
                    let in_flight = in_flight.move_to(another);
                    return Box::pin(again(pools, another, in_flight, dispatch)).await;
                }
                return Err(fault);
            }
        },
    };
    wire.elsewhere = group.is_several();
    let asked = match dispatch.progress {
        None => {
            wire.ask(dispatch.request, Some(started + dispatch.timeout))
                .await
        }
        Some(_) => Box::pin(stream(&mut wire, started, &mut dispatch)).await,
    };
    match asked {
        Asked::Answered(response) => {
            let answer = (response, wire, started);
            finish(pools, dispatch.switch, answer, in_flight)
        }
        Asked::Failed(fault) => {
            if matches!(fault, Fault::Reset(_)) && dispatch.request.is_none() {
                *dispatch.request = wire
                    .take_spare()
                    .filter(|_| group.common().may_retry(pools.role()));
            }
            let reused = wire.reused;
            drop(wire);
            // Whoever was refused before anything was said would be refused here again.
            let may_go = matches!(fault, Fault::Reset(_))
                || group.is_several() && matches!(fault, Fault::Connect(_));
            if !may_go || dispatch.request.is_none() {
                return Err(counted(endpoint, pools.role(), fault));
            }
            if group.is_several() && !reused {
                count(endpoint, pools.role(), &fault);
            }
            let another = group.pick_after(endpoint);
            let in_flight = in_flight.move_to(another);
            Box::pin(again(pools, another, in_flight, dispatch)).await
        }
        Asked::Late => Err(counted(endpoint, pools.role(), Fault::Timeout)),
    }
}

impl Dispatch<'_> {
    /// Makes the request one to this endpoint.
    fn address_to(&mut self, endpoint: &Endpoint) {
        if let Some(request) = self.request {
            endpoint.set_host(request.headers_mut());
        }
    }
}

/// Sends a request again, on a new connection: it was not sent at all, or may be sent twice.
async fn again(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    in_flight: InFlight,
    mut dispatch: Dispatch<'_>,
) -> Result<Answer, Fault> {
    let failed = |fault| counted(endpoint, pools.role(), fault);
    dispatch.address_to(endpoint);
    let mut wire = pools.fresh(endpoint).await.map_err(failed)?;
    let started = Instant::now();
    match stream(&mut wire, started, &mut dispatch).await {
        Asked::Answered(response) => {
            let answer = (response, wire, started);
            finish(pools, dispatch.switch, answer, in_flight)
        }
        Asked::Failed(fault) => Err(failed(fault)),
        Asked::Late => Err(failed(Fault::Timeout)),
    }
}

/// Asks, with a limit that follows a streamed body.
async fn stream(wire: &mut Wire, started: Instant, dispatch: &mut Dispatch<'_>) -> Asked {
    tokio::select! {
        biased;
        asked = wire.ask(dispatch.request, None) => asked,
        () = out_of_time(started, dispatch.timeout, dispatch.progress) => Asked::Late,
    }
}

fn counted(endpoint: &Endpoint, role: Role, fault: Fault) -> Fault {
    count(endpoint, role, &fault);
    fault
}

fn count(endpoint: &Endpoint, role: Role, fault: &Fault) {
    if let Some(label) = fault.label() {
        endpoint.failed(role, label);
    }
}

/// Ends when a side that stays silent is out of time, counted from then or from the last move of a streamed body. While it is the client
/// that is waited for, no time runs.
pub async fn out_of_time(started: Instant, timeout: Duration, progress: Option<&Progress>) {
    let Some(progress) = progress else {
        return wait_until(started + timeout).await;
    };
    loop {
        match progress.due(timeout).map(|due| due.max(started + timeout)) {
            Some(due) if due <= Instant::now() => return,
            Some(due) => wait_until(due).await,
            // While the client is waited for no limit runs, so a look now and then is early enough.
            None => wait_until(Instant::now() + timeout.min(Duration::from_secs(1))).await,
        }
    }
}

fn finish(
    pools: &Arc<Pools>,
    switch: Option<&Switch>,
    (mut response, wire, started): (Response<Content>, Box<Wire>, Instant),
    in_flight: InFlight,
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
    let response = response.map(|content| Arriving {
        content,
        pools: Arc::clone(pools),
        wire: Some(wire),
        in_flight,
    });
    Ok(Answer { response, elapsed })
}
