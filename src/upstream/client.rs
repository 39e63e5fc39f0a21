//! hyper's client on one connection, moved by whoever uses it: for bodies that are streamed, and for answers that [`super::plain`] leaves to it.
//!
//! hyper's client is two things: a handle that takes a request, and a future that moves the bytes. Usually that future is a task of its own, which
//! each request wakes, and by which it is woken, several times. Here it is polled by the request itself, then by the answer's body, in the
//! task of the client that waits for both. Invariant: an idle connection does nothing by itself; [`Client::is_open`] looks after it.
//!
//! Only a streamed request body needs a task beside it: its answer may begin before its end, and a client that does not read while it sends
//! would stop both.

use crate::message::body::Outgoing;
use crate::upstream::alarm::Alarm;
use crate::upstream::hush::Hush;
use crate::upstream::line::{Held, Line, Patience};
use crate::upstream::stream::Stream;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

type Connection = http1::Connection<TokioIo<Line>, Outgoing>;

/// A connection that hyper speaks on.
#[derive(Debug)]
pub(super) struct Client {
    sender: SendRequest<Outgoing>,
    mover: Mover,
    hush: Arc<Hush>,
    /// Wakes through `hush`.
    waker: Waker,
    /// The last exchange could have done without hyper.
    was_plain: bool,
    patience: Arc<Patience>,
}

/// Who moves the bytes.
#[derive(Debug)]
enum Mover {
    Holder(Moved),
    Task(Task),
    /// Nobody: hyper has done with it. It may have been told to switch to another protocol.
    Over(Moved),
    /// Nobody: it is closed.
    Nobody,
}

/// A connection, and what goes with it.
type Moved = Box<(Connection, Held)>;

/// A task that moves the bytes until the holder takes the connection back. It ends with the holder: by itself it would go on until a side took the
/// rest of a request, which a side that has answered early may never do.
#[derive(Debug)]
struct Task {
    lent: Arc<Mutex<Option<Moved>>>,
    handle: AbortHandle,
}

impl Task {
    #[expect(
        clippy::disallowed_methods,
        reason = "the task that moves a connection's bytes belongs to the runtime of its pool"
    )]
    fn start(moved: Moved) -> Self {
        let lent = Arc::new(Mutex::new(Some(moved)));
        let own = Arc::clone(&lent);
        let task = poll_fn(move |cx| {
            let mut lent = own.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(moved) = lent.as_mut() else {
                return Poll::Ready(());
            };
            let over = Pin::new(&mut moved.0).poll(cx).map(drop);
            if over.is_ready() {
                *lent = None;
            }
            over
        });
        Self {
            lent,
            handle: tokio::spawn(task).abort_handle(),
        }
    }

    /// The connection, if it is still open.
    fn stop(&self) -> Option<Moved> {
        self.lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop();
        self.handle.abort();
    }
}

