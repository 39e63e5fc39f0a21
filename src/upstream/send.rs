//! One exchange with an endpoint, up to the head of the answer.
//!
//! A stale pooled connection is replaced by one new try, and only where that can't do a thing twice: the request was never
//! sent, or it is GET or HEAD without a body.

use crate::message::body::{Outgoing, Progress};
use crate::message::hop::is_only_chunked;
use crate::telemetry::Role;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::failure::{Failure, Fault};
use crate::upstream::pool::{Held, Pools, Want};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
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
    pub response: Response<Incoming>,
    /// The connection that it arrives on.
    pub lease: Lease,
    /// Sent to head.
    pub elapsed: Duration,
}

/// A connection with an answer under way: given back when the answer is complete, closed when dropped before.
#[derive(Debug)]
pub struct Lease {
    pools: Arc<Pools>,
    endpoint: Arc<Endpoint>,
    held: Option<Held>,
}

impl Lease {
    /// The answer has ended well: the connection may serve another request.
    pub fn complete(mut self) {
        if let Some(held) = self.held.take() {
            self.pools.give_back(&self.endpoint, held);
        }
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
    let held = match pools.checkout(endpoint, Want::Any).await {
        Ok(held) => held,
        Err(fault) => {
            return Err(Failure {
                fault,
                unsent: Some(Box::new(request)),
            });
        }
    };
    let reused = held.reused;
    let spare = if reused { spare(&request) } else { None };
    let failure = match exchange(held, request, timeout, progress).await {
        Ok((response, held, elapsed)) => return finish(pools, endpoint, response, held, elapsed),
        Err(failure) => failure,
    };
    let broken = matches!(failure.fault, Fault::Reset(_));
    let again = match failure.unsent {
        Some(unsent) if broken => *unsent,
        None if broken && spare.is_some() => match spare {
            Some(spare) => spare,
            None => return Err(failure),
        },
        unsent => {
            return Err(Failure {
                fault: failure.fault,
                unsent,
            });
        }
    };
    let held = match pools.checkout(endpoint, Want::Fresh).await {
        Ok(held) => held,
        Err(fault) => {
            return Err(Failure {
                fault,
                unsent: Some(Box::new(again)),
            });
        }
    };
    let (response, held, elapsed) = exchange(held, again, timeout, progress).await?;
    finish(pools, endpoint, response, held, elapsed)
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

async fn exchange(
    mut held: Held,
    request: Request<Outgoing>,
    timeout: Duration,
    progress: Option<&Progress>,
) -> Result<(Response<Incoming>, Held, Duration), Failure> {
    let started = Instant::now();
    let answer = held.sender.try_send_request(request);
    tokio::select! {
        biased;
        answer = answer => match answer {
            Ok(response) => Ok((response, held, started.elapsed())),
            Err(mut error) => {
                let unsent = error.take_message().map(Box::new);
                Err(Failure { fault: Fault::from_hyper(error.into_error()), unsent })
            }
        },
        () = out_of_time(started, timeout, progress) => Err(Fault::Timeout.into()),
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
    response: Response<Incoming>,
    held: Held,
    elapsed: Duration,
) -> Result<Answer, Failure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Switched.into());
    }
    if !is_only_chunked(response.headers()) {
        return Err(Fault::TransferCoding.into());
    }
    let lease = Lease {
        pools: Arc::clone(pools),
        endpoint: Arc::clone(endpoint),
        held: Some(held),
    };
    Ok(Answer {
        response,
        lease,
        elapsed,
    })
}
