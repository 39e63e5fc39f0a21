//! From a listening socket to a worker: one acceptor gives each connection to the worker that has the fewest.
//!
//! Few long-lived connections are the common case of a sidecar; hashing them over workers in the kernel would leave cores idle.

use crate::proxy::converse::converse;
use crate::proxy::doorkeeper::{Doorkeeper, pause};
use crate::proxy::greet::{Terms, greet};
use crate::proxy::multiplex;
use crate::proxy::socket::{OpenDoor, Protocol, Visitor};
use crate::proxy::worker::{Worker, WorkerParts};
use crate::telemetry::Held;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

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

impl WorkerInlet {
    /// Connections that it has.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
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

/// Accepts from one listener until the proxy stops. A connection over the limit is closed at once; descriptors used up, it pauses rather than spins.
pub async fn accept(
    door: OpenDoor,
    terms: Arc<Terms>,
    workers: Vec<WorkerInlet>,
    doorkeeper: Doorkeeper,
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
                if doorkeeper.admits(workers.iter().map(WorkerInlet::connections).sum()) {
                    hand_over((visitor, peer, Arc::clone(&terms)), &workers);
                }
            }
            Err(error) if is_about_the_peer(&error) => {}
            Err(error) => {
                let pause = pause(failures);
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
    let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) else {
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
        if let Some(guest) = greet(socket, peer, &terms, &serving).await {
            match guest.protocol {
                Protocol::Http1 => converse(serving, guest).await,
                Protocol::Http2 => Box::pin(multiplex::converse(serving, guest)).await,
            }
        }
    });
}

/// Ends when the proxy begins to stop, or whoever could stop it is gone.
async fn stopping(stop: &mut watch::Receiver<Stop>) {
    // The guard in the result must not live across an await of the caller.
    let _ = stop.wait_for(|stop| *stop != Stop::Running).await;
}
