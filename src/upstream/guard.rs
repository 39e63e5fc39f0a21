//! A side's breaker in one role, and its budget of retries, as all threads share them: requests read one atomic and add to counts, the control thread
//! judges them.

use crate::upstream::breaker::{Breaker, Change, PROBES, Seen};
use crate::upstream::budget::Budget;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Threads that count without touching each other's memory; further ones share.
const SHARDS: usize = 16;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const PROBING: u8 = 2;

/// A breaker and the counts that it judges by.
#[derive(Debug)]
pub struct Guard {
    state: AtomicU8,
    /// Probes that may still be sent in this phase.
    probes: AtomicU32,
    /// Which phase this is: what became of an earlier one's probe says nothing about this one.
    phase: AtomicU32,
    failed: AtomicU64,
    won: AtomicU64,
    lost: AtomicU64,
    judge: Mutex<Breaker>,
    budget: Mutex<Budget>,
    asked: [Shard; SHARDS],
}

/// A count on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(AtomicU64);

/// What a breaker says to a request.
#[derive(Debug)]
pub enum Pass {
    /// Go on.
    Free,
    /// Go on, and tell how it was.
    Probe(Probe),
    /// The side is not to be asked now.
    Refused,
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardState {
    /// The side is asked.
    Closed,
    /// It is not.
    Open,
    /// It is asked now and then.
    Probing,
}

impl GuardState {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

impl Guard {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(CLOSED),
            probes: AtomicU32::new(0),
            phase: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            won: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            judge: Mutex::new(Breaker::new()),
            budget: Mutex::new(Budget::new()),
            asked: Default::default(),
        })
    }

    /// Whether a request may go to the side.
    #[must_use]
    pub fn pass(self: &Arc<Self>) -> Pass {
        if self.state.load(Ordering::Relaxed) == CLOSED {
            return Pass::Free;
        }
        self.probe()
    }

    /// Whether nothing goes to the side now, not even a probe.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OPEN
    }

    #[cold]
    fn probe(self: &Arc<Self>) -> Pass {
        let phase = self.phase.load(Ordering::SeqCst);
        match self.state.load(Ordering::SeqCst) {
            CLOSED => return Pass::Free,
            PROBING => {}
            _ => return Pass::Refused,
        }
        let left = self
            .probes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => Pass::Probe(Probe {
                guard: Arc::clone(self),
                phase,
                told: false,
            }),
            Err(_) => Pass::Refused,
        }
    }

    /// Counts a request that is sent. Threads have numbers of their own.
    pub(super) fn asked(&self, thread: usize) {
        self.asked[thread % SHARDS]
            .0
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failure.
    #[cold]
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a retry from what the requests have earned, if there is one.
    pub(super) fn may_retry(&self) -> bool {
        let asked = self.seen().asked;
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.spend(asked)
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> GuardState {
        match self.state.load(Ordering::SeqCst) {
            CLOSED => GuardState::Closed,
            OPEN => GuardState::Open,
            _ => GuardState::Probing,
        }
    }

    /// Judges what was counted by `now`, which is measured from any moment, always the same one. What changes acts at once.
    pub fn judge(&self, now: Duration) -> Option<Change> {
        let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
        let change = judge.judge(now, self.seen())?;
        let state = match change {
            Change::Opened { .. } | Change::Reopened { .. } => OPEN,
            Change::Probing => {
                self.phase.fetch_add(1, Ordering::SeqCst);
                self.probes.store(PROBES, Ordering::SeqCst);
                PROBING
            }
            Change::Closed => CLOSED,
        };
        self.state.store(state, Ordering::SeqCst);
        Some(change)
    }

    fn seen(&self) -> Seen {
        let asked = self.asked.iter();
        Seen {
            asked: asked.map(|shard| shard.0.load(Ordering::Relaxed)).sum(),
            failed: self.failed.load(Ordering::Relaxed),
            won: self.won.load(Ordering::SeqCst),
            lost: self.lost.load(Ordering::SeqCst),
        }
    }
}

/// A request that decides with others whether a side is asked again. Dropped untold, another one may go in its place.
#[derive(Debug)]
pub struct Probe {
    guard: Arc<Guard>,
    phase: u32,
    told: bool,
}

/// How a probe was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The side did well.
    Won,
    /// It failed.
    Lost,
}

impl Probe {
    /// Tells how it was.
    pub fn tell(mut self, outcome: Outcome) {
        self.told = true;
        if self.is_of_this_phase() {
            let count = match outcome {
                Outcome::Won => &self.guard.won,
                Outcome::Lost => &self.guard.lost,
            };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn is_of_this_phase(&self) -> bool {
        self.guard.phase.load(Ordering::SeqCst) == self.phase
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.told && self.is_of_this_phase() {
            self.guard.probes.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guard whose pause is over.
    fn probing() -> (Arc<Guard>, Duration) {
        let guard = Guard::new();
        assert_eq!(guard.judge(Duration::ZERO), None);
        for thread in 0..60 {
            assert!(matches!(guard.pass(), Pass::Free));
            guard.asked(thread);
            guard.failed();
        }
        let mut now = Duration::from_secs(1);
        let Some(Change::Opened {
            pause,
            requests: 60,
            failed: 60,
        }) = guard.judge(now)
        else {
            panic!("{guard:?}");
        };
        assert!(guard.is_open() && matches!(guard.pass(), Pass::Refused));
        now += pause;
        assert_eq!(guard.judge(now), Some(Change::Probing));
        (guard, now)
    }

    fn probes(guard: &Arc<Guard>) -> Vec<Probe> {
        std::iter::from_fn(|| match guard.pass() {
            Pass::Probe(probe) => Some(probe),
            Pass::Free => panic!("it is not closed"),
            Pass::Refused => None,
        })
        .collect()
    }

    #[test]
    fn only_so_many_probes_go_and_one_that_says_nothing_is_replaced() {
        let (guard, now) = probing();
        let mut sent = probes(&guard);
        assert_eq!(sent.len(), PROBES as usize);
        drop(sent.pop());
        sent.extend(probes(&guard));
        assert_eq!(sent.len(), PROBES as usize);
        for probe in sent {
            assert_eq!(guard.judge(now), None);
            probe.tell(Outcome::Won);
        }
        assert_eq!(guard.judge(now), Some(Change::Closed));
        assert!(matches!(guard.pass(), Pass::Free));
    }

    #[test]
    fn a_probe_of_an_earlier_phase_says_nothing() {
        let (guard, now) = probing();
        let mut sent = probes(&guard);
        let late = [sent.pop(), sent.pop(), sent.pop()].map(Option::unwrap);
        sent.pop().unwrap().tell(Outcome::Lost);
        let Some(Change::Reopened { pause }) = guard.judge(now) else {
            panic!("{guard:?}");
        };
        assert_eq!(guard.state(), GuardState::Open);
        assert_eq!(guard.judge(now + pause), Some(Change::Probing));
        let [lost, won, untold] = late;
        lost.tell(Outcome::Lost);
        won.tell(Outcome::Won);
        drop(untold);
        assert_eq!(guard.judge(now + pause), None);
        let sent = probes(&guard);
        assert_eq!(sent.len(), PROBES as usize);
        sent.into_iter().for_each(|probe| probe.tell(Outcome::Won));
        assert_eq!(guard.judge(now + pause), Some(Change::Closed));
    }
}
