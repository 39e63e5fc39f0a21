//! A mismatch is not believed at first sight: both sides are asked again, some times, until they agree or the last look is done. Until then its pair
//! waits here, and is not judged.
//!
//! What waits is bounded in number and in bytes, what is asked by a share of the copies ([`crate::plan::Judging`]). A mismatch for which there is no
//! place stays one, and says that nobody looked again; so do all that wait when the proxy stops.

use crate::compare::docket::{Bench, Circumstances, Docket, Leave};
use crate::compare::recheck::Again;
use crate::compare::{Divergence, Incomparable};
use crate::message::capture::Reservation;
use crate::plan::RoutePlan;
use crate::shadow::exchange::{Question, ask};
use crate::shadow::offer::Pair;
use crate::shadow::record::Finding;
use crate::shadow::sample::Differed;
use crate::shadow::ticket::Asked;
use crate::shadow::weigh::{Kept, Measure, Scales, is_light, keep};
use crate::shadow::writes::Writes;
use crate::side::Side;
use crate::store::samples::Samples;
use crate::store::{Causes, Mismatches};
use crate::telemetry::Role;
use crate::upstream::Pools;
use crate::upstream::alarm::Alarm;
use crate::upstream::endpoint::CHECKS_IN_FLIGHT;
use crate::upstream::guard::GuardState;
use http::Method;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

/// Pairs that wait.
const PAIRS: usize = 1024;

/// Bytes of them all: a sixth of what all pairs may take, so that those that are new find room.
const BYTES: usize = 8 * 1024 * 1024;

/// A mismatch of which it is not known yet what it is.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) asked: Asked,
    pub(super) finding: Finding,
    pub(super) pair: Box<Pair>,
    /// The answer of the side that did not serve.
    pub(super) other: Kept,
    pub(super) circumstances: Circumstances,
    pub(super) place: Place,
}

/// What is being looked at again.
#[derive(Debug)]
pub(super) struct Doubts {
    pools: Arc<Pools>,
    scales: Arc<Scales>,
    writes: Arc<Writes>,
    mismatches: Arc<Mismatches>,
    samples: Arc<Samples>,
    causes: Arc<Causes>,
    waiting: Mutex<Waiting>,
    turns: Semaphore,
    /// Of this process alone: keys that are taken for others are so nowhere else.
    hasher: RandomState,
    stop: watch::Sender<bool>,
    /// A place is free again.
    left: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pairs: usize,
    bytes: usize,
}

/// Room for a pair that waits, and the requests that may be made for it; both are given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    doubts: Arc<Doubts>,
    route: Arc<RoutePlan>,
    bytes: usize,
    /// Until it is told what came of it.
    leave: Option<Leave>,
    requests: usize,
    /// For what was found of it.
    memory: Reservation,
}

