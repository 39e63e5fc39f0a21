//! Which endpoints of a side are to be asked: one that fails time after time is left out for a while, and so is one that its checks
//! find unhealthy. Judged from what is told, with the time as an argument.
//!
//! Never all of them are ejected; and where none is left that is well, all are asked.

use std::time::Duration;

/// Failures in a row after which an endpoint is ejected.
const FAILURES: u32 = 5;

/// For how long, the first time; twice as long each time after.
const FIRST: Duration = Duration::from_secs(1);

/// The longest ejection. An endpoint that does well for as long begins small again.
const LONGEST: Duration = Duration::from_secs(60);

/// Checks in a row that change what is thought of an endpoint.
const CHECKS: u32 = 2;

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Up,
    /// Requests to it failed.
    Ejected,
    /// Its checks failed.
    Unhealthy,
}

/// What is known of each endpoint of a side.
#[derive(Debug)]
pub(super) struct Outliers(Vec<One>);

#[derive(Clone, Debug, Default)]
struct One {
    /// In a row.
    failures: u32,
    /// When its last ejection is over.
    until: Option<Duration>,
    ejected: bool,
    /// In a row.
    ejections: u32,
    unhealthy: bool,
    /// Checks in a row that said otherwise.
    contrary: u32,
}

impl Outliers {
    /// All are up.
    pub(super) fn new(endpoints: usize) -> Self {
        Self(vec![One::default(); endpoints])
    }

    /// How an endpoint is.
    pub(super) fn standing(&self, index: usize) -> Standing {
        match &self.0[index] {
            One {
                unhealthy: true, ..
            } => Standing::Unhealthy,
            One { ejected: true, .. } => Standing::Ejected,
            _ => Standing::Up,
        }
    }

    /// A request to an endpoint has failed. For how long that is ejected now, if so.
    pub(super) fn failed(&mut self, index: usize, now: Duration) -> Option<Duration> {
        let others = (0..self.0.len()).filter(|other| *other != index);
        let alone = others
            .map(|other| self.standing(other))
            .all(|other| other != Standing::Up);
        let one = &mut self.0[index];
        one.failures += 1;
        if one.failures < FAILURES || one.ejected || alone {
            return None;
        }
        if one.until.is_some_and(|until| now >= until + LONGEST) {
            one.ejections = 0;
        }
        let pause = FIRST
            .saturating_mul(1 << one.ejections.min(16))
            .min(LONGEST);
        one.ejections += 1;
        one.ejected = true;
        one.until = Some(now + pause);
        Some(pause)
    }

    /// A request to an endpoint went well.
    pub(super) fn went_well(&mut self, index: usize) {
        self.0[index].failures = 0;
    }

    /// Whether failures of an endpoint are remembered.
    pub(super) fn remembers(&self, index: usize) -> bool {
        self.0[index].failures > 0
    }

    /// A check of an endpoint. Whether it changed what is thought of it.
    pub(super) fn checked(&mut self, index: usize, healthy: bool) -> bool {
        let one = &mut self.0[index];
        if one.unhealthy != healthy {
            one.contrary = 0;
            return false;
        }
        one.contrary += 1;
        let changes = one.contrary >= CHECKS;
        if changes {
            one.unhealthy = !healthy;
            one.contrary = 0;
        }
        changes
    }

    /// Takes back the endpoints whose time is over. The next failure of one that has not done well since ejects it again.
    pub(super) fn take_back(&mut self, now: Duration) {
        for one in &mut self.0 {
            if one.ejected && one.until.is_some_and(|until| now >= until) {
                one.ejected = false;
                one.failures = FAILURES - 1;
            }
        }
    }
}

