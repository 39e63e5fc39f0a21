//! What old does to itself: for a few of the pairs old, or its twin, is asked once more, and its answers are held against each other.

use crate::plan::RoutePlan;
use crate::shadow::exchange::{Question, ask};
use crate::shadow::offer::{AnswerCopy, Pair};
use crate::shadow::weigh::{Kept, Measure, Scales, is_light, keep};
use crate::side::Side;
use crate::telemetry::Role;
use crate::upstream::Pools;
use crate::upstream::alarm::Alarm;
use crate::upstream::endpoint::TWICE_IN_FLIGHT;
use crate::upstream::guard::GuardState;
use http::{HeaderMap, Method};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Who asks old twice.
#[derive(Debug)]
pub(super) struct Twice {
    pools: Arc<Pools>,
    scales: Arc<Scales>,
    turns: Semaphore,
}

impl Twice {
    pub(super) fn new(pools: &Arc<Pools>, scales: &Arc<Scales>) -> Self {
        Self {
            pools: Arc::clone(pools),
            scales: Arc::clone(scales),
            turns: Semaphore::new(TWICE_IN_FLIGHT),
        }
    }

    /// Asks old once more for a pair, when it is its turn, and tells what came of it: nothing, where old is left alone or does not answer.
    pub(super) async fn ask(
        &self,
        route: &Arc<RoutePlan>,
        pair: &Pair,
        other: &AnswerCopy<HeaderMap>,
    ) {
        let _turn = self.turns.acquire().await;
        let group = &route.old_again;
        if group.common().guard(Role::Shadow).state() != GuardState::Closed {
            return;
        }
        let first: Kept = match pair.served {
            Side::Old => pair.answer.clone(),
            Side::New => keep(other, &route.rules),
        };
        let question = Question {
            request: &pair.request,
            served_status: pair.answer.status,
            group,
            bounds: route.shadow,
            span: fastrand::u64(..),
            timed: None,
        };
        route.metrics.recheck();
        let mut memory = pair.memory.beside();
        let answer = ask(&self.pools, question, &mut memory, &mut Alarm::default()).await;
        let Ok(answer) = answer else {
            return;
        };
        let second = keep(&answer, &route.rules);
        let (head_only, light) = (
            pair.request.method == Method::HEAD,
            is_light(&first, &second),
        );
        let route = Arc::clone(route);
        let tell = move || {
            let measure = Measure {
                route: &route,
                head_only,
                memory: &memory,
            };
            measure.hear_old(&first, &second);
        };
        if light {
            tell();
        } else {
            self.scales.long(tell).await;
        }
    }
}
