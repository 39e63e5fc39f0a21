//! One exchange with an endpoint, up to the head of the answer.
//!
//! A stale pooled connection is replaced by one new try, and only where that can't do a thing twice: the request was never
//! sent, or it is GET or HEAD without a body.

use crate::message::body::{Outgoing, Progress};
use crate::message::hop::is_only_chunked;
use crate::telemetry::Role;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::failure::{Failure, Fault};
use crate::upstream::pool::Pools;
use crate::upstream::wire::Wire;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// What is sent, and how long its answer may take.
#[derive(Debug)]
pub struct Dispatch<'a> {
    /// The request, in origin form, with the Host that the side is to see.
    pub request: Request<Outgoing>,
    /// From the last byte of the request to the head of the answer.
    pub timeout: Duration,
    /// Tells about a streamed body.
    pub progress: Option<&'a Progress>,
}

/// The head of an answer, its body to come.
#[derive(Debug)]
pub struct Answer {
    /// Status, header fields, and the body as it arrives.
    pub response: Response<Arriving>,
    /// Sent to head.
    pub elapsed: Duration,
}

/// The body of an answer, and the connection that it arrives on: given back when the answer is complete, closed when dropped before. The connection
/// moves only while the body is polled.
#[derive(Debug)]
pub struct Arriving {
    incoming: Incoming,
    pools: Arc<Pools>,
    endpoint: Arc<Endpoint>,
    wire: Option<Box<Wire>>,
}

impl Arriving {
    /// The answer has ended well: the connection may serve another request.
    pub fn complete(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.pools.give_back(&self.endpoint, wire);
        }
    }

    /// Nobody wants the rest: the connection is closed.
    pub fn close(&mut self) {
        self.wire = None;
    }

    /// The endpoint that answers.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Counts an answer that broke in the middle.
    pub fn broke(&self, fault: &Fault) {
        count(&self.endpoint, self.pools.role(), fault);
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        match &mut this.wire {
            Some(wire) => wire.poll_frame(cx, &mut this.incoming),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Sends a request and waits for the head of its answer. A failure is counted here, once.
pub async fn send(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    dispatch: Dispatch<'_>,
) -> Result<Answer, Failure> {
    let result = attempt(pools, endpoint, dispatch).await;
    if let Err(failure) = &result {
        count(endpoint, pools.role(), &failure.fault);
    }
    result
}

fn count(endpoint: &Endpoint, role: Role, fault: &Fault) {
    if let Some(label) = fault.label() {
        endpoint.metrics().error(role, label);
    }
}

async fn attempt(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    dispatch: Dispatch<'_>,
) -> Result<Answer, Failure> {
    let Dispatch {
        request,
        timeout,
        progress,
    } = dispatch;
    let limit = Limit { timeout, progress };
    // What is rare is boxed: it would make the future of every request large.
    let wire = match pools.take_idle(endpoint) {
        Some(wire) => wire,
        None => match Box::pin(pools.fresh(endpoint)).await {
            Ok(wire) => wire,
            Err(fault) => return Err(Failure::unsent(fault, request)),
        },
    };
    let spare = if wire.reused { spare(&request) } else { None };
    match exchange(wire, request, limit).await {
        Ok(exchanged) => finish(pools, endpoint, exchanged),
        Err(failure) => Box::pin(again(pools, endpoint, (failure, spare), limit)).await,
    }
}

/// Sends a request again, on a new connection, if that is allowed.
async fn again(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    (failure, spare): (Failure, Option<Request<Outgoing>>),
    limit: Limit<'_>,
) -> Result<Answer, Failure> {
    if !matches!(failure.fault, Fault::Reset(_)) {
        return Err(failure);
    }
    let Some(request) = failure.unsent.map(|unsent| *unsent).or(spare) else {
        return Err(failure.fault.into());
    };
    match pools.fresh(endpoint).await {
        Ok(wire) => finish(pools, endpoint, exchange(wire, request, limit).await?),
        Err(fault) => Err(Failure::unsent(fault, request)),
    }
}

/// How long an answer may take.
#[derive(Clone, Copy)]
struct Limit<'a> {
    timeout: Duration,
    progress: Option<&'a Progress>,
}

/// What may be sent once more, since doing it twice changes nothing: GET or HEAD without a body.
fn spare(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD)
        && matches!(request.body(), Outgoing::Empty);
    harmless.then(|| {
        let mut spare = Request::new(Outgoing::Empty);
        spare.method_mut().clone_from(request.method());
        spare.uri_mut().clone_from(request.uri());
        spare.headers_mut().clone_from(request.headers());
        spare
    })
}

/// The head of an answer, where its body comes from, and how long it took.
type Exchanged = (Response<Incoming>, Box<Wire>, Duration);

async fn exchange(
    mut wire: Box<Wire>,
    request: Request<Outgoing>,
    limit: Limit<'_>,
) -> Result<Exchanged, Failure> {
    let started = Instant::now();
    let answer = match limit.progress {
        None => wire.ask(request, Some(started + limit.timeout)).await,
        Some(_) => {
            let streamed = async {
                tokio::select! {
                    biased;
                    answer = wire.ask(request, None) => answer,
                    () = out_of_time(started, limit.timeout, limit.progress) => None,
                }
            };
            Box::pin(streamed).await
        }
    };
    match answer {
        Some(Ok(response)) => Ok((response, wire, started.elapsed())),
        Some(Err(mut error)) => {
            let unsent = error.take_message().map(Box::new);
            Err(Failure {
                fault: Fault::from_hyper(error.into_error()),
                unsent,
            })
        }
        None => Err(Fault::Timeout.into()),
    }
}

/// Ends when a side that stays silent is out of time, counted from then or from the last move of a streamed body. While it is the client
/// that is waited for, no time runs.
pub async fn out_of_time(started: Instant, timeout: Duration, progress: Option<&Progress>) {
    let Some(progress) = progress else {
        return sleep_until(started + timeout).await;
    };
    loop {
        match progress.due(timeout).map(|due| due.max(started + timeout)) {
            Some(due) if due <= Instant::now() => return,
            Some(due) => sleep_until(due).await,
            // While the client is waited for no limit runs, so a look now and then is early enough.
            None => sleep(timeout.min(Duration::from_secs(1))).await,
        }
    }
}

fn finish(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    (response, wire, elapsed): Exchanged,
) -> Result<Answer, Failure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Switched.into());
    }
    if !is_only_chunked(response.headers()) {
        return Err(Fault::TransferCoding.into());
    }
    let response = response.map(|incoming| Arriving {
        incoming,
        pools: Arc::clone(pools),
        endpoint: Arc::clone(endpoint),
        wire: Some(wire),
    });
    Ok(Answer { response, elapsed })
}
