//! The test of one path: aligned against crossed, in strata, over all time and for each hour.
//!
//! Invariant: were the sides exchangeable at this path, [`Strata::is_suspicious`] would become true with a chance of at most one in a million, whatever
//! the traffic is and however often one looks. The e-value of the path is the mean over its [`SLOTS`] (each an e-value, so their mean is one whatever they
//! have to do with each other), and must reach [`THRESHOLD`]; that of an hour h begins anew with it and must reach `THRESHOLD h (h + 1)`. The chances
//! of both add up to 1 / THRESHOLD each. What a slot holds is decided by what came before an outcome, never by the outcome.
//!
//! A slot's own e-value is the mean of three: of all its outcomes, and of those of either way round that old and new stood at the first look, which was
//! before an outcome, too. Chance shows both ways, a defect mostly one, and there half of the noise does not hide it.

use crate::compare::noise::evidence::{log_e, log_e_bound, log_mean};
use crate::compare::recheck::Orientation;
use crate::compare::shape::{Seen, Shape};

/// Strata of a path.
pub const SLOTS: usize = 16;

/// Slots for what has none of its own: in shape, and out of shape.
const REST: usize = 2;

/// Of the slots, those that pairs of values may take, so that some are left when the values become many.
const VALUE_SLOTS: usize = 8;

/// Where an e-value of all time becomes a suspicion.
pub const THRESHOLD: f64 = 2e6;

/// An unordered pair of what was seen on the two sides, as far as it tells strata apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stratum {
    /// Tells it from others of its path.
    pub key: u64,
    /// It is a pair of values, not of shapes.
    pub by_value: bool,
    /// Both sides have the same shape.
    pub in_shape: bool,
    /// The shapes, in order.
    pub shapes: [Shape; 2],
    /// What old said is the second of the two, in their order.
    pub turned: bool,
}

impl Stratum {
    /// The stratum of two things that were seen, when told apart by `traits`.
    #[must_use]
    pub fn new(seen: [Seen; 2], mut traits: [u64; 2], by_value: bool) -> Self {
        let mut shapes = seen.map(|seen| seen.shape);
        let turned = traits[0] > traits[1];
        shapes.sort_unstable();
        traits.sort_unstable();
        Self {
            // Two words to one, so that other pairs are unlikely to give the same: a collision joins two strata and does no harm.
            key: traits[0]
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
                ^ traits[1],
            by_value,
            in_shape: traits[0] == traits[1],
            shapes,
            turned,
        }
    }
}

/// Counts of one slot over some time.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Mismatches in the stratum.
    seen: u64,
    /// Those of them that were asked again.
    asked: u64,
    /// Aligned less crossed, of all that were asked.
    lead: i64,
    /// Outcomes of keys that had none in that hour, by whether their stratum was turned.
    aligned: [u64; 2],
    crossed: [u64; 2],
}

impl Counts {
    /// The mismatches in which the sides stood by their answers, beyond what chance gives, if all had been asked.
    fn surplus(&self) -> f64 {
        if self.asked == 0 {
            return 0.0;
        }
        self.lead as f64 * self.seen.max(self.asked) as f64 / self.asked as f64
    }

    /// Aligned and crossed: in all, and of either way round.
    fn outcomes(&self) -> [[u64; 2]; 3] {
        let [one, other] = [0, 1].map(|way| [self.aligned[way], self.crossed[way]]);
        [[one[0] + other[0], one[1] + other[1]], one, other]
    }

    fn log_e(&self) -> f64 {
        let outcomes = self.outcomes();
        log_mean(&outcomes.map(|[a, c]| log_e(a, c)), outcomes.len())
    }

    /// [`Self::log_e`] is never above this.
    fn log_e_bound(&self) -> f64 {
        let bounds = self.outcomes().map(|[a, c]| log_e_bound(a, c));
        bounds.into_iter().fold(0.0, f64::max)
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    stratum: Stratum,
    total: Counts,
    hour: Counts,
    /// Differences of old with itself in this stratum.
    own: u64,
}

impl Slot {
    fn new(stratum: Stratum) -> Self {
        Self {
            stratum,
            total: Counts::default(),
            hour: Counts::default(),
            own: 0,
        }
    }

