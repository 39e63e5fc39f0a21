//! One pair in the lab: asked, judged, counted and remembered.

use crate::compare::cause::CauseId;
use crate::compare::docket::{Bench, Circumstances, Entered};
use crate::compare::recheck::Judgement;
use crate::compare::{Divergence, Incomparable, Rules, Verdict, media};
use crate::message::forwarded::TRACEPARENT;
use crate::plan::RoutePlan;
use crate::route::bucket::{BUCKETS, Share};
use crate::shadow::again::{self, Doubt, Doubts};
use crate::shadow::exchange::{Question, ask};
use crate::shadow::offer::{AnswerCopy, Offer, Offers, Pair, is_judged};
use crate::shadow::record::Finding;
use crate::shadow::sample::Differed;
use crate::shadow::ticket::Asked;
use crate::shadow::twice::Twice;
use crate::shadow::weigh::{Kept, Measure, Scales, is_light, keep, own};
use crate::shadow::writes::Writes;
use crate::side::Side;
use crate::store::samples::Samples;
use crate::store::{Causes, Mismatches, Redactor};
use crate::telemetry::trace::Copied;
use crate::telemetry::{Dropped, Role};
use crate::upstream::alarm::Alarm;
use crate::upstream::{Outcome, Pass, Pools};
use http::HeaderMap;
use std::sync::Arc;
use tokio::time::Instant;

/// What the lab works with.
#[derive(Debug)]
pub struct Lab {
    /// Connections of its own.
    pub pools: Arc<Pools>,
    /// Where mismatches are kept.
    pub mismatches: Arc<Mismatches>,
    /// What they have in common.
    pub causes: Arc<Causes>,
    /// What makes their values unreadable.
    pub redactor: Arc<Redactor>,
    /// Where both answers of what differs are kept.
    pub samples: Arc<Samples>,
    /// What has to be looked at again.
    pub(super) doubts: Arc<Doubts>,
    twice: Twice,
    writes: Arc<Writes>,
    scales: Arc<Scales>,
}

impl Lab {
    /// A lab that keeps its mismatches there.
    #[must_use]
    pub fn new(
        offers: &Offers,
        mismatches: Arc<Mismatches>,
        causes: Arc<Causes>,
        redactor: Arc<Redactor>,
        samples: &Arc<Samples>,
    ) -> Arc<Self> {
        let pools = Pools::new(Role::Shadow);
        let scales = Arc::<Scales>::default();
        let writes = Arc::clone(offers.writes());
        Arc::new(Self {
            doubts: Doubts::new(&pools, &scales, &writes, &mismatches, samples, &causes),
            twice: Twice::new(&pools, &scales),
            pools,
            mismatches,
            causes,
            redactor,
            samples: Arc::clone(samples),
            writes,
            scales,
        })
    }

    /// Asks the other side, and judges.
    pub(super) async fn judge(self: &Arc<Self>, (ticket, mut pair): Offer, alarm: &mut Alarm) {
        let side = pair.served.other();
        let probe = match ticket
            .route()
            .group(side)
            .common()
            .guard(Role::Shadow)
            .pass()
        {
            Pass::Free => None,
            Pass::Probe(probe) => Some(probe),
            Pass::Refused => {
                drop(pair);
                return ticket.dropped(Dropped::Breaker);
            }
        };
        let mut asked = ticket.asked(side);
        let traceparent = || pair.request.head.first(&TRACEPARENT);
        let mut copied = asked
            .route()
            .tracer
            .as_ref()
            .and_then(|tracer| tracer.copy(traceparent()));
        let span = copied
            .as_ref()
            .map_or_else(|| fastrand::u64(..), Copied::span);
        let Pair {
            request,
            answer: served,
            memory,
            ..
        } = &mut *pair;
        let question = Question {
            request,
            served_status: served.status,
            group: asked.route().group(side),
            bounds: asked.route().shadow,
            span,
            timed: Some(&asked.route().metrics),
        };
        let answer = ask(&self.pools, question, memory, alarm).await;
        if let Some(copied) = &mut copied {
            copied.heard(side.name(), heard(&answer));
        }
        asked.trace(copied);
        if let Some(probe) = probe {
            probe.tell(outcome(&answer));
        }
        let mut other = match answer {
            Ok(other) => other,
            Err(reason) => {
                drop(pair);
                return asked.judged(Verdict::Incomparable(reason));
            }
        };
        asked.route().metrics.pair(match pair.served {
            Side::Old => [pair.answer.latency, other.latency],
            Side::New => [other.latency, pair.answer.latency],
        });
        let circumstances = self.circumstances(asked.route(), &pair);
        if circumstances.is_recent() {
            drop(pair);
            return asked.judged(Verdict::Incomparable(Incomparable::RecentWrite));
        }
        let route = Arc::clone(asked.route());
        let drawn = again::may_repeat(&pair) && {
            let sample = route.noise.sample;
            sample > Share::NONE && sample.contains(fastrand::u16(..BUCKETS))
        };
        let (entered, twice) = route.judging.pair(drawn, Instant::now());
        if twice {
            other = own(&other, &route.rules);
            Box::pin(self.twice.ask(&route, &pair, &other)).await;
        }
        if !entered.is_counted() && is_same(&pair, &other, &route.rules) {
            drop(pair);
            return asked.judged(Verdict::Match);
        }
        let first = FirstSight {
            asked,
            pair,
            circumstances,
            entered,
        };
        let doubt = if is_light(&first.pair.answer, &other) {
            self.conclude(first, &other)
        } else {
            other = own(&other, &route.rules);
            let lab = Arc::clone(self);
            // If it panics the account closes by itself, as `internal`.
            let judged = self.scales.long(move || lab.conclude(first, &other));
            judged.await.flatten()
        };
        if let Some(doubt) = doubt {
            self.doubts.begin(doubt);
        }
    }

