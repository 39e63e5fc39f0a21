//! Which mismatch is asked again, where not all can be.
//!
//! Invariant: what is spent never exceeds a share of the pairs that were counted, at any moment. What may be spent goes to where least was learned: a
//! stratum that was never asked about may spend all that there is; others leave a reserve, the more of it the nearer they are to the mean of all strata;
//! and what could teach nothing, since its key has counted already, leaves two. So a rare stratum is never crowded out by a frequent one.

/// Requests that may be saved up: beyond that what was not used is lost, so that calm hours are not followed by a storm.
const MOST: f64 = 600.0;

/// Requests that are kept for rare strata.
const RESERVE: f64 = 60.0;

/// What asking again would teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How often the least known stratum among the mismatch's paths was asked again; none if the key has counted everywhere in this hour.
    pub asked: Option<u64>,
    /// Strata that were asked again at all, and how often in all.
    pub strata: u64,
    /// See `strata`.
    pub asked_in_all: u64,
}

/// What may be spent on asking again.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    share: f64,
    left: f64,
}

impl Budget {
    /// A budget of so many requests for each pair.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share, left: 0.0 }
    }

    /// Pairs were asked for.
    pub fn earn(&mut self, pairs: u64) {
        self.left = (self.left + pairs as f64 * self.share).min(MOST);
    }

    /// Whether a mismatch is asked again with at most so many requests, which are taken then.
    pub fn grant(&mut self, claim: Claim, requests: u32) -> bool {
        let kept = match claim.asked {
            Some(asked) => {
                let mean = claim.asked_in_all as f64 / claim.strata.max(1) as f64;
                RESERVE * (asked as f64 / mean.max(1.0)).min(1.0)
            }
            None => 2.0 * RESERVE,
        };
        let cost = f64::from(requests);
        let granted = self.left >= kept + cost;
        if granted {
            self.left -= cost;
        }
        granted
    }

    /// Of what was granted, so many requests were not needed.
    pub fn give_back(&mut self, requests: u32) {
        self.left = (self.left + f64::from(requests)).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Claim = Claim {
        asked: Some(0),
        strata: 0,
        asked_in_all: 0,
    };

    #[test]
    fn nothing_is_spent_that_was_not_earned() {
        let mut budget = Budget::new(0.1);
        assert!(!budget.grant(FIRST, 6));
        budget.earn(59);
        assert!(!budget.grant(FIRST, 6));
        budget.earn(1);
        assert!(budget.grant(FIRST, 6) && !budget.grant(FIRST, 1));
        budget.give_back(4);
        assert!(budget.grant(FIRST, 4) && !budget.grant(FIRST, 1));
        budget.earn(1_000_000);
        let granted = (0..1_000).filter(|_| budget.grant(FIRST, 6)).count();
        assert_eq!(granted, 100, "no more is saved up than that");
    }

    #[test]
    fn what_was_asked_least_may_spend_most() {
        let claim = |asked| Claim {
            asked,
            strata: 3,
            asked_in_all: 300,
        };
        let granted = |claim| {
            let mut budget = Budget::new(1.0);
            budget.earn(600);
            (0..1_000).filter(|_| budget.grant(claim, 1)).count()
        };
        assert_eq!(granted(claim(Some(0))), 600);
        assert_eq!(granted(claim(Some(50))), 570);
        assert_eq!(granted(claim(Some(100))), 540);
        assert_eq!(granted(claim(Some(1_000))), 540);
        assert_eq!(granted(claim(None)), 480);
    }
}
