//! What differed at the first look is kept with all answers that were looked at, for whoever wants to judge it again.

use crate::compare::Divergence;
use crate::compare::cause::CauseId;
use crate::compare::recheck::Judgement;
use crate::plan::RoutePlan;
use crate::shadow::offer::Pair;
use crate::shadow::weigh::Kept;
use crate::side::Side;
use crate::store::samples::{Group, RawLook, RawSample, Samples, UNNAMED};
use crate::telemetry::labels::VerdictLabel;
use http::Method;
use std::sync::Arc;

/// A pair that differed, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Differed<'a> {
    pub(super) route: &'a RoutePlan,
    pub(super) pair: &'a Pair,
    /// The answer of the side that did not serve.
    pub(super) other: &'a Kept,
    /// What both answered when they were asked again, old's first.
    pub(super) last: Option<[&'a Kept; 2]>,
    pub(super) found: &'a Arc<[Divergence]>,
    pub(super) judgement: Judgement,
    /// The cause of a mismatch, if it has a name.
    pub(super) cause: Option<CauseId>,
}

impl Differed<'_> {
    /// Hands it to the samples, if they want it. What they take is in memory of its own.
    pub(super) fn offer(self, samples: &Samples) {
        let (name, verdict) = (self.route.name(), VerdictLabel::from(self.judgement));
        let group = match (self.judgement, self.cause) {
            (Judgement::Mismatch { .. }, Some(cause)) => Group::new(name, cause),
            (Judgement::Mismatch { .. }, None) => Group::new(name, UNNAMED),
            (Judgement::Noise | Judgement::Transient | Judgement::Lag, _) => {
                Group::new(name, verdict.name())
            }
        };
        if let Some(group) = samples.wants(group, self.pair.at) {
            samples.offer(group, Box::new(self.sample(verdict)));
        }
    }

    fn sample(self, verdict: VerdictLabel) -> RawSample {
        let Self {
            route, pair, found, ..
        } = self;
        let [old, new] = match pair.served {
            Side::Old => [&pair.answer, self.other],
            Side::New => [self.other, &pair.answer],
        };
        RawSample {
            at: pair.at,
            route: Arc::clone(route.name()),
            method: pair.request.method.clone(),
            target: String::from_utf8_lossy(&pair.request.head.text()).into_owned(),
            key: pair.key.clone(),
            served: pair.served,
            generation: pair.generation,
            rules: route.rules.fingerprint(),
            verdict: verdict.name(),
            found: Arc::clone(found),
            compared: route.rules.headers.clone(),
            hiding: Arc::clone(&route.hiding),
            old: self.look(old),
            new: self.look(new),
            old2: self.last.map(|[old, _]| self.look(old)),
            new2: self.last.map(|[_, new]| self.look(new)),
        }
    }

    fn look(self, answer: &Kept) -> RawLook {
        let has_body = self.pair.request.method != Method::HEAD;
        RawLook {
            status: answer.status,
            headers: answer.headers.map(0, |_| true),
            body: has_body.then(|| answer.body.clone()),
        }
    }
}
