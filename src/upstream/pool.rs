//! The connections of one worker, or of the lab.
//!
//! Idle connections are taken newest first and expire oldest first. A connection's permit lives in the task that drives it,
//! so that it is free exactly when the connection is closed.

use crate::message::body::Outgoing;
use crate::telemetry::{self, Role};
use crate::upstream::connect::connect;
use crate::upstream::endpoint::{Endpoint, Keeper, Limits};
use crate::upstream::failure::Fault;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Whether a connection may come from the idle ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Any,
    Fresh,
}

/// A connection that is nobody's but the holder's. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) sender: SendRequest<Outgoing>,
    born: Instant,
    pub(super) reused: bool,
    _driver: Driver,
}

/// The task that drives a connection. It ends with its holder: by itself it would go on until a side took the rest of a request, which a side that
/// has answered early may never do.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection at rest; counted among the idle ones of the process as long as it lives.
#[derive(Debug)]
struct Idle {
    held: Option<Held>,
    until: Instant,
    endpoint: Arc<Endpoint>,
    role: Role,
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.endpoint
            .limits(self.role)
            .idle
            .fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a pool has of one endpoint.
#[derive(Debug, Default)]
struct Shelf {
    idle: VecDeque<Idle>,
    waiting: VecDeque<oneshot::Sender<Held>>,
    /// This worker's requests among those that wait. One that was handed a connection has left `waiting`, but keeps its seat until
    /// its task runs again; it must not be taken for another worker's.
    seats: usize,
    /// Turns with each connection that could go to a request of this worker while other workers' requests wait too.
    others_turn: bool,
}

/// The connections of one worker, or of the lab, by endpoint.
#[derive(Debug)]
pub struct Pools {
    me: Weak<Self>,
    role: Role,
    shelves: Mutex<Shelves>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Shelves {
    by_endpoint: HashMap<u64, Shelf>,
    /// When [`Pools::tend`] looks again; `None` while it waits for the first idle connection.
    next_look: Option<Instant>,
}

impl Pools {
    /// No connections yet. Spawn [`Pools::tend`] beside it.
    #[must_use]
    pub fn new(role: Role) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            role,
            shelves: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// What these connections are for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Closes idle connections when their time is over, for ever.
    pub async fn tend(self: Arc<Self>) {
        loop {
            match self.expire(Instant::now()) {
                Some(next) => tokio::select! {
                    () = sleep_until(next) => {}
                    () = self.wake.notified() => {}
                },
                None => self.wake.notified().await,
            }
        }
    }

    /// Closes the idle connections of every endpoint but these.
    pub fn retain(&self, named: &[u64]) {
        self.lock().by_endpoint.retain(|id, shelf| {
            if !named.contains(id) {
                shelf.idle.clear();
            }
            named.contains(id) || shelf.seats > 0
        });
    }

    pub(super) async fn checkout(
        &self,
        endpoint: &Arc<Endpoint>,
        want: Want,
    ) -> Result<Held, Fault> {
        if want == Want::Any
            && let Some(held) = self.take_idle(endpoint)
        {
            return Ok(held);
        }
        let limits = endpoint.limits(self.role);
        let permit = match Arc::clone(&limits.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout(endpoint.settings().timeout, self.wait(endpoint, limits)).await
            {
                Ok(Ok(Turn::Open(permit))) => permit,
                Ok(Ok(Turn::Use(held))) => return Ok(held),
                Ok(Err(fault)) => return Err(fault),
                Err(_) => return Err(Fault::Queue),
            },
        };
        open(endpoint, permit).await
    }

