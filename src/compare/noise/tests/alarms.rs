//! Old against old: what differs is noise, and none of it may be called a defect.

use crate::compare::noise::once::Once;
use crate::compare::noise::strata::{Extent, Strata, Stratum};
use crate::compare::recheck::Orientation;
use crate::compare::shape::Seen;
use fastrand::Rng;

const SEEDS: u64 = 20;
const FIELDS: u64 = 50;
const PAIRS: u64 = 1_000_000;

/// What makes a field differ from itself. A pair is asked again once, 5 s later, both sides at the same moment.
#[derive(Clone, Copy, Debug)]
enum Noise {
    /// Elements in the order in which two workers finished, each time anew.
    Order,
    /// A time, which is a new one each time but for some that fall on the same second.
    Clock,
    /// A value that was written between the two answers, and then stays, or is written again.
    Race,
    /// A value out of a few, each with its own frequency.
    Few,
}

/// One field over a million pairs: the last look's outcome where it is asked again, and whether it was ever called suspicious.
fn field(seed: u64, number: u64) -> (Noise, f64, bool, u64) {
    let mut rng = Rng::with_seed(seed << 32 | number);
    let noise = [Noise::Order, Noise::Clock, Noise::Race, Noise::Few][(number % 4) as usize];
    // From a thousandth to a half of the pairs.
    let share = 0.001 * 500.0_f64.powf(rng.f64());
    // Budget for a tenth of the pairs, two requests each.
    let asked = (0.05 / share).min(1.0);
    let mut strata = Strata::default();
    let mut once = Once::default();
    let mut outcomes = 0;
    let mut pair = 0;
    loop {
        // Pairs that match, or that are not asked again, change nothing: skip to the next one that is.
        pair += 1 + (rng.f64().ln() / (1.0 - share * asked).ln()) as u64;
        if pair > PAIRS {
            return (noise, share, strata.is_suspicious(), outcomes);
        }
        // A hundred pairs a second, so that there are three hours of them.
        let hour = 1 + pair / 360_000;
        let (a, b) = (rng.u64(0..4), rng.u64(0..4));
        let (stratum, orientation) = match noise {
            Noise::Order => (stratum(0, 0), coin(&mut rng, 0.5)),
            Noise::Clock => (stratum(1, 1), coin(&mut rng, 0.01)),
            Noise::Race => (stratum(a, a), coin(&mut rng, 0.1)),
            Noise::Few => (stratum(a, b), coin(&mut rng, 0.3)),
        };
        let key = (50_000_f64).powf(rng.f64()) as u64;
        let extent = Extent {
            hour,
            pairs: [pair as f64, (pair % 360_000) as f64],
            // The test itself has to hold, without a floor beneath it.
            floor: 0.0,
            blind: false,
        };
        let counts = orientation != Orientation::Neither && once.count(key, number, hour);
        outcomes += u64::from(counts);
        strata.saw(stratum, hour);
        strata.asked(stratum, orientation, counts, &extent);
    }
}

/// Aligned and crossed have equal chances, which is all that is known of noise; mostly neither is seen.
fn coin(rng: &mut Rng, share: f64) -> Orientation {
    if rng.f64() >= share {
        Orientation::Neither
    } else if rng.bool() {
        Orientation::Aligned
    } else {
        Orientation::Crossed
    }
}

fn stratum(one: u64, other: u64) -> Stratum {
    Stratum::new([Seen::ABSENT; 2], [one, other], true)
}

/// A thousand fields of a million pairs each.
#[test]
fn noise_is_never_called_a_defect() {
    let mut outcomes = 0;
    for seed in 0..SEEDS {
        for number in 0..FIELDS {
            let (noise, share, suspicious, counted) = field(seed, number);
            assert!(
                !suspicious,
                "seed {seed}, field {number}: {noise:?} in {share}"
            );
            outcomes += counted;
        }
    }
    assert!(outcomes > 1_000_000, "{outcomes} outcomes are no test");
}
