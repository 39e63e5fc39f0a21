//! The other half of a pair: the copy of a request goes to the other side, and its whole answer comes back within bounds.

use crate::compare::{Incomparable, media};
use crate::config::settings::Shadow;
use crate::message::body::Outgoing;
use crate::message::capture::{Capture, Reservation, Spoiled};
use crate::message::fields;
use crate::message::forwarded::{TRACEPARENT, X_CROSSFADE_SHADOW, child_traceparent};
use crate::shadow::offer::{AnswerCopy, RequestCopy};
use crate::telemetry::{Role, RouteMetrics, UpstreamError};
use crate::upstream::alarm::Alarm;
use crate::upstream::{Arriving, Dispatch, Fault, Group, Pools, send};
use bytes::Bytes;
use http::header::{
    CONNECTION, EXPECT, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE, TE, TRAILER,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::Instant;

/// What the served side got from this hop alone, or what goes with a body that comes bit by bit: the body of a copy is all there.
const NOT_COPIED: [HeaderName; 4] = [CONNECTION, EXPECT, TRAILER, X_CROSSFADE_SHADOW];

/// Fields by which a client says that it has (a part of) the answer already: the served side did not make use of them.
const VALIDATORS: [HeaderName; 6] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
    RANGE,
];

/// A copy of a request, for one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// The request.
    pub(super) request: &'a RequestCopy,
    /// The status of the answer that the client got.
    pub(super) served_status: StatusCode,
    /// Who is asked.
    pub(super) group: &'a Group,
    /// What an answer may take of time and memory.
    pub(super) bounds: Shadow,
    /// The span that it works for, if there is a trace.
    pub(super) span: u64,
    /// Where the time that it took is counted, if it is.
    pub(super) timed: Option<&'a RouteMetrics>,
}

/// Asks a side for its answer, and charges it to `memory`.
pub(super) async fn ask(
    pools: &Arc<Pools>,
    question: Question<'_>,
    memory: &mut Reservation,
    alarm: &mut Alarm,
) -> Result<AnswerCopy<HeaderMap>, Incomparable> {
    let Question {
        request,
        served_status,
        group,
        bounds,
        span,
        timed,
    } = question;
    let deadline = Instant::now() + bounds.timeout;
    // Pinned here, since it is large: it would be moved into whoever waits for it.
    let whole = pin!(async {
        let mut request = Some(shadow_request(request, served_status, span));
        if !group.common().settings().protocol.is_http_2()
            && let Some(request) = &mut request
        {
            // HTTP/2 has no other way of trailers, and some services there insist on it.
            request.headers_mut().remove(TE);
        }
        let dispatch = Dispatch {
            request: &mut request,
            timeout: bounds.timeout,
            progress: None,
            switch: None,
        };
        let answer = send(pools, group, dispatch)
            .await
            .map_err(|fault| blame(&fault))?;
        if let Some(metrics) = timed {
            metrics.upstream(group.common().side(), Role::Shadow, answer.elapsed);
        }
        let (head, body) = answer.response.into_parts();
        if !memory.grow(fields::size(&head.headers)) {
            return Err(Incomparable::Bytes);
        }
        // There may be no end to wait for, and what comes says nothing.
        let body = if media::is_stream(&head.headers) {
            Bytes::new()
        } else {
            read(body, bounds.max_body, memory).await?
        };
        Ok(AnswerCopy {
            status: head.status,
            headers: head.headers,
            body,
            latency: answer.elapsed,
        })
    });
    alarm
        .before(deadline, whole)
        .await
        .unwrap_or_else(|| Err(too_late(group)))
}

/// Reads a whole body, and no further than it may go.
///
/// A body that comes in one piece is not copied: it keeps the buffer that it came in, but is judged at once.
async fn read(
    mut body: Arriving,
    limit: usize,
    memory: &mut Reservation,
) -> Result<Bytes, Incomparable> {
    let length = body.size_hint().exact();
    let mut capture = Capture::new(limit, memory.beside(), length);
    while capture.spoiled().is_none() {
        if body.is_end_stream() {
            body.complete();
            break;
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if length == Some(data.len() as u64) {
                    body.complete();
                    let paid = memory.grow(data.len());
                    return paid.then_some(data).ok_or(Incomparable::Bytes);
                }
                capture.push(&data);
            }
            Some(Err(fault)) => {
                body.broke(&fault);
                return Err(blame(&fault));
            }
            None => {
                body.complete();
                break;
            }
        }
    }
    match capture.finish() {
        Ok((bytes, held)) => {
            memory.join(held);
            Ok(bytes)
        }
        Err(Spoiled::TooLarge) => Err(Incomparable::TooLarge),
        Err(Spoiled::Budget) => Err(Incomparable::Bytes),
    }
}

fn too_late(group: &Group) -> Incomparable {
    group.common().failed(Role::Shadow, UpstreamError::Timeout);
    Incomparable::ShadowTimeout
}

fn blame(fault: &Fault) -> Incomparable {
    match fault {
        Fault::Connect(_) | Fault::ConnectTimeout => Incomparable::ShadowConnect,
        Fault::Timeout => Incomparable::ShadowTimeout,
        // A copy's body is all there, so that no client can break it off.
        Fault::Reset(_) | Fault::Client(_) => Incomparable::ShadowReset,
        Fault::Protocol(_) | Fault::Switched | Fault::Handshake | Fault::TransferCoding => {
            Incomparable::ShadowProtocol
        }
        Fault::Queue => Incomparable::ShadowQueue,
    }
}

fn shadow_request(copy: &RequestCopy, served_status: StatusCode, span: u64) -> Request<Outgoing> {
    let whole_answer = served_status == StatusCode::OK;
    let mut headers = copy.head.map(1, |name| {
        !(NOT_COPIED.contains(name) || whole_answer && VALIDATORS.contains(name))
    });
    headers.insert(X_CROSSFADE_SHADOW, HeaderValue::from_static("1"));
    if let Some(parent) = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        && let Some(child) = child_traceparent(parent, span)
        && let Ok(child) = HeaderValue::from_str(&child)
    {
        headers.insert(TRACEPARENT, child);
    }
    let mut request = Request::new(Outgoing::full(copy.body.clone()));
    *request.method_mut() = copy.method.clone();
    *request.uri_mut() = target(copy.head.text());
    *request.headers_mut() = headers;
    request
}

fn target(text: Bytes) -> Uri {
    let target = PathAndQuery::from_maybe_shared(text).expect("the text of a target is a target");
    Uri::from(target)
}
