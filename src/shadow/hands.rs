//! The hands of the lab for one side: each judges one pair at a time, so that their number bounds what is in flight.
//!
//! A hand is a task that rests between two pairs and is used again, the latest first: to start a task for each pair costs more than to wake one
//! whose memory is warm.

use crate::shadow::judge::Lab;
use crate::shadow::offer::{Offer, Queue};
use crate::upstream::alarm::Alarm;
use crate::upstream::endpoint::SHADOWS_IN_FLIGHT;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

/// The pairs to be asked of a side, and the hands for them. Only the lab's thread locks it: a worker never waits for it.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    /// A hand is free after none was, or the line is closed and a hand has ended its work.
    freed: Notify,
    /// The request path reads it: no hand is free.
    swamped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    queue: Receiver<Offer>,
    resting: Vec<Arc<Hand>>,
    /// Hands at work.
    busy: usize,
    closed: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.busy >= SHADOWS_IN_FLIGHT
    }
}

impl Line {
    pub(super) fn new(queue: Queue) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                queue: queue.pairs,
                resting: Vec::new(),
                busy: 0,
                closed: false,
            }),
            freed: Notify::new(),
            swamped: queue.swamped,
        })
    }

    /// Waits for a pair while a hand is free for it; `None` when nobody offers any more.
    pub(super) async fn next(&self) -> Option<Offer> {
        loop {
            tokio::select! {
                biased;
                next = poll_fn(|cx| self.poll_next(cx)) => return next,
                () = self.freed.notified() => {}
            }
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Offer>> {
        let mut state = self.state();
        if state.is_full() {
            return Poll::Pending;
        }
        state.queue.poll_recv(cx)
    }

    /// A pair, if one is there and a hand is free for it.
    pub(super) fn try_next(&self) -> Option<Offer> {
        let mut state = self.state();
        let free = !state.is_full();
        free.then(|| state.queue.try_recv().ok()).flatten()
    }

    /// Gives a pair to a free hand.
    #[expect(
        clippy::disallowed_methods,
        reason = "hands belong to the lab's own runtime, and end with it"
    )]
    pub(super) fn begin(self: &Arc<Self>, lab: &Arc<Lab>, offer: Offer) {
        let resting = {
            let mut state = self.state();
            state.busy += 1;
            if state.is_full() {
                self.swamped.store(true, Ordering::Relaxed);
            }
            state.resting.pop()
        };
        match resting {
            Some(hand) => hand.give(offer),
            None => {
                tokio::spawn(Arc::clone(self).work(Arc::clone(lab), offer));
            }
        }
    }

    /// The life of a hand.
    async fn work(self: Arc<Self>, lab: Arc<Lab>, first: Offer) {
        let hand = Arc::new(Hand::default());
        let mut alarm = Alarm::default();
        let mut offer = first;
        loop {
            let busy = Busy(&self);
            lab.judge(offer, &mut alarm).await;
            while let Some(next) = self.another() {
                lab.judge(next, &mut alarm).await;
            }
            drop(busy);
            self.state().resting.push(Arc::clone(&hand));
            offer = poll_fn(|cx| hand.poll_taken(cx)).await;
        }
    }

    /// The next pair for a hand whose pair is done: only where no other one is free, else it is left to the next batch.
    fn another(&self) -> Option<Offer> {
        let mut state = self.state();
        let full = state.is_full();
        full.then(|| state.queue.try_recv().ok()).flatten()
    }

    /// Drops what waits, and takes no more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.queue.close();
        while state.queue.try_recv().is_ok() {}
    }

    /// Ends when no hand of a closed line is at work any more.
    pub(super) async fn is_done(&self) {
        while self.state().busy > 0 {
            self.freed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hand at work, until it rests or is lost by a panic.
struct Busy<'a>(&'a Line);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let was_full = state.is_full();
        state.busy -= 1;
        if was_full {
            self.0.swamped.store(false, Ordering::Relaxed);
        }
        if was_full || state.closed {
            self.0.freed.notify_one();
        }
    }
}

/// Where a hand that rests finds its next pair.
#[derive(Debug, Default)]
struct Hand(Mutex<(Option<Offer>, Option<Waker>)>);

impl Hand {
    fn give(&self, offer: Offer) {
        let (place, waker) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(offer);
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
    }

    fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<Offer> {
        let (offer, waker) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match offer.take() {
            Some(offer) => Poll::Ready(offer),
            None => {
                // A task's waker is the same for ever.
                waker.get_or_insert_with(|| cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
