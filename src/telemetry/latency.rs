//! Durations in fixed cells, each of which counts a range: a `Histogram` for the page alone, and a [`Latency`] that tells
//! quantiles too.
//!
//! A sample is counted in one cell and added to one sum of nanoseconds, in whole numbers: nothing drifts, and a page that is
//! written meanwhile finds buckets that never fall. The sum begins again at 0 after 584 years of added up durations, which
//! Prometheus takes for a restart.
//!
//! A request touches few cache lines of these, and a route for which a side was never asked has none: a thousand routes must
//! find place in a cache.

use crate::telemetry::cells::CounterCell;
use crate::telemetry::page::{BUCKET_COUNT, BUCKETS, Buckets};
use std::array;
use std::sync::OnceLock;
use std::time::Duration;

/// Durations, counted by the buckets of the page.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Histogram {
    sum: CounterCell,
    counts: [CounterCell; BUCKET_COUNT],
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn record(&self, elapsed: Duration) {
        let nanos = nanos(elapsed);
        // Most requests end in the first buckets.
        let place = BUCKETS.iter().position(|(bound, _)| nanos <= *bound);
        self.counts[place.unwrap_or(BUCKETS.len())].increment();
        self.sum.add(nanos);
    }

    /// What was counted up to now.
    pub(super) fn buckets(&self) -> Buckets {
        Buckets {
            counts: array::from_fn(|place| self.counts[place].value()),
            sum_nanos: self.sum.value(),
        }
    }
}

/// Upper bounds of the ranges that are divided into cells, in nanoseconds. Those of the page are among them, so that a bucket is
/// a number of whole cells; each is at most 2.5 times the one before.
const BOUNDS: [u64; RANGES] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    30_000_000_000,
    60_000_000_000,
    120_000_000_000,
    300_000_000_000,
    600_000_000_000,
    1_500_000_000_000,
    3_600_000_000_000,
];
const RANGES: usize = 27;
/// Cells of equal width in a range.
const PARTS: usize = 16;
const CELLS: usize = RANGES * PARTS;
/// For each number of leading zeros the first range that can be meant.
const FIRST_RANGE: [u8; 65] = first_ranges();

/// Durations, counted by size: 16 cells from each bound to the next, so that a quantile is within 1/20 of the true sample (below
/// 10 us within 0.32 us), whatever the distribution. What took over an hour counts as that, but in the sum. Cells of two places
/// can be added up.
///
/// Counts since the start; whoever wants a window keeps a snapshot and asks for what came [`since`](LatencySnapshot::since).
/// Its 3.4 KiB are there from the first sample on.
#[derive(Debug, Default)]
pub struct Latency {
    sum: CounterCell,
    cells: OnceLock<Box<[CounterCell; CELLS]>>,
}

impl Latency {
    /// Counts one duration: two relaxed atomic operations.
    pub fn record(&self, elapsed: Duration) {
        let cells = self.cells.get_or_init(empty_cells);
        let nanos = nanos(elapsed);
        cells[index(nanos)].increment();
        self.sum.add(nanos);
    }

    /// What was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> LatencySnapshot {
        let counts = self.cells.get();
        let counts = counts.map(|counts| counts.iter().map(CounterCell::value).collect());
        counts.map_or_else(LatencySnapshot::default, |counts| LatencySnapshot {
            counts,
        })
    }

    /// The same, by the buckets of the page.
    pub(super) fn buckets(&self) -> Buckets {
        let mut buckets = Buckets::default();
        if let Some(cells) = self.cells.get() {
            for (upper, range) in BOUNDS.iter().zip(cells.chunks(PARTS)) {
                let place = BUCKETS.partition_point(|(bound, _)| bound < upper);
                buckets.counts[place] += range.iter().map(CounterCell::value).sum::<u64>();
            }
            buckets.sum_nanos = self.sum.value();
        }
        buckets
    }
}

#[cold]
fn empty_cells() -> Box<[CounterCell; CELLS]> {
    Box::new(array::from_fn(|_| CounterCell::default()))
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

    /// The 90th percentile.
    #[must_use]
    pub fn p90(&self) -> Option<Duration> {
        self.quantile(0.9)
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }
}

fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// The bounds of a range: above the first, up to the second.
const fn range(place: usize) -> (u64, u64) {
    let lower = if place == 0 { 0 } else { BOUNDS[place - 1] };
    (lower, BOUNDS[place])
}

const fn first_ranges() -> [u8; 65] {
    let mut first = [0; 65];
    let mut zeros = 0;
    while zeros < 64 {
        let least = 1 << (63 - zeros);
        let mut place = 0_u8;
        while (place as usize) < RANGES - 1 && BOUNDS[place as usize] < least {
            place += 1;
        }
        first[zeros] = place;
        zeros += 1;
    }
    first
}

/// The cell of a duration. A bound belongs to the range below it, as `le` has it.
fn index(nanos: u64) -> usize {
    let nanos = nanos.clamp(1, BOUNDS[RANGES - 1]);
    let mut place = usize::from(FIRST_RANGE[nanos.leading_zeros() as usize]);
    while BOUNDS[place] < nanos {
        place += 1;
    }
    let (lower, upper) = range(place);
    place * PARTS + ((nanos - lower - 1) * PARTS as u64 / (upper - lower)) as usize
}

/// The duration that stands for a cell: the middle of what it counts.
fn middle(place: usize) -> Duration {
    let (lower, upper) = range(place / PARTS);
    let halves = (place % PARTS * 2 + 1) as u64;
    Duration::from_nanos(lower + (upper - lower) * halves / (2 * PARTS as u64))
}

#[cfg(test)]
mod tests;
