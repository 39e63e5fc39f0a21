//! What a route remembers for its judgements, from one pair to the next: what its fields do by themselves, and what asking again may still take.
//!
//! It outlives the Plans in which nothing changes of what is compared. The lab writes, the admin API reads; no worker comes here.

use crate::compare::Divergence;
use crate::compare::Rules;
use crate::compare::lesson::{Advice, Known, Lessons};
use crate::compare::noise::{self, Report, State};
use crate::compare::recheck::{self, Again, Evidence, Judgement};
use crate::config::settings;
use crate::json::Document;
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
    settings: noise::Settings,
    /// The share of pairs for which old is asked twice.
    sampled: f64,
    /// Paths that the rules name.
    named: Box<[Box<str>]>,
    epoch: Mutex<Epoch>,
}

/// What was learnt since the last reset.
#[derive(Debug)]
struct Epoch {
    /// Times are told from here on.
    began: Instant,
    /// Which epoch this is: what was asked in an earlier one says nothing about this one.
    number: u64,
    /// None before the first pair: most routes of many are not mirrored.
    noise: Option<Box<noise::Noise>>,
    /// How often old may be asked twice.
    twice: f64,
    /// What the differences call for.
    lessons: Lessons,
}

/// What is wanted of a pair beside a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Its documents are to be told by [`Judging::count`], for so many pairs.
    pub count: Option<u64>,
    /// Old is to be asked a second time; what that shows is told by [`Judging::own`].
    pub twice: bool,
}

/// That both sides may be asked again for a mismatch of an epoch.
#[derive(Debug)]
pub struct Leave {
    key: u64,
    epoch: u64,
}

impl Judging {
    /// Nothing known yet, and nothing saved.
    pub(super) fn new(rules: &Rules, noise: settings::Noise) -> Self {
        let sampled = noise.sample.percent() / 100.0;
        Self {
            settings: noise::Settings {
                floor: noise.floor,
                budget: (SHARE - sampled).max(0.0),
            },
            sampled,
            named: rules.named().map(|path| path.as_str().into()).collect(),
            epoch: Mutex::new(Epoch::new(1)),
        }
    }

    /// Forgets everything, and begins anew.
    pub fn reset(&self) {
        let mut epoch = self.epoch();
        *epoch = Epoch::new(epoch.number + 1);
    }

    /// Both sides have answered for a pair, which was `drawn` to have old asked twice, or not.
    #[must_use]
    pub fn pair(&self, drawn: bool, at: Instant) -> Wanted {
        let mut epoch = self.epoch();
        let now = epoch.since(at);
        let noise = epoch.noise.get_or_insert_with(|| {
            let named = self.named.iter().map(|path| &**path);
            Box::new(noise::Noise::new(self.settings, named, now))
        });
        let count = noise.pair(now);
        // Chance must not draw more than its share.
        epoch.twice = (epoch.twice + self.sampled).min(MOST_TWICE);
        let twice = drawn && epoch.twice >= 1.0;
        epoch.twice -= f64::from(u8::from(twice));
        Wanted { count, twice }
    }

