//! What is remembered of a route's pairs: what its fields do by themselves, and what their differences call for.

use crate::compare::finding::Divergence;
use crate::compare::lesson::{Advice, Known, Lessons};
use crate::compare::noise::{Noise, Report, Settings, State};
use crate::compare::recheck::Again;
use crate::compare::rules::Rules;
use crate::json::Document;
use std::time::Duration;

/// What was learnt of a route since the last reset. Times are told from any moment on, the same for all.
#[derive(Debug)]
pub struct Docket {
    settings: Settings,
    /// Paths that the rules name.
    named: Box<[Box<str>]>,
    /// Which epoch this is: what was asked in an earlier one says nothing about this one.
    epoch: u64,
    /// None before the first pair: most routes of many are not mirrored.
    noise: Option<Box<Noise>>,
    lessons: Lessons,
}

/// A pair of which both sides have answered.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    /// Its documents are counted, for so many pairs.
    count: Option<u64>,
}

impl Entered {
    /// Whether its documents are counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.count.is_some()
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.count
    }
}

/// A mismatch that is known, and whether both sides may be asked again for it.
#[derive(Debug)]
#[must_use]
pub struct Leave {
    key: u64,
    epoch: u64,
    granted: bool,
}

impl Leave {
    /// Whether there are requests to spare for it.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.granted
    }
}

impl Docket {
    /// Nothing is known yet of a route with these rules.
    #[must_use]
    pub fn new(rules: &Rules, settings: Settings) -> Self {
        Self {
            settings,
            named: rules.named().map(|path| path.as_str().into()).collect(),
            epoch: 1,
            noise: None,
            lessons: Lessons::default(),
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.epoch += 1;
        self.noise = None;
        self.lessons = Lessons::default();
    }

    /// Both sides have answered for a pair.
    pub fn pair(&mut self, now: Duration) -> Entered {
        let noise = self.noise.get_or_insert_with(|| {
            let named = self.named.iter().map(|path| &**path);
            Box::new(Noise::new(self.settings, named, now))
        });
        Entered {
            count: noise.pair(now),
        }
    }

    /// A pair's documents, of equal ones once; none if its bodies are no documents.
    pub fn count(&mut self, documents: &[&Document<'_>], stands_for: u64) {
        if let Some(noise) = &mut self.noise {
            noise.count(documents, stands_for);
        }
    }

    /// Whether the documents of two answers that differ in this would teach something.
    #[must_use]
    pub fn wants_documents(&self, found: &[Divergence]) -> bool {
        self.lessons.wants_documents(found)
    }

    /// Two answers differ in this; with their documents, if they were wanted.
    pub fn learn(&mut self, found: &[Divergence], documents: &[&Document<'_>]) {
        self.lessons.remember(found, documents);
    }

    /// A mismatch was found, and so many requests would be made for it. What is not used of them is told by [`Self::asked`].
    pub fn mismatch(
        &mut self,
        key: u64,
        found: &[Divergence],
        requests: usize,
        now: Duration,
    ) -> Leave {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let noise = self.noise.as_mut();
        Leave {
            key,
            epoch: self.epoch,
            granted: noise.is_some_and(|noise| noise.mismatch(key, found, requests, now)),
        }
    }

    /// What asking again has shown, if it has, and how many requests of those that were granted were not made.
    pub fn asked(&mut self, leave: &Leave, again: Option<&Again>, unused: usize, now: Duration) {
        if leave.epoch != self.epoch {
            return;
        }
        if let Some(noise) = &mut self.noise {
            let unused = u32::try_from(unused).unwrap_or(u32::MAX);
            noise.asked(leave.key, again, unused, now);
        }
    }

    /// Old was asked twice for the same, and its answers differ in this.
    pub fn own(&mut self, found: &[Divergence], now: Duration) {
        if let Some(noise) = &mut self.noise {
            noise.own(found, now);
        }
    }

    /// Whether every path that differs is noisy or blind at this moment, and in shape.
    #[must_use]
    pub fn explains(&self, found: &[Divergence], now: Duration) -> bool {
        let noise = self.noise.as_ref();
        noise.is_some_and(|noise| noise.explains(found, now))
    }

    /// What is known of the route's fields.
    #[must_use]
    pub fn reports(&self, now: Duration) -> Vec<Report> {
        let noise = self.noise.as_ref();
        noise.map_or_else(Vec::new, |noise| noise.reports(now))
    }

    /// The names that tell the elements of an array apart, if some are known.
    #[must_use]
    pub fn identity(&self, array: &str) -> Option<Vec<String>> {
        self.lessons.identity(array).map(<[String]>::to_vec)
    }

    /// How many pairs have differed, and the rules that their differences call for.
    #[must_use]
    pub fn advice(&self, now: Duration) -> (u64, Vec<Advice>) {
        let reports = self.reports(now);
        let advice = self.lessons.advice(|path| {
            let report = reports.iter().find(|report| report.path == path);
            Known {
                is_noise: report
                    .is_some_and(|report| matches!(report.state, State::Noisy | State::Blind)),
                checks: report.map_or(0, |report| {
                    report.standing.aligned + report.standing.crossed
                }),
            }
        });
        (self.lessons.pairs(), advice)
    }
}
