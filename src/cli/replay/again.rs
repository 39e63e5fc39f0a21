//! Samples, judged again.
//!
//! What a redacted sample can't tell is how near two hidden values are, or whether they have one shape. So it is judged twice: with the hidden values that
//! such a rule is about all different, and all alike. Where both come to the same that is it. Else it is what it was, if the rules are those that it was
//! judged by, and otherwise unknown.

use crate::compare::cause::{Book, MARKS, Mark, Seen, marks};
use crate::compare::change::{Change, Form};
use crate::compare::docket::{Circumstances, Desk, Recorded, Settled};
use crate::compare::noise;
use crate::compare::recheck::{Judgement, Look};
use crate::compare::{Answer, Divergence, Ids, Kind, Rules};
use crate::config::Settings;
use crate::json::FieldPath;
use crate::store::samples::{Blur, Found, Replica, Sample, StandIn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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

impl From<Settled> for After {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Match => Self::Match,
            Settled::Incomparable(_) => Self::Incomparable,
            Settled::Differed(Judgement::Noise) => Self::Noise,
            Settled::Differed(Judgement::Transient) => Self::Transient,
            Settled::Differed(Judgement::Lag) => Self::Lag,
            Settled::Differed(Judgement::Mismatch { .. }) => Self::Mismatch,
        }
    }
}

/// All samples of a proxy.
pub(super) struct Replay<'s> {
    settings: &'s Settings,
    /// Learnt from these samples alone.
    ids: Arc<Ids>,
    pub(super) routes: BTreeMap<String, Replayed>,
}

/// The samples of a route.
pub(super) struct Replayed {
    /// None of a route that the file lacks.
    rules: Option<Tried>,
    /// Without rules nothing is hidden.
    bare: Desk,
    pub(super) samples: u64,
    /// Pairs that the samples stand for, by what they were and what they are.
    pub(super) moved: BTreeMap<(After, After), f64>,
    /// Mismatches as they were, and as they are.
    pub(super) before: Book<()>,
    pub(super) after: Book<()>,
    /// The causes that mismatches had, by their ids: how many, and what they had.
    pub(super) known: BTreeMap<String, (u64, BTreeSet<Mark>)>,
}

/// The rules that are tried.
struct Tried {
    desk: Desk,
    /// The same rules, but for those about shapes: there the values themselves count.
    strict: Desk,
    /// Places of values of which it counts how near they are, or what they look like.
    vague: Vec<FieldPath>,
    headers: Vec<String>,
    fingerprint: String,
    /// They ask for identities.
    names: bool,
}

impl Replayed {
    fn new(route: &str, settings: &Settings, ids: &Arc<Ids>) -> Self {
        let mut routes = settings.routes.iter();
        let route_rules = routes.find(|known| known.name == route);
        let desk = |rules: &Rules| {
            let noise = noise::Settings::default();
            Desk::new(route, rules.clone(), noise, Arc::clone(ids))
        };
        Self {
            rules: route_rules.map(|known| {
                let rules = &known.compare;
                let near = rules.tolerance.iter().map(|(path, _)| path);
                Tried {
                    desk: desk(rules),
                    strict: desk(&Rules {
                        shape: Vec::new(),
                        ..rules.clone()
                    }),
                    vague: near.chain(&rules.shape).cloned().collect(),
                    headers: rules.headers.iter().map(|name| name.to_string()).collect(),
                    names: !rules.ids.is_empty(),
                    fingerprint: format!("{:016x}", rules.fingerprint()),
                }
            }),
            bare: desk(&Rules::default()),
            samples: 0,
            moved: BTreeMap::new(),
            before: Book::new(route),
            after: Book::new(route),
            known: BTreeMap::new(),
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

    /// Judges a sample that stands for so many pairs.
    fn judge(&mut self, sample: &Sample, pairs: f64) {
        let before = After::parse(&sample.verdict);
        let (after, found) = match &self.rules {
            Some(rules) => rules.judge(sample, before),
            None => (After::Unknown, Vec::new()),
        };
        let was = self.of_before(sample, &found);
        // What can't be told from what there is was told by the same rules before.
        let is_same = |rules: &Tried| rules.fingerprint == sample.rules;
        let (after, found) = match after {
            After::Unknown if self.rules.as_ref().is_some_and(is_same) => (before, was.clone()),
            after => (after, retold(sample, &found)),
        };
        self.samples += 1;
        *self.moved.entry((before, after)).or_default() += pairs;
        if before == After::Mismatch {
            let (known, all) = self.known.entry(sample.cause.clone()).or_default();
            *known += 1;
            all.extend(marks(&was));
            note(&mut self.before, sample, &was);
        }
        if after == After::Mismatch {
            note(&mut self.after, sample, &found);
        }
    }

    /// What the sample was found to differ in. The values are read off the sample for both judgements alike.
    fn of_before(&self, sample: &Sample, found: &[Divergence]) -> Vec<Divergence> {
        let is_known = |divergence: &&Divergence| {
            let mut fields = sample.fields.iter();
            fields.any(|field| is_of(field, divergence))
        };
        let mut known: Vec<Divergence> = found.iter().filter(is_known).cloned().collect();
        // What other rules hide can be seen without rules.
        let all = sample.replica(Blur::default());
        let all = all.map(|replica| taken(&self.bare, &replica, After::Mismatch).1);
        let named = |mut divergence: Divergence| {
            let mut identities = sample.fields.iter().filter(|field| is_identity(field));
            if identities.any(|field| field.path == divergence.path) {
                (divergence.kind, divergence.change) = (Kind::Identity, Form::Identity.into());
            }
            divergence
        };
        let all = all.into_iter().flatten().map(named);
        for divergence in all.filter(|divergence| is_known(&divergence)) {
            let is_same =
                |other: &Divergence| other.path == divergence.path && other.kind == divergence.kind;
            if !known.iter().any(is_same) {
                known.push(divergence);
            }
        }
        retold(sample, &known)
    }
}

impl<'s> Replay<'s> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        let ids = Ids::unkeyed();
        ids.bound(settings.id_bounds());
        Self {
            settings,
            ids: Arc::new(ids),
            routes: BTreeMap::new(),
        }
    }

