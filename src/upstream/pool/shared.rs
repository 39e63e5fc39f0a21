//! Places for requests on connections that many of them share.
//!
//! A request, which is in flight already, enters a connection of its worker that has room. Where none has, one more is opened, if the
//! side may have one more; at most one at a time, by a task of its own, since many requests may wait for it and any of them may leave. Where there may
//! be none, it waits in the side's queue for a request of this worker to end, or for any connection of the process to close.

use super::{LOOK, Pools, Seat};
use crate::config::settings::Multiplexing;
use crate::upstream::connect::connect;
use crate::upstream::endpoint::{Endpoint, Limits};
use crate::upstream::failure::Fault;
use crate::upstream::session::Session;
use crate::upstream::sessions::{Entered, Turn};
use bytes::Bytes;
use h2::client::SendRequest;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};

/// A request's place on a shared connection. Dropping it leaves.
#[derive(Debug)]
pub(in crate::upstream) struct Slot {
    pub(in crate::upstream) session: Arc<Session>,
    pub(in crate::upstream) sender: SendRequest<Bytes>,
    pools: Arc<Pools>,
    endpoint: Arc<Endpoint>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pools.leave(&self.endpoint, &self.session);
    }
}

/// What a look for a place has come to.
enum Look {
    Entered(Entered),
    /// A connection is being opened, or none should be for now.
    Wait(oneshot::Receiver<Turn>),
    /// The side has as many connections as it may have.
    Full(oneshot::Receiver<Turn>),
}

/// A request that waits for a word. What it was given and did not take is given back.
struct Waiting<'a> {
    pools: &'a Pools,
    endpoint: &'a Arc<Endpoint>,
    word: oneshot::Receiver<Turn>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.word.close();
        if let Ok(Turn::Use((session, _))) = self.word.try_recv() {
            self.pools.leave(self.endpoint, &session);
        }
    }
}

impl Waiting<'_> {
    async fn told(&mut self) -> Turn {
        (&mut self.word).await.unwrap_or(Turn::Again)
    }
}

/// A request without a connection to wait for, as others see it.
struct Starved<'a>(&'a Pools, &'a Endpoint, &'a Limits);

impl<'a> Starved<'a> {
    fn count(pools: &'a Pools, endpoint: &'a Endpoint, limits: &'a Limits) -> Self {
        limits.starved.fetch_add(1, Ordering::SeqCst);
        if let Some(shelf) = pools.lock().find(endpoint) {
            shelf.sessions.starved += 1;
        }
        Self(pools, endpoint, limits)
    }
}

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        let Self(pools, endpoint, limits) = self;
        limits.starved.fetch_sub(1, Ordering::SeqCst);
        if let Some(shelf) = pools.lock().find(endpoint) {
            shelf.sessions.starved = shelf.sessions.starved.saturating_sub(1);
        }
    }
}

impl Pools {
    /// A place for a request on a connection to an endpoint that speaks HTTP/2.
    pub(in crate::upstream) async fn place(
        &self,
        endpoint: &Arc<Endpoint>,
        multiplexing: &Multiplexing,
    ) -> Result<Slot, Fault> {
        let limit = endpoint.settings().timeout;
        let mut queued = false;
        let find = async {
            let (session, sender) = self.enter(endpoint, multiplexing, &mut queued).await?;
            Ok(Slot {
                session,
                sender,
                pools: self.me.upgrade().ok_or(Fault::Queue)?,
                endpoint: Arc::clone(endpoint),
            })
        };
        let found = timeout(limit, find).await;
        found.unwrap_or(Err(if queued { Fault::Queue } else { Fault::Timeout }))
    }