    /// What is known of a pair beside its answers. Nothing, where its key was written since.
    fn circumstances(&self, route: &RoutePlan, pair: &Pair) -> Circumstances {
        let key = pair.key.as_deref();
        let last = key.and_then(|key| self.writes.last(&route.policy.salt, key));
        Circumstances {
            written: last.map(|last| pair.began.saturating_duration_since(last)),
            settle: route.again.settle,
            lag: route.again.lag,
            noise: None,
        }
    }

    /// Judges a pair at first sight. What has to be looked at again comes back.
    fn conclude(&self, first: FirstSight, other: &AnswerCopy<HeaderMap>) -> Option<Box<Doubt>> {
        let FirstSight {
            mut asked,
            pair,
            circumstances,
            entered,
        } = first;
        let route = asked.route();
        let measure = Measure::new(route, &pair);
        let comparison = match pair.served {
            Side::Old => measure.first_sight(&entered, &pair.answer, other),
            Side::New => measure.first_sight(&entered, other, &pair.answer),
        };
        if comparison.verdict != Verdict::Mismatch {
            route.learn(&comparison.pairings, || pair.record());
            // When a pair counts as judged its memory is free.
            drop(pair);
            asked.judged(comparison.verdict);
            return None;
        }
        let settle = |found: &[Divergence]| measure.settle(found, None, None, &circumstances);
        let leave = self.doubts.leave(route, &pair, &comparison.divergences);
        // Without leave it is judged now, and noise leaves no row.
        let judged = leave.is_none().then(|| settle(&comparison.divergences));
        let kept = keep(other, &route.rules);
        if judged == Some(Judgement::Noise) {
            route.learn(&comparison.pairings, || pair.record());
            let found = comparison.divergences.into();
            self.tell(asked, pair, kept, (&found, Judgement::Noise, None));
            return None;
        }
        let finding = Finding::new(route, &pair, other, comparison, &self.redactor);
        let other = kept;
        let place = leave.and_then(|leave| self.doubts.place(route, &pair, &finding, leave));
        let Some(place) = place else {
            let judgement = judged.unwrap_or_else(|| settle(finding.divergences()));
            let (found, cause) = finding.keep(route, judgement, &self.mismatches, &self.causes);
            self.tell(asked, pair, other, (&found, judgement, cause));
            return None;
        };
        asked.doubted();
        Some(Box::new(Doubt {
            asked,
            finding,
            pair,
            other,
            circumstances,
            place,
        }))
    }

    /// A pair that differs in this is judged.
    fn tell(
        &self,
        asked: Asked,
        pair: Box<Pair>,
        other: Kept,
        (found, judgement, cause): (&Arc<[Divergence]>, Judgement, Option<CauseId>),
    ) {
        let differed = Differed {
            route: asked.route(),
            pair: &pair,
            other: &other,
            last: None,
            found,
            judgement,
            cause,
        };
        differed.offer(&self.samples);
        // When a pair counts as judged its memory is free.
        drop((pair, other));
        asked.judged(judgement);
    }
}

/// A pair of which both sides have answered.
#[derive(Debug)]
struct FirstSight {
    asked: Asked,
    pair: Box<Pair>,
    circumstances: Circumstances,
    entered: Entered,
}

fn heard(answer: &Result<AnswerCopy<HeaderMap>, Incomparable>) -> Result<u16, &'static str> {
    match answer {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(reason) => Err(reason.name()),
    }
}

/// How the side did: what it sent was an answer, whether it can be compared or not.
fn outcome(answer: &Result<AnswerCopy<HeaderMap>, Incomparable>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_server_error() => Outcome::Lost,
        Ok(_) | Err(Incomparable::TooLarge | Incomparable::Bytes) => Outcome::Won,
        Err(_) => Outcome::Lost,
    }
}

/// Whether everything is the same, byte for byte, that a judgement reads: under no rules can such answers differ, but for those that ask for identities.
fn is_same(pair: &Pair, other: &AnswerCopy<HeaderMap>, rules: &Rules) -> bool {
    let served = &pair.answer;
    // What is the same may be two names for one thing.
    rules.ids.is_empty()
        && served.status == other.status
        && served.body == other.body
        && served
            .headers
            .are_those_of(&other.headers, |name| is_judged(name, rules))
        // Of events nobody has read more than the head.
        && !media::is_stream(&other.headers)
}
