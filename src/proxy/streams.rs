//! The streams of a connection that speaks HTTP/2: how many, how they end, and whether their client takes what it asked for.
//!
//! An answer's body is not polled while its client has no room for it, so that it can't time itself: its connection looks at all of them now and then.

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::sync::Notify;

/// Streams that a client may reset before they are answered, beyond as many as it lets end. It is what tells an attack from somebody who changes pages.
const MOST_RESETS: u32 = 100;
/// Bytes that are handed over at once: so much must be taken within the time for an answer.
const PIECE: usize = 16 * 1024;

/// The streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    active: AtomicU32,
    begun: AtomicU32,
    /// Streams whose answer has begun, and was not handed over whole.
    answering: AtomicU32,
    answered: AtomicU32,
    reset: AtomicU32,
    too_many: Notify,
    /// Looks so far, and one.
    now: AtomicU32,
    open: Mutex<Vec<Weak<Stream>>>,
}

/// One of them.
#[derive(Debug, Default)]
struct Stream {
    /// The look before which something was handed over that its client has not taken; 0 while nothing is.
    given: AtomicU32,
}

impl Streams {
    /// A stream has begun. It lasts as long as what is returned.
    pub(super) fn begin(self: &Arc<Self>) -> Place {
        self.active.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        let stream = Arc::new(Stream::default());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() == open.capacity() {
            open.retain(|stream| stream.strong_count() > 0);
        }
        open.push(Arc::downgrade(&stream));
        Place {
            streams: Arc::clone(self),
            stream,
            answering: false,
            whole: false,
        }
    }

    /// A stream lasts beyond its answer: as long as what is returned.
    pub(super) fn stay(self: &Arc<Self>) -> Stay {
        self.active.fetch_add(1, Relaxed);
        self.answering.fetch_add(1, Relaxed);
        Stay(Arc::clone(self))
    }

    /// Streams that last.
    pub(super) fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Streams that are being answered.
    pub(super) fn answering(&self) -> u32 {
        self.answering.load(Relaxed)
    }

    /// Streams so far.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    /// Ends when the client has reset more than it may.
    pub(super) async fn too_many_resets(&self) {
        self.too_many.notified().await;
    }

    /// Looks at all streams: whether one of them has waited for its client for so many looks.
    pub(super) fn waits_in_vain(&self, looks: u32) -> bool {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut late = false;
        open.retain(|stream| {
            let Some(stream) = stream.upgrade() else {
                return false;
            };
            let given = stream.given.load(Relaxed);
            late |= given > 0 && now + 1 - given >= looks;
            true
        });
        late
    }
}

/// A stream that has become a tunnel.
#[derive(Debug)]
pub(super) struct Stay(Arc<Streams>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
        self.0.answering.fetch_sub(1, Relaxed);
    }
}

/// A stream's place among the others.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    stream: Arc<Stream>,
    /// Its answer has begun.
    answering: bool,
    /// It was answered, to the end.
    whole: bool,
}

impl Place {
    fn gave(&self) {
        let now = self.streams.now.load(Relaxed);
        self.stream.given.store(now + 1, Relaxed);
    }

    /// The head is there; perhaps it is the whole.
    fn answers(&mut self, whole: bool) {
        self.whole = whole;
        self.answering = true;
        self.streams.answering.fetch_add(1, Relaxed);
        self.gave();
    }

    fn took(&self) {
        self.stream.given.store(0, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.active.fetch_sub(1, Relaxed);
        if self.answering {
            streams.answering.fetch_sub(1, Relaxed);
        }
        if self.whole {
            streams.answered.fetch_add(1, Relaxed);
            return;
        }
        let reset = streams.reset.fetch_add(1, Relaxed) + 1;
        if reset > MOST_RESETS.saturating_add(streams.answered.load(Relaxed)) {
            streams.too_many.notify_one();
        }
    }
}

/// A request that is being answered, and then the body of its answer.
#[derive(Debug)]
pub(super) struct Taken<T> {
    inner: T,
    /// Until the answer's head is there, then with the body.
    place: Option<Place>,
    /// What was too much for one piece.
    rest: Bytes,
}

impl<T> Taken<T> {
    pub(super) fn new(inner: T, place: Place) -> Self {
        Self {
            inner,
            place: Some(place),
            rest: Bytes::new(),
        }
    }
}

impl<F, B, E> Future for Taken<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
    B: Body,
{
    type Output = Result<Response<Taken<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = ready!(Pin::new(&mut this.inner).poll(cx))?;
        let place = this.place.take().map(|mut place| {
            place.answers(response.body().is_end_stream());
            place
        });
        Poll::Ready(Ok(response.map(|inner| Taken {
            inner,
            place,
            rest: Bytes::new(),
        })))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = if this.rest.is_empty() {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    // It is the side that is waited for now.
                    if let Some(place) = &this.place {
                        place.took();
                    }
                    return Poll::Pending;
                }
            }
        } else {
            Some(Ok(Frame::data(std::mem::take(&mut this.rest))))
        };
        let frame = frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(mut data) if data.len() > PIECE => {
                    this.rest = data.split_off(PIECE);
                    Frame::data(data)
                }
                Ok(data) => Frame::data(data),
                Err(other) => other,
            })
        });
        let ended = match &frame {
            None => true,
            Some(Ok(frame)) => frame.is_trailers() || this.is_end_stream(),
            Some(Err(_)) => false,
        };
        if let Some(place) = &mut this.place {
            place.whole |= ended;
            place.gave();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.inner.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use tokio::runtime::Builder;

    fn answer(streams: &Arc<Streams>, body: Vec<u8>) -> Taken<Full<Bytes>> {
        let response = Response::new(Full::new(Bytes::from(body)));
        let ready = std::future::ready(Ok::<_, std::convert::Infallible>(response));
        let taken = Taken::new(ready, streams.begin());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(taken).unwrap().into_body()
    }

    #[test]
    fn an_answer_is_handed_over_in_pieces() {
        let streams = Arc::new(Streams::default());
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let mut body = answer(&streams, bytes.clone());
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut came = Vec::new();
        while let Some(frame) = runtime.block_on(body.frame()) {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE);
            came.extend_from_slice(&data);
            assert_eq!(body.is_end_stream(), came.len() == bytes.len());
        }
        assert_eq!(came, bytes);
    }

    #[test]
    fn an_answer_that_nobody_takes_is_seen() {
        let streams = Arc::new(Streams::default());
        let mut body = answer(&streams, vec![0; 3 * PIECE]);
        let runtime = Builder::new_current_thread().build().unwrap();
        let looks = |expected: &[bool]| {
            let seen: Vec<_> = expected.iter().map(|_| streams.waits_in_vain(3)).collect();
            assert_eq!(seen, expected);
        };
        looks(&[false, false]);
        runtime.block_on(body.frame());
        looks(&[false, false, true]);
        runtime.block_on(body.frame());
        looks(&[false, false]);
        drop(body);
        looks(&[false, false, false]);
        assert_eq!((streams.active(), streams.begun()), (0, 1));
    }

    #[test]
    fn resets_beyond_answers_are_too_many() {
        let streams = Arc::new(Streams::default());
        let too_many = || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = streams.too_many_resets() => true,
                    () = std::future::ready(()) => false,
                }
            })
        };
        for _ in 0..5 {
            let mut body = answer(&streams, vec![0; 10]);
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(body.frame());
        }
        for _ in 0..MOST_RESETS + 5 {
            drop(answer(&streams, vec![0; 10]));
        }
        assert!(!too_many());
        drop(streams.begin());
        assert!(too_many());
    }
}