    async fn enter(
        &self,
        endpoint: &Arc<Endpoint>,
        multiplexing: &Multiplexing,
        queued: &mut bool,
    ) -> Result<Entered, Fault> {
        loop {
            let (word, full) = match self.look(endpoint, multiplexing) {
                Look::Entered(entered) => return Ok(entered),
                Look::Wait(word) => (word, false),
                Look::Full(word) => (word, true),
            };
            *queued = full;
            let mut waiting = Waiting {
                pools: self,
                endpoint,
                word,
            };
            let turn = if full {
                self.starve(endpoint, multiplexing, &mut waiting).await?
            } else {
                waiting.told().await
            };
            match turn {
                Turn::Use(entered) => return Ok(entered),
                Turn::Failed(fault) => return Err(fault),
                Turn::Again => {}
            }
        }
    }

    /// Enters a connection that has room, or finds out what to wait for.
    fn look(&self, endpoint: &Arc<Endpoint>, multiplexing: &Multiplexing) -> Look {
        let now = Instant::now();
        let limits = endpoint.limits(self.role);
        self.open_shelf(endpoint, |shelf| {
            let (entered, idle) = shelf.sessions.enter(now, limits.pool.max_age);
            shelf.left(idle);
            if let Some(entered) = entered {
                return Look::Entered(entered);
            }
            let word = shelf.sessions.wait();
            if shelf.sessions.is_opening() || shelf.sessions.is_resting(now) {
                return Look::Wait(word);
            }
            let Ok(permit) = Arc::clone(&limits.permits).try_acquire_owned() else {
                return Look::Full(word);
            };
            shelf.sessions.begin_opening();
            self.open(endpoint, multiplexing, permit);
            Look::Wait(word)
        })
    }

    /// Waits in the side's queue.
    async fn starve(
        &self,
        endpoint: &Arc<Endpoint>,
        multiplexing: &Multiplexing,
        waiting: &mut Waiting<'_>,
    ) -> Result<Turn, Fault> {
        let limits = endpoint.limits(self.role);
        let _seat = Seat::take(self, endpoint, limits)?;
        let _starved = Starved::count(self, endpoint, limits);
        // The order is that of `Pools::wait`: a connection that becomes idle after this look sees who is starved.
        let _ = limits
            .registered()
            .iter()
            .any(|pools| pools.close_idle(endpoint));
        let permit = tokio::select! {
            biased;
            turn = waiting.told() => return Ok(turn),
            Ok(permit) = Arc::clone(&limits.permits).acquire_owned() => permit,
            else => return Err(Fault::Queue),
        };
        self.open_shelf(endpoint, |shelf| {
            // Another one may have been faster; its end wakes all.
            if !shelf.sessions.is_opening() {
                shelf.sessions.begin_opening();
                self.open(endpoint, multiplexing, permit);
            }
        });
        Ok(waiting.told().await)
    }

