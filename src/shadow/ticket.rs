//! The account of a sampled request. However it ends, by drop at the latest, it is counted, so that always
//! sampled = shadow requests + dropped, and shadow requests = the sum of comparisons.

use crate::compare::{Incomparable, Verdict};
use crate::plan::RoutePlan;
use crate::side::Side;
use crate::telemetry::Dropped;
use std::sync::Arc;

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
}

#[derive(Debug)]
enum End {
    Dropped(Dropped),
    Judged(Verdict),
}

impl Ticket {
    /// Counts a request as sampled. Until it is offered, dropping the ticket means that the client left.
    #[must_use]
    pub fn sampled(route: Arc<RoutePlan>) -> Self {
        route.metrics.sampled();
        Self(Account {
            route,
            end: End::Dropped(Dropped::Aborted),
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
        // A judgement that ends without a verdict was stopped with the lab: nobody waited for the answer any more.
        account.end = End::Judged(Verdict::Incomparable(Incomparable::ShadowTimeout));
        Asked(account)
    }
}

impl Asked {
    /// The route in force when the request was decided.
    #[must_use]
    pub fn route(&self) -> &Arc<RoutePlan> {
        &self.0.route
    }

    /// The pair is judged.
    pub fn judged(mut self, verdict: Verdict) {
        self.0.end = End::Judged(verdict);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        match self.end {
            End::Dropped(reason) => self.route.metrics.dropped(reason),
            End::Judged(verdict) => self.route.metrics.verdict(verdict),
        }
    }
}
