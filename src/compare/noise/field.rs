//! What one path of a route is: clean, noisy, blind, suspicious, or not known yet.

use crate::compare::noise::rate::{Decayed, Interval, Z95};
use crate::compare::noise::strata::{Standing, Strata, Stratum};
use crate::compare::shape::Seen;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Old says the same when asked twice.
    Clean,
    /// Old does not always say the same, and new differs from it no more than it does from itself.
    Noisy,
    /// Old hardly ever says the same: only shapes are judged, and whether the values are right is not known.
    Blind,
    /// The sides stand by different answers more often than chance explains. It stays so until the epoch ends.
    Suspicious,
    /// Too little was seen, or there is too much noise to see through.
    Undecided,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Clean,
        Self::Noisy,
        Self::Blind,
        Self::Suspicious,
        Self::Undecided,
    ];

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Noisy => "noisy",
            Self::Blind => "blind",
            Self::Suspicious => "suspicious",
            Self::Undecided => "undecided",
        }
    }
}

/// Trials without which nothing is said.
const FEWEST: f64 = 30.0;
/// A path that differs so often when old is asked twice is blind.
const BLIND: f64 = 0.9;
/// Noise that may be more frequent than this hides too much.
const LOUDEST: f64 = 1.0 / 3.0;
/// A path is clean if its noise is at most this for sure.
const CLEAN: f64 = 0.02;
/// Standard deviations by which new must differ more often from old than old from itself until noise explains it no more. The rates are looked at all
/// the time, and what is wrong here costs a row of the display, no verdict of a defect.
const SURE: f64 = 5.0;

/// A path with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'f> {
    pub(crate) known: &'f Known,
    /// Pairs that have the path, as they weigh now: the weight, and what they are worth as trials.
    pub(crate) pairs: Trials,
    /// The same of old asked twice.
    pub(crate) own: Trials,
    pub(crate) floor: f64,
}

/// Trials that are forgotten step by step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trials {
    pub(crate) weight: f64,
    pub(crate) effective: f64,
}

impl Trials {
    fn rate(self, differed: f64, z: f64) -> Interval {
        let rate = if self.weight > 0.0 {
            differed / self.weight
        } else {
            0.0
        };
        Interval::wilson(rate, self.effective, z)
    }
}

/// What is kept of a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) strata: Strata,
    pub(crate) values: Values,
    /// Pairs that differed here, now and in all.
    pub(crate) differed: Decayed,
    pub(crate) differed_in_all: [u64; 2],
    /// How often old differed from itself.
    pub(crate) own: Decayed,
}

impl Known {
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.strata.size() + self.values.few.capacity() * size_of::<One>()
    }
}

/// A path as it is shown. Rates are of the last minutes, with their trials and intervals of 95 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Generalised path, or `other` for all that have no row.
    pub path: String,
    /// What it is.
    pub state: State,
    /// The test's sums since the epoch began.
    pub standing: Standing,
    /// Pairs that differ here, of those that have the path.
    pub differs: Interval,
    /// The same of old asked twice.
    pub own: Interval,
    /// The first less the second, with its lower and upper end.
    pub difference: [f64; 3],
    /// Pairs of the epoch that differ here.
    pub pairs: u64,
}

impl Field<'_> {
    pub(crate) fn is_blind(&self, now_own: f64) -> bool {
        self.own.effective >= FEWEST && self.own.rate(now_own, Z95).rate >= BLIND
    }

    /// `own` and `differed` are the decayed counts of differences.
    pub(crate) fn state(&self, own: f64, differed: f64) -> State {
        if self.known.strata.is_suspicious() {
            return State::Suspicious;
        }
        if self.own.effective < FEWEST {
            return State::Undecided;
        }
        if self.is_blind(own) {
            return State::Blind;
        }
        let noise = self.own.rate(own, Z95);
        if noise.low <= self.floor {
            return if noise.high <= CLEAN {
                State::Clean
            } else {
                State::Undecided
            };
        }
        let [_, low, _] = self
            .pairs
            .rate(differed, SURE)
            .less(&self.own.rate(own, SURE));
        if noise.high > LOUDEST || low > self.floor {
            return State::Undecided;
        }
        State::Noisy
    }

    pub(crate) fn rates(&self, own: f64, differed: f64) -> [Interval; 2] {
        [self.pairs.rate(differed, Z95), self.own.rate(own, Z95)]
    }
}

/// Values that a path has had where it differed, as long as they are few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    few: Vec<One>,
    many: bool,
}

/// Who has said a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// New.
    New,
    /// Old, when new said something else.
    Old,
    /// Old, when asked again it said something else.
    Both,
}

#[derive(Clone, Copy, Debug)]
struct One {
    value: u64,
    by_old: bool,
    by_noise: bool,
}

/// Values that a path may have so that each is a shape of its own.
const FEW: usize = 64;
/// Values that a path may have so that strata are pairs of them.
const FEWEST_VALUES: usize = 16;

impl Values {
    pub(crate) fn note(&mut self, seen: Seen, said: Said) {
        if self.many {
            return;
        }
        let value = own_trait(seen);
        let (by_old, by_noise) = (said != Said::New, said == Said::Both);
        if let Some(one) = self.few.iter_mut().find(|one| one.value == value) {
            one.by_old |= by_old;
            one.by_noise |= by_noise;
        } else if self.few.len() < FEW {
            self.few.push(One {
                value,
                by_old,
                by_noise,
            });
        } else {
            self.many = true;
            self.few = Vec::new();
        }
    }

    /// The stratum of a pair: of values while there are at most 16; then of shapes, where to be one of at most 64 that old has said is a shape too.
    pub(crate) fn stratum(&self, seen: [Seen; 2]) -> Stratum {
        let by_value = !self.many && self.few.len() <= FEWEST_VALUES;
        let traits = seen.map(|seen| {
            let value = own_trait(seen);
            if by_value {
                value
            } else if self.few.iter().any(|one| one.by_old && one.value == value) {
                u64::MAX
            } else {
                seen.shape.id()
            }
        });
        Stratum::new(seen, traits, by_value)
    }

    /// Whether old has said all of these when it differed from itself.
    pub(crate) fn are_noise(&self, seen: [Seen; 2]) -> bool {
        seen.into_iter().all(|seen| {
            let value = own_trait(seen);
            self.few
                .iter()
                .any(|one| one.by_noise && one.value == value)
        })
    }
}

fn own_trait(seen: Seen) -> u64 {
    seen.value ^ seen.shape.id().rotate_left(32)
}