    /// Opens one more connection, beside whoever waits for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection that many requests wait for is opened by none of them; it belongs to the runtime of its pool"
    )]
    fn open(
        &self,
        endpoint: &Arc<Endpoint>,
        multiplexing: &Multiplexing,
        permit: OwnedSemaphorePermit,
    ) {
        let pools = self.me.clone();
        let endpoint = Arc::clone(endpoint);
        let multiplexing = multiplexing.clone();
        tokio::spawn(async move {
            let opened = dial(&endpoint, &multiplexing, permit).await;
            if let Some(pools) = pools.upgrade() {
                pools.opened(&endpoint, opened);
            }
        });
    }

    /// Tells all who wait what has become of a new connection.
    fn opened(&self, endpoint: &Endpoint, opened: Result<Arc<Session>, Fault>) {
        let max_age = endpoint.limits(self.role).pool.max_age;
        let mut words = Vec::new();
        {
            let mut shelves = self.lock();
            let Some(shelf) = shelves.find(endpoint) else {
                // No Plan names it any more. Who waited looks again.
                if let Ok(session) = opened {
                    session.retire();
                }
                return;
            };
            let failed = match opened {
                Ok(session) => {
                    shelf.sessions.add(session);
                    None
                }
                Err(fault) => {
                    let others = shelf.sessions.failed(Instant::now());
                    (!others).then_some(fault)
                }
            };
            while let Some(waiting) = shelf.sessions.next_waiting() {
                let turn = match &failed {
                    Some(fault) => Turn::Failed(copy(fault)),
                    None => match shelf.sessions.enter(Instant::now(), max_age) {
                        (Some(entered), _) => Turn::Use(entered),
                        (None, _) => Turn::Again,
                    },
                };
                words.push((waiting, turn));
            }
        }
        self.tell(endpoint, words);
    }

    /// A request has left its place on a session.
    fn leave(&self, endpoint: &Endpoint, session: &Arc<Session>) {
        session.leave();
        let limits = endpoint.limits(self.role);
        let mut words = Vec::new();
        {
            let mut shelves = self.lock();
            let Some(shelf) = shelves.find(endpoint) else {
                session.retire();
                return;
            };
            if limits.starved.load(Ordering::SeqCst) > shelf.sessions.starved {
                // Another worker has no connection: one is closed for it when its last request has ended.
                session.retire();
            }
            let mut idle = shelf.sessions.clean();
            while shelf.sessions.is_waited_for() {
                let (entered, was_idle) = shelf.sessions.enter(Instant::now(), limits.pool.max_age);
                idle += was_idle;
                let Some(entered) = entered else { break };
                match shelf.sessions.next_waiting() {
                    Some(waiting) => words.push((waiting, Turn::Use(entered))),
                    // Who waited has left in this moment.
                    None => entered.0.leave(),
                }
            }
            shelf.left(idle);
            if !shelf.sessions.is_opening() && !shelf.sessions.has_open() {
                while let Some(waiting) = shelf.sessions.next_waiting() {
                    words.push((waiting, Turn::Again));
                }
            }
            if session.is_idle() && session.is_open() {
                let now = Instant::now();
                let until =
                    (now + limits.pool.idle_timeout).min(session.born + limits.pool.max_age);
                let few = limits.idle.fetch_add(1, Ordering::Relaxed) < limits.pool.max_idle;
                if few && until > now && shelf.sessions.rest(session, until) {
                    self.look_at(&mut shelves, until.min(now + LOOK));
                } else {
                    limits.idle.fetch_sub(1, Ordering::Relaxed);
                    session.retire();
                }
            }
        }
        self.tell(endpoint, words);
    }

    /// Tells what was found out under the lock.
    fn tell(&self, endpoint: &Endpoint, words: Vec<(oneshot::Sender<Turn>, Turn)>) {
        for (waiting, turn) in words {
            if let Err(Turn::Use((session, _))) = waiting.send(turn) {
                self.leave(endpoint, &session);
            }
        }
    }
}

/// One more connection, ready for requests.
async fn dial(
    endpoint: &Endpoint,
    multiplexing: &Multiplexing,
    permit: OwnedSemaphorePermit,
) -> Result<Arc<Session>, Fault> {
    let settings = endpoint.settings();
    let stream = connect(endpoint.place(), settings.connect_timeout).await?;
    let held = (permit, endpoint.metrics().connections.hold());
    // Somebody is there: until they speak they are late with an answer, and nobody who can't be reached.
    let open = Session::open(stream, held, multiplexing, settings.in_flight);
    timeout(settings.timeout, open)
        .await
        .unwrap_or(Err(Fault::Timeout))
}

/// The same for another request that waited for the same connection.
fn copy(fault: &Fault) -> Fault {
    let mut text = String::new();
    let mut cause = fault.source();
    while let Some(error) = cause {
        let colon = if text.is_empty() { "" } else { ": " };
        text.push_str(&format!("{colon}{error}"));
        cause = error.source();
    }
    if matches!(fault, Fault::ConnectTimeout) {
        return Fault::ConnectTimeout;
    }
    if matches!(fault, Fault::Timeout) {
        return Fault::Timeout;
    }
    // A connection that could not be opened has no other.
    Fault::Connect(io::Error::other(text))
}
