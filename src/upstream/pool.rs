//! The connections of one worker, or of the lab.
//!
//! Idle connections are taken newest first and expire oldest first. A connection's permit lives in the connection, so that it is free exactly when
//! that is closed. Those that many requests share are kept here too, and handed out by `shared`.

use crate::telemetry::{self, Role};
use crate::upstream::connect::connect;
use crate::upstream::endpoint::{Endpoint, Keeper, Limits};
use crate::upstream::failure::Fault;
use crate::upstream::sessions::Sessions;
use crate::upstream::wire::Wire;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

pub(super) mod shared;

/// How often idle connections are looked at: one that the other end has closed is let go of within this time.
const LOOK: Duration = Duration::from_secs(1);

/// A connection at rest.
#[derive(Debug)]
struct Idle {
    wire: Box<Wire>,
    until: Instant,
}

/// What a pool has of one endpoint.
#[derive(Debug)]
struct Shelf {
    endpoint: Arc<Endpoint>,
    role: Role,
    /// Counted among the idle ones of the process.
    idle: VecDeque<Idle>,
    waiting: VecDeque<oneshot::Sender<Box<Wire>>>,
    /// This worker's requests among those that wait. One that was handed a connection has left `waiting`, but keeps its seat until
    /// its task runs again; it must not be taken for another worker's.
    seats: usize,
    /// Turns with each connection that could go to a request of this worker while other workers' requests wait too.
    others_turn: bool,
    /// The connections that many requests share; those that are idle are counted as such.
    sessions: Sessions,
}

impl Shelf {
    fn new(endpoint: Arc<Endpoint>, role: Role) -> Self {
        Self {
            endpoint,
            role,
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            seats: 0,
            others_turn: false,
            sessions: Sessions::default(),
        }
    }

