//! How many requests a side answers at once, in the whole process: exact whatever the side's addresses, protocol, connections and generations of
//! settings are. What is beyond it waits in order of arrival, and what is beyond the queue is refused.
//!
//! A request takes a place before it has a connection, and keeps it until its answer, or the tunnel after it, has ended. Without a queue that is
//! one atomic step each; the lock is only for who waits. Copies take no place here: their number is bounded before they are sent.

use crate::telemetry::GaugeCell;
use crate::upstream::failure::Fault;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// One that waits, in the upper half of [`Flights::state`]; in flight are those in its lower half.
const WAITING: u64 = 1 << 32;

/// What a side's settings say of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) in_flight: usize,
    /// Requests that may wait.
    pub(super) queue: usize,
    /// How long they may.
    pub(super) patience: Duration,
}

/// The requests in flight at one side.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Flights {
    state: AtomicU64,
    queue: Mutex<Queue>,
}

/// Who waits for a place.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many may be in flight, by whoever came last: settings change.
    limit: u64,
    /// Turns with each place that could go to a request of the same pool.
    others_turn: bool,
}

#[derive(Debug)]
struct Waiting {
    /// The number of its pool.
    pool: usize,
    turn: oneshot::Sender<Place>,
}

/// A place on its way to the request that waits for it; free again if that has gone.
#[derive(Debug)]
struct Place {
    flights: Option<Arc<Flights>>,
    pool: usize,
}

impl Place {
    /// It is the request's own now.
    fn take(mut self) {
        self.flights = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(flights) = &self.flights {
            flights.leave(self.pool);
        }
    }
}

/// A request in the queue.
struct Turn<'a> {
    flights: &'a Flights,
    place: oneshot::Receiver<Place>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.place.close();
        self.flights.forget_the_gone();
    }
}

impl Flights {
    /// Takes a place, if there is one and nobody waits for it. Whoever has it calls [`Flights::leave`], once.
    #[inline]
    pub(super) fn enter(&self, in_flight: usize) -> bool {
        // Who waits makes the state larger than any limit.
        let room = |state| (state < in_flight as u64).then(|| state + 1);
        self.state.fetch_update(AcqRel, Acquire, room).is_ok()
    }

    /// Takes a place when it is this request's turn, if the queue has room for it.
    pub(super) async fn wait(
        self: &Arc<Self>,
        bounds: Bounds,
        pool: usize,
        waiting: &GaugeCell,
    ) -> Result<(), Fault> {
        let mut turn = Turn {
            place: self.line_up(bounds, pool).ok_or(Fault::Queue)?,
            flights: self,
        };
        let _shown = waiting.hold();
        match timeout(bounds.patience, &mut turn.place).await {
            Ok(Ok(place)) => {
                place.take();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Fault::Queue),
        }
    }

    /// Gives a place back. It was used by a request of this pool.
    #[inline]
    pub(super) fn leave(self: &Arc<Self>, pool: usize) {
        if self.state.fetch_sub(1, AcqRel) >= WAITING {
            self.call(pool);
        }
    }

    fn line_up(self: &Arc<Self>, bounds: Bounds, pool: usize) -> Option<oneshot::Receiver<Place>> {
        let mut queue = self.lock();
        queue.limit = bounds.in_flight as u64;
        // From here on nobody enters past the queue, and whoever leaves looks at it.
        let before = self.state.fetch_add(WAITING, AcqRel);
        if queue.waiting.len() >= bounds.queue && before % WAITING >= queue.limit {
            self.state.fetch_sub(WAITING, AcqRel);
            return None;
        }
        let (turn, place) = oneshot::channel();
        queue.waiting.push_back(Waiting { pool, turn });
        self.let_in(&mut queue, pool);
        Some(place)
    }

    #[cold]
    fn call(self: &Arc<Self>, pool: usize) {
        self.let_in(&mut self.lock(), pool);
    }

    /// Gives the places that are free to those that wait. A connection that `pool` has just let go of is of most use to its own requests, but they
    /// get only every second one before the others: else a busy worker would keep all.
    fn let_in(self: &Arc<Self>, queue: &mut Queue, pool: usize) {
        while !queue.waiting.is_empty() {
            let limit = queue.limit;
            let entered = self.state.fetch_update(AcqRel, Acquire, |state| {
                (state % WAITING < limit).then(|| state - WAITING + 1)
            });
            if entered.is_err() {
                return;
            }
            queue.others_turn = !queue.others_turn;
            let own = queue
                .waiting
                .iter()
                .position(|waiting| !queue.others_turn && waiting.pool == pool);
            if let Some(next) = queue.waiting.remove(own.unwrap_or(0))
                && let Err(unused) = next.turn.send(Place {
                    flights: Some(Arc::clone(self)),
                    pool: next.pool,
                })
            {
                // To drop it would take the lock again.
                unused.take();
                self.state.fetch_sub(1, AcqRel);
            }
        }
    }

    /// Whoever is gone takes no room in the queue.
    fn forget_the_gone(&self) {
        let mut queue = self.lock();
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| !waiting.turn.is_closed());
        let gone = (before - queue.waiting.len()) as u64;
        self.state.fetch_sub(gone * WAITING, AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
