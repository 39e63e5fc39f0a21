//! From a listening socket to a worker: one acceptor gives each connection to the worker that has the fewest.
//!
//! Few long-lived connections are the common case of a sidecar; hashing them over workers in the kernel would leave cores idle.

use crate::proxy::greet::{Guest, Terms, greet};
use crate::proxy::serve::{Serving, serve};
use crate::proxy::socket::{OpenDoor, Visitor};
use crate::proxy::timer::ConnectionTimer;
use crate::proxy::worker::{Worker, WorkerParts};
use crate::telemetry::{Held, Rejected, Telemetry};
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a connection may be idle, and how long a head may take: hyper has one timer for both.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Pauses after an accept that failed for lack of descriptors or memory.
const ACCEPT_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// When and how long the proxy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not yet.
    Running,
    /// No new connections; what runs may go on until then.
    Draining(Instant),
}

/// A connection on its way to a worker.
#[derive(Debug)]
struct Arrival {
    visitor: Visitor,
    peer: IpAddr,
    terms: Arc<Terms>,
    /// Counted at the worker from here on.
    load: Load,
}

/// One of a worker's connections.
#[derive(Debug)]
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The acceptor's end of a worker.
#[derive(Clone, Debug)]
pub struct WorkerInlet {
    connections: Arc<AtomicUsize>,
    arrivals: UnboundedSender<Arrival>,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerOutlet {
    arrivals: UnboundedReceiver<Arrival>,
}

/// Both ends of the way to a worker.
#[must_use]
pub fn inlet() -> (WorkerInlet, WorkerOutlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (
        WorkerInlet {
            connections: Arc::default(),
            arrivals: sender,
        },
        WorkerOutlet { arrivals: receiver },
    )
}

/// Accepts from one listener until the proxy stops. Descriptors used up, it pauses rather than spins.
pub async fn accept(
    door: OpenDoor,
    terms: Arc<Terms>,
    workers: Vec<WorkerInlet>,
    mut stop: watch::Receiver<Stop>,
) {
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping(&mut stop) => return,
            accepted = door.accept() => accepted,
        };
        match accepted {
            Ok((visitor, peer)) => {
                failures = 0;
                hand_over((visitor, peer, Arc::clone(&terms)), &workers);
            }
            Err(error) if is_about_the_peer(&error) => {}
            Err(error) => {
                let pause = if failures == 0 {
                    ACCEPT_PAUSES[0]
                } else {
                    ACCEPT_PAUSES[1]
                };
                failures += 1;
                tracing::warn!(%error, "no connection can be accepted; trying again in {pause:?}");
                tokio::select! {
                    () = stopping(&mut stop) => return,
                    () = sleep(pause) => {}
                }
            }
        }
    }
}

fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn hand_over((visitor, peer, terms): (Visitor, IpAddr, Arc<Terms>), workers: &[WorkerInlet]) {
    let Some(worker) = workers
        .iter()
        .min_by_key(|worker| worker.connections.load(Ordering::Relaxed))
    else {
        return;
    };
    worker.connections.fetch_add(1, Ordering::Relaxed);
    let load = Load(Arc::clone(&worker.connections));
    // A worker that has ended takes no more; the connection closes with the refused message.
    let _ = worker.arrivals.send(Arrival {
        visitor,
        peer,
        terms,
        load,
    });
}

/// Serves the connections of one worker until the proxy stops and the last of them has ended, or the drain is over.
///
/// The acceptor ends first, and lets go of its inlets: until then connections arrive that it accepted just before the stop.
pub async fn work(parts: WorkerParts, mut outlet: WorkerOutlet, mut stop: watch::Receiver<Stop>) {
    let (worker, mut ended) = Worker::new(parts);
    let mut tend = pin!(worker.tend());
    loop {
        tokio::select! {
            biased;
            () = stopping(&mut stop), if !worker.is_leaving() => worker.leave(),
            () = &mut tend => {}
            arrival = outlet.arrivals.recv() => match arrival {
                Some(arrival) => begin(&worker, arrival),
                None => break,
            },
        }
    }
    // The acceptor may have heard of the stop first.
    worker.leave();
    drop(worker);
    let Stop::Draining(until) = *stop.borrow() else {
        return;
    };
    let drained = async {
        tokio::select! {
            _ = ended.recv() => {}
            () = tend => {}
        }
    };
    if timeout_at(until, drained).await.is_err() {
        tracing::warn!("the time to drain is over; connections that are still open are closed");
    }
}

fn begin(worker: &Arc<Worker>, arrival: Arrival) {
    let Arrival {
        visitor,
        peer,
        terms,
        load,
    } = arrival;
    let socket = match visitor.enter() {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%error, "a connection was gone before it was served"),
    };
    let shown = worker.telemetry().process().connections.hold();
    let serving = Arc::clone(worker);
    worker.spawn(async move {
        let _counted: (Load, Held) = (load, shown);
        if let Some(guest) = greet(socket, peer, &terms, serving.telemetry()).await {
            converse(serving, guest).await;
        }
    });
}

async fn converse(worker: Arc<Worker>, Guest { socket, address }: Guest) {
    let telemetry = Arc::clone(worker.telemetry());
    let address = Arc::new(address);
    let service = service_fn(move |request| Answering {
        serving: serve(Arc::clone(&worker), Arc::clone(&address), request),
        worker: Arc::clone(&worker),
    });
    // A stop does not end an idle connection: its client may be sending. The next answer tells the client to go.
    let connection = http1::Builder::new()
        .timer(ConnectionTimer::default())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        count(&error, &telemetry);
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
        {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(answered)
    }
}

/// Ends when the proxy begins to stop, or whoever could stop it is gone.
async fn stopping(stop: &mut watch::Receiver<Stop>) {
    // The guard in the result must not live across an await of the caller.
    let _ = stop.wait_for(|stop| *stop != Stop::Running).await;
}

/// Counts what hyper refused by itself. Its one timer can't tell a slow head from an idle connection, so neither is counted. Everything else that ends a connection early has been counted with its request.
fn count(error: &hyper::Error, telemetry: &Telemetry) {
    let reason = if error.is_parse_too_large() {
        Rejected::HeadTooLarge
    } else if error.is_parse() {
        Rejected::BadRequest
    } else {
        return;
    };
    telemetry.process().rejected(reason);
}