    /// Puts a connection to the others that are idle, if there may be one more.
    fn put(&mut self, idle: Idle) {
        let limits = self.endpoint.limits(self.role);
        if limits.idle.fetch_add(1, Ordering::Relaxed) < limits.pool.max_idle {
            self.idle.push_back(idle);
        } else {
            limits.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The newest idle connection whose time is not over.
    fn take(&mut self, now: Instant) -> Option<Box<Wire>> {
        while let Some(idle) = self.idle.pop_back() {
            self.left(1);
            if idle.until > now {
                return Some(idle.wire);
            }
        }
        None
    }

    /// Closes idle connections that should not be kept.
    fn keep(&mut self, mut wanted: impl FnMut(&mut Idle) -> bool) {
        let before = self.idle.len();
        self.idle.retain_mut(|idle| wanted(idle));
        self.left(before - self.idle.len());
    }

    /// Whether there was one.
    fn close_oldest(&mut self) -> bool {
        let closed = self.idle.pop_front().is_some() || self.sessions.close_idle();
        self.left(usize::from(closed));
        closed
    }

    fn left(&self, count: usize) {
        let limits = self.endpoint.limits(self.role);
        limits.idle.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let sessions = self.sessions.retire_all();
        self.left(self.idle.len() + sessions);
    }
}

/// The connections of one worker, or of the lab, by endpoint.
#[derive(Debug)]
pub struct Pools {
    me: Weak<Self>,
    role: Role,
    /// Number among all pools of the process.
    number: usize,
    shelves: Mutex<Shelves>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Shelves {
    /// One for each endpoint: they are too few to be worth hashing.
    all: Vec<Shelf>,
    /// When [`Pools::tend`] looks again; `None` while it waits for the first idle connection.
    next_look: Option<Instant>,
}

impl Shelves {
    fn find(&mut self, endpoint: &Endpoint) -> Option<&mut Shelf> {
        self.all
            .iter_mut()
            .find(|shelf| shelf.endpoint.id() == endpoint.id())
    }
}

impl Pools {
    /// No connections yet. Spawn [`Pools::tend`] beside it.
    #[must_use]
    pub fn new(role: Role) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            role,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            shelves: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// What these connections are for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Number among all pools of the process.
    pub(super) fn number(&self) -> usize {
        self.number
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
        self.lock().all.retain_mut(|shelf| {
            let named = named.contains(&shelf.endpoint.id());
            if !named {
                shelf.keep(|_| false);
                let idle = shelf.sessions.retire_all();
                shelf.left(idle);
            }
            named || shelf.seats > 0
        });
    }

    /// An idle connection. Nobody has to wait for it.
    pub(super) fn take_idle(&self, endpoint: &Endpoint, now: Instant) -> Option<Box<Wire>> {
        self.lock().find(endpoint)?.take(now)
    }

    /// A new connection, or one that another request gives back before there may be a new one.
    pub(super) async fn fresh(&self, endpoint: &Arc<Endpoint>) -> Result<Box<Wire>, Fault> {
        let limits = endpoint.limits(self.role);
        let permit = match Arc::clone(&limits.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout(endpoint.settings().timeout, self.wait(endpoint, limits)).await
            {
                Ok(Ok(Turn::Open(permit))) => permit,
                Ok(Ok(Turn::Use(wire))) => return Ok(wire),
                Ok(Err(fault)) => return Err(fault),
                Err(_) => return Err(Fault::Queue),
            },
        };
        self.open_shelf(endpoint, |_| {});
        let settings = endpoint.settings();
        let stream = connect(endpoint.place(), settings.connect_timeout).await?;
        let shown = endpoint.metrics().connections.hold();
        Ok(Wire::open(stream, (permit, shown)))
    }

    /// Takes a connection back after a whole answer.
    pub(super) fn give_back(&self, endpoint: &Endpoint, mut wire: Box<Wire>) {
        let now = Instant::now();
        let limits = endpoint.limits(self.role);
        let until = (now + limits.pool.idle_timeout).min(wire.born + limits.pool.max_age);
        if until <= now || !wire.is_ready() {
            return;
        }
        wire.reused = true;
        let mut shelves = self.lock();
        let Some(shelf) = shelves.find(endpoint) else {
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
            match waiting.send(wire) {
                Ok(()) => return,
                Err(back) => wire = back,
            }
        }
        if others_wait {
            return;
        }
        shelf.put(Idle { wire, until });
        self.look_at(&mut shelves, until.min(now + LOOK));
    }

    fn look_at(&self, shelves: &mut Shelves, look: Instant) {
        if shelves.next_look.is_none_or(|next| look < next) {
            shelves.next_look = Some(look);
            self.wake.notify_one();
        }
    }

    /// The shelf of an endpoint, which is made known to the process when it is new.
    fn open_shelf<T>(&self, endpoint: &Arc<Endpoint>, with: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelves = self.lock();
        let place = shelves
            .all
            .iter()
            .position(|shelf| shelf.endpoint.id() == endpoint.id())
            .unwrap_or_else(|| {
                endpoint.limits(self.role).register(self.me.clone());
                shelves
                    .all
                    .push(Shelf::new(Arc::clone(endpoint), self.role));
                shelves.all.len() - 1
            });
        with(&mut shelves.all[place])
    }

    async fn wait(&self, endpoint: &Arc<Endpoint>, limits: &Limits) -> Result<Turn, Fault> {
        let _seat = Seat::take(self, endpoint, limits)?;
        let (sender, mut receiver) = oneshot::channel();
        self.open_shelf(endpoint, |shelf| shelf.waiting.push_back(sender));
        // The seat is taken before this look, and a connection becomes idle under the same lock that this look takes:
        // either it is seen here, or whoever gives it back sees the seat.
        let _ = limits
            .registered()
            .iter()
            .any(|pools| pools.close_idle(endpoint));
        tokio::select! {
            biased;
            Ok(wire) = &mut receiver => Ok(Turn::Use(wire)),
            Ok(permit) = Arc::clone(&limits.permits).acquire_owned() => {
                receiver.close();
                Ok(match receiver.try_recv() {
                    Ok(wire) => Turn::Use(wire),
                    Err(_) => Turn::Open(permit),
                })
            }
            else => Err(Fault::Queue),
        }
    }

    /// Closes what is over; returns when to look again.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut shelves = self.lock();
        let mut next: Option<Instant> = None;
        for shelf in &mut shelves.all {
            shelf.keep(|idle| idle.until > now && idle.wire.is_open());
            let over = shelf.sessions.expire(now);
            shelf.left(over);
            next = shelf
                .idle
                .iter()
                .map(|idle| idle.until)
                .chain(shelf.sessions.next_end())
                .map(|until| until.min(now + LOOK))
                .chain(next)
                .min();
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
        let common = endpoint.common();
        let mut shelves = self.lock();
        let mut of_side = shelves
            .all
            .iter_mut()
            .filter(|shelf| Arc::ptr_eq(shelf.endpoint.common(), common));
        of_side.any(Shelf::close_oldest)
    }
}

/// What a request that waited may do.
enum Turn {
    Use(Box<Wire>),
    Open(OwnedSemaphorePermit),
}

/// A place among the requests that wait for a connection.
struct Seat<'a> {
    pools: &'a Pools,
    endpoint: &'a Arc<Endpoint>,
    limits: &'a Limits,
    _shown: telemetry::Held,
}

impl<'a> Seat<'a> {
    fn take(
        pools: &'a Pools,
        endpoint: &'a Arc<Endpoint>,
        limits: &'a Limits,
    ) -> Result<Self, Fault> {
        let room = match pools.role {
            // A request has stood in the queue of its side already, if that was needed, and no more are in flight than may be connected.
            Role::Serve => usize::MAX,
            Role::Shadow => limits.pool.queue,
        };
        if limits.waiting.fetch_add(1, Ordering::SeqCst) >= room {
            limits.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::Queue);
        }
        pools.open_shelf(endpoint, |shelf| shelf.seats += 1);
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
        if let Some(shelf) = self.pools.lock().find(self.endpoint) {
            shelf.seats -= 1;
        }
        self.limits.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