impl Client {
    /// Speaks HTTP/1.1 over a connection.
    pub(super) async fn open(line: Line, held: Held) -> Result<Self, hyper::Error> {
        let patience = line.patience();
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(line))
            .await?;
        let hush = Hush::new();
        Ok(Self {
            sender,
            mover: Mover::Holder(Box::new((connection, held))),
            waker: Waker::from(Arc::clone(&hush)),
            hush,
            was_plain: false,
            patience,
        })
    }

    /// Sends a request and waits for the head of its answer until `due`: `None` if that is over. What was not sent is put back.
    pub(super) async fn ask(
        &mut self,
        request: &mut Option<Request<Outgoing>>,
        due: Option<Instant>,
        alarm: &mut Alarm,
    ) -> Option<Result<Response<Incoming>, hyper::Error>> {
        let sent = request.take().expect("whoever asks has a request");
        let without_body = matches!(sent.body(), Outgoing::Empty);
        if matches!(sent.body(), Outgoing::Stream(_)) {
            self.lend();
        }
        self.patience.begin();
        // Sending wakes the connection, which is moved at once anyway.
        self.hush.hush();
        let mut answer = pin!(self.sender.try_send_request(sent));
        let asked = poll_fn(|cx| match self.follow(cx, |cx| answer.as_mut().poll(cx)) {
            Poll::Ready(Ok(response)) => Poll::Ready(Some(Ok(response))),
            Poll::Ready(Err(mut error)) => {
                *request = error.take_message();
                Poll::Ready(Some(Err(error.into_error())))
            }
            Poll::Pending => match due {
                Some(due) => {
                    let mut quiet = Context::from_waker(&self.waker);
                    alarm.poll_due(&mut quiet, due).map(|()| None)
                }
                None => Poll::Pending,
            },
        })
        .await;
        self.patience.end();
        self.was_plain = without_body
            && matches!(&asked, Some(Ok(response)) if response.body().size_hint().exact().is_some());
        asked
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.hush.hush();
        // Frames that are there already are passed on before more are asked for.
        let mut quiet = Context::from_waker(&self.waker);
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut quiet) {
            return Poll::Ready(frame);
        }
        self.follow(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx))
    }

    /// Whether it takes another request. For a connection whose last answer has ended.
    pub(super) fn is_ready(&mut self) -> bool {
        self.recall();
        if !self.sender.is_ready() {
            self.hush.hush();
            self.advance();
        }
        self.sender.is_ready()
    }

    /// Whether the other end has kept the connection open and silent. For a connection at rest.
    pub(super) fn is_open(&mut self) -> bool {
        self.hush.hush();
        self.advance();
        !self.sender.is_closed()
    }

    /// Whether the last exchange could have done without hyper.
    pub(super) fn was_plain(&self) -> bool {
        self.was_plain
    }

    /// The connection, if nothing of it is left in hyper. For a connection at rest.
    pub(super) fn into_parts(self) -> Option<(Stream, Held)> {
        let Mover::Holder(moved) = self.mover else {
            return None;
        };
        let (connection, held) = *moved;
        let parts = connection.into_parts();
        let stream = parts.io.into_inner().into_stream();
        stream
            .filter(|_| parts.read_buf.is_empty())
            .map(|stream| (stream, held))
    }

    /// The connection after an answer that switches protocols, and what was read beyond that answer.
    pub(super) fn into_tunnel(self) -> Option<(Stream, Bytes, Held)> {
        let (Mover::Holder(moved) | Mover::Over(moved)) = self.mover else {
            return None;
        };
        let (connection, held) = *moved;
        let parts = connection.into_parts();
        let (stream, rest) = parts.io.into_inner().into_rest();
        let begun = [parts.read_buf, rest].concat();
        Some((stream, begun.into(), held))
    }

    /// Moves bytes, then looks whether what is waited for has come of it.
    fn follow<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if matches!(self.mover, Mover::Task(_)) {
            return poll(cx);
        }
        self.hush.hush();
        self.advance();
        let mut quiet = Context::from_waker(&self.waker);
        let result = poll(&mut quiet);
        if result.is_pending() {
            self.hush.speak(cx.waker());
        }
        result
    }

    fn advance(&mut self) {
        if let Mover::Holder(moved) = &mut self.mover {
            let mut quiet = Context::from_waker(&self.waker);
            // What broke is told to the request or the body that is under way; an idle connection may close as it likes.
            if Pin::new(&mut moved.0).poll(&mut quiet).is_ready()
                && let Mover::Holder(moved) = std::mem::replace(&mut self.mover, Mover::Nobody)
            {
                self.mover = Mover::Over(moved);
            }
        }
    }

    fn lend(&mut self) {
        self.mover = match std::mem::replace(&mut self.mover, Mover::Nobody) {
            Mover::Holder(moved) => Mover::Task(Task::start(moved)),
            other @ (Mover::Task(_) | Mover::Over(_) | Mover::Nobody) => other,
        };
    }

    fn recall(&mut self) {
        if let Mover::Task(task) = &self.mover {
            self.mover = task.stop().map_or(Mover::Nobody, Mover::Holder);
        }
    }
}
