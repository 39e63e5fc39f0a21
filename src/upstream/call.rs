//! One request and its answer among others on a connection that speaks HTTP/2.
//!
//! The request's own task sends its body until the answer's head is there; what is left of it then has a task of its own, since a client may read and
//! write at its own pace each. Invariant: an answer ends well only where the side says so: whatever else stops it is an error, and a stream whose
//! answer or body nobody waits for any more is reset.

use crate::message::body::{BodyError, Outgoing, Progress};
use crate::message::hop::{clean_trailers, make_http_2, settle_length};
use crate::upstream::failure::Fault;
use crate::upstream::lane::{Lane, Promise};
use crate::upstream::overdue::out_of_time;
use crate::upstream::pool::shared::Slot;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) timeout: Duration,
    /// Tells about a streamed body.
    pub(super) progress: Option<&'a Progress>,
    /// What the request asks to switch to, if it does.
    pub(super) protocols: Option<&'a HeaderValue>,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Heard {
    Answer(Response<Box<Multiplexed>>),
    /// The side has provably not processed it.
    Unprocessed(Fault),
    /// The connection broke.
    Broke(Fault),
    Failed(Fault),
    /// Its time was over.
    Late,
}

/// The body of an answer, as it arrives.
#[derive(Debug)]
pub(super) struct Multiplexed {
    stream: RecvStream,
    /// It has no body, whatever its fields say.
    bodiless: bool,
    /// Bytes that have not come, if the side told.
    left: Option<u64>,
    /// What is left of the request's body.
    upload: Option<Task>,
    /// The way to the side, after an answer that opens a tunnel.
    sink: Option<SendStream<Bytes>>,
    /// Until it has ended.
    place: Option<Slot>,
}

/// A task that ends with its holder.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request, and waits for the head of its answer. With a failure comes the body, as far as it was not sent.
pub(super) async fn ask(
    (mut place, scheme): (Slot, Scheme),
    request: Request<Outgoing>,
    started: Instant,
    terms: Terms<'_>,
) -> (Heard, Outgoing) {
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let mut head = make_http_2(head, scheme);
    let promise = terms
        .protocols
        .filter(|_| place.sender.is_extended_connect_protocol_enabled())
        .and_then(|protocols| Promise::make(protocols, &mut head));
    let ended = body.is_end_stream() && promise.is_none();
    let (mut answer, sink) = match place.sender.send_request(head, ended) {
        Ok(sent) => sent,
        Err(error) if error.is_remote() || error.is_io() => {
            return (Heard::Unprocessed(Fault::from_h2(error)), body);
        }
        Err(error) => return (Heard::Failed(Fault::from_h2(error)), body),
    };
    let mut pump = Pump {
        body,
        sink,
        done: ended || promise.is_some(),
    };
    let heard_before = place.session.heard();
    let heard = tokio::select! {
        biased;
        heard = poll_fn(|cx| poll_ask(cx, &mut pump, &mut answer)) => heard,
        () = out_of_time(started, terms.timeout, terms.progress) => {
            // Not a word on the whole connection: whether there is anybody is for others to find out.
            if place.session.heard() == heard_before {
                place.session.retire();
            }
            return (Heard::Late, pump.body);
        }
    };
    let mut response = match heard {
        Ok(response) => response,
        Err(heard) => return (heard, pump.body),
    };
    place.session.serves();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // RFC 9113 §8.6.
        return (Heard::Failed(Fault::Switched), pump.body);
    }
    let (upload, sink) = match promise {
        None => ((!pump.done).then(|| pump.start()), None),
        Some(promise) if promise.keep(&mut response) => (None, Some(pump.sink)),
        Some(_) => {
            // It only fails on a stream that is over.
            let _ = pump.sink.send_data(Bytes::new(), true);
            (None, None)
        }
    };
    let bodiless = method == Method::HEAD
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let left = length(response.headers());
    let mut response = response.map(|stream| {
        Box::new(Multiplexed {
            stream,
            bodiless,
            left,
            upload,
            sink,
            place: Some(place),
        })
    });
    let exact = response.body().size_hint().exact();
    settle_length(response.headers_mut(), exact);
    (Heard::Answer(response), Outgoing::Empty)
}

