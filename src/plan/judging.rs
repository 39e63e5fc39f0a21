//! What a route remembers for its judgements, from one pair to the next. It outlives the Plans in which nothing changes of what is compared.

use crate::side::Side;
use crate::telemetry::RouteMetrics;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Of so many copies one more request may go to a side, for asking again.
const COPIES_A_REQUEST: u64 = 10;

/// Requests that may be saved up: after a quiet hour a mismatch is no reason for a storm.
const MOST_SAVED: u64 = 400;

/// A route's memory of judgements.
#[derive(Debug)]
pub struct Judging {
    purse: Mutex<Purse>,
}

/// What may be spent on asking again.
#[derive(Debug)]
struct Purse {
    /// Copies by which it was filled.
    copies: u64,
    /// In copies: a request costs [`COPIES_A_REQUEST`].
    saved: u64,
}

impl Judging {
    /// Nothing known yet, and nothing saved.
    pub(super) fn new(metrics: &RouteMetrics) -> Self {
        Self {
            purse: Mutex::new(Purse {
                copies: copies(metrics),
                saved: 0,
            }),
        }
    }

    /// Takes so many requests from what the copies have earned, if they have earned as many.
    #[must_use]
    pub fn take(&self, metrics: &RouteMetrics, requests: usize) -> bool {
        let mut purse = self.purse();
        purse.fill(copies(metrics));
        let cost = requests as u64 * COPIES_A_REQUEST;
        let left = purse.saved.checked_sub(cost);
        purse.saved = left.unwrap_or(purse.saved);
        left.is_some()
    }

    /// Puts back what was taken and is not needed.
    pub fn put_back(&self, requests: usize) {
        self.purse().save(requests as u64 * COPIES_A_REQUEST);
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    fn fill(&mut self, copies: u64) {
        self.save(copies.saturating_sub(self.copies));
        self.copies = copies;
    }

    fn save(&mut self, more: u64) {
        self.saved = (self.saved + more).min(MOST_SAVED * COPIES_A_REQUEST);
    }
}

fn copies(metrics: &RouteMetrics) -> u64 {
    let sides = Side::BOTH.iter();
    sides.map(|side| metrics.shadow_requests(*side)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_tenth_of_the_copies_may_be_asked_again_and_so_much_is_saved_up() {
        let metrics = Telemetry::new().route("a", None);
        let copies = |count| (0..count).for_each(|_| metrics.shadow_request(Side::New));
        copies(1_000);
        let judging = Judging::new(&metrics);
        let check = |more, requests, granted| {
            copies(more);
            assert_eq!(
                judging.take(&metrics, requests),
                granted,
                "{more} {requests}"
            );
        };
        check(0, 1, false);
        check(59, 6, false);
        check(1, 6, true);
        check(9, 1, false);
        check(1, 1, true);
        judging.put_back(2);
        check(0, 3, false);
        check(0, 2, true);
        check(1_000_000, 401, false);
        check(0, 400, true);
        check(0, 1, false);
    }

    #[test]
    fn of_any_traffic_at_most_a_tenth_more_is_asked() {
        let metrics = Telemetry::new().route("a", None);
        let judging = Judging::new(&metrics);
        let mut asked = 0;
        for copies in 1..10_000 {
            metrics.shadow_request(Side::Old);
            for requests in [6, 2, 1] {
                asked += if judging.take(&metrics, requests) {
                    requests
                } else {
                    0
                };
            }
            assert!(asked * 10 <= copies, "{asked} of {copies}");
        }
        assert_eq!(asked, 999);
    }
}
