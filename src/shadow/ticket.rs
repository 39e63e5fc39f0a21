//! The account of a sampled request. However it ends, by drop at the latest, it is counted, so that always
//! sampled = shadow requests + dropped, and shadow requests = the sum of comparisons.

use crate::compare::{Incomparable, Verdict};
use crate::plan::RoutePlan;
use crate::side::Side;
use crate::telemetry::Dropped;
use std::sync::Arc;

/// A sampled request that was not asked yet.
#[derive(Debug)]
pub struct Ticket {
    route: Option<Arc<RoutePlan>>,
    otherwise: Dropped,
}

impl Ticket {
    /// Counts a request as sampled. Until it is offered, dropping the ticket means that the client left.
    #[must_use]
    pub fn sampled(route: Arc<RoutePlan>) -> Self {
        route.metrics.sampled();
        Self {
            route: Some(route),
            otherwise: Dropped::Aborted,
        }
    }

    /// It makes no pair.
    pub fn dropped(mut self, reason: Dropped) {
        self.otherwise = reason;
    }

    /// It lies in the lab's queue: what is left there at the end was dropped by the shutdown.
    #[must_use]
    pub fn queued(mut self) -> Self {
        self.otherwise = Dropped::Shutdown;
        self
    }

    /// The other side is asked now.
    #[must_use]
    pub fn asked(mut self, side: Side) -> Asked {
        let route = self.route.take();
        if let Some(route) = &route {
            route.metrics.shadow_request(side);
        }
        // A judgement that ends without a verdict was stopped with the lab: nobody waited for the answer any more.
        Asked {
            route,
            verdict: Verdict::Incomparable(Incomparable::ShadowTimeout),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(route) = self.route.take() {
            route.metrics.dropped(self.otherwise);
        }
    }
}

/// A sampled request of which the other side has its copy.
#[derive(Debug)]
pub struct Asked {
    route: Option<Arc<RoutePlan>>,
    verdict: Verdict,
}

impl Asked {
    /// The pair is judged.
    pub fn judged(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(route) = self.route.take() {
            route.metrics.verdict(self.verdict);
        }
    }
}
