//! The answer on its way to the client: passed on frame by frame, counted when the last one was handed over.

use crate::message::body::BodyError;
use crate::message::reply::Problem;
use crate::message::request_id::{RequestId, X_REQUEST_ID};
use crate::proxy::failure;
use crate::proxy::meter::Meter;
use crate::proxy::observe::Observed;
use crate::proxy::upload::Upload;
use crate::upstream::{Arriving, Fault};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What a client's connection gets to send.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// The proxy's own words.
    Local(Full<Bytes>),
    /// A side's words.
    Passing(Box<Passing>),
}

impl AnswerBody {
    /// The answer to a request that is called `id`.
    pub(super) fn local(problem: &Problem, method: &Method, id: &RequestId) -> Response<Self> {
        let mut response = problem.respond(method).map(Self::Local);
        response.headers_mut().insert(X_REQUEST_ID, id.value());
        response
    }
}

/// A side's answer, and everything that ends with it. Dropped before its end, the client is gone: the connection to the side
/// is closed, and the request counts as aborted.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) incoming: Arriving,
    pub(super) status: StatusCode,
    pub(super) upload: Option<Arc<Upload>>,
    /// Until the answer has ended.
    pub(super) open: Option<Open>,
}

/// What an answer holds until it has ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) meter: Meter,
    pub(super) observed: Option<Observed>,
    /// What the request is called.
    pub(super) id: RequestId,
}

impl Passing {
    /// The body for a client's connection. An answer without a body has ended with its head.
    pub(super) fn into_body(mut self) -> AnswerBody {
        if self.incoming.is_end_stream() {
            self.ended();
        }
        AnswerBody::Passing(Box::new(self))
    }

    fn ended(&mut self) {
        let Some(Open {
            meter, observed, ..
        }) = self.open.take()
        else {
            return;
        };
        let uploaded = self.upload.as_ref().is_none_or(|upload| upload.close());
        if uploaded {
            self.incoming.complete();
        } else {
            self.incoming.close();
        }
        meter.complete(self.status);
        if let Some(observed) = observed {
            observed.ended(self.upload.as_deref());
        }
    }

    fn broke(&mut self, fault: Fault) -> BodyError {
        if let Some(Open {
            meter,
            observed,
            id,
        }) = self.open.take()
        {
            self.incoming.broke(&fault);
            failure::log(meter.route(), self.incoming.endpoint().side(), &fault, &id);
            if let Some(observed) = observed {
                observed.broke();
            }
        }
        BodyError::Upstream(Box::new(fault))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let (Some(_), Some(upload)) = (&self.open, &self.upload) {
            upload.close();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let passing = match self.get_mut() {
            Self::Local(full) => {
                return Pin::new(full)
                    .poll_frame(cx)
                    .map_err(|never| match never {});
            }
            Self::Passing(passing) => passing,
        };
        let frame = match ready!(Pin::new(&mut passing.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(fault)) => return Poll::Ready(Some(Err(passing.broke(fault)))),
            None => {
                passing.ended();
                return Poll::Ready(None);
            }
        };
        if let (Some(data), Some(open)) = (frame.data_ref(), &mut passing.open) {
            open.meter.passed(data.len());
            if let Some(observed) = &mut open.observed {
                observed.passed(data);
            }
        }
        // hyper asks no further after trailers, or after the last byte of a sized body.
        if frame.is_trailers() || passing.incoming.is_end_stream() {
            passing.ended();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Local(full) => full.is_end_stream(),
            Self::Passing(passing) => passing.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Local(full) => full.size_hint(),
            Self::Passing(passing) => passing.incoming.size_hint(),
        }
    }
}
