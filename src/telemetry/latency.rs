//! Latencies in log-linear cells: 32 cells for each power of two of microseconds, so a quantile is within 1/64 of the true sample
//! (or half a microsecond), whatever the distribution, in 7 KiB a side. Cells of two places can be added up.
//!
//! Counts since the start; whoever wants a window keeps a snapshot and asks for what came [`since`](LatencySnapshot::since).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Cells for each power of two, as a power of two.
const SUB_BITS: u32 = 5;
/// Cells for each power of two.
const SUB: usize = 1 << SUB_BITS;
/// Cells in all: microseconds up to `u32::MAX`, which is over an hour; what took longer counts as that.
const CELLS: usize = (u32::BITS - SUB_BITS + 1) as usize * SUB;

/// Durations, counted by size.
#[derive(Debug)]
pub struct Latency {
    cells: Box<[AtomicU64]>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            cells: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Latency {
    /// Counts one duration: one relaxed atomic operation.
    pub fn record(&self, elapsed: Duration) {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        self.cells[index(micros)].fetch_add(1, Relaxed);
    }

    /// What was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> LatencySnapshot {
        LatencySnapshot {
            counts: self.cells.iter().map(|cell| cell.load(Relaxed)).collect(),
        }
    }
}

/// Durations counted by size at one moment, or between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencySnapshot {
    counts: Box<[u64]>,
}

impl Default for LatencySnapshot {
    fn default() -> Self {
        Self {
            counts: vec![0; CELLS].into_boxed_slice(),
        }
    }
}

impl LatencySnapshot {
    /// Durations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What was counted after an earlier snapshot of the same cells.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: self
                .counts
                .iter()
                .zip(&earlier.counts)
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        }
    }

    /// The quantile by nearest rank, `q` in 0..=1; `None` if nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.count();
        // Exact up to 2^53 samples; the cast of a float saturates.
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(middle(place));
            }
        }
        None
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }
}

/// The cell of a duration.
fn index(micros: u32) -> usize {
    let shift = (u32::BITS - micros.leading_zeros()).saturating_sub(SUB_BITS + 1);
    shift as usize * SUB + (micros >> shift) as usize
}

/// The duration that stands for a cell: the middle of what it counts.
fn middle(place: usize) -> Duration {
    let shift = (place / SUB).saturating_sub(1);
    let lowest = ((place - shift * SUB) as u64) << shift;
    let width = 1_u64 << shift;
    Duration::from_nanos(lowest * 1_000 + (width - 1) * 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(micros: &[u32]) -> LatencySnapshot {
        let latency = Latency::default();
        for value in micros {
            latency.record(Duration::from_micros(u64::from(*value)));
        }
        latency.snapshot()
    }

    #[test]
    fn cells_follow_each_other_without_gap() {
        assert_eq!(index(0), 0);
        assert_eq!(index(u32::MAX), CELLS - 1);
        for value in 1..300_000_u32 {
            assert!(index(value) - index(value - 1) <= 1, "{value}");
        }
        for bits in 1..32 {
            let (above, below) = (1_u32 << bits, (1_u32 << bits) - 1);
            assert_eq!(index(above), index(below) + 1, "{above}");
        }
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(LatencySnapshot::default().p50(), None);
        assert_eq!(recorded(&[]).p99(), None);
    }

    #[test]
    fn longer_than_an_hour_counts_as_the_longest() {
        let latency = Latency::default();
        latency.record(Duration::from_secs(1_000_000));
        assert!(latency.snapshot().p50().unwrap() > Duration::from_secs(4_200));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_quantile_is_near_the_true_sample(mut micros in prop::collection::vec(0..20_000_000_u32, 1..200), q in 0.0..=1.0_f64) {
            let found = recorded(&micros).quantile(q).unwrap().as_secs_f64() * 1e6;
            micros.sort_unstable();
            let rank = ((q * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
            let exact = f64::from(micros[rank - 1]);
            prop_assert!((found - exact).abs() <= (exact / 64.0).max(0.5), "{found} for {exact}");
        }

        #[test]
        fn parts_add_up_to_the_whole(one in prop::collection::vec(any::<u32>(), 0..50), two in prop::collection::vec(any::<u32>(), 0..50)) {
            let mut sum = recorded(&one);
            sum.merge(&recorded(&two));
            let whole = recorded(&[one.clone(), two.clone()].concat());
            prop_assert_eq!(&sum, &whole);
            prop_assert_eq!(whole.count(), (one.len() + two.len()) as u64);
            prop_assert_eq!(whole.since(&recorded(&one)), recorded(&two));
        }
    }
}
