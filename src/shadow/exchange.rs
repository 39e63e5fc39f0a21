//! The other half of a pair: the copy of a request goes to the other side, and its whole answer comes back within bounds.

use crate::compare::Incomparable;
use crate::message::body::Outgoing;
use crate::message::capture::{Budget, Capture, Reservation, Spoiled};
use crate::message::forwarded::{X_CROSSFADE_SHADOW, child_traceparent};
use crate::message::hop;
use crate::shadow::offer::{AnswerCopy, Pair, RequestCopy, head_size, own_fields};
use crate::telemetry::{Role, UpstreamError};
use crate::upstream::{Dispatch, Endpoint, Fault, Lease, Pools, send};
use bytes::Bytes;
use http::header::{
    EXPECT, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
    TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Fields by which a client says that it has (a part of) the answer already: the served side did not make use of them.
const VALIDATORS: [HeaderName; 6] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
    RANGE,
];

/// Asks the other side for its answer to a pair's request.
pub(super) async fn ask(
    pools: &Arc<Pools>,
    pair: &Pair,
    budget: &Arc<Budget>,
) -> Result<(AnswerCopy, Reservation), Incomparable> {
    let side = pair.served.other();
    let endpoint = pair.route.endpoint(side);
    let deadline = Instant::now() + pair.route.shadow.timeout;
    let request = shadow_request(&pair.request, pair.answer.status, endpoint);
    let dispatch = Dispatch {
        request,
        timeout: pair.route.shadow.timeout,
        progress: None,
    };
    let answer = match timeout_at(deadline, send(pools, endpoint, dispatch)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => return Err(blame(&failure.fault)),
        Err(_) => return Err(too_late(endpoint)),
    };
    pair.route
        .metrics
        .upstream(side, Role::Shadow, answer.elapsed);
    let (head, body) = answer.response.into_parts();
    let mut memory = Reservation::new(Arc::clone(budget));
    if !memory.grow(head_size(&head.headers)) {
        return Err(Incomparable::Bytes);
    }
    let mut copy = AnswerCopy {
        status: head.status,
        headers: own_fields(&head.headers),
        body: Bytes::new(),
        latency: answer.elapsed,
    };
    let held = match timeout_at(
        deadline,
        read(body, answer.lease, pair.route.shadow.max_body, budget),
    )
    .await
    {
        Ok(Ok((bytes, held))) => {
            copy.body = bytes;
            held
        }
        Ok(Err(reason)) => return Err(reason),
        Err(_) => return Err(too_late(endpoint)),
    };
    memory.join(held);
    Ok((copy, memory))
}

/// Reads a whole body, and no further than it may go.
async fn read(
    mut body: Incoming,
    lease: Lease,
    limit: usize,
    budget: &Arc<Budget>,
) -> Result<(Bytes, Reservation), Incomparable> {
    let mut capture = Capture::new(limit, Arc::clone(budget), body.size_hint().exact());
    while capture.spoiled().is_none() {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    capture.push(data);
                }
            }
            Some(Err(error)) => {
                let fault = Fault::from_hyper(error);
                lease.broke(&fault);
                return Err(blame(&fault));
            }
            None => {
                lease.complete();
                break;
            }
        }
    }
    capture.finish().map_err(|why| match why {
        Spoiled::TooLarge => Incomparable::TooLarge,
        Spoiled::Budget => Incomparable::Bytes,
    })
}

fn too_late(endpoint: &Endpoint) -> Incomparable {
    endpoint
        .metrics()
        .error(Role::Shadow, UpstreamError::Timeout);
    Incomparable::ShadowTimeout
}

fn blame(fault: &Fault) -> Incomparable {
    match fault {
        Fault::Connect(_) | Fault::ConnectTimeout => Incomparable::ShadowConnect,
        Fault::Timeout => Incomparable::ShadowTimeout,
        // A copy's body is all there, so that no client can break it off.
        Fault::Reset(_) | Fault::Client(_) => Incomparable::ShadowReset,
        Fault::Protocol(_) | Fault::Switched | Fault::TransferCoding => {
            Incomparable::ShadowProtocol
        }
        Fault::Queue => Incomparable::ShadowQueue,
    }
}

fn shadow_request(
    copy: &RequestCopy,
    served_status: StatusCode,
    endpoint: &Endpoint,
) -> Request<Outgoing> {
    let mut request = Request::new(Outgoing::full(copy.body.clone()));
    *request.method_mut() = copy.method.clone();
    *request.uri_mut() = copy.target.clone();
    let mut headers = copy.headers.clone();
    headers.insert(X_CROSSFADE_SHADOW, HeaderValue::from_static("1"));
    headers.insert(HOST, endpoint.host_for(headers.get(HOST)));
    if served_status == StatusCode::OK {
        for name in VALIDATORS {
            headers.remove(name);
        }
    }
    if let Some(parent) = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        && let Some(child) = child_traceparent(parent, fastrand::u64(..))
        && let Ok(child) = HeaderValue::from_str(&child)
    {
        headers.insert(TRACEPARENT, child);
    }
    *request.headers_mut() = headers;
    request
}

/// The fields that the served side got, without what the other side is not to see: the body of a copy is all there.
pub fn copy_headers(headers: &HeaderMap) -> HeaderMap {
    let mut copy = own_fields(headers);
    hop::remove_hop_by_hop(&mut copy);
    for name in [EXPECT, TRAILER] {
        copy.remove(name);
    }
    copy
}
