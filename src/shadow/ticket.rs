//! The account of a sampled request. However it ends, by drop at the latest, it is counted, so that always
//! sampled = shadow requests + dropped, and shadow requests = the sum of comparisons.

use crate::compare::{Incomparable, Verdict};
use crate::plan::RoutePlan;
use crate::side::Side;
use crate::telemetry::trace::Copied;
use crate::telemetry::{Dropped, Judged};
use std::sync::Arc;
use std::thread;

/// A sampled request that was not asked yet.
#[derive(Debug)]
pub struct Ticket(Account);

/// A sampled request of which the other side has its copy.
#[derive(Debug)]
pub struct Asked(Account);

/// What is counted when the account is closed, which is when it is dropped.
#[derive(Debug)]
struct Account {
    /// The route in force when the request was decided.
    route: Arc<RoutePlan>,
    end: End,
    copied: Option<Copied>,
}

#[derive(Debug)]
enum End {
    Dropped(Dropped),
    /// No verdict yet.
    Asked,
    /// A mismatch that waits for another look.
    Doubted,
    Judged(Judged),
}

impl Ticket {
    /// Counts a request as sampled. Until it is offered, dropping the ticket means that the client left.
    #[must_use]
    pub fn sampled(route: Arc<RoutePlan>) -> Self {
        route.metrics.sampled();
        Self(Account {
            route,
            end: End::Dropped(Dropped::Aborted),
            copied: None,
        })
    }

    /// The route in force when the request was decided.
    #[must_use]
    pub fn route(&self) -> &Arc<RoutePlan> {
        &self.0.route
    }

    /// It makes no pair.
    pub fn dropped(mut self, reason: Dropped) {
        self.0.end = End::Dropped(reason);
    }

    /// It lies in the lab's queue: what is left there at the end was dropped by the shutdown.
    #[must_use]
    pub fn queued(mut self) -> Self {
        self.0.end = End::Dropped(Dropped::Shutdown);
        self
    }

    /// The other side is asked now.
    #[must_use]
    pub fn asked(self, side: Side) -> Asked {
        let Self(mut account) = self;
        account.route.metrics.shadow_request(side);
        account.end = End::Asked;
        Asked(account)
    }
}

impl Asked {
    /// The route in force when the request was decided.
    #[must_use]
    pub fn route(&self) -> &Arc<RoutePlan> {
        &self.0.route
    }

    /// It has spans, which end when it is judged.
    pub fn trace(&mut self, copied: Option<Copied>) {
        self.0.copied = copied;
    }

    /// The pair differs, and is to be looked at again: let go of before that it is a mismatch.
    pub fn doubted(&mut self) {
        self.0.end = End::Doubted;
    }

    /// The pair is judged.
    pub fn judged(mut self, judged: impl Into<Judged>) {
        let judged = judged.into();
        if let Some(copied) = self.0.copied.take() {
            copied.judged(self.0.route.name(), judged.verdict.name());
        }
        self.0.end = End::Judged(judged);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        match self.end {
            End::Dropped(reason) => self.route.metrics.dropped(reason),
            End::Asked => self
                .route
                .metrics
                .verdict(Verdict::Incomparable(unjudged())),
            End::Doubted => self.route.metrics.verdict(if thread::panicking() {
                Verdict::Incomparable(unjudged())
            } else {
                Verdict::Mismatch
            }),
            End::Judged(judged) => self.route.metrics.verdict(judged),
        }
    }
}

/// Why a pair that is let go of has no verdict.
fn unjudged() -> Incomparable {
    if thread::panicking() {
        Incomparable::Internal
    } else {
        // It was stopped with the lab: nobody waited for the answer any more.
        Incomparable::ShadowTimeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::fixture::route;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Ends the account of a pair that was asked, and checks how it is counted.
    #[track_caller]
    fn check(end: impl FnOnce(Asked), want: Incomparable) {
        let route = route();
        let asked = Ticket::sampled(Arc::clone(&route)).asked(Side::New);
        // One that panics unwinds with the account in its hands.
        let _ = catch_unwind(AssertUnwindSafe(|| end(asked)));
        for reason in Incomparable::ALL {
            let counted = route.metrics.incomparable(reason);
            assert_eq!(counted, u64::from(reason == want), "{reason:?}");
        }
        assert!(route.metrics.ledger().is_settled());
    }

    #[test]
    fn an_account_that_is_let_go_of_tells_a_stop_from_a_defect() {
        check(drop, Incomparable::ShadowTimeout);
        check(|_asked| panic!("a planted defect"), Incomparable::Internal);
        check(
            |asked| asked.judged(Verdict::Incomparable(Incomparable::Coding)),
            Incomparable::Coding,
        );
    }
}
