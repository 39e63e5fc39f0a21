//! When a side that fails is left alone, and when it is tried again: judged from counts, with the time as an argument.
//!
//! Closed, everything is asked. Open, nothing is, for a pause that grows each time. Then a few probes decide: all must do well.

use std::collections::VecDeque;
use std::time::Duration;

/// How long counts are remembered.
const WINDOW: Duration = Duration::from_secs(10);

/// Fewer requests within the window say nothing.
const LEAST: u64 = 50;

/// It opens once more than one in this many has failed.
const ONE_IN: u64 = 5;

/// Requests that are let through after a pause; all of them must do well.
pub(super) const PROBES: u32 = 5;

/// The first pause; each that follows is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause. After as long without a new one the next begins small again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What was counted since the start. Counts never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Requests that were sent.
    pub(super) asked: u64,
    /// Failures among them, counted when they show.
    pub(super) failed: u64,
    /// Probes that did well.
    pub(super) won: u64,
    /// Probes that failed.
    pub(super) lost: u64,
}

/// What a breaker has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Too much failed: nothing is asked for this long.
    Opened {
        /// How long.
        pause: Duration,
        /// Requests of the last ten seconds.
        requests: u64,
        /// Failures of the last ten seconds.
        failed: u64,
    },
    /// The pause is over: probes are let through.
    Probing,
    /// A probe has failed: nothing is asked for this long.
    Reopened {
        /// How long.
        pause: Duration,
    },
    /// All probes did well: everything is asked again.
    Closed,
}

/// The judge of one side in one role.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    /// Counts at moments of the window, and the last one before it.
    window: VecDeque<(Duration, Seen)>,
    /// Pauses in a row.
    pauses: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Since then.
    Closed(Duration),
    /// Until then.
    Open(Duration),
    /// What was counted when it began.
    Probing(Seen),
}

