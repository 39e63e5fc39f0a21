//! One client's connection: its requests one after the other, within the limits of time, to its end and why it came.

use crate::config::settings::Limits;
use crate::message::forwarded::{Address, Peer};
use crate::message::request_id::RequestId;
use crate::proxy::deadlines::{Deadlines, Overdue};
use crate::proxy::greet::Guest;
use crate::proxy::phases::{Lasting, Pulse, Watched};
use crate::proxy::serve::{Serving, serve};
use crate::proxy::socket::Socket;
use crate::proxy::tunnel;
use crate::proxy::worker::Worker;
use crate::telemetry::Rejected;
use crate::telemetry::access::Record;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::rt::Write;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Fields of a head that hyper takes without being told.
const DEFAULT_FIELDS: usize = 100;

/// Serves a connection until its client leaves, or is made to.
pub(super) async fn converse(worker: Arc<Worker>, guest: Guest) {
    let Guest {
        socket, address, ..
    } = guest;
    let (proxy, address) = (Arc::clone(&worker), Arc::new(address));
    let peer = Arc::clone(&address);
    let pulse = Arc::new(Pulse::default());
    let plan = worker.plan();
    let limits = &plan.settings.limits;
    let held = worker.bodies().holding();
    let mut deadlines = Deadlines::new(Arc::clone(&pulse), limits, held);
    let stream = Watched::new(TokioIo::new(socket), Arc::clone(&pulse));
    let own = Arc::clone(&pulse);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = own.begin(request.version());
        let answering = Answering {
            serving: serve(Arc::clone(&worker), Arc::clone(&address), request, &busy),
            worker: Arc::clone(&worker),
        };
        Lasting::new(answering, busy)
    });
    // A stop does not end an idle connection: its client may be sending. The next answer tells the client to go.
    let connection = builder(limits).serve_connection(stream, service);
    // The limits hold for as long as the connection does, the Plan need not.
    drop(plan);
    // A stop that has no more time drops it as it is.
    let mut connection = Held::new(connection, |connection: http1::Connection<_, _>| {
        if pulse.ends_by_closing() && pulse.is_answering() {
            cut(connection.into_parts().io);
        }
    });
    let end = poll_fn(|cx| match Pin::new(connection.inner()).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => deadlines.poll(cx).map(Err),
    })
    .await;
    let connection = connection.take();
    let process = proxy.telemetry().process();
    match end {
        Ok(Ok(())) => {
            if let Some(far) = pulse.exit.take() {
                let parts = connection.into_parts();
                let near = parts.io.into_inner().into_inner().with(parts.read_buf);
                // It is rare, and large.
                Box::pin(tunnel::run(near, far, proxy.telemetry())).await;
            }
        }
        Ok(Err(error)) => {
            if let Some((reason, status)) = refused_by_hyper(&error) {
                process.rejected(reason);
                note(&proxy, peer, reason, status);
            }
            if error.is_user() && pulse.ends_by_closing() {
                cut(connection.into_parts().io);
            }
        }
        Err(overdue) => {
            if let Some(reason) = overdue.label() {
                process.rejected(reason);
            }
            let stream = connection.into_parts().io;
            match overdue {
                Overdue::Idle => {}
                Overdue::Head => {
                    let status = Some(StatusCode::REQUEST_TIMEOUT);
                    note(&proxy, peer, Rejected::HeadTimeout, status);
                    give_up(stream).await;
                }
                Overdue::Response => cut(stream),
            }
        }
    }
}

/// Something that is ended in a way of its own if it is dropped before it is taken.
struct Held<T, F: Fn(T)> {
    /// Until it is taken.
    inner: Option<T>,
    end: F,
}

impl<T, F: Fn(T)> Held<T, F> {
    fn new(inner: T, end: F) -> Self {
        Self {
            inner: Some(inner),
            end,
        }
    }

    fn inner(&mut self) -> &mut T {
        self.inner.as_mut().expect(HELD)
    }

    fn take(mut self) -> T {
        self.inner.take().expect(HELD)
    }
}

/// Why there is something in [`Held`].
const HELD: &str = "it is taken once, by who has it";

impl<T, F: Fn(T)> Drop for Held<T, F> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            (self.end)(inner);
        }
    }
}

/// A request whose answer is the last one of its connection if the proxy stops meanwhile.
struct Answering {
    serving: Serving,
    worker: Arc<Worker>,
}

impl Future for Answering {
    type Output = <Serving as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answered = ready!(Pin::new(&mut self.serving).poll(cx));
        if self.worker.is_leaving()
            && let Ok(answer) = &mut answered
            && answer.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(answered)
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits.head_size);
    // Room for hyper's own default is on the stack, for any other number it is allocated.
    if limits.head_fields != DEFAULT_FIELDS {
        builder.max_headers(limits.head_fields);
    }
    builder
}

/// Tells a client that its head took too long, if it can be told at once.
async fn give_up(mut stream: Watched<TokioIo<Socket>>) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    poll_fn(|cx| {
        let _ = Pin::new(&mut stream).poll_write(cx, ANSWER);
        let _ = Pin::new(&mut stream).poll_flush(cx);
        Poll::Ready(())
    })
    .await;
}

/// Ends a connection so that nobody can take its end for the end of an answer, and the system keeps nothing that is not read.
fn cut(stream: Watched<TokioIo<Socket>>) {
    stream.into_inner().into_inner().reset();
}

/// Writes the line of what is no request: it has a name that nobody was told.
fn note(worker: &Worker, address: Arc<Address>, reason: Rejected, status: Option<StatusCode>) {
    let plan = worker.plan();
    let Some(sink) = plan.access.as_ref().filter(|sink| sink.is_wanted()) else {
        return;
    };
    let peer = Peer {
        address,
        trusted_proxies: &plan.settings.server.trusted_proxies,
    };
    let id = RequestId::Made(worker.names().next()).to_string();
    let mut record = Record::unread(id, peer.client_ip(&HeaderMap::new()));
    record.refused(status, reason.name());
    sink.tell(record);
}

/// What hyper refused by itself, and the status of its own answer, if it has one. Everything else that ends a connection early has been counted with
/// its request.
fn refused_by_hyper(error: &hyper::Error) -> Option<(Rejected, Option<StatusCode>)> {
    if !error.is_parse() {
        return None;
    }
    // hyper tells a target that is too long for it, and HTTP/2 where it speaks none, in words only.
    let told = error.to_string();
    Some(if error.is_parse_too_large() && told.contains("URI") {
        (Rejected::UriTooLong, Some(StatusCode::URI_TOO_LONG))
    } else if error.is_parse_too_large() {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        (Rejected::HeadTooLarge, Some(status))
    } else {
        let is_answered = !told.contains("HTTP2");
        let status = is_answered.then_some(StatusCode::BAD_REQUEST);
        (Rejected::BadRequest, status)
    })
}