    /// Takes a connection back after a whole answer.
    pub(super) fn give_back(&self, endpoint: &Arc<Endpoint>, mut held: Held) {
        let now = Instant::now();
        let limits = endpoint.limits(self.role);
        let until = (now + limits.pool.idle_timeout).min(held.born + limits.pool.max_age);
        if held.sender.is_closed() || until <= now {
            return;
        }
        held.reused = true;
        let mut shelves = self.lock();
        let Some(shelf) = shelves.by_endpoint.get_mut(&endpoint.id()) else {
            return;
        };
        let others_wait = limits.waiting.load(Ordering::SeqCst) > shelf.seats;
        // Closing frees a permit for whoever has waited longest anywhere. A busy worker would otherwise hand its connections
        // to its own requests for ever; every second one is enough, and spares the others a connect.
        shelf.others_turn = others_wait && !shelf.others_turn;
        if shelf.others_turn {
            return;
        }
        while let Some(waiting) = shelf.waiting.pop_front() {
            match waiting.send(held) {
                Ok(()) => return,
                Err(back) => held = back,
            }
        }
        if others_wait {
            return;
        }
        if limits.idle.fetch_add(1, Ordering::Relaxed) >= limits.pool.max_idle {
            limits.idle.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        shelf.idle.push_back(Idle {
            held: Some(held),
            until,
            endpoint: Arc::clone(endpoint),
            role: self.role,
        });
        if shelves.next_look.is_none_or(|next| until < next) {
            shelves.next_look = Some(until);
            self.wake.notify_one();
        }
    }

    fn take_idle(&self, endpoint: &Arc<Endpoint>) -> Option<Held> {
        let now = Instant::now();
        let mut shelves = self.lock();
        let shelf = shelves.by_endpoint.entry(endpoint.id()).or_insert_with(|| {
            endpoint.limits(self.role).register(self.me.clone());
            Shelf::default()
        });
        let mut place = shelf.idle.len();
        while place > 0 {
            place -= 1;
            let idle = &shelf.idle[place];
            let sender = idle.held.as_ref().map(|held| &held.sender);
            let over = idle.until <= now || sender.is_none_or(SendRequest::is_closed);
            if over {
                shelf.idle.remove(place);
            } else if sender.is_some_and(SendRequest::is_ready) {
                return shelf
                    .idle
                    .remove(place)
                    .and_then(|mut idle| idle.held.take());
            }
            // Neither: its task has not yet seen the end of the last answer. It will be ready for a later request.
        }
        None
    }

    async fn wait(&self, endpoint: &Arc<Endpoint>, limits: &Limits) -> Result<Turn, Fault> {
        let _seat = Seat::take(self, endpoint, limits)?;
        loop {
            let (sender, mut receiver) = oneshot::channel();
            self.lock()
                .by_endpoint
                .entry(endpoint.id())
                .or_default()
                .waiting
                .push_back(sender);
            // The seat is taken before this look, and a connection becomes idle under the same lock that this look takes:
            // either it is seen here, or whoever gives it back sees the seat.
            let _ = limits
                .registered()
                .iter()
                .any(|pools| pools.close_idle(endpoint));
            tokio::select! {
                biased;
                Ok(mut held) = &mut receiver => {
                    if held.sender.ready().await.is_ok() {
                        return Ok(Turn::Use(held));
                    }
                }
                Ok(permit) = Arc::clone(&limits.permits).acquire_owned() => {
                    receiver.close();
                    return Ok(match receiver.try_recv() {
                        Ok(held) if !held.sender.is_closed() && held.sender.is_ready() => Turn::Use(held),
                        _ => Turn::Open(permit),
                    });
                }
                else => return Err(Fault::Queue),
            }
        }
    }

    /// Closes what is over; returns when to look again.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut shelves = self.lock();
        let mut next: Option<Instant> = None;
        for shelf in shelves.by_endpoint.values_mut() {
            shelf.idle.retain(|idle| {
                idle.until > now
                    && idle
                        .held
                        .as_ref()
                        .is_some_and(|held| !held.sender.is_closed())
            });
            next = shelf.idle.iter().map(|idle| idle.until).chain(next).min();
            shelf.waiting.retain(|waiting| !waiting.is_closed());
        }
        shelves.next_look = next;
        next
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Pools {
    fn close_idle(&self, endpoint: &Endpoint) -> bool {
        let mut shelves = self.lock();
        shelves
            .by_endpoint
            .get_mut(&endpoint.id())
            .is_some_and(|shelf| shelf.idle.pop_front().is_some())
    }
}

/// What a request that waited may do.
enum Turn {
    Use(Held),
    Open(OwnedSemaphorePermit),
}

/// A place among the requests that wait for a connection.
struct Seat<'a> {
    pools: &'a Pools,
    endpoint: &'a Endpoint,
    limits: &'a Limits,
    _shown: telemetry::Held,
}

impl<'a> Seat<'a> {
    fn take(pools: &'a Pools, endpoint: &'a Endpoint, limits: &'a Limits) -> Result<Self, Fault> {
        if limits.waiting.fetch_add(1, Ordering::SeqCst) >= limits.pool.queue {
            limits.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::Queue);
        }
        pools
            .lock()
            .by_endpoint
            .entry(endpoint.id())
            .or_default()
            .seats += 1;
        Ok(Self {
            pools,
            endpoint,
            limits,
            _shown: endpoint.metrics().waiting.hold(),
        })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(shelf) = self.pools.lock().by_endpoint.get_mut(&self.endpoint.id()) {
            shelf.seats -= 1;
        }
        self.limits.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the task that drives a connection belongs to the runtime of its pool"
)]
async fn open(endpoint: &Arc<Endpoint>, permit: OwnedSemaphorePermit) -> Result<Held, Fault> {
    let settings = endpoint.settings();
    let stream = connect(&settings.authority, settings.connect_timeout).await?;
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Fault::from_hyper)?;
    let shown = endpoint.metrics().connections.hold();
    let driver = tokio::spawn(async move {
        let _until_closed = (permit, shown);
        // What broke is told to the request or the body that was under way; an idle connection may close as it likes.
        let _ = connection.await;
    });
    Ok(Held {
        sender,
        born: Instant::now(),
        reused: false,
        _driver: Driver(driver.abort_handle()),
    })
}

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
