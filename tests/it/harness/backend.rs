//! A real backend over hyper: it records everything that it sees, and answers as the test says.

use super::door::{Door, OpenDoor, Tls};
pub(crate) use super::reply::Piece;
use super::reply::Reply;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

/// A request as the backend saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its place among all requests since the start, from 0.
    pub(crate) number: usize,
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    /// Scheme and authority, over HTTP/2.
    pub(crate) origin: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
    /// Whether the body came to its end; false while it comes, and for ever if it breaks off.
    pub(crate) whole: bool,
    /// The number of the connection, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn is_shadow(&self) -> bool {
        self.headers.contains_key("x-crossfade-shadow")
    }

    /// All lines of a field.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running backend. Dropping it closes its listener and its connections.
pub(crate) struct Backend {
    address: Option<SocketAddr>,
    state: Arc<State>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

struct State {
    /// Speaks HTTP/2, with so many streams on a connection at once.
    streams: Option<u32>,
    handler: Mutex<Arc<Handler>>,
    seen: Mutex<Vec<Seen>>,
    requests: AtomicUsize,
    accepted: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    busy: AtomicUsize,
    most_at_once: AtomicUsize,
    broken: AtomicUsize,
    sent: AtomicUsize,
    tls: Option<Tls>,
}

impl Backend {
    /// Answers every request, once its body has come whole, with what `handler` says.
    pub(crate) fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), handler)
    }

    /// The same over HTTP/2 with prior knowledge, and so many requests on a connection at once.
    pub(crate) fn multiplexed(
        streams: u32,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::multiplexed_in(None, streams, handler)
    }

    /// The same at an address, where a backend may have been stopped before.
    pub(crate) fn start_at(
        address: SocketAddr,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Door::tcp(address), (None, None), handler)
    }

    /// The same inside TLS.
    pub(crate) fn start_tls(
        config: ServerConfig,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let door = Door::tcp("127.0.0.1:0".parse().unwrap());
        Self::serve(door, (Some(Tls::new(config)), None), handler)
    }

    /// The same over HTTP/2, inside TLS or with prior knowledge, and so many requests on a connection at once.
    pub(crate) fn multiplexed_in(
        config: Option<ServerConfig>,
        streams: u32,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let door = Door::tcp("127.0.0.1:0".parse().unwrap());
        Self::serve(door, (config.map(Tls::new), Some(streams)), handler)
    }

    /// What it is inside TLS.
    pub(crate) fn tls(&self) -> &Tls {
        self.state.tls.as_ref().unwrap()
    }

    /// The same at a Unix socket.
    pub(crate) fn start_unix(
        path: &Path,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Door::unix(path), (None, None), handler)
    }

    fn serve(
        door: Door,
        (tls, streams): (Option<Tls>, Option<u32>),
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = door.address();
        let state = Arc::new(State {
            streams,
            handler: Mutex::new(Arc::new(handler)),
            seen: Mutex::default(),
            requests: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            tls,
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(door.open(), serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Answers everything with 200 and this text.
    pub(crate) fn text(text: &'static str) -> Self {
        Self::start(move |_| Reply::text(text))
    }

    /// Of one that is not at a Unix socket.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// Answers from now on as `handler` says.
    pub(crate) fn answer_with(&self, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.state.handler.lock().unwrap() = Arc::new(handler);
    }

    /// Every request so far, in the order of their heads.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Seen {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.state.seen.lock().unwrap().clear();
    }

    /// Connections accepted since the start.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Requests that were under way at the same time, at most. It can't exceed the connections that the other end holds open, where
    /// [`Backend::most_open`] may: an end is seen later than it was made.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    /// Connections that were open at the same time, at most.
    pub(crate) fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }

    /// Requests whose body or answer could not be brought to its end, because the other end went away or the script broke it.
    pub(crate) fn broken(&self) -> usize {
        self.state.broken.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that were handed to connections, in all.
    pub(crate) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// Closes the listener and every connection, and waits until they are closed.
    pub(crate) fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(door: OpenDoor, state: Arc<State>) {
    loop {
        let stream = door.accept().await;
        let number = state.accepted.fetch_add(1, Ordering::SeqCst);
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_open.fetch_max(open, Ordering::SeqCst);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let stream = match &state.tls {
                Some(tls) => tls.secure(stream).await,
                None => Some(stream),
            };
            if let Some(stream) = stream {
                let serving = Arc::clone(&state);
                let service = hyper::service::service_fn(move |request| {
                    serve(request, number, Arc::clone(&serving))
                });
                // How a connection ends is seen in `broken` and by the other end.
                let stream = TokioIo::new(stream);
                if let Some(streams) = state.streams {
                    let mut builder =
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(streams);
                    drop(builder.serve_connection(stream, service).await);
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    drop(builder.serve_connection(stream, service).await);
                }
            }
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    connection: usize,
    state: Arc<State>,
) -> std::io::Result<Response<Script>> {
    let mut guard = Guard::new(Arc::clone(&state));
    let (parts, mut body) = request.into_parts();
    let mut seen = Seen {
        number: state.requests.fetch_add(1, Ordering::SeqCst),
        method: parts.method.to_string(),
        target: parts
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        origin: parts
            .uri
            .scheme_str()
            .zip(parts.uri.authority())
            .map(|(scheme, authority)| format!("{scheme}://{authority}")),
        headers: parts.headers,
        body: Bytes::new(),
        trailers: HeaderMap::new(),
        whole: false,
        connection,
    };
    state.seen.lock().unwrap().push(seen.clone());
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => seen.trailers = frame.into_trailers().unwrap_or_default(),
            // There is nobody to answer; the guard counts it.
            Err(error) => return Err(std::io::Error::other(error)),
        }
    }
    (seen.body, seen.whole) = (bytes.into(), true);
    let is_this = |entry: &&mut Seen| entry.number == seen.number;
    if let Some(entry) = state.seen.lock().unwrap().iter_mut().rev().find(is_this) {
        *entry = seen.clone();
    }
    let handler = Arc::clone(&state.handler.lock().unwrap());
    let reply = handler(&seen);
    if let Some(gate) = &reply.gate {
        gate.wait_in_task().await;
    }
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in &reply.headers {
        response.headers_mut().append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    guard.done =
        seen.method == "HEAD" || matches!(reply.status, 204 | 304) || reply.pieces.is_empty();
    Ok(response.map(|()| Script {
        pieces: reply.pieces,
        chunked: reply.chunked,
        waiting: None,
        guard,
    }))
}

/// Counts a request that ends before its answer was handed over whole.
struct Guard {
    state: Arc<State>,
    done: bool,
}

impl Guard {
    fn new(state: Arc<State>) -> Self {
        let busy = state.busy.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_at_once.fetch_max(busy, Ordering::SeqCst);
        Self { state, done: false }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.state.busy.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.state.broken.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A body that follows its pieces.
struct Script {
    pieces: VecDeque<Piece>,
    chunked: bool,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    guard: Guard,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            let piece = self.pieces.pop_front();
            self.guard.done |=
                self.pieces.is_empty() && !matches!(piece, Some(Piece::Break | Piece::Wait(_)));
            match piece {
                None => return Poll::Ready(None),
                Some(Piece::Data(data)) => {
                    let sent = &self.guard.state.sent;
                    sent.fetch_add(data.len(), Ordering::SeqCst);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Piece::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Some(Piece::Wait(gate)) => {
                    self.waiting = Some(Box::pin(async move { gate.wait_in_task().await }))
                }
                Some(Piece::Break) => {
                    return Poll::Ready(Some(Err(std::io::Error::other(
                        "the script breaks off here",
                    ))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.chunked && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            return SizeHint::default();
        }
        let data = |piece: &Piece| match piece {
            Piece::Data(data) => data.len() as u64,
            Piece::Wait(_) | Piece::Trailers(_) | Piece::Break => 0,
        };
        SizeHint::with_exact(self.pieces.iter().map(data).sum())
    }
}
