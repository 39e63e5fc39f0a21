//! One HTTP/1.1 connection to a side, moved by whoever uses it.
//!
//! Most exchanges are [`Plain`]. For a body that is streamed, or an answer of another form, hyper's [`Client`] takes the connection over, and gives it
//! back after the first exchange that would have been plain.

use crate::message::body::Outgoing;
use crate::message::hop::settle_length;
use crate::message::spare::Spare;
use crate::upstream::alarm::Alarm;
use crate::upstream::client::Client;
use crate::upstream::endpoint::InFlight;
use crate::upstream::failure::Fault;
use crate::upstream::line::{Held, Line};
use crate::upstream::plain::{Heard, Plain, Sized};
use crate::upstream::stream::Stream;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// A connection that is nobody's but the holder's. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Wire {
    talk: Talk,
    /// What hyper was given, where it may be asked again.
    spare: Option<Box<Spare>>,
    /// It can take no further request.
    spent: bool,
    alarm: Alarm,
    /// When it was opened.
    pub(super) born: Instant,
    /// Whether it has served before.
    pub(super) reused: bool,
    /// Whether there is another endpoint to ask.
    pub(super) elsewhere: bool,
}

/// What a tunnel's bytes come through.
pub trait Duplex: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Duplex for T {}

/// A side's end of a tunnel. It counts as one of the side's connections, unless it shares one, and as a request in flight.
#[derive(Debug)]
pub struct Far {
    /// The connection, or a stream of one.
    pub stream: Box<dyn Duplex>,
    /// What the side has sent already.
    pub begun: Bytes,
    _held: Option<Held>,
    pub(super) in_flight: Option<InFlight>,
}

impl Far {
    /// One that holds what goes with a connection of its own, if it has one.
    pub(super) fn new(stream: Box<dyn Duplex>, begun: Bytes, held: Option<Held>) -> Self {
        Self {
            stream,
            begun,
            _held: held,
            in_flight: None,
        }
    }
}

/// Who speaks.
#[derive(Debug)]
enum Talk {
    Plain(Plain),
    Hyper(Client),
    /// Nobody: it is closed.
    Nobody,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Asked {
    Answered(Response<Content>),
    Failed(Fault),
    /// Its time was over.
    Late,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    Sized(Sized),
    Hyper(Incoming),
}

impl Content {
    /// A body that is over.
    pub(super) fn over() -> Self {
        Self::Sized(Sized::default())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Sized(body) => body.left == 0,
            Self::Hyper(incoming) => incoming.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Sized(body) => SizeHint::with_exact(body.left),
            Self::Hyper(incoming) => incoming.size_hint(),
        }
    }
}

impl Wire {
    /// Speaks HTTP/1.1 over a new connection.
    pub(super) fn open(stream: Stream, held: Held) -> Box<Self> {
        Box::new(Self {
            talk: Talk::Plain(Plain::new(stream, held)),
            spare: None,
            spent: false,
            alarm: Alarm::default(),
            born: Instant::now(),
            reused: false,
            elsewhere: false,
        })
    }

    /// Sends a request and waits for the head of its answer until `due`. What was not sent is put back.
    pub(super) async fn ask(
        &mut self,
        request: &mut Option<Request<Outgoing>>,
        due: Option<Instant>,
    ) -> Asked {
        let Talk::Plain(plain) = &mut self.talk else {
            return Box::pin(self.ask_hyper(request, due)).await;
        };
        if let Some(error) = plain.ending(&mut Context::from_waker(Waker::noop())) {
            return Asked::Failed(Fault::broken(error));
        }
        if !plain.take(request) {
            return Box::pin(self.ask_hyper(request, due)).await;
        }
        let alarm = &mut self.alarm;
        let heard = poll_fn(|cx| match (plain.poll_ask(cx), due) {
            (Poll::Ready(heard), _) => Poll::Ready(Some(heard)),
            (Poll::Pending, Some(due)) => alarm.poll_due(cx, due).map(|()| None),
            (Poll::Pending, None) => Poll::Pending,
        })
        .await;
        match heard {
            Some(Heard::Answer(response)) => Asked::Answered(response.map(Content::Sized)),
            Some(Heard::Broke(fault)) => Asked::Failed(fault),
            Some(Heard::Other(begun)) => Box::pin(self.hand_over(begun, due)).await,
            None => Asked::Late,
        }
    }

    /// The request that was taken last, if it may be sent again: nothing of it was sent, or it may have better luck, and it is GET or HEAD without a body.
    pub(super) fn take_spare(&mut self) -> Option<Request<Outgoing>> {
        match &self.talk {
            Talk::Plain(plain)
                if plain.is_unsent() || self.may_repeat() && is_safe(plain.method()) =>
            {
                plain.request()
            }
            Talk::Plain(_) => None,
            Talk::Hyper(_) | Talk::Nobody => self.spare.take().map(|spare| spare.request()),
        }
    }

    /// Whether a request that it breaks may have better luck: it may have been closed meanwhile, or another endpoint may do better.
    fn may_repeat(&self) -> bool {
        self.reused || self.elsewhere
    }