    /// Nothing that was learned here would be lost.
    fn is_idle(&self) -> bool {
        self.total.outcomes()[0] == [0, 0] && self.own == 0
    }
}

/// Counts of a slot, over some time.
type Span = fn(&Slot) -> &Counts;

/// What goes into a verdict on a path beside its outcomes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The hour of the epoch, from 1.
    pub hour: u64,
    /// Pairs that have the path, in all and in this hour.
    pub pairs: [f64; 2],
    /// The least share of these pairs that is worth a suspicion.
    pub floor: f64,
    /// Only what is out of shape counts.
    pub blind: bool,
}

/// The test's sums as they stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Outcomes that count.
    pub aligned: u64,
    /// The same, crossed.
    pub crossed: u64,
    /// ln of the e-value.
    pub log_e: f64,
    /// Share of the pairs having the path in which the sides stood by different answers, beyond what chance gives.
    pub excess: f64,
}

/// The test of one path.
#[derive(Clone, Debug, Default)]
pub struct Strata {
    slots: Vec<Slot>,
    rest: [Option<Box<Slot>>; REST],
    hour: u64,
    suspicious: bool,
}

impl Strata {
    /// Whether the path was ever called suspicious.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.suspicious
    }

    /// A mismatch in this stratum.
    pub fn saw(&mut self, stratum: Stratum, hour: u64) {
        let slot = self.slot(stratum, hour);
        slot.total.seen += 1;
        slot.hour.seen += 1;
    }

    /// Old differed from itself in this stratum.
    pub fn saw_own(&mut self, stratum: Stratum, hour: u64) {
        self.slot(stratum, hour).own += 1;
    }

    /// Whether values that look like these are what the path is known to do by itself: they are in shape, or old has been seen to do so.
    #[must_use]
    pub fn knows(&self, stratum: &Stratum) -> bool {
        let own = |slot: &&Slot| slot.stratum.key == stratum.key;
        stratum.in_shape || self.slots.iter().find(own).is_some_and(|slot| slot.own > 0)
    }

    /// How often mismatches of this stratum were asked again.
    #[must_use]
    pub fn asked_before(&self, stratum: &Stratum) -> u64 {
        let mut slots = self.slots.iter();
        let own = slots.find(|slot| slot.stratum.key == stratum.key);
        let slot = own.or(self.rest[rest_of(stratum)].as_deref());
        slot.map_or(0, |slot| slot.total.asked)
    }

    /// Strata that were asked about at all, and how often in all.
    #[must_use]
    pub fn asked_in_all(&self) -> (u64, u64) {
        let asked = self.all().map(|slot| slot.total.asked);
        asked.fold((0, 0), |(strata, sum), asked| {
            (strata + u64::from(asked > 0), sum + asked)
        })
    }

    /// A mismatch in this stratum was asked again. `counts` says that its key had no outcome here in this hour.
    pub fn asked(
        &mut self,
        stratum: Stratum,
        orientation: Orientation,
        counts: bool,
        extent: &Extent,
    ) {
        let way = usize::from(stratum.turned);
        let slot = self.slot(stratum, extent.hour);
        for tally in [&mut slot.total, &mut slot.hour] {
            tally.asked += 1;
            match orientation {
                Orientation::Aligned => {
                    tally.lead += 1;
                    tally.aligned[way] += u64::from(counts);
                }
                Orientation::Crossed => {
                    tally.lead -= 1;
                    tally.crossed[way] += u64::from(counts);
                }
                Orientation::Neither => {}
            }
        }
        if orientation == Orientation::Aligned && !self.suspicious {
            self.suspicious = self.reaches(extent);
        }
    }

    /// The test's sums.
    #[must_use]
    pub fn standing(&self, extent: &Extent) -> Standing {
        let outcomes = self.all().map(|slot| slot.total.outcomes()[0]);
        let [aligned, crossed] =
            outcomes.fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        Standing {
            aligned,
            crossed,
            log_e: self.log_mean(extent.blind, |slot| &slot.total),
            excess: self.excess(extent, 0),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.all().count().next_power_of_two() * size_of::<Slot>()
    }

    fn reaches(&self, extent: &Extent) -> bool {
        // (1 / THRESHOLD) / (h (h + 1)) for each hour: over all hours no more than 1 / THRESHOLD.
        let hour = extent.hour as f64;
        let late = THRESHOLD * hour * (hour + 1.0);
        let tests: [(f64, Span); 2] = [(THRESHOLD, |slot| &slot.total), (late, |slot| &slot.hour)];
        tests
            .into_iter()
            .enumerate()
            .any(|(which, (threshold, of))| {
                let threshold = threshold.ln();
                // A mean is not above its greatest term, whose bound is cheap: mostly that is all there is to do.
                self.all().any(|slot| of(slot).log_e_bound() >= threshold)
                    && self.log_mean(extent.blind, of) >= threshold
                    && self.excess(extent, which) >= extent.floor
            })
    }

    /// ln of the mean of the slots' e-values; a slot that is not used, or must not count, is 1.
    fn log_mean(&self, blind: bool, of: Span) -> f64 {
        let slots = self.all().filter(|slot| !blind || !slot.stratum.in_shape);
        let logs: Vec<f64> = slots.map(|slot| of(slot).log_e()).collect();
        log_mean(&logs, SLOTS)
    }

    /// `which` is 0 for all time and 1 for this hour.
    fn excess(&self, extent: &Extent, which: usize) -> f64 {
        let slots = self
            .all()
            .filter(|slot| !extent.blind || !slot.stratum.in_shape);
        let surplus: f64 = slots
            .map(|slot| [&slot.total, &slot.hour][which].surplus())
            .sum();
        surplus / extent.pairs[which].max(1.0)
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        self.slots
            .iter()
            .chain(self.rest.iter().flatten().map(|slot| &**slot))
    }

    /// The slot of a stratum: its own, a new one, that of one that nothing is known of, or one of the two for all others.
    fn slot(&mut self, stratum: Stratum, hour: u64) -> &mut Slot {
        if self.hour != hour {
            self.hour = hour;
            let rest = self.rest.iter_mut().flatten().map(|slot| &mut **slot);
            for slot in self.slots.iter_mut().chain(rest) {
                slot.hour = Counts::default();
            }
        }
        let known = self
            .slots
            .iter()
            .position(|slot| slot.stratum.key == stratum.key);
        if let Some(index) = known.or_else(|| self.place(stratum)) {
            return &mut self.slots[index];
        }
        let rest = &mut self.rest[rest_of(&stratum)];
        rest.get_or_insert_with(|| Box::new(Slot::new(stratum)))
    }

    fn place(&mut self, stratum: Stratum) -> Option<usize> {
        let values = self
            .slots
            .iter()
            .filter(|slot| slot.stratum.by_value)
            .count();
        let full = self.slots.len() == SLOTS - REST || stratum.by_value && values == VALUE_SLOTS;
        if !full {
            self.slots.push(Slot::new(stratum));
            return Some(self.slots.len() - 1);
        }
        // An e-value without outcomes is 1, as that of a new one is, so that such a slot may change its owner. A value gives way to anything,
        // anything else only to what is not a value.
        let slots = self.slots.iter().enumerate();
        let idle = slots
            .filter(|(_, slot)| slot.is_idle() && (slot.stratum.by_value || !stratum.by_value));
        let (index, _) = idle.min_by_key(|(_, slot)| slot.total.seen)?;
        self.slots[index] = Slot::new(stratum);
        Some(index)
    }
}

/// The slot for what has none of its own.
fn rest_of(stratum: &Stratum) -> usize {
    usize::from(!stratum.in_shape)
}
