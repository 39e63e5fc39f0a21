//! Rates with their trials and intervals: by Wilson for one, by Newcombe for the difference of two, and rates that forget.

use std::time::Duration;

/// Standard deviations on each side of an interval of 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// After so long an observation weighs half.
pub const HALF_LIFE: Duration = Duration::from_secs(600);

/// A share with its trials and interval: where one is shown, all are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The share, 0 where there are no trials.
    pub rate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Trials, or of those that are forgotten step by step what they are worth.
    pub trials: f64,
}

impl Interval {
    /// Wilson's score interval of a rate among trials, `z` standard deviations to each side. Without trials everything is possible.
    #[must_use]
    pub fn wilson(rate: f64, trials: f64, z: f64) -> Self {
        if trials <= 0.0 {
            return Self {
                rate: 0.0,
                low: 0.0,
                high: 1.0,
                trials: 0.0,
            };
        }
        let rate = rate.clamp(0.0, 1.0);
        let square = z * z / trials;
        let centre = rate + square / 2.0;
        let reach = z * (rate * (1.0 - rate) / trials + square / (4.0 * trials)).sqrt();
        Self {
            rate,
            low: ((centre - reach) / (1.0 + square)).clamp(0.0, rate),
            high: ((centre + reach) / (1.0 + square)).clamp(rate, 1.0),
            trials,
        }
    }

    /// Newcombe's hybrid score interval of `self` less another, independent rate: the difference with its lower and upper end.
    #[must_use]
    pub fn less(&self, other: &Self) -> [f64; 3] {
        let difference = self.rate - other.rate;
        let reach = |one: f64, two: f64| one.hypot(two);
        [
            difference,
            difference - reach(self.rate - self.low, other.high - other.rate),
            difference + reach(self.high - self.rate, other.rate - other.low),
        ]
    }
}

/// A count of observations that weigh half after [`HALF_LIFE`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Decayed {
    /// The sum of weights, and that of their squares.
    weight: f64,
    squares: f64,
    at: Duration,
}

impl Decayed {
    /// Adds observations of this moment.
    pub fn add(&mut self, count: u64, now: Duration) {
        *self = self.at(now);
        self.weight += count as f64;
        self.squares += count as f64;
    }

    /// What the observations weigh at a moment.
    #[must_use]
    pub fn weight(&self, now: Duration) -> f64 {
        self.at(now).weight
    }

    /// How many observations of one age would say as much: fewer than were made. Under a steady stream that is twice their weight; where nothing new
    /// comes it is at most that, so that old observations say less and less.
    #[must_use]
    pub fn effective(&self, now: Duration) -> f64 {
        let now = self.at(now);
        // Below this there is nothing left but rounding.
        if now.weight < 1e-9 {
            return 0.0;
        }
        (now.weight * now.weight / now.squares).min(2.0 * now.weight)
    }

    fn at(&self, now: Duration) -> Self {
        let age = now.saturating_sub(self.at);
        if age.is_zero() {
            return *self;
        }
        let factor = (-(age.as_secs_f64() / HALF_LIFE.as_secs_f64())).exp2();
        Self {
            weight: self.weight * factor,
            squares: self.squares * factor * factor,
            at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-5, "{found}, not {expected}");
    }

    /// Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I: method 3.
    #[test]
    fn wilson_is_as_published() {
        let check = |x: f64, n: f64, low: f64, high: f64| {
            let interval = Interval::wilson(x / n, n, Z95);
            near(interval.low, low);
            near(interval.high, high);
        };
        check(81.0, 263.0, 0.2553, 0.3662);
        check(15.0, 148.0, 0.0624, 0.1605);
        check(0.0, 20.0, 0.0, 0.1611);
        check(1.0, 29.0, 0.0061, 0.1718);
        check(29.0, 29.0, 0.8830, 1.0);
    }

    /// Newcombe, Interval estimation for the difference between independent proportions, 1998, table II: method 10.
    #[test]
    fn newcombe_is_as_published() {
        let check = |[a, m, b, n]: [f64; 4], low: f64, high: f64| {
            let one = Interval::wilson(a / m, m, Z95);
            let other = Interval::wilson(b / n, n, Z95);
            let [difference, found_low, found_high] = one.less(&other);
            near(difference, a / m - b / n);
            near(found_low, low);
            near(found_high, high);
        };
        check([56.0, 70.0, 48.0, 80.0], 0.0524, 0.3339);
        check([9.0, 10.0, 3.0, 10.0], 0.1705, 0.8090);
        check([6.0, 7.0, 2.0, 7.0], 0.0582, 0.8062);
        check([5.0, 56.0, 0.0, 29.0], -0.0381, 0.1926);
        check([10.0, 10.0, 0.0, 20.0], 0.6791, 1.0);
        check([10.0, 10.0, 0.0, 10.0], 0.6075, 1.0);
    }

    #[test]
    fn nothing_is_known_without_trials() {
        let none = Interval::wilson(0.0, 0.0, Z95);
        assert_eq!((none.low, none.high, none.trials), (0.0, 1.0, 0.0));
    }

    #[test]
    fn what_is_ten_minutes_old_weighs_half() {
        let mut count = Decayed::default();
        count.add(1_000, Duration::ZERO);
        near(count.weight(HALF_LIFE), 500.0);
        near(count.effective(HALF_LIFE), 1_000.0);
        near(count.effective(3 * HALF_LIFE), 250.0);
        near(count.weight(4 * HALF_LIFE), 62.5);
        count.add(1_000, HALF_LIFE);
        near(count.weight(HALF_LIFE), 1_500.0);
        // 1,500 squared over 1,000 + 250: less than the 2,000 that were made.
        near(count.effective(HALF_LIFE), 1_800.0);
        assert!(count.effective(100 * HALF_LIFE) < 1e-6);
        let steady = (0..100_000).fold(Decayed::default(), |mut count, second| {
            count.add(1, Duration::from_secs(second));
            count
        });
        // One a second for long: 2 × 600 / ln 2 seconds' worth.
        assert!((steady.effective(Duration::from_secs(99_999)) - 1_731.2).abs() < 1.0);
    }

    proptest! {
        #[test]
        fn intervals_hold_their_rate(x in 0_u32..1_000, more in 0_u32..1_000, z in 0.5_f64..6.0) {
            let n = f64::from(x + more).max(1.0);
            let interval = Interval::wilson(f64::from(x) / n, n, z);
            prop_assert!(0.0 <= interval.low && interval.low <= interval.rate);
            prop_assert!(interval.rate <= interval.high && interval.high <= 1.0);
        }
    }
}