    /// hyper sends it.
    async fn ask_hyper(
        &mut self,
        request: &mut Option<Request<Outgoing>>,
        due: Option<Instant>,
    ) -> Asked {
        if let Some(request) = request.as_mut() {
            Outgoing::settle(request);
        }
        let harmless = request.as_ref().filter(|request| {
            self.may_repeat()
                && is_safe(request.method())
                && matches!(request.body(), Outgoing::Empty)
        });
        self.spare = harmless.map(|request| Box::new(Spare::of(request)));
        if let Talk::Plain(_) = &self.talk {
            self.convert(|plain| {
                let (stream, held) = plain.into_parts();
                (Line::new(stream), held)
            })
            .await;
        }
        self.follow(request, due).await
    }

    /// hyper reads the answer to a request that was sent already.
    async fn hand_over(&mut self, begun: Bytes, due: Option<Instant>) -> Asked {
        let mut stand_in = None;
        self.spare = self
            .take_spare()
            .map(|request| Box::new(Spare::of(&request)));
        if let Talk::Plain(plain) = &self.talk {
            self.spent = !plain.has_sent();
            // Nothing of it is sent: hyper needs to know what the answer's end depends on.
            let mut request = Request::new(Outgoing::Empty);
            request.method_mut().clone_from(plain.method());
            stand_in = Some(request);
        }
        self.convert(|plain| {
            let (stream, held) = plain.into_parts();
            (Line::in_the_middle(stream, begun), held)
        })
        .await;
        self.follow(&mut stand_in, due).await
    }

    async fn convert(&mut self, line: impl FnOnce(Plain) -> (Line, Held)) {
        if let Talk::Plain(plain) = std::mem::replace(&mut self.talk, Talk::Nobody) {
            let (line, held) = line(plain);
            // It only fails once there is something to read.
            if let Ok(client) = Client::open(line, held).await {
                self.talk = Talk::Hyper(client);
            }
        }
    }

    async fn follow(
        &mut self,
        request: &mut Option<Request<Outgoing>>,
        due: Option<Instant>,
    ) -> Asked {
        let Talk::Hyper(client) = &mut self.talk else {
            let closed = io::ErrorKind::NotConnected.into();
            return Asked::Failed(Fault::broken(closed));
        };
        match client.ask(request, due, &mut self.alarm).await {
            Some(Ok(mut response)) => {
                // Framed in two ways: whose the bytes behind it are can't be told (RFC 9112 §6.3).
                let headers = response.headers();
                self.spent |=
                    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
                let length = response.body().size_hint().exact();
                settle_length(response.headers_mut(), length);
                Asked::Answered(response.map(Content::Hyper))
            }
            Some(Err(error)) => Asked::Failed(Fault::from_hyper(error)),
            None => Asked::Late,
        }
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Content,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match (&mut self.talk, content) {
            (Talk::Plain(plain), Content::Sized(body)) => plain
                .poll_body(cx, body)
                .map(|bytes| Some(bytes?.map(Frame::data))),
            (Talk::Hyper(client), Content::Hyper(incoming)) => {
                client.poll_frame(cx, incoming).map_err(Fault::from_hyper)
            }
            // No end that is known to be one.
            (Talk::Plain(_) | Talk::Hyper(_) | Talk::Nobody, _) => {
                let closed = io::ErrorKind::NotConnected.into();
                Poll::Ready(Some(Err(Fault::broken(closed))))
            }
        }
    }

    /// The connection after an answer that switches protocols.
    pub(super) fn into_tunnel(self) -> Option<Far> {
        let Talk::Hyper(client) = self.talk else {
            return None;
        };
        let (stream, begun, held) = client.into_tunnel()?;
        Some(Far::new(Box::new(stream), begun, Some(held)))
    }

    /// Whether it takes another request. For a connection whose last answer has ended.
    pub(super) fn is_ready(&mut self) -> bool {
        let ready = match &mut self.talk {
            Talk::Plain(plain) => plain.is_ready(),
            Talk::Hyper(client) => client.is_ready(),
            Talk::Nobody => false,
        };
        ready && !self.spent && self.settle()
    }

    /// Takes a connection back from hyper if it is not needed any more; whether there is still one.
    fn settle(&mut self) -> bool {
        if matches!(&self.talk, Talk::Hyper(client) if client.was_plain())
            && let Talk::Hyper(client) = std::mem::replace(&mut self.talk, Talk::Nobody)
        {
            let Some((stream, held)) = client.into_parts() else {
                return false;
            };
            self.talk = Talk::Plain(Plain::new(stream, held));
        }
        true
    }

    /// Whether the other end has kept the connection open and silent. For a connection at rest.
    pub(super) fn is_open(&mut self) -> bool {
        match &mut self.talk {
            Talk::Plain(plain) => {
                let nobody = &mut Context::from_waker(Waker::noop());
                plain.ending(nobody).is_none()
            }
            Talk::Hyper(client) => client.is_open(),
            Talk::Nobody => false,
        }
    }
}

/// Whether doing it twice changes nothing, if it has no body.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests;