fn poll_ask(
    cx: &mut Context<'_>,
    pump: &mut Pump,
    answer: &mut ResponseFuture,
) -> Poll<Result<Response<RecvStream>, Heard>> {
    if let Poll::Ready(Err(error)) = pump.poll(cx) {
        return Poll::Ready(Err(Heard::Failed(Fault::Client(Box::new(error)))));
    }
    let response = ready!(Pin::new(answer).poll(cx));
    Poll::Ready(response.map_err(|error| {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        if error.is_remote() && (refused || error.is_go_away()) {
            // RFC 9113 §8.7. A stream ends with GOAWAY only if that names an earlier one as the last.
            Heard::Unprocessed(Fault::from_h2(error))
        } else if error.is_io() {
            Heard::Broke(Fault::from_h2(error))
        } else {
            Heard::Failed(Fault::from_h2(error))
        }
    }))
}

/// The length that an answer tells; h2 has found it to be one, and holds the body to it.
fn length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    text.parse().ok()
}

/// Sends a request's body as the side takes it.
#[derive(Debug)]
struct Pump {
    body: Outgoing,
    sink: SendStream<Bytes>,
    /// There is nothing more to send, or nobody to send it to.
    done: bool,
}

impl Pump {
    /// Ready when all of it is sent, or the side wants no more. An error is the client's part.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        while !self.done {
            // So that no more of a body is taken up than the side has room for.
            self.sink.reserve_capacity(1);
            if self.sink.capacity() == 0 {
                match ready!(self.sink.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    // The answer's part says why.
                    Some(Err(_)) | None => break,
                }
            }
            if self.sink.poll_reset(cx).is_ready() {
                break;
            }
            let sent = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.done = self.body.is_end_stream();
                        self.sink.send_data(data, self.done)
                    }
                    Err(frame) => {
                        self.done = true;
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        clean_trailers(&mut trailers);
                        self.sink.send_trailers(trailers)
                    }
                },
                None => {
                    self.done = true;
                    self.sink.send_data(Bytes::new(), true)
                }
                Some(Err(error)) => {
                    self.done = true;
                    self.sink.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(error));
                }
            };
            if sent.is_err() {
                break;
            }
        }
        self.done = true;
        Poll::Ready(Ok(()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the task that sends the rest of a body belongs to the runtime of its connection"
    )]
    fn start(mut self) -> Task {
        let task = async move {
            // How it ends is seen by the side and by the answer.
            let _ = poll_fn(|cx| self.poll(cx)).await;
        };
        Task(tokio::spawn(task).abort_handle())
    }
}

impl Multiplexed {
    /// The next frame.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.place.is_none() {
            return Poll::Ready(None);
        }
        let data = loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() && !self.stream.is_end_stream() => {}
                other => break other,
            }
        };
        let frame = match data {
            Some(Ok(data)) => {
                // It only fails on a stream that is over.
                let _ = self.stream.flow_control().release_capacity(data.len());
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => match ready!(self.stream.poll_trailers(cx)) {
                Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => Some(Err(error)),
            },
        };
        Poll::Ready(frame.map(|frame| frame.map_err(Fault::from_h2)))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.bodiless || self.stream.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            SizeHint::with_exact(0)
        } else {
            self.left
                .map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    /// The side's end of a tunnel, after an answer that opens one.
    pub(super) fn into_lane(self) -> Option<Lane> {
        Some(Lane::new(self.sink?, self.stream, self.place?))
    }

    /// Nobody waits for it any more.
    pub(super) fn end(&mut self) {
        self.upload = None;
        self.place = None;
    }
}
