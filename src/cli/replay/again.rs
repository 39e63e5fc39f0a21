//! Samples, judged again.
//!
//! What a redacted sample can't tell is how near two hidden values are. So it is judged twice: with hidden numbers that a tolerance is about all different, and all
//! alike. Where both come to the same that is it, else it is unknown.

use crate::compare::cause::{Book, MARKS, Seen};
use crate::compare::recheck::{Evidence, Judgement, Look, look_again, verdict};
use crate::compare::{Answer, Divergence, Rules, Unlimited, Verdict, compare};
use crate::config::Settings;
use crate::store::samples::{Blur, Replica, Sample, StandIn};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a sample is by other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum After {
    Match,
    Noise,
    Mismatch,
    Transient,
    Lag,
    Incomparable,
    /// The sample does not hold what these rules ask for.
    Unknown,
}

impl After {
    pub(super) const ALL: [Self; 7] = [
        Self::Match,
        Self::Noise,
        Self::Mismatch,
        Self::Transient,
        Self::Lag,
        Self::Incomparable,
        Self::Unknown,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Noise => "noise",
            Self::Mismatch => "mismatch",
            Self::Transient => "transient",
            Self::Lag => "lag",
            Self::Incomparable => "incomparable",
            Self::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.unwrap_or(Self::Unknown)
    }
}

/// All samples of a proxy.
pub(super) struct Replay<'s> {
    settings: &'s Settings,
    pub(super) routes: BTreeMap<String, Replayed>,
}

/// The samples of a route.
pub(super) struct Replayed {
    pub(super) samples: u64,
    /// Pairs that the samples stand for, by what they were and what they are.
    pub(super) moved: BTreeMap<(After, After), f64>,
    /// Mismatches as they were, and as they are.
    pub(super) before: Book<()>,
    pub(super) after: Book<()>,
}

impl Replayed {
    fn new(route: &str) -> Self {
        Self {
            samples: 0,
            moved: BTreeMap::new(),
            before: Book::new(route),
            after: Book::new(route),
        }
    }

    /// Pairs by what they were.
    pub(super) fn was(&self, verdict: After) -> f64 {
        self.sum(|(before, _)| before == verdict)
    }

    /// Pairs by what they are.
    pub(super) fn is(&self, verdict: After) -> f64 {
        self.sum(|(_, after)| after == verdict)
    }

    fn sum(&self, wanted: impl Fn((After, After)) -> bool) -> f64 {
        let moved = self.moved.iter().filter(|(way, _)| wanted(**way));
        moved.map(|(_, pairs)| pairs).sum()
    }
}

impl<'s> Replay<'s> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        Self {
            settings,
            routes: BTreeMap::new(),
        }
    }

    /// Judges a sample that stands for so many pairs.
    pub(super) fn judge(&mut self, sample: &Sample, pairs: f64) {
        let mut routes = self.settings.routes.iter();
        let rules = routes
            .find(|route| route.name == sample.route)
            .map(|route| &route.compare);
        let replayed = match self.routes.get_mut(&sample.route) {
            Some(replayed) => replayed,
            None => {
                let new = Replayed::new(&sample.route);
                self.routes.entry(sample.route.clone()).or_insert(new)
            }
        };
        let before = After::parse(&sample.verdict);
        let (after, found) = match rules {
            Some(rules) => judge(sample, before, rules),
            None => (After::Unknown, Vec::new()),
        };
        replayed.samples += 1;
        *replayed.moved.entry((before, after)).or_default() += pairs;
        if before == After::Mismatch {
            note(&mut replayed.before, sample, &of_before(sample, &found));
        }
        if after == After::Mismatch {
            note(&mut replayed.after, sample, &found);
        }
    }
}

fn note(book: &mut Book<()>, sample: &Sample, found: &[Divergence]) {
    let key = sample.key.as_ref();
    let key = key.and_then(|key| key.as_str().or_else(|| key["hash"].as_str()));
    let at = sample.at.parse::<jiff::Timestamp>();
    let seen = Seen {
        at: at.map_or(0, |at| at.as_millisecond()),
        generation: sample.generation,
        key,
        divergences: found,
        example: &(),
    };
    book.add(&seen, MARKS);
}

