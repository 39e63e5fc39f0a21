//! A route's pairs, judged one after the other from what was recorded of them.
//!
//! What the sides said again, if they were asked, stands in the record, so nothing has to be asked here: the same steps as in the lab
//! ([`recheck`](crate::compare::recheck), [`Noise`], [`Book`]), from one pair to the next. Whoever records old twice for pairs that match, too, tells how
//! often old differs from itself.

use crate::compare::cause::{Book, Cause, MARKS, Seen};
use crate::compare::finding::{Divergence, Incomparable, Kind, Verdict};
use crate::compare::noise::{self, Noise, Report};
use crate::compare::recheck::{Evidence, Judgement, Look, look_again, verdict};
use crate::compare::rules::Rules;
use crate::compare::verdict::{Answer, Memory, compare};
use crate::json::{Document, FieldPath, Limits, Unlimited};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Paths of which the kinds are kept.
const PATHS: usize = 1_000;

/// A pair as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// When it was, in milliseconds since 1970.
    pub at: i64,
    /// The request's key.
    pub key: Option<&'a str>,
    /// What both sides answered.
    pub first: Look<'a>,
    /// What both answered when they were asked again at one moment; none if they were not.
    pub again: Option<Look<'a>>,
}

/// What a recorded pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Equal under the rules.
    Match,
    /// Different at the first look, and this in the end.
    Differed(Judgement),
    /// Can't be known.
    Incomparable(Incomparable),
}

/// The pairs of one route.
#[derive(Debug)]
pub struct Docket {
    rules: Rules,
    noise: Noise,
    causes: Book<()>,
    kinds: BTreeMap<String, Vec<Kind>>,
    trials: u64,
    /// The latest time: it does not go back for a pair that is late.
    now: Duration,
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
    fn share(&self) -> f64 {
        self.asked as f64 / self.matches.max(1) as f64
    }
}

impl Docket {
    /// No pair yet, of a route with these rules.
    #[must_use]
    pub fn new(route: &str, rules: Rules, settings: noise::Settings) -> Self {
        let named = rules.named().map(FieldPath::as_str);
        let noise = Noise::new(settings, named, Duration::ZERO);
        Self {
            rules,
            noise,
            causes: Book::new(route),
            kinds: BTreeMap::new(),
            trials: 0,
            now: Duration::ZERO,
            own: Own::default(),
        }
    }

    /// Judges the next pair.
    pub fn judge(&mut self, pair: &Recorded<'_>, memory: &mut dyn Memory) -> Settled {
        let now = Duration::from_millis(u64::try_from(pair.at).unwrap_or(0)).max(self.now);
        self.now = now;
        if let Some(stands_for) = self.noise.pair(now) {
            self.count(&pair.first, stands_for);
        }
        let comparison = compare(&pair.first.old, &pair.first.new, &self.rules, memory);
        let found = match comparison.verdict {
            Verdict::Incomparable(reason) => return Settled::Incomparable(reason),
            Verdict::Match => {
                self.trials += 1;
                self.own.matches += 1;
                if let Some(again) = &pair.again {
                    self.own.asked += 1;
                    self.hear_old(&pair.first.old, &again.old, memory);
                }
                return Settled::Match;
            }
            Verdict::Mismatch => comparison.divergences,
        };
        self.trials += 1;
        let key = key_of(pair);
        // Whether it would be asked again is no question here.
        let _ = self.noise.mismatch(key, &found, 0, now);
        // A second look that can't be compared is none.
        let again = pair
            .again
            .and_then(|last| look_again(pair.first, last, &found, &self.rules, memory).ok());
        if let (Some(shown), Some(last)) = (&again, &pair.again) {
            self.noise.asked(key, Some(shown), 0, now);
            self.own.credit += self.own.share();
            if self.own.credit >= 1.0 {
                self.own.credit -= 1.0;
                self.hear_old(&pair.first.old, &last.old, memory);
            }
        }
        let judgement = verdict(&Evidence {
            noise: self.noise.explains(&found, now),
            again: again.as_ref(),
            written: None,
            lag: Duration::ZERO,
        });
        self.note(&found);
        if let Judgement::Mismatch { .. } = judgement {
            let seen = Seen {
                at: pair.at,
                generation: 0,
                key: pair.key,
                divergences: &found,
                example: &(),
            };
            self.causes.add(&seen, MARKS);
        }
        Settled::Differed(judgement)
    }

    /// What its paths are, and how each of them differed.
    #[must_use]
    pub fn fields(&self) -> Vec<(Report, &[Kind])> {
        let reports = self.noise.reports(self.now).into_iter();
        let kinds = |path: &str| self.kinds.get(path).map(Vec::as_slice).unwrap_or_default();
        reports
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

    fn hear_old(&mut self, first: &Answer<'_>, last: &Answer<'_>, memory: &mut dyn Memory) {
        let own = compare(first, last, &self.rules, memory);
        if !matches!(own.verdict, Verdict::Incomparable(_)) {
            self.noise.own(&own.divergences, self.now);
        }
    }

    fn count(&mut self, look: &Look<'_>, stands_for: u64) {
        let bodies = [look.old.body, look.new.body];
        let read = |body| Document::read(body, Limits::default(), &mut Unlimited).ok();
        let documents: Vec<_> = bodies.into_iter().flatten().filter_map(read).collect();
        self.noise
            .count(&documents.iter().collect::<Vec<_>>(), stands_for);
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

/// A hash of the key; without one, of what old said.
fn key_of(pair: &Recorded<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match pair.key {
        Some(key) => key.hash(&mut hasher),
        None => pair.first.old.body.hash(&mut hasher),
    }
    hasher.finish()
}