/// An endpoint for the next request: of two that chance names, the one with fewer requests in flight. Only if there is no other are
/// those taken that are not `able`.
pub(super) fn choose(
    endpoints: usize,
    able: impl Fn(usize) -> bool,
    in_flight: impl Fn(usize) -> usize,
    random: u64,
) -> usize {
    let count = (0..endpoints).filter(|index| able(*index)).count();
    let any = count == 0;
    let count = if any { endpoints } else { count };
    let nth = |nth: usize| {
        let mut candidates = (0..endpoints).filter(|index| any || able(*index));
        // Whether one is able may change meanwhile.
        candidates.nth(nth).unwrap_or(nth)
    };
    let high = usize::try_from(random >> 32).unwrap_or(0);
    let low = usize::try_from(random & 0xffff_ffff).unwrap_or(0);
    let first = high % count;
    let one = nth(first);
    if count == 1 {
        return one;
    }
    // Any but the first, each as likely.
    let other = nth((first + 1 + low % (count - 1)) % count);
    if in_flight(other) < in_flight(one) {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fail(outliers: &mut Outliers, index: usize, now: Duration) -> Vec<Option<Duration>> {
        (0..FAILURES).map(|_| outliers.failed(index, now)).collect()
    }

    #[test]
    fn five_failures_in_a_row_eject_for_longer_each_time() {
        let mut outliers = Outliers::new(2);
        for _ in 0..100 {
            for _ in 1..FAILURES {
                assert_eq!(outliers.failed(0, seconds(0)), None);
            }
            assert!(outliers.remembers(0) && !outliers.remembers(1));
            outliers.went_well(0);
            assert!(!outliers.remembers(0));
        }
        let mut now = seconds(100);
        let said = fail(&mut outliers, 0, now);
        assert_eq!(said, [None, None, None, None, Some(seconds(1))]);
        assert_eq!(outliers.standing(0), Standing::Ejected);
        outliers.take_back(now + Duration::from_millis(999));
        assert_eq!(outliers.standing(0), Standing::Ejected);
        assert_eq!(outliers.failed(0, now), None, "once");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            now += seconds(60);
            outliers.take_back(now);
            assert_eq!(outliers.standing(0), Standing::Up);
            pauses.extend(outliers.failed(0, now));
        }
        let expected = [2, 4, 8, 16, 32, 60, 60, 60].map(seconds);
        assert_eq!(
            pauses, expected,
            "one failure is enough while it did not do well"
        );
        now += seconds(60);
        outliers.take_back(now);
        outliers.went_well(0);
        assert_eq!(fail(&mut outliers, 0, now)[4], Some(seconds(60)));
        now += seconds(120);
        outliers.take_back(now);
        outliers.went_well(0);
        assert_eq!(fail(&mut outliers, 0, now)[4], Some(seconds(1)));
    }

    #[test]
    fn the_last_that_is_up_is_never_ejected() {
        let mut outliers = Outliers::new(3);
        assert!(fail(&mut outliers, 0, seconds(0))[4].is_some());
        assert!(!outliers.checked(1, false));
        assert!(outliers.checked(1, false));
        assert_eq!(outliers.standing(1), Standing::Unhealthy);
        for _ in 0..10 {
            assert_eq!(fail(&mut outliers, 2, seconds(0)), [None; 5]);
        }
        assert_eq!(fail(&mut Outliers::new(1), 0, seconds(0)), [None; 5]);
        outliers.take_back(seconds(1));
        assert_eq!(outliers.failed(2, seconds(1)), Some(seconds(1)));
    }

    #[test]
    fn two_checks_in_a_row_decide() {
        let mut outliers = Outliers::new(1);
        let changes: Vec<_> = [false, true, false, false, false, true, false, true, true]
            .iter()
            .map(|healthy| outliers.checked(0, *healthy))
            .collect();
        let mut expected = [false; 9];
        (expected[3], expected[8]) = (true, true);
        assert_eq!(changes, expected);
        assert_eq!(outliers.standing(0), Standing::Up);
    }

    proptest! {
        #[test]
        fn the_better_of_two_that_are_able(
            endpoints in prop::collection::vec((any::<bool>(), 0..5_usize), 1..10),
            random: u64,
        ) {
            let able = |index: usize| endpoints[index].0;
            let chosen = choose(endpoints.len(), able, |index| endpoints[index].1, random);
            let candidates: Vec<_> = (0..endpoints.len())
                .filter(|index| able(*index) || endpoints.iter().all(|(able, _)| !able))
                .collect();
            prop_assert!(candidates.contains(&chosen));
            // It was preferred to another one, unless there is none.
            let worse = candidates.iter().filter(|index| endpoints[**index].1 >= endpoints[chosen].1);
            prop_assert!(worse.count() >= candidates.len().min(2));
        }

        #[test]
        fn each_comes_as_often(seed: u64) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut counts = [0_u32; 4];
            for _ in 0..3_000 {
                counts[choose(4, |index| index != 2, |_| 0, random.u64(..))] += 1;
            }
            prop_assert_eq!(counts[2], 0);
            prop_assert!(counts.iter().filter(|count| (850..1_150).contains(*count)).count() == 3, "{:?}", counts);
        }
    }
}
