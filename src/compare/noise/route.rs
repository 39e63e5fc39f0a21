//! All that is known of one route's noise, and what a flow asks of it.
//!
//! The flow tells of every pair ([`Noise::pair`], nearly free), of every mismatch ([`Noise::mismatch`], which says whether to ask again), of what asking
//! again has shown ([`Noise::asked`]) and of old asked twice ([`Noise::own`]). It asks whether a mismatch is noise ([`Noise::explains`]), and what the
//! paths are ([`Noise::reports`]).
//!
//! Invariant: memory is bounded by the route's fields, whatever the traffic: at most [`LABELS`](crate::compare::trials::labels::LABELS) paths and `other`,
//! each with 16 strata and 64 values, and the places of [`Places`].

use crate::compare::finding::Divergence;
use crate::compare::noise::budget::{Budget, Claim};
use crate::compare::noise::field::{Field, Known, Report, Said, State, Trials};
use crate::compare::noise::once::Once;
use crate::compare::noise::rate::Decayed;
use crate::compare::noise::strata::{Extent, Stratum};
use crate::compare::recheck::{Again, Orientation, leading};
use crate::compare::shape::Seen;
use crate::compare::trials::labels::OTHER;
use crate::compare::trials::sketch::Count;
use crate::compare::trials::{Labels, Place, Places, Sketch};
use crate::json::Document;
use std::collections::HashMap;
use std::time::Duration;

/// What the file says about noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `noise.floor`: the share of a path's pairs below which nothing is suspicious.
    pub floor: f64,
    /// Requests for asking again, as a share of the pairs: 0.1, less what is spent on asking old twice.
    pub budget: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            floor: 0.0003,
            budget: 0.09,
        }
    }
}

/// Paths that are counted for what is shown.
const FREQUENT: usize = 64;

/// The first pairs of an hour of which the places are counted each; of so many times as many one in so many.
const COUNTED: u64 = 64;
/// At least one pair in so many is counted.
const SPARSEST: u64 = 1_024;

/// One route in one epoch. An epoch ends when the route's rules, adaptation or sides change, or when someone asks for that; the next one is a new value.
#[derive(Debug)]
pub struct Noise {
    settings: Settings,
    began: Duration,
    hour: u64,
    places: Places,
    labels: Labels,
    fields: Vec<Known>,
    /// Where the statistics of a place stand; the first ones are those of all places without a name.
    by_place: HashMap<Place, usize>,
    names: Vec<Name>,
    /// Pairs of the epoch and of this hour, and those since the last one that was counted with its places.
    pairs: [u64; 2],
    uncounted: u64,
    recent: Decayed,
    own: Decayed,
    budget: Budget,
    once: Once,
    /// The paths that differ most, those without statistics of their own too.
    frequent: Sketch<Box<str>>,
}

/// Of what a row of statistics is.
#[derive(Clone, Debug)]
struct Name {
    path: Box<str>,
    place: Option<Place>,
}

/// A path of a mismatch: where its statistics stand, and the stratum.
#[derive(Clone, Copy, Debug)]
struct Trial {
    field: usize,
    seen: [Seen; 2],
    stratum: Stratum,
}

const ALL_OTHERS: usize = 0;

