//! Counters and gauges as plain atomic cells: what is counted once is there once, and the page is written from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A count that only rises. Adding is one relaxed atomic operation.
#[derive(Debug, Default)]
pub struct CounterCell {
    value: AtomicU64,
}

impl CounterCell {
    /// Counts one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts this many.
    pub(super) fn add(&self, more: u64) {
        self.value.fetch_add(more, Relaxed);
    }

    /// The count since the start of the process.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value.load(Relaxed)
    }
}

/// A number that rises and falls. Clones are the same cell.
#[derive(Clone, Debug, Default)]
pub struct GaugeCell {
    value: Arc<AtomicI64>,
}

impl GaugeCell {
    /// One more.
    pub fn inc(&self) {
        self.value.fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.value.fetch_sub(1, Relaxed);
    }

    /// One more until the answer is dropped: for things that can end in many ways.
    pub fn hold(&self) -> Held {
        self.inc();
        Held {
            gauge: self.clone(),
        }
    }

    /// Exactly this many.
    pub fn set(&self, value: u64) {
        self.value
            .store(i64::try_from(value).unwrap_or(i64::MAX), Relaxed);
    }

    /// The number at this moment.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.value.load(Relaxed)
    }
}

/// One unit of a [`GaugeCell`], given back when dropped.
#[derive(Debug)]
#[must_use = "the gauge falls again when this is dropped"]
pub struct Held {
    gauge: GaugeCell,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_between_threads() {
        let cell = CounterCell::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| cell.increment()));
            }
        });
        assert_eq!(cell.value(), 40_000);
    }

    #[test]
    fn a_held_unit_is_given_back_once() {
        let gauge = GaugeCell::default();
        let one = gauge.hold();
        let two = gauge.hold();
        assert_eq!(gauge.value(), 2);
        drop(one);
        assert_eq!(gauge.value(), 1);
        drop(two);
        assert_eq!(gauge.value(), 0);
    }
}