    /// Judges a sample that stands for so many pairs.
    pub(super) fn judge(&mut self, sample: &Sample, pairs: f64) {
        let replayed = match self.routes.get_mut(&sample.route) {
            Some(replayed) => replayed,
            None => {
                let new = Replayed::new(&sample.route, self.settings, &self.ids);
                self.routes.entry(sample.route.clone()).or_insert(new)
            }
        };
        replayed.judge(sample, pairs);
    }
}

fn note(book: &mut Book<()>, sample: &Sample, found: &[Divergence]) {
    let key = sample.key.as_ref();
    let key = key.and_then(|key| key.as_str().or_else(|| key["hash"].as_str()));
    let seen = Seen {
        at: at(sample),
        generation: sample.generation,
        key,
        divergences: found,
        example: &(),
    };
    book.add(&seen, MARKS);
}

fn at(sample: &Sample) -> i64 {
    let at = sample.at.parse::<jiff::Timestamp>();
    at.map_or(0, |at| at.as_millisecond())
}

fn is_identity(field: &Found) -> bool {
    field.kind == Kind::Identity.name()
}

fn is_of(field: &Found, divergence: &Divergence) -> bool {
    field.path == divergence.path && field.kind == divergence.kind.name()
}

/// What was found, with what the sample says of how one value became the other: stand-ins do not say that.
fn retold(sample: &Sample, found: &[Divergence]) -> Vec<Divergence> {
    let mut retold = Vec::new();
    for (index, divergence) in found.iter().enumerate() {
        let fields = sample
            .fields
            .iter()
            .filter(|field| is_of(field, divergence));
        let forms: Vec<_> = fields
            .filter_map(|field| Form::parse(&field.change))
            .collect();
        let is_same =
            |other: &Divergence| other.path == divergence.path && other.kind == divergence.kind;
        if forms.is_empty() {
            retold.push(divergence.clone());
        } else if !found[..index].iter().any(is_same) {
            retold.extend(forms.into_iter().map(|form| Divergence {
                change: Change {
                    form,
                    ..divergence.change
                },
                ..divergence.clone()
            }));
        }
    }
    retold
}

impl Tried {
    /// What a sample is, and in what it differs.
    fn judge(&self, sample: &Sample, before: After) -> (After, Vec<Divergence>) {
        let unknown = (After::Unknown, Vec::new());
        let by = |desk, blur| {
            let replica = sample.replica(blur);
            replica.map(|replica| taken(desk, &replica, before))
        };
        let is_vague = sample.redacted && !self.vague.is_empty();
        let desk = if is_vague { &self.strict } else { &self.desk };
        let Some((after, found)) = by(desk, Blur::default()) else {
            return unknown;
        };
        // What the proxy knew of identities is not in a sample.
        if after != After::Mismatch && self.names && sample.fields.iter().any(is_identity) {
            return unknown;
        }
        // A field that was not kept may have differed.
        let lacks = self
            .headers
            .iter()
            .any(|name| !sample.compared.contains(name));
        if after == After::Match && lacks {
            return unknown;
        }
        if after == After::Match || !is_vague {
            return (after, found);
        }
        match by(&self.desk, Blur { paths: &self.vague }) {
            Some((alike, found)) if alike == after => (after, found),
            Some(_) | None => unknown,
        }
    }
}

/// Takes a sample's answers through the judgement. What the sides do to themselves, and which writes there were, is not in a sample: what was known of
/// that stands.
fn taken(desk: &Desk, replica: &Replica, before: After) -> (After, Vec<Divergence>) {
    let look = |old, new| Look {
        old: answer(old),
        new: answer(new),
    };
    let (settled, found) = desk.judge(&Recorded {
        at: 0,
        key: None,
        first: look(&replica.old, &replica.new),
        own: None,
        again: replica
            .old2
            .as_ref()
            .zip(replica.new2.as_ref())
            .map(|(old, new)| look(old, new)),
        circumstances: Circumstances {
            written: (before == After::Lag).then_some(Duration::ZERO),
            settle: Duration::ZERO,
            lag: Duration::MAX,
            noise: Some(before == After::Noise),
        },
    });
    (settled.into(), found)
}

fn answer(stand_in: &StandIn) -> Answer<'_> {
    Answer {
        status: stand_in.status,
        headers: &stand_in.headers,
        body: stand_in.body.as_deref(),
    }
}
