//! How many requests may be sent to a side twice: one in five, so that a side in trouble is never asked much more than before.

/// Requests that earn a retry.
const PRICE: u64 = 5;

/// Retries that a process begins with.
const FIRST: u64 = 10;

/// Retries that are saved up at most.
const MOST: u64 = 100;

/// What was earned and not spent, in fifths of a retry.
#[derive(Debug)]
pub(super) struct Budget {
    saved: u64,
    /// Requests that have earned their part.
    asked: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            saved: FIRST * PRICE,
            asked: 0,
        }
    }

    /// Takes one retry, if there is one. `asked` counts the requests since the start.
    pub(super) fn spend(&mut self, asked: u64) -> bool {
        self.saved = (self.saved + asked.saturating_sub(self.asked)).min(MOST * PRICE);
        self.asked = self.asked.max(asked);
        let enough = self.saved >= PRICE;
        if enough {
            self.saved -= PRICE;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn five_requests_earn_a_retry_and_not_all_are_saved() {
        let mut budget = Budget::new();
        let mut check = |asked: u64, expected: usize| {
            let spent = (0..1_000).take_while(|_| budget.spend(asked)).count();
            assert_eq!(spent, expected, "{asked}");
        };
        check(0, 10);
        check(4, 0);
        check(5, 1);
        check(24, 3);
        check(25, 1);
        check(1_000_000, 100);
        check(999_999, 0);
        check(1_000_005, 1);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_a_fifth_of_all_requests_and_the_first_ten(
            steps in prop::collection::vec((0..50_u64, 0..50_usize), 0..100)
        ) {
            let (mut budget, mut asked, mut spent) = (Budget::new(), 0, 0);
            for (more, tries) in steps {
                asked += more;
                spent += (0..tries).filter(|_| budget.spend(asked)).count() as u64;
                prop_assert!(spent <= FIRST + asked / PRICE);
            }
        }
    }
}
