//! From a listening socket to a worker: one acceptor gives each connection to the worker that has the fewest.
//!
//! Few long-lived connections are the common case of a sidecar; hashing them over workers in the kernel would leave cores idle.

use crate::message::forwarded::Address;
use crate::proxy::serve::serve;
use crate::proxy::socket::{OpenDoor, Socket, Visitor};
use crate::proxy::timer::ConnectionTimer;
use crate::proxy::worker::{Worker, WorkerParts};
use crate::telemetry::{Held, Rejected, Telemetry};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
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
pub async fn accept(door: OpenDoor, workers: Vec<WorkerInlet>, mut stop: watch::Receiver<Stop>) {
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
                hand_over(visitor, peer, &workers);
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
                sleep(pause).await;
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

fn hand_over(visitor: Visitor, peer: IpAddr, workers: &[WorkerInlet]) {
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
        load,
    });
}

/// Serves the connections of one worker until the proxy stops and the last of them has ended, or the drain is over.
pub async fn work(parts: WorkerParts, mut outlet: WorkerOutlet, mut stop: watch::Receiver<Stop>) {
    let (worker, mut ended) = Worker::new(parts);
    let mut tend = pin!(worker.tend());
    let followed = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            () = &mut tend => {}
            arrival = outlet.arrivals.recv() => match arrival {
                Some(arrival) => begin(&worker, arrival, followed.clone()),
                None => break,
            },
        }
    }
    outlet.arrivals.close();
    while let Ok(arrival) = outlet.arrivals.try_recv() {
        // Accepted before the stop: its requests are answered like those of any other connection.
        begin(&worker, arrival, followed.clone());
    }
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
        tracing::warn!("the time to drain is over; the requests that still run are cut off");
    }
}

fn begin(worker: &Arc<Worker>, arrival: Arrival, stop: watch::Receiver<Stop>) {
    let socket = match arrival.visitor.enter() {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%error, "a connection was gone before it was served"),
    };
    let shown = worker.telemetry().process().connections.hold();
    let connection = converse(Arc::clone(worker), socket, arrival.peer, stop);
    worker.spawn(async move {
        let _counted: (Load, Held) = (arrival.load, shown);
        connection.await;
    });
}

async fn converse(
    worker: Arc<Worker>,
    socket: Socket,
    peer: IpAddr,
    mut stop: watch::Receiver<Stop>,
) {
    let telemetry = Arc::clone(worker.telemetry());
    let address = Arc::new(Address::new(peer));
    let service =
        service_fn(move |request| serve(Arc::clone(&worker), Arc::clone(&address), request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(ConnectionTimer::default())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), service)
    );
    let news = stop.clone();
    let mut told = Some(pin!(stopping(&mut stop)));
    let mut waits = false;
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        // Once it waits, it need not be asked each time that the connection moves: a look whether there is news is enough.
        let ask = !waits || news.has_changed().unwrap_or(true);
        waits = true;
        if ask && let Some(stopping) = &mut told {
            ready!(stopping.as_mut().poll(cx));
            told = None;
            connection.as_mut().graceful_shutdown();
            return connection.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await;
    if let Err(error) = result {
        count(&error, &telemetry);
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