/// What the sample was found to differ in. How one value became the other is read off the sample for both judgements alike.
fn of_before(sample: &Sample, found: &[Divergence]) -> Vec<Divergence> {
    let is_known = |divergence: &&Divergence| {
        let mut fields = sample.fields.iter();
        fields.any(|field| field.path == divergence.path && field.kind == divergence.kind.name())
    };
    let mut known: Vec<Divergence> = found.iter().filter(is_known).cloned().collect();
    // What other rules hide can be seen without rules.
    let all = replica(sample, Blur::default()).map(|replica| first(&replica, &Rules::default()).1);
    for divergence in all.iter().flatten().filter(is_known) {
        if known
            .iter()
            .all(|other| other.path != divergence.path || other.kind != divergence.kind)
        {
            known.push(divergence.clone());
        }
    }
    known
}

fn replica(sample: &Sample, blur: Blur<'_>) -> Option<Replica> {
    sample.replica(blur)
}

/// What a sample is by these rules, and in what it differs.
fn judge(sample: &Sample, before: After, rules: &Rules) -> (After, Vec<Divergence>) {
    let by = |blur| replica(sample, blur).map(|replica| settle(&replica, before, rules));
    let Some((after, found)) = by(Blur::default()) else {
        return (After::Unknown, Vec::new());
    };
    // A field that was not kept may have differed.
    let lacks = rules
        .headers
        .iter()
        .any(|name| !sample.compared.iter().any(|kept| kept == name.as_str()));
    if after == After::Match && lacks {
        return (After::Unknown, Vec::new());
    }
    let numbers: Vec<_> = rules
        .tolerance
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    if after == After::Match || !sample.redacted || numbers.is_empty() {
        return (after, found);
    }
    match by(Blur { numbers: &numbers }) {
        Some((blurred, found)) if blurred == after => (after, found),
        Some(_) | None => (After::Unknown, Vec::new()),
    }
}

fn settle(replica: &Replica, before: After, rules: &Rules) -> (After, Vec<Divergence>) {
    let (first_verdict, found) = first(replica, rules);
    let again = match (&replica.old2, &replica.new2) {
        (Some(old), Some(new)) => {
            let (one, last) = (look(&replica.old, &replica.new), look(old, new));
            look_again(one, last, &found, rules, &mut Unlimited).ok()
        }
        _ => None,
    };
    let after = match first_verdict {
        Verdict::Match => After::Match,
        Verdict::Incomparable(_) => After::Incomparable,
        Verdict::Mismatch => {
            let evidence = Evidence {
                // What the sides do to themselves, and which writes there were, is not in a sample: what was known stands.
                noise: before == After::Noise,
                again: again.as_ref(),
                written: (before == After::Lag).then_some(Duration::ZERO),
                lag: Duration::MAX,
            };
            match verdict(&evidence) {
                Judgement::Noise => After::Noise,
                Judgement::Transient => After::Transient,
                Judgement::Lag => After::Lag,
                Judgement::Mismatch { .. } => After::Mismatch,
            }
        }
    };
    (after, found)
}

fn first(replica: &Replica, rules: &Rules) -> (Verdict, Vec<Divergence>) {
    let (old, new) = (answer(&replica.old), answer(&replica.new));
    let comparison = compare(&old, &new, rules, &mut Unlimited);
    (comparison.verdict, comparison.divergences)
}

fn look<'a>(old: &'a StandIn, new: &'a StandIn) -> Look<'a> {
    Look {
        old: answer(old),
        new: answer(new),
    }
}

fn answer(stand_in: &StandIn) -> Answer<'_> {
    Answer {
        status: stand_in.status,
        headers: &stand_in.headers,
        body: stand_in.body.as_deref(),
    }
}
