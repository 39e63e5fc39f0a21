//! The recorded pairs of one route, judged one after the other.
//!
//! What the sides said again, if they were asked, stands in the record, so nothing has to be asked here. Whoever records old twice for pairs that
//! match, too, tells how often old differs from itself.

use crate::compare::cause::{Book, Cause, MARKS, Seen};
use crate::compare::docket::bench::{Bench, Recorded, Settled, judge};
use crate::compare::docket::memory::Docket;
use crate::compare::finding::{Divergence, Kind};
use crate::compare::ids::Ids;
use crate::compare::noise::{Report, Settings};
use crate::compare::recheck::Judgement;
use crate::compare::rules::{By, Rules};
use crate::compare::verdict::{Memory, Unlimited};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Paths of which the kinds are kept.
const PATHS: usize = 1_000;

/// Where recorded pairs are judged: by these rules, with memory enough, and by the times in the record.
#[derive(Debug)]
pub struct Desk {
    route: String,
    rules: Rules,
    ids: Arc<Ids>,
    docket: RefCell<Docket>,
    /// The latest time: it does not go back for a pair that is late.
    now: Cell<Duration>,
}

/// The pairs of one route.
#[derive(Debug)]
pub struct RoutePairs {
    desk: Desk,
    causes: Book<()>,
    kinds: BTreeMap<String, Vec<Kind>>,
    trials: u64,
    own: Own,
}

/// How many pairs were asked again that match, of those that do: as many of the others may tell how often old differs from itself, else it would
/// seem to do so more often than it does.
#[derive(Debug, Default)]
struct Own {
    matches: u64,
    asked: u64,
    credit: f64,
}

impl Own {
    /// Whether what old said again for a pair tells how often it differs from itself.
    fn hears(&mut self, matches: bool, asked: bool) -> bool {
        if matches {
            self.matches += 1;
            self.asked += u64::from(asked);
            return asked;
        }
        if asked {
            self.credit += self.asked as f64 / self.matches.max(1) as f64;
        }
        let is_due = asked && self.credit >= 1.0;
        self.credit -= f64::from(u8::from(is_due));
        is_due
    }
}

impl Bench for Desk {
    fn by(&self) -> By<'_> {
        By::new(&self.rules, &self.ids)
    }

    fn read<T>(&self, work: impl FnOnce(&mut dyn Memory) -> T) -> T {
        work(&mut Unlimited)
    }

    fn recall<T>(&self, act: impl FnOnce(&mut Docket, Duration) -> T) -> T {
        act(&mut self.docket.borrow_mut(), self.now.get())
    }
}

impl Desk {
    /// No pair yet, of a route with these rules; what is known of identities it shares with others.
    #[must_use]
    pub fn new(route: &str, rules: Rules, settings: Settings, ids: Arc<Ids>) -> Self {
        Self {
            route: route.to_owned(),
            ids,
            docket: RefCell::new(Docket::new(&rules, settings)),
            rules,
            now: Cell::default(),
        }
    }

    /// Judges the next pair. With what it is comes what differed at the first look.
    pub fn judge(&self, pair: &Recorded<'_>) -> (Settled, Vec<Divergence>) {
        let at = Duration::from_millis(u64::try_from(pair.at).unwrap_or(0));
        self.now.set(at.max(self.now.get()));
        judge(self, &self.route, pair)
    }
}

impl RoutePairs {
    /// No pair yet, of a route with these rules.
    #[must_use]
    pub fn new(route: &str, rules: Rules, settings: Settings, ids: Arc<Ids>) -> Self {
        Self {
            desk: Desk::new(route, rules, settings, ids),
            causes: Book::new(route),
            kinds: BTreeMap::new(),
            trials: 0,
            own: Own::default(),
        }
    }

    /// Judges the next pair.
    pub fn judge(&mut self, pair: &Recorded<'_>) -> Settled {
        let (settled, found) = self.desk.judge(pair);
        if let Settled::Incomparable(_) = settled {
            return settled;
        }
        self.trials += 1;
        let second = pair.again.map(|again| again.old);
        let is_heard = self.own.hears(settled == Settled::Match, second.is_some());
        if let (true, Some(second)) = (is_heard, &second) {
            self.desk.hear_old(&pair.first.old, second);
        }
        self.note(&found);
        if let Settled::Differed(Judgement::Mismatch { .. }) = settled {
            let seen = Seen {
                at: pair.at,
                generation: 0,
                key: pair.key,
                divergences: &found,
                example: &(),
            };
            self.causes.add(&seen, MARKS);
        }
        settled
    }

    /// What its paths are, and how each of them differed.
    #[must_use]
    pub fn fields(&self) -> Vec<(Report, &[Kind])> {
        let reports = self.desk.recall(|docket, now| docket.reports(now));
        let kinds = |path: &str| self.kinds.get(path).map(Vec::as_slice).unwrap_or_default();
        reports
            .into_iter()
            .map(|report| {
                let kinds = kinds(&report.path);
                (report, kinds)
            })
            .collect()
    }

    /// What its mismatches have in common.
    #[must_use]
    pub fn causes(&self) -> Vec<Cause<()>> {
        self.causes.causes(self.trials)
    }

    /// Its mismatches.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        self.causes.mismatches()
    }

    fn note(&mut self, found: &[Divergence]) {
        for divergence in found {
            if let Some(kinds) = self.kinds.get_mut(&divergence.path) {
                if !kinds.contains(&divergence.kind) {
                    kinds.push(divergence.kind);
                    kinds.sort_unstable();
                }
            } else if self.kinds.len() < PATHS {
                let kinds = vec![divergence.kind];
                self.kinds.insert(divergence.path.clone(), kinds);
            }
        }
    }
}
