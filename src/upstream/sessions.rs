//! The shared connections that a worker has to one endpoint: which of them takes the next request, who waits, and when each is over.
//!
//! Everything here is done under the pool's lock. Invariant: who waits is woken. While a connection is being opened its end wakes all; else a request that
//! leaves hands its place on; and where no connection is left all are told to look again.

use crate::upstream::failure::Fault;
use crate::upstream::session::Session;
use bytes::Bytes;
use h2::client::SendRequest;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// After a connection could not be opened beside others, no other one is tried for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// A session that was entered; whoever has it must leave.
pub(super) type Entered = (Arc<Session>, SendRequest<Bytes>);

/// What a request that waits is told.
#[derive(Debug)]
pub(super) enum Turn {
    Use(Entered),
    /// The connection that it waited for could not be opened.
    Failed(Fault),
    /// To look again.
    Again,
}

/// The shared connections to one endpoint, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Vec<Open>,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    opening: bool,
    resting_until: Option<Instant>,
    /// Requests of this worker among those that are starved.
    pub(super) starved: usize,
}

#[derive(Debug)]
struct Open {
    session: Arc<Session>,
    /// Since nobody uses it.
    idle_until: Option<Instant>,
}

impl Sessions {
    /// Enters the first session that has room. How many idle ones it took, or found closed, on the way.
    pub(super) fn enter(&mut self, now: Instant, max_age: Duration) -> (Option<Entered>, usize) {
        let mut idle = 0;
        let mut entered = None;
        self.open.retain_mut(|open| {
            if entered.is_some() {
                return true;
            }
            if open.session.born + max_age <= now {
                open.session.retire();
            }
            if let Some(sender) = open.session.enter() {
                entered = Some((Arc::clone(&open.session), sender));
                idle += usize::from(open.idle_until.take().is_some());
                return true;
            }
            let stays = open.session.is_open();
            idle += usize::from(!stays && open.idle_until.is_some());
            stays
        });
        (entered, idle)
    }

    /// Another one, just opened.
    pub(super) fn add(&mut self, session: Arc<Session>) {
        self.opening = false;
        self.open.push(Open {
            session,
            idle_until: None,
        });
    }

    /// Whether a connection is being opened.
    pub(super) fn is_opening(&self) -> bool {
        self.opening
    }

    /// A connection is being opened; [`Self::add`] or [`Self::failed`] must follow.
    pub(super) fn begin_opening(&mut self) {
        self.opening = true;
    }

    /// A connection could not be opened. Whether there are others to wait for.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.opening = false;
        let others = self.has_open();
        self.resting_until = others.then(|| now + PAUSE);
        others
    }

    /// Whether no connection should be tried beside those that are open.
    pub(super) fn is_resting(&self, now: Instant) -> bool {
        self.resting_until.is_some_and(|until| now < until) && self.has_open()
    }

    /// Whether any takes requests.
    pub(super) fn has_open(&self) -> bool {
        self.open.iter().any(|open| open.session.is_open())
    }

    /// Waits for a word.
    pub(super) fn wait(&mut self) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(sender);
        receiver
    }

    /// Who has waited longest, and still does.
    pub(super) fn next_waiting(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(waiting) = self.waiting.pop_front() {
            if !waiting.is_closed() {
                return Some(waiting);
            }
        }
        None
    }

    /// Whether anybody waits.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.waiting.retain(|waiting| !waiting.is_closed());
        !self.waiting.is_empty()
    }

    /// Nobody uses a session any more: it stays until then. Whether it is one of these.
    pub(super) fn rest(&mut self, session: &Arc<Session>, until: Instant) -> bool {
        let mut all = self.open.iter_mut();
        match all.find(|open| Arc::ptr_eq(&open.session, session)) {
            Some(open) => {
                open.idle_until = Some(until);
                true
            }
            None => false,
        }
    }

    /// Forgets the sessions that are closed, or take no more. How many of them were idle.
    pub(super) fn clean(&mut self) -> usize {
        let mut idle = 0;
        self.open.retain(|open| {
            let stays = open.session.is_open();
            idle += usize::from(!stays && open.idle_until.is_some());
            stays
        });
        idle
    }

    /// Closes the idle sessions whose time is over, and forgets those that are closed. How many were idle.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        for open in &self.open {
            if open.idle_until.is_some_and(|until| until <= now) {
                open.session.retire();
            }
        }
        self.clean()
    }

    /// When the first idle one is over.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.open.iter().filter_map(|open| open.idle_until).min()
    }

    /// Closes the session that has been idle longest. Whether there was one.
    pub(super) fn close_idle(&mut self) -> bool {
        let idle = self.open.iter().enumerate();
        let longest = idle
            .filter_map(|(place, open)| Some((open.idle_until?, place)))
            .min();
        let Some((_, place)) = longest else {
            return false;
        };
        self.open.remove(place).session.retire();
        true
    }

    /// Closes all with their last requests. How many were idle.
    pub(super) fn retire_all(&mut self) -> usize {
        let mut idle = 0;
        for open in self.open.drain(..) {
            idle += usize::from(open.idle_until.is_some());
            open.session.retire();
        }
        idle
    }
}