    /// A pair's documents, of equal ones once; none if its bodies are no JSON.
    pub fn count(&self, documents: &[&Document<'_>], stands_for: u64) {
        if let Some(noise) = &mut self.epoch().noise {
            noise.count(documents, stands_for);
        }
    }

    /// A mismatch was found. Whether both sides may be asked again for it, with so many requests: what is not used of them is told by
    /// [`Self::asked`].
    pub fn mismatch(
        &self,
        key: u64,
        found: &[Divergence],
        requests: usize,
        at: Instant,
    ) -> Option<Leave> {
        let mut epoch = self.epoch();
        let (now, number) = (epoch.since(at), epoch.number);
        let noise = epoch.noise.as_mut()?;
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        noise
            .mismatch(key, found, requests, now)
            .then_some(Leave { key, epoch: number })
    }

    /// What asking again has shown, if it has, and how many requests of those that were granted were not made.
    pub fn asked(&self, leave: &Leave, again: Option<&Again>, unused: usize, at: Instant) {
        let mut epoch = self.epoch();
        let now = epoch.since(at);
        if leave.epoch != epoch.number {
            return;
        }
        if let Some(noise) = &mut epoch.noise {
            let unused = u32::try_from(unused).unwrap_or(u32::MAX);
            noise.asked(leave.key, again, unused, now);
        }
    }

    /// Old was asked twice for the same, and its answers differ in this.
    pub fn own(&self, found: &[Divergence], at: Instant) {
        let mut epoch = self.epoch();
        let now = epoch.since(at);
        if let Some(noise) = &mut epoch.noise {
            noise.own(found, now);
        }
    }

    /// What a mismatch is, by all that is known at this moment.
    #[must_use]
    pub fn verdict(
        &self,
        found: &[Divergence],
        again: Option<&Again>,
        (written, lag): (Option<Duration>, Duration),
        at: Instant,
    ) -> Judgement {
        let epoch = self.epoch();
        let now = epoch.since(at);
        let noise = epoch.noise.as_ref();
        recheck::verdict(&Evidence {
            noise: noise.is_some_and(|noise| noise.explains(found, now)),
            again,
            written,
            lag,
        })
    }

    /// Whether a mismatch in this is noise, by all that is known at this moment.
    #[must_use]
    pub fn explains(&self, found: &[Divergence], at: Instant) -> bool {
        let epoch = self.epoch();
        let now = epoch.since(at);
        let noise = epoch.noise.as_ref();
        noise.is_some_and(|noise| noise.explains(found, now))
    }

    /// What is known of the route's fields.
    #[must_use]
    pub fn reports(&self, at: Instant) -> Vec<Report> {
        let epoch = self.epoch();
        let now = epoch.since(at);
        let noise = epoch.noise.as_ref();
        noise.map_or_else(Vec::new, |noise| noise.reports(now))
    }

    /// Whether the documents of two answers that differ in this would teach something.
    #[must_use]
    pub fn wants_documents(&self, found: &[Divergence]) -> bool {
        self.epoch().lessons.wants_documents(found)
    }

    /// Two answers differ in this; with their documents, if they were wanted.
    pub fn learn(&self, found: &[Divergence], documents: &[&Document<'_>]) {
        self.epoch().lessons.remember(found, documents);
    }

    /// How many pairs have differed, and the rules that their differences call for.
    #[must_use]
    pub fn advice(&self, at: Instant) -> (u64, Vec<Advice>) {
        let reports = self.reports(at);
        let epoch = self.epoch();
        let advice = epoch.lessons.advice(|path| {
            let report = reports.iter().find(|report| report.path == path);
            Known {
                is_noise: report
                    .is_some_and(|report| matches!(report.state, State::Noisy | State::Blind)),
                checks: report.map_or(0, |report| {
                    report.standing.aligned + report.standing.crossed
                }),
            }
        });
        (epoch.lessons.pairs(), advice)
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
    fn new(number: u64) -> Self {
        Self {
            began: Instant::now(),
            number,
            noise: None,
            twice: 0.0,
            lessons: Lessons::default(),
        }
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Kind;
    use crate::compare::change::Form;
    use crate::compare::shape::Seen;

    fn judging() -> Judging {
        Judging::new(&Rules::default(), settings::Noise::default())
    }

    #[test]
    fn old_is_asked_twice_for_no_more_than_its_share() {
        let (judging, now) = (judging(), Instant::now());
        let asked = |pairs: u32, drawn: bool| {
            let twice = (0..pairs).filter(|_| judging.pair(drawn, now).twice);
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
        let leave = |judging: &Judging| {
            (0..100).for_each(|_| {
                let _ = judging.pair(false, now);
            });
            judging.mismatch(1, &found, 2, now)
        };
        assert!(
            judging.mismatch(1, &found, 2, now).is_none(),
            "nothing is earned yet"
        );
        let earlier = leave(&judging).expect("enough is earned");
        assert_eq!(judging.reports(now).len(), 1);
        judging.reset();
        assert!(judging.reports(now).is_empty());
        assert!(leave(&judging).is_some());
        // Else what it had taken and did not need could be spent here.
        judging.asked(&earlier, None, 1_000, now);
        assert!(judging.mismatch(2, &found, 100, now).is_none());
    }
}