impl Doubts {
    pub(super) fn new(
        pools: &Arc<Pools>,
        scales: &Arc<Scales>,
        writes: &Arc<Writes>,
        mismatches: &Arc<Mismatches>,
        samples: &Arc<Samples>,
        causes: &Arc<Causes>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pools: Arc::clone(pools),
            scales: Arc::clone(scales),
            writes: Arc::clone(writes),
            mismatches: Arc::clone(mismatches),
            samples: Arc::clone(samples),
            causes: Arc::clone(causes),
            waiting: Mutex::default(),
            turns: Semaphore::new(CHECKS_IN_FLIGHT),
            hasher: RandomState::new(),
            stop: watch::Sender::new(false),
            left: Notify::new(),
        })
    }

    /// Tells of a mismatch: the leave to ask both sides again, if that may be done.
    pub(super) fn leave(
        &self,
        route: &RoutePlan,
        pair: &Pair,
        found: &[Divergence],
    ) -> Option<Leave> {
        let leave = Measure::new(route, pair).doubt(self.key(pair), found, requests(route, pair));
        leave.is_granted().then_some(leave)
    }

    /// A place for a mismatch that may be asked again, if there is one.
    pub(super) fn place(
        self: &Arc<Self>,
        route: &Arc<RoutePlan>,
        pair: &Pair,
        finding: &Finding,
        leave: Leave,
    ) -> Option<Place> {
        let requests = requests(route, pair);
        let weight = finding.weight();
        let mut place = Place {
            doubts: Arc::clone(self),
            route: Arc::clone(route),
            bytes: pair.memory.bytes() + weight,
            leave: Some(leave),
            requests,
            memory: pair.memory.beside(),
        };
        let mut waiting = self.waiting();
        waiting.pairs += 1;
        waiting.bytes += place.bytes;
        let fits = waiting.pairs <= PAIRS && waiting.bytes <= BYTES;
        drop(waiting);
        let is_wanted = requests > 0 && fits && !*self.stop.borrow();
        (is_wanted && place.memory.grow(weight)).then_some(place)
    }

    /// Looks at a mismatch again, and then says what it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "what waits belongs to the lab's own runtime, and is bounded by its places"
    )]
    pub(super) fn begin(self: &Arc<Self>, doubt: Box<Doubt>) {
        tokio::spawn(Arc::clone(self).settle(doubt));
    }

    async fn settle(self: Arc<Self>, doubt: Box<Doubt>) {
        let Doubt {
            asked,
            finding,
            pair,
            other,
            circumstances,
            mut place,
        } = *doubt;
        let first = Arc::new(First {
            found: Arc::clone(finding.divergences()),
            pair,
            other,
        });
        let mut stop = self.stop.subscribe();
        let looked = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => None,
            looked = self.look(asked.route(), &first, &mut place) => looked,
        };
        let (again, second) = match &looked {
            Some(Looked::Again(again, second)) => (Some(again), Some(second)),
            Some(Looked::TooSoon) | None => (None, None),
        };
        let judgement = match looked {
            Some(Looked::TooSoon) => {
                place.close();
                None
            }
            Some(Looked::Again(..)) | None => {
                let measure = Measure::new(asked.route(), &first.pair);
                let (found, leave) = (&first.found, place.leave());
                Some(measure.settle(found, leave, again, &circumstances))
            }
        };
        if let Some(judgement) = judgement {
            let route = asked.route();
            let (_, cause) = finding.keep(route, judgement, &self.mismatches, &self.causes);
            let differed = Differed {
                route,
                pair: &first.pair,
                other: &first.other,
                last: second.map(|second| second.answers()),
                found: &first.found,
                judgement,
                cause,
            };
            differed.offer(&self.samples);
        }
        // When a pair counts as judged its memory is free.
        drop((first, looked));
        match judgement {
            Some(judgement) => asked.judged(judgement),
            None => asked.judged(Incomparable::RecentWrite),
        }
        drop(place);
    }

    /// A request by its key, or by its target where it has none.
    fn key(&self, pair: &Pair) -> u64 {
        match &pair.key {
            Some(key) => self.hasher.hash_one(key),
            None => self.hasher.hash_one(pair.request.head.text()),
        }
    }

    /// Asks until the sides agree, or the last look is done. `None` if they did not answer it.
    async fn look(
        &self,
        route: &Arc<RoutePlan>,
        first: &Arc<First>,
        place: &mut Place,
    ) -> Option<Looked> {
        let found = Instant::now();
        let checks = &route.again.recheck;
        let mut earlier: Option<Again> = None;
        for (number, delay) in checks.iter().enumerate() {
            sleep_until(found + *delay).await;
            let Some(second) = self.ask_both(route, first, place).await else {
                continue;
            };
            let second = Arc::new(second);
            let too_soon = self.is_written(route, &first.pair, second.began);
            let again = if first.is_light(&second) {
                first.beside(&second, route, earlier.as_ref())
            } else {
                let (first, second) = (Arc::clone(first), Arc::clone(&second));
                let (route, earlier) = (Arc::clone(route), earlier.clone());
                let work = move || first.beside(&second, &route, earlier.as_ref());
                self.scales.long(work).await.flatten()
            };
            let Some(again) = again else {
                continue;
            };
            if again.equal {
                return Some(Looked::Again(again, second));
            }
            if number + 1 == checks.len() {
                return Some(if too_soon {
                    Looked::TooSoon
                } else {
                    Looked::Again(again, second)
                });
            }
            // Its verdict is noise whatever comes, and nothing more can be learned from it: what it would take is better spent on others.
            let is_over = !too_soon && !again.may_stand();
            let measure = Measure::new(route, &first.pair);
            if is_over && measure.recall(|docket, now| docket.explains(&first.found, now)) {
                return Some(Looked::Again(again.given_up(), second));
            }
            earlier = Some(again);
        }
        None
    }

    /// Both answers, of the same moment. `None` if a side has none that can be compared.
    async fn ask_both(
        &self,
        route: &RoutePlan,
        first: &First,
        place: &mut Place,
    ) -> Option<Second> {
        let _turn = self.turns.acquire().await.ok()?;
        // Side by side, so that none of them is always the later one.
        let order = if fastrand::bool() {
            [Side::Old, Side::New]
        } else {
            [Side::New, Side::Old]
        };
        for side in order {
            // A side that is left alone is not asked for this, not even by way of trial.
            if route.group(side).common().guard(Role::Shadow).state() != GuardState::Closed {
                return None;
            }
        }
        let began = Instant::now();
        let [one, other] = order;
        place.spend(order.len());
        let (one_answer, other_answer) = tokio::join!(
            biased;
            self.ask(route, &first.pair, one),
            self.ask(route, &first.pair, other),
        );
        let (one_answer, other_answer) = (one_answer?, other_answer?);
        let [old, new] = match one {
            Side::Old => [one_answer, other_answer],
            Side::New => [other_answer, one_answer],
        };
        Some(Second { began, old, new })
    }

    async fn ask(&self, route: &RoutePlan, pair: &Pair, side: Side) -> Option<(Kept, Reservation)> {
        let question = Question {
            request: &pair.request,
            served_status: pair.answer.status,
            group: route.group(side),
            bounds: route.shadow,
            span: fastrand::u64(..),
            timed: None,
        };
        route.metrics.recheck();
        let mut memory = pair.memory.beside();
        let answer = ask(&self.pools, question, &mut memory, &mut Alarm::default()).await;
        Some((keep(&answer.ok()?, &route.rules), memory))
    }

    /// Whether a pair's key was written so shortly before that moment, or since, that its answers say nothing.
    fn is_written(&self, route: &RoutePlan, pair: &Pair, began: Instant) -> bool {
        let key = pair.key.as_deref();
        key.and_then(|key| self.writes.last(&route.policy.salt, key))
            .is_some_and(|last| began.saturating_duration_since(last) < route.again.settle)
    }

    /// What waits is concluded now, and nothing waits any more.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends when nothing waits.
    pub(super) async fn is_done(&self) {
        while self.waiting().pairs > 0 {
            self.left.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Requests are made.
    fn spend(&mut self, requests: usize) {
        self.requests = self.requests.saturating_sub(requests);
    }

    /// No further ones will be: the leave to make them, and how many were not. What was found needs no memory of the lab's any more.
    fn leave(&mut self) -> Option<(Leave, usize)> {
        self.memory = self.memory.beside();
        let unused = std::mem::take(&mut self.requests);
        self.leave.take().map(|leave| (leave, unused))
    }

    /// They have shown nothing.
    fn close(&mut self) {
        if let Some((leave, unused)) = self.leave() {
            let tell = |docket: &mut Docket, now| docket.asked(&leave, None, unused, now);
            self.route.judging.recall(Instant::now(), tell);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.close();
        let mut waiting = self.doubts.waiting();
        waiting.pairs -= 1;
        waiting.bytes -= self.bytes;
        drop(waiting);
        self.doubts.left.notify_one();
    }
}

/// What the last look has shown.
#[derive(Debug)]
enum Looked {
    Again(Again, Arc<Second>),
    /// The key was written a moment before, and the sides differ again.
    TooSoon,
}

/// Requests that would be made for a pair if it was looked at as often as that can be.
fn requests(route: &RoutePlan, pair: &Pair) -> usize {
    if may_repeat(pair) {
        Side::BOTH.len() * route.again.recheck.len()
    } else {
        0
    }
}

/// Whether a request may be made once more.
pub(super) fn may_repeat(pair: &Pair) -> bool {
    matches!(pair.request.method, Method::GET | Method::HEAD)
}

/// What the sides answered at first, and where that differs.
#[derive(Debug)]
struct First {
    pair: Box<Pair>,
    other: Kept,
    found: Arc<[Divergence]>,
}

/// What they answered when they were asked again, with the memory that it takes.
#[derive(Debug)]
struct Second {
    began: Instant,
    old: (Kept, Reservation),
    new: (Kept, Reservation),
}

impl Second {
    fn answers(&self) -> [&Kept; 2] {
        [&self.old.0, &self.new.0]
    }
}

impl First {
    fn answers(&self) -> [&Kept; 2] {
        match self.pair.served {
            Side::Old => [&self.pair.answer, &self.other],
            Side::New => [&self.other, &self.pair.answer],
        }
    }

    fn is_light(&self, second: &Second) -> bool {
        let [old, new] = self.answers();
        is_light(old, &second.old.0) && is_light(new, &second.new.0)
    }

    /// How the second answers stand to the first ones. `None` if they can't be compared.
    fn beside(&self, second: &Second, route: &RoutePlan, earlier: Option<&Again>) -> Option<Again> {
        let measure = Measure::new(route, &self.pair);
        let last = second.answers();
        measure.look_again(self.answers(), last, &self.found, earlier)
    }
}
