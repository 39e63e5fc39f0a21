//! What a route remembers for its judgements, from one pair to the next: what its fields do by themselves, and what asking again may still take.
//!
//! It outlives the Plans in which nothing changes of what is compared. The lab writes, the admin API reads; no worker comes here.

use crate::compare::Rules;
use crate::compare::docket::{Docket, Entered};
use crate::compare::lesson::Advice;
use crate::compare::noise::{self, Report, State};
use crate::config::settings;
use crate::telemetry::RouteMetrics;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Of so many copies one more request may go to a side, for asking again and for asking old twice.
const SHARE: f64 = 0.1;

/// How often in a row old may be asked twice.
const MOST_TWICE: f64 = 10.0;

/// A route's memory of judgements.
#[derive(Debug)]
pub struct Judging {
    /// The share of pairs for which old is asked twice.
    sampled: f64,
    epoch: Mutex<Epoch>,
}

/// What was learnt since the last reset.
#[derive(Debug)]
struct Epoch {
    /// Times are told from here on.
    began: Instant,
    /// How often old may be asked twice.
    twice: f64,
    docket: Docket,
}

impl Judging {
    /// Nothing known yet, and nothing saved.
    pub(super) fn new(rules: &Rules, noise: settings::Noise) -> Self {
        let sampled = noise.sample.percent() / 100.0;
        let settings = noise::Settings {
            floor: noise.floor,
            budget: (SHARE - sampled).max(0.0),
        };
        Self {
            sampled,
            epoch: Mutex::new(Epoch {
                began: Instant::now(),
                twice: 0.0,
                docket: Docket::new(rules, settings),
            }),
        }
    }

    /// Forgets everything, and begins anew.
    pub fn reset(&self) {
        let mut epoch = self.epoch();
        epoch.began = Instant::now();
        epoch.twice = 0.0;
        epoch.docket.reset();
    }

    /// Both sides have answered for a pair, which was `drawn` to have old asked twice, or not: whether it is to be.
    pub fn pair(&self, drawn: bool, at: Instant) -> (Entered, bool) {
        let mut epoch = self.epoch();
        let now = epoch.since(at);
        let entered = epoch.docket.pair(now);
        // Chance must not draw more than its share.
        epoch.twice = (epoch.twice + self.sampled).min(MOST_TWICE);
        let twice = drawn && epoch.twice >= 1.0;
        epoch.twice -= f64::from(u8::from(twice));
        (entered, twice)
    }

    /// Does something with what is remembered. Nobody else can meanwhile.
    pub fn recall<T>(&self, at: Instant, act: impl FnOnce(&mut Docket, Duration) -> T) -> T {
        let mut epoch = self.epoch();
        let now = epoch.since(at);
        act(&mut epoch.docket, now)
    }

    /// What is known of the route's fields.
    #[must_use]
    pub fn reports(&self, at: Instant) -> Vec<Report> {
        self.recall(at, |docket, now| docket.reports(now))
    }

    /// How many pairs have differed, and the rules that their differences call for.
    #[must_use]
    pub fn advice(&self, at: Instant) -> (u64, Vec<Advice>) {
        self.recall(at, |docket, now| docket.advice(now))
    }

    /// Shows how many fields there are of each kind.
    pub fn show(&self, metrics: &RouteMetrics, at: Instant) {
        let reports = self.reports(at);
        for state in State::ALL {
            let fields = reports.iter().filter(|report| report.state == state);
            metrics.states.set(state, fields.count());
        }
    }

    fn epoch(&self) -> MutexGuard<'_, Epoch> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Epoch {
    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::change::Form;
    use crate::compare::shape::Seen;
    use crate::compare::{Divergence, Kind};

    fn judging() -> Judging {
        Judging::new(&Rules::default(), settings::Noise::default())
    }

    #[test]
    fn old_is_asked_twice_for_no_more_than_its_share() {
        let (judging, now) = (judging(), Instant::now());
        let asked = |pairs: u32, drawn: bool| {
            let twice = (0..pairs).filter(|_| judging.pair(drawn, now).1);
            twice.count()
        };
        assert_eq!(asked(99, true), 0);
        assert!((99..=100).contains(&asked(10_000, true)));
        assert_eq!(asked(10_000, false), 0);
        assert_eq!(asked(10, true), 10, "so many are saved up, and no more");
        assert_eq!(asked(10, true), 0);
    }

    #[test]
    fn what_an_earlier_epoch_asked_says_nothing_of_this_one() {
        let (judging, now) = (judging(), Instant::now());
        let seen = [1, 2].map(Seen::number);
        let change = Form::Status(1, 2).into();
        let found = [Divergence::whole("status", Kind::Status, seen, change)];
        let leave = |requests: usize| {
            judging.recall(now, |docket, now| docket.mismatch(1, &found, requests, now))
        };
        let earn = || (0..100).for_each(|_| drop(judging.pair(false, now)));
        assert!(!leave(2).is_granted(), "nothing is earned yet");
        earn();
        let earlier = leave(2);
        assert!(earlier.is_granted(), "enough is earned");
        assert_eq!(judging.reports(now).len(), 1);
        judging.reset();
        assert!(judging.reports(now).is_empty());
        earn();
        assert!(leave(2).is_granted());
        // Else what it had taken and did not need could be spent here.
        judging.recall(now, |docket, now| docket.asked(&earlier, None, 1_000, now));
        assert!(!leave(100).is_granted());
    }
}