impl Noise {
    /// Nothing is known yet. `named` are the paths that the route's rules name.
    #[must_use]
    pub fn new<'a>(
        settings: Settings,
        named: impl IntoIterator<Item = &'a str>,
        now: Duration,
    ) -> Self {
        Self {
            settings,
            began: now,
            hour: 1,
            places: Places::default(),
            labels: Labels::new(named),
            fields: vec![Known::default()],
            by_place: HashMap::new(),
            names: vec![Name {
                path: OTHER.into(),
                place: None,
            }],
            pairs: [0; 2],
            uncounted: 0,
            recent: Decayed::default(),
            own: Decayed::default(),
            budget: Budget::new(settings.budget),
            once: Once::default(),
            frequent: Sketch::new(FREQUENT),
        }
    }

    /// A pair was asked for. Where its places are to be counted this is the number of pairs that it stands for: tell them then by [`Noise::count`].
    pub fn pair(&mut self, now: Duration) -> Option<u64> {
        self.turn(now);
        self.pairs[0] += 1;
        self.pairs[1] += 1;
        self.uncounted += 1;
        self.budget.earn(1);
        let every = (self.pairs[1] / COUNTED)
            .clamp(1, SPARSEST)
            .next_power_of_two();
        if self.uncounted < every {
            return None;
        }
        let stands_for = std::mem::take(&mut self.uncounted);
        self.recent.add(stands_for, now);
        Some(stands_for)
    }

    /// The places of a pair, which stands for so many: those of its documents, of equal ones once. None if its bodies are no documents.
    pub fn count(&mut self, documents: &[&Document<'_>], stands_for: u64) {
        self.places.sample(documents, stands_for as f64);
    }

    /// A mismatch of the first look: whether both sides are asked again, with at most so many requests. What is not used of them is told by
    /// [`Noise::asked`]. `key` is a hash of the request's key, or of its target where it has none.
    pub fn mismatch(
        &mut self,
        key: u64,
        found: &[Divergence],
        requests: u32,
        now: Duration,
    ) -> bool {
        self.turn(now);
        let seen = leading(found).map(|divergence| (divergence.path.as_str(), divergence.seen));
        let trials = self.trials(seen, [Said::Old, Said::New]);
        for divergence in leading(found) {
            let place = self.places.find(&divergence.path);
            let path = place.and_then(|place| self.places.path(place));
            self.frequent
                .add(&path.unwrap_or_else(|| divergence.path.clone()).into());
        }
        let mut least = None;
        for trial in &trials {
            let field = &mut self.fields[trial.field];
            field.differed.add(1, now);
            field.differed_in_all[0] += 1;
            field.differed_in_all[1] += 1;
            field.strata.saw(trial.stratum, self.hour);
            if self.once.is_new(key, trial.field as u64, self.hour) {
                let asked = field.strata.asked_before(&trial.stratum);
                least = Some(least.unwrap_or(u64::MAX).min(asked));
            }
        }
        let asked = self.fields.iter().map(|field| field.strata.asked_in_all());
        let (strata, asked_in_all) = asked.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let claim = Claim {
            asked: least,
            strata,
            asked_in_all,
        };
        self.budget.grant(claim, requests)
    }

    /// What asking again has shown, all checks together ([`Again::after`]); none if it has shown nothing. `unused` requests of those that were granted were not needed.
    pub fn asked(&mut self, key: u64, again: Option<&Again>, unused: u32, now: Duration) {
        self.turn(now);
        self.budget.give_back(unused);
        let Some(again) = again else {
            return;
        };
        let seen = again
            .paths
            .iter()
            .map(|path| (path.path.as_str(), path.seen));
        let trials = self.trials(seen, [Said::Old, Said::New]);
        for trial in trials {
            let orientation = again
                .paths
                .iter()
                .find(|path| path.seen == trial.seen && self.place_of(&path.path) == trial.field)
                .map_or(Orientation::Neither, |path| path.orientation);
            let extent = self.extent(trial.field, now);
            let strata = &mut self.fields[trial.field].strata;
            let counts = orientation != Orientation::Neither
                && self.once.count(key, trial.field as u64, self.hour);
            strata.asked(trial.stratum, orientation, counts, &extent);
        }
    }

    /// Old was asked twice for one thing, and differed from itself in `found`.
    pub fn own(&mut self, found: &[Divergence], now: Duration) {
        self.turn(now);
        self.own.add(1, now);
        let seen = leading(found).map(|divergence| (divergence.path.as_str(), divergence.seen));
        for trial in self.trials(seen, [Said::Both; 2]) {
            let field = &mut self.fields[trial.field];
            field.own.add(1, now);
            field.strata.saw_own(trial.stratum, self.hour);
        }
    }

    /// The paths that differ in most pairs, most frequent first, with counts that are never too low.
    #[must_use]
    pub fn most_frequent(&self) -> Vec<(&str, Count)> {
        let all = self.frequent.most_frequent().into_iter();
        all.map(|(path, count)| (&**path, count)).collect()
    }

    /// Whether a mismatch is noise: every path that differs is noisy or blind at this moment, and in shape.
    #[must_use]
    pub fn explains(&self, found: &[Divergence], now: Duration) -> bool {
        leading(found).all(|divergence| {
            let field = self.place_of(&divergence.path);
            let known = &self.fields[field];
            let stratum = known.values.stratum(divergence.seen);
            matches!(self.state(field, now), State::Noisy | State::Blind)
                && (known.strata.knows(&stratum) || known.values.are_noise(divergence.seen))
        })
    }

    /// All paths that have ever differed, in the order in which they first did; those without a row of their own as `other`, last.
    #[must_use]
    pub fn reports(&self, now: Duration) -> Vec<Report> {
        let own = 1..self.fields.len();
        let others = self.fields[ALL_OTHERS].differed_in_all[0] > 0;
        let shown = own.chain(others.then_some(ALL_OTHERS));
        shown.map(|index| self.report(index, now)).collect()
    }

    /// Bytes that are kept, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.path.len()).sum();
        let fields: usize = self.fields.iter().map(Known::size).sum();
        let tables = self.by_place.capacity() * size_of::<(Place, usize)>();
        size_of::<Self>() + names + fields + tables + self.places.size() + self.once.size()
    }

    fn report(&self, index: usize, now: Duration) -> Report {
        let (known, field) = (&self.fields[index], self.field(index, now));
        let (own, differed) = (known.own.weight(now), known.differed.weight(now));
        let [differs, by_itself] = field.rates(own, differed);
        Report {
            path: self.names[index].path.to_string(),
            state: self.state(index, now),
            standing: known.strata.standing(&self.extent(index, now)),
            difference: differs.less(&by_itself),
            differs,
            own: by_itself,
            pairs: known.differed_in_all[0],
        }
    }

    fn state(&self, index: usize, now: Duration) -> State {
        let known = &self.fields[index];
        let state = self
            .field(index, now)
            .state(known.own.weight(now), known.differed.weight(now));
        // What is thrown together is never one thing.
        match state {
            State::Clean | State::Noisy | State::Blind if index == ALL_OTHERS => State::Undecided,
            state => state,
        }
    }

    fn field(&self, index: usize, now: Duration) -> Field<'_> {
        let [share, _] = self.share(index);
        let trials = |count: &Decayed, differed: &Decayed| Trials {
            // A path that differs was there, whatever the sample says.
            weight: (count.weight(now) * share).max(differed.weight(now)),
            effective: (count.effective(now) * share)
                .max(differed.effective(now).min(differed.weight(now))),
        };
        let known = &self.fields[index];
        Field {
            known,
            pairs: trials(&self.recent, &known.differed),
            own: trials(&self.own, &known.own),
            floor: self.settings.floor,
        }
    }

    fn extent(&self, index: usize, now: Duration) -> Extent {
        let known = &self.fields[index];
        let share = self.share(index);
        let pairs = [0, 1].map(|which| {
            (self.pairs[which] as f64 * share[which]).max(known.differed_in_all[which] as f64)
        });
        Extent {
            hour: self.hour,
            pairs,
            floor: self.settings.floor,
            blind: self.field(index, now).is_blind(known.own.weight(now)),
        }
    }

    fn share(&self, index: usize) -> [f64; 2] {
        self.names[index]
            .place
            .map_or([1.0; 2], |place| self.places.share(place))
    }

    /// One trial for each path, however many of its places differ or however many names were data.
    fn trials<'p>(
        &mut self,
        paths: impl Iterator<Item = (&'p str, [Seen; 2])>,
        said: [Said; 2],
    ) -> Vec<Trial> {
        let mut trials: Vec<Trial> = Vec::new();
        for (path, seen) in paths {
            let field = self.row(path);
            if trials.iter().any(|trial| trial.field == field) {
                continue;
            }
            let values = &mut self.fields[field].values;
            values.note(seen[0], said[0]);
            values.note(seen[1], said[1]);
            let stratum = values.stratum(seen);
            trials.push(Trial {
                field,
                seen,
                stratum,
            });
        }
        trials
    }

    /// Where the statistics of a path stand; it gets a row if there is one left.
    fn row(&mut self, path: &str) -> usize {
        let Some(place) = self.places.make(path) else {
            return ALL_OTHERS;
        };
        if let Some(&index) = self.by_place.get(&place) {
            return index;
        }
        let path = self.places.path(place).filter(|path| self.labels.has(path));
        let Some(path) = path else {
            return ALL_OTHERS;
        };
        self.fields.push(Known::default());
        self.names.push(Name {
            path: path.into(),
            place: Some(place),
        });
        self.by_place.insert(place, self.fields.len() - 1);
        self.fields.len() - 1
    }

    fn place_of(&self, path: &str) -> usize {
        let place = self.places.find(path);
        let known = place.and_then(|place| self.by_place.get(&place));
        known.copied().unwrap_or(ALL_OTHERS)
    }

    /// Begins a new hour, if it is time.
    fn turn(&mut self, now: Duration) {
        let hour = now.saturating_sub(self.began).as_secs() / 3_600 + 1;
        if hour <= self.hour {
            return;
        }
        self.hour = hour;
        self.pairs[1] = 0;
        self.places.turn();
        for field in &mut self.fields {
            field.differed_in_all[1] = 0;
        }
    }
}