impl Breaker {
    /// Closed, with nothing counted.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Closed(Duration::ZERO),
            window: VecDeque::new(),
            pauses: 0,
        }
    }

    /// Judges what was counted by `now`, which is measured from any moment, always the same one. To be asked a few times a second.
    pub(super) fn judge(&mut self, now: Duration, seen: Seen) -> Option<Change> {
        match self.phase {
            Phase::Closed(since) => {
                if now.saturating_sub(since) >= LONGEST_PAUSE {
                    self.pauses = 0;
                }
                let (requests, failed) = self.within_window(now, seen);
                if requests < LEAST || failed * ONE_IN <= requests {
                    return None;
                }
                let pause = self.pause(now);
                Some(Change::Opened {
                    pause,
                    requests,
                    failed,
                })
            }
            Phase::Open(until) if now < until => None,
            Phase::Open(_) => {
                self.phase = Phase::Probing(seen);
                Some(Change::Probing)
            }
            Phase::Probing(begun) if seen.lost > begun.lost => {
                let pause = self.pause(now);
                Some(Change::Reopened { pause })
            }
            Phase::Probing(begun) if seen.won - begun.won >= u64::from(PROBES) => {
                self.phase = Phase::Closed(now);
                self.window.clear();
                self.window.push_back((now, seen));
                Some(Change::Closed)
            }
            Phase::Probing(_) => None,
        }
    }

    /// Requests and failures of the window. What failed may have been asked before it.
    fn within_window(&mut self, now: Duration, seen: Seen) -> (u64, u64) {
        self.window.push_back((now, seen));
        while self
            .window
            .get(1)
            .is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW)
        {
            self.window.pop_front();
        }
        let before = self.window.front().map_or(seen, |(_, seen)| *seen);
        let failed = seen.failed - before.failed;
        ((seen.asked - before.asked).max(failed), failed)
    }

    fn pause(&mut self, now: Duration) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16));
        let pause = pause.min(LONGEST_PAUSE);
        self.pauses += 1;
        self.phase = Phase::Open(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A breaker, its clock and what it has been told.
    struct Bench {
        breaker: Breaker,
        now: Duration,
        seen: Seen,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                breaker: Breaker::new(),
                now: Duration::ZERO,
                seen: Seen::default(),
            };
            assert_eq!(bench.after(0, 0, 0), None);
            bench
        }

        /// So many milliseconds later, after so many more requests and failures.
        fn after(&mut self, millis: u64, asked: u64, failed: u64) -> Option<Change> {
            self.now += Duration::from_millis(millis);
            self.seen.asked += asked;
            self.seen.failed += failed;
            self.breaker.judge(self.now, self.seen)
        }

        fn probes(&mut self, won: u64, lost: u64) -> Option<Change> {
            self.seen.won += won;
            self.seen.lost += lost;
            self.breaker.judge(self.now, self.seen)
        }

        fn open(&mut self) -> Duration {
            match self.after(1, 100, 100) {
                Some(Change::Opened { pause, .. }) => pause,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn over_a_fifth_of_at_least_fifty_requests_in_ten_seconds() {
        let check = |steps: &[(u64, u64, u64)], opens: bool| {
            let mut bench = Bench::new();
            let changes: Vec<_> = steps
                .iter()
                .map(|(millis, asked, failed)| bench.after(*millis, *asked, *failed))
                .collect();
            let (last, before) = changes.split_last().unwrap();
            assert!(before.iter().all(Option::is_none), "{steps:?}");
            let opened = matches!(last, Some(Change::Opened { .. }));
            assert_eq!(opened, opens, "{steps:?}");
        };
        check(&[(200, 49, 49)], false);
        check(&[(200, 50, 10)], false);
        check(&[(200, 50, 11)], true);
        check(&[(200, 1_000, 200)], false);
        check(&[(200, 1_000, 201)], true);
        // What is older than ten seconds counts no more, neither for nor against.
        check(&[(200, 40, 40), (10_000, 9, 9)], false);
        check(&[(200, 10_000, 0), (5_000, 0, 0), (10_000, 50, 50)], true);
        check(&[(200, 30, 30), (9_000, 30, 30)], true);
        // A side that hangs fails late, when nothing is asked any more.
        check(&[(200, 60, 0), (5_000, 0, 0), (10_000, 0, 49)], false);
        check(&[(200, 60, 0), (5_000, 0, 0), (10_000, 0, 50)], true);
    }

    #[test]
    fn after_a_pause_probes_decide() {
        let mut bench = Bench::new();
        assert_eq!(bench.open(), FIRST_PAUSE);
        assert_eq!(bench.after(999, 100, 100), None, "not yet");
        assert_eq!(bench.after(1, 0, 0), Some(Change::Probing));
        assert_eq!(bench.after(60_000, 100, 100), None, "only probes count");
        assert_eq!(bench.probes(4, 0), None);
        let pause = 2 * FIRST_PAUSE;
        assert_eq!(bench.probes(0, 1), Some(Change::Reopened { pause }));
        assert_eq!(bench.after(1_999, 0, 0), None);
        assert_eq!(bench.after(1, 0, 0), Some(Change::Probing));
        assert_eq!(bench.probes(5, 0), Some(Change::Closed));
        assert_eq!(bench.after(200, 49, 49), None, "it begins anew");
        assert_eq!(
            bench.after(200, 1, 0),
            Some(Change::Opened {
                pause: 4 * FIRST_PAUSE,
                requests: 50,
                failed: 49
            })
        );
    }

    #[test]
    fn pauses_grow_to_a_minute_and_begin_small_after_a_good_one() {
        let mut bench = Bench::new();
        let mut pauses = vec![bench.open()];
        for _ in 0..40 {
            bench.after(60_000, 0, 0);
            match bench.probes(0, 1) {
                Some(Change::Reopened { pause }) => pauses.push(pause),
                other => panic!("{other:?}"),
            }
        }
        let seconds: Vec<_> = pauses[..8].iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses[40], LONGEST_PAUSE);
        bench.after(60_000, 0, 0);
        assert_eq!(bench.probes(5, 0), Some(Change::Closed));
        assert_eq!(bench.after(60_000, 1_000, 0), None);
        bench.after(10_000, 0, 0);
        assert_eq!(bench.open(), FIRST_PAUSE);
    }

    proptest! {
        #[test]
        fn whatever_is_counted_it_opens_only_for_reason_and_goes_its_way(
            steps in prop::collection::vec((0..20_000_u64, 0..200_u64, 0..100_u64, 0..3_u64, 0..2_u64), 1..200)
        ) {
            let mut bench = Bench::new();
            let mut last = Change::Closed;
            for (millis, asked, failed, won, lost) in steps {
                bench.seen.won += won;
                bench.seen.lost += lost;
                let Some(change) = bench.after(millis, asked, failed) else { continue };
                let in_turn = match change {
                    Change::Opened { requests, failed, pause } => {
                        prop_assert!(requests >= LEAST && failed * ONE_IN > requests);
                        prop_assert!(pause <= LONGEST_PAUSE);
                        last == Change::Closed
                    }
                    Change::Probing => matches!(last, Change::Opened { .. } | Change::Reopened { .. }),
                    Change::Reopened { .. } | Change::Closed => last == Change::Probing,
                };
                prop_assert!(in_turn, "{last:?} {change:?}");
                last = change;
            }
        }
    }
}
