//! The steps of a judgement.

use crate::compare::docket::memory::{Docket, Entered, Leave};
use crate::compare::finding::{Comparison, Divergence, Incomparable, Verdict};
use crate::compare::recheck::{Again, Evidence, Judgement, Look, look_again, verdict};
use crate::compare::rules::By;
use crate::compare::verdict::{Answer, Memory, compare, with_documents};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Where the pairs of a route are judged. Who implements it says where things are; what is done with them, and in which order, is said here.
pub trait Bench {
    /// The route's rules, and what is known of identities.
    fn by(&self) -> By<'_>;

    /// Lends memory for reading answers, which is free again afterwards.
    fn read<T>(&self, work: impl FnOnce(&mut dyn Memory) -> T) -> T;

    /// Lends what is remembered of the route, with the present time.
    fn recall<T>(&self, act: impl FnOnce(&mut Docket, Duration) -> T) -> T;

    /// Compares what both sides answered, and remembers what that teaches.
    fn first_sight(&self, entered: &Entered, look: &Look<'_>) -> Comparison {
        if let Some(stands_for) = entered.count() {
            self.read(|memory| {
                with_documents([&look.old, &look.new], memory, |documents| {
                    self.recall(|docket, _| docket.count(documents, stands_for));
                });
            });
        }
        let comparison = self.read(|memory| compare(&look.old, &look.new, self.by(), memory));
        if comparison.verdict == Verdict::Mismatch {
            self.learn(look, &comparison.divergences);
        }
        comparison
    }

    /// Remembers what two answers that differ in this say of their fields.
    fn learn(&self, look: &Look<'_>, found: &[Divergence]) {
        if self.recall(|docket, _| docket.wants_documents(found)) {
            self.read(|memory| {
                with_documents([&look.old, &look.new], memory, |documents| {
                    self.recall(|docket, _| docket.learn(found, documents));
                });
            });
        } else {
            self.recall(|docket, _| docket.learn(found, &[]));
        }
    }

    /// Compares two answers of old, or of its twin, to one request: what differs old does by itself.
    fn hear_old(&self, first: &Answer<'_>, second: &Answer<'_>) {
        let own = self.read(|memory| compare(first, second, self.by().itself(), memory));
        if !matches!(own.verdict, Verdict::Incomparable(_)) {
            self.recall(|docket, now| docket.own(&own.divergences, now));
        }
    }

    /// Tells of a mismatch, and asks whether so many requests may be made for it. `key` is a hash of the request's key.
    fn doubt(&self, key: u64, found: &[Divergence], requests: usize) -> Leave {
        self.recall(|docket, now| docket.mismatch(key, found, requests, now))
    }

    /// Compares what the sides answered when they were asked again with what they answered at first. `earlier` is what the looks between have shown.
    /// `None` if an answer can't be compared: then nothing is known that was not known before.
    fn look_again(
        &self,
        [first, last]: [Look<'_>; 2],
        found: &[Divergence],
        earlier: Option<&Again>,
    ) -> Option<Again> {
        let again = self.read(|memory| look_again(first, last, found, self.by(), memory));
        let again = again.ok()?;
        Some(match earlier {
            Some(earlier) => again.after(earlier),
            None => again,
        })
    }

    /// Says what a mismatch is, by all that is known now. `asked` is the leave to ask again, if that was done or could have been, and how many of its
    /// requests were not made; `again` is what it has shown.
    fn settle(
        &self,
        found: &[Divergence],
        asked: Option<(Leave, usize)>,
        again: Option<&Again>,
        circumstances: &Circumstances,
    ) -> Judgement {
        self.recall(|docket, now| {
            if let Some((leave, unused)) = asked {
                docket.asked(&leave, again, unused, now);
            }
            verdict(&Evidence {
                noise: circumstances
                    .noise
                    .unwrap_or_else(|| docket.explains(found, now)),
                again,
                written: circumstances.written,
                lag: circumstances.lag,
            })
        })
    }
}

/// What is known of a pair beside its answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances {
    /// How long before its request its key was written, if that is known.
    pub written: Option<Duration>,
    /// `compare.settle`: how long after a write nothing can be said.
    pub settle: Duration,
    /// `compare.lag`: how long after a write new may be behind.
    pub lag: Duration,
    /// Whether it is noise, where that was found before and what it was found by is not there any more.
    pub noise: Option<bool>,
}

impl Circumstances {
    /// Whether nothing can be said, since its key was written a moment before.
    #[must_use]
    pub fn is_recent(&self) -> bool {
        self.written.is_some_and(|age| age < self.settle)
    }
}

/// A pair as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// When it was, in milliseconds since 1970.
    pub at: i64,
    /// The request's key.
    pub key: Option<&'a str>,
    /// What both sides answered.
    pub first: Look<'a>,
    /// What old answered when it alone was asked twice; none if it was not.
    pub own: Option<Answer<'a>>,
    /// What both answered when they were asked again at one moment, the last time; none if they were not.
    pub again: Option<Look<'a>>,
    /// What is known beside.
    pub circumstances: Circumstances,
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

/// Takes a recorded pair through all steps. With what it is comes what differed at the first look.
pub(super) fn judge(
    bench: &impl Bench,
    route: &str,
    pair: &Recorded<'_>,
) -> (Settled, Vec<Divergence>) {
    let settled = |settled| (settled, Vec::new());
    if pair.circumstances.is_recent() {
        return settled(Settled::Incomparable(Incomparable::RecentWrite));
    }
    let entered = bench.recall(Docket::pair);
    if let Some(second) = &pair.own {
        bench.hear_old(&pair.first.old, second);
    }
    let comparison = bench.first_sight(&entered, &pair.first);
    let learn = || {
        if !comparison.pairings.is_empty() {
            let old = || String::from_utf8_lossy(pair.first.old.body.unwrap_or_default());
            let record = pair.key.map_or_else(old, Cow::Borrowed);
            bench.by().learn(&comparison.pairings, [route, &record]);
        }
    };
    if comparison.verdict != Verdict::Mismatch {
        learn();
    }
    match comparison.verdict {
        Verdict::Incomparable(reason) => return settled(Settled::Incomparable(reason)),
        Verdict::Match => return settled(Settled::Match),
        Verdict::Mismatch => {}
    }
    let found = &comparison.divergences;
    // They were asked again or were not, whatever would be granted here.
    let leave = bench.doubt(key_of(pair), found, 0);
    let looks = pair.again.map(|last| [pair.first, last]);
    let again = looks.and_then(|looks| bench.look_again(looks, found, None));
    let asked = again.is_some().then_some((leave, 0));
    let judgement = bench.settle(found, asked, again.as_ref(), &pair.circumstances);
    if judgement == Judgement::Noise {
        learn();
    }
    (Settled::Differed(judgement), comparison.divergences)
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
