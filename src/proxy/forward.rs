//! A decided request goes to its side, to old if new fails where that is allowed, and its answer comes back.

use crate::config::settings::Fallback;
use crate::message::body::{BodyError, Outgoing};
use crate::message::request_id::{RequestId, X_REQUEST_ID};
use crate::plan::RoutePlan;
use crate::proxy::answer::{AnswerBody, Open, Passing};
use crate::proxy::failure::{self, Refusal};
use crate::proxy::meter::Meter;
use crate::proxy::observe::Sampled;
use crate::proxy::outbox::Outbox;
use crate::proxy::tunnel::Upgrade;
use crate::proxy::upload::Upload;
use crate::proxy::worker::Worker;
use crate::route::decide::{Decision, Why};
use crate::side::Side;
use crate::telemetry::{Dropped, FallbackReason, Rejected, Role, UpstreamError};
use crate::upstream::{
    Answer, Dispatch, Fault, Outcome, Pass, clients_part, is_bad_framing, out_of_time, send,
};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What `debug_headers` tells of a decision.
#[derive(Debug)]
pub(super) struct Shown {
    route: Arc<str>,
    bucket: Option<u16>,
    why: Why,
    generation: u64,
}

impl Shown {
    pub(super) fn new(route: &RoutePlan, decision: Decision, generation: u64) -> Self {
        Self {
            route: Arc::clone(route.name()),
            bucket: decision.bucket,
            why: decision.why,
            generation,
        }
    }

    /// Says what was decided; `side` is the one that answered, or was asked last.
    fn write<B>(&self, side: Side, response: &mut Response<B>) {
        let headers = response.headers_mut();
        headers.insert("x-crossfade-side", HeaderValue::from_static(side.name()));
        headers.insert("x-crossfade-why", HeaderValue::from_static(self.why.name()));
        headers.insert("x-crossfade-generation", HeaderValue::from(self.generation));
        if let Ok(name) = HeaderValue::from_str(&self.route) {
            headers.insert("x-crossfade-route", name);
        }
        match self.bucket {
            Some(bucket) => headers.insert("x-crossfade-bucket", HeaderValue::from(bucket)),
            // What a side says of buckets of its own must not pass for ours.
            None => headers.remove("x-crossfade-bucket"),
        };
    }
}

/// A decided request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) worker: Arc<Worker>,
    pub(super) route: Arc<RoutePlan>,
    pub(super) decision: Decision,
    pub(super) request: Outbox,
    /// What the request is called.
    pub(super) id: RequestId,
    pub(super) upload: Option<Arc<Upload>>,
    /// Until the request is answered.
    pub(super) meter: Option<Meter>,
    pub(super) sampled: Option<Sampled>,
    pub(super) shown: Option<Shown>,
    pub(super) upgrade: Option<Box<Upgrade>>,
}

impl Exchange {
    /// Asks, and answers. Once.
    pub(super) async fn run(&mut self) -> Response<AnswerBody> {
        let side = self.decision.side;
        // In this order, since what a route says of fallbacks stands apart from what every request needs.
        let fallback = if self.decision.may_fall_back() {
            self.route.fallback
        } else {
            Fallback::Off
        };
        let Fallback::On { after: patience } = fallback else {
            return match self.ask(side).await {
                Ok(answer) => self.pass_on(side, answer),
                Err(fault) => self.fail(side, &fault),
            };
        };
        let probe = match self.route.group(side).common().guard(Role::Serve).pass() {
            Pass::Free => None,
            Pass::Probe(probe) => Some(probe),
            Pass::Refused => {
                return Box::pin(self.ask_old(FallbackReason::Breaker, Dropped::Breaker)).await;
            }
        };
        if let Some(upload) = &self.upload {
            upload.keep_for_replay();
        }
        self.request.keep_spare();
        let first = match patience {
            None => self.ask(side).await,
            Some(patience) => Box::pin(self.ask_within(side, patience)).await,
        };
        if let Some((probe, outcome)) = probe.zip(outcome(&first)) {
            probe.tell(outcome);
        }
        let (reason, first) = match first {
            Ok(answer) if is_failure(answer.response.status()) => {
                (Some(FallbackReason::Status), Ok(answer))
            }
            Ok(answer) => return self.pass_on(side, answer),
            Err(fault) => (failure::fallback_reason(&fault), Err(fault)),
        };
        Box::pin(self.fall_back(side, reason, first)).await
    }

    /// Asks old after a failure of new, where that is allowed.
    async fn fall_back(
        &mut self,
        side: Side,
        reason: Option<FallbackReason>,
        first: Result<Answer, Fault>,
    ) -> Response<AnswerBody> {
        let again = self
            .upload
            .as_ref()
            .is_none_or(|upload| upload.can_repeat());
        let Some(reason) = reason.filter(|_| again) else {
            return match first {
                Ok(answer) => self.pass_on(side, answer),
                Err(fault) => self.fail(side, &fault),
            };
        };
        if let Err(fault) = &first {
            failure::log(&self.route, side, fault, &self.id);
        }
        drop(first);
        self.ask_old(reason, Dropped::ServedFailed).await
    }

    /// Asks old in place of new. Such a request makes no pair.
    async fn ask_old(&mut self, reason: FallbackReason, no_pair: Dropped) -> Response<AnswerBody> {
        self.route.metrics.fallback(reason);
        if let Some(record) = self.meter.as_mut().and_then(Meter::record) {
            record.fell_back(reason);
        }
        if let Some(sampled) = self.sampled.take() {
            sampled.dropped(no_pair);
        }
        match self.ask(Side::Old).await {
            Ok(answer) => self.pass_on(Side::Old, answer),
            Err(fault) => self.fail(Side::Old, &fault),
        }
    }

    async fn ask(&mut self, side: Side) -> Result<Answer, Fault> {
        if let Some(meter) = &mut self.meter {
            meter.asks(side);
        }
        let group = self.route.group(side);
        let body = self.upload.as_ref().map(Upload::attempt);
        let outbox = self.request.attempt(body);
        if let (Some(request), Some(upload)) = (outbox.as_mut(), &self.upload) {
            if group.common().settings().protocol.is_http_2() {
                // Nobody tells us to go on there; and what such a side refuses to begin with is sent once more.
                upload.proceed();
                upload.keep_for_replay();
            } else {
                announce(request, upload);
            }
        }
        let dispatch = Dispatch {
            request: outbox,
            timeout: group.common().settings().timeout,
            progress: self.upload.as_ref().map(|upload| upload.progress()),
            switch: self.upgrade.as_ref().map(|upgrade| &upgrade.switch),
        };
        let answer = send(self.worker.pools(), group, dispatch).await;
        if let Some(meter) = &mut self.meter {
            meter.heard(&answer);
        }
        answer
    }

    async fn ask_within(&mut self, side: Side, patience: Duration) -> Result<Answer, Fault> {
        let upload = self.upload.clone();
        let progress = upload.as_ref().map(|upload| upload.progress());
        tokio::select! {
            biased;
            answer = self.ask(side) => return answer,
            () = out_of_time(Instant::now(), patience, progress) => {}
        }
        let side = self.route.group(side).common();
        side.failed(Role::Serve, UpstreamError::Timeout);
        Err(Fault::Timeout)
    }

    fn pass_on(&mut self, side: Side, answer: Answer) -> Response<AnswerBody> {
        self.route
            .metrics
            .upstream(side, Role::Serve, answer.elapsed);
        if let Some(upload) = &self.upload {
            upload.answered();
        }
        let (mut head, mut incoming) = answer.response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS
            && let Some(upgrade) = self.upgrade.take()
            && let Some(far) = incoming.take_tunnel()
        {
            upgrade.open(far, &mut head, &self.worker);
        }
        // The version is that of the other connection, and so is what hyper noted beside the fields.
        head.version = Version::HTTP_11;
        head.extensions.clear();
        if let Some(record) = self.meter.as_mut().and_then(Meter::record) {
            record.answered(side.into(), head.status, answer.elapsed);
        }
        let observed = self
            .sampled
            .take()
            .and_then(|sampled| sampled.answered(side, &head, &incoming, answer.elapsed));
        let passing = Passing {
            incoming,
            status: head.status,
            upload: self.upload.take(),
            open: self.meter.take().map(|meter| Open {
                meter,
                observed,
                id: self.id.clone(),
            }),
        };
        let mut response = Response::from_parts(head, passing.into_body());
        if let Some(shown) = &self.shown {
            shown.write(side, &mut response);
            let headers = response.headers_mut();
            headers
                .entry(X_REQUEST_ID)
                .or_insert_with(|| self.id.value());
        }
        response
    }

    fn fail(&mut self, side: Side, fault: &Fault) -> Response<AnswerBody> {
        failure::log(&self.route, side, fault, &self.id);
        let problem = failure::problem(fault);
        let mut response = AnswerBody::local(&problem, self.request.method(), &self.id);
        if let Some(shown) = &self.shown {
            shown.write(side, &mut response);
        }
        let meter = self.meter.take();
        let process = self.worker.telemetry().process();
        if let Fault::Client(error) = fault {
            match clients_part(&**error) {
                // Counted where the limit was passed.
                Some(BodyError::TooSlow) => {}
                Some(BodyError::TooLarge) => {
                    if let Some(upload) = self.upload.take() {
                        self.worker.drain(upload);
                    }
                }
                Some(_) | None if is_bad_framing(&**error) => {
                    process.rejected(Refusal::BrokenBody.label());
                }
                // The client has left: request and copy count as aborted.
                Some(_) | None => return response,
            }
        } else {
            if matches!(fault, Fault::Queue) {
                process.rejected(Rejected::InFlight);
            }
            if let Some(sampled) = self.sampled.take() {
                sampled.dropped(Dropped::ServedFailed);
            }
            if let Some(upload) = self.upload.take() {
                self.worker.drain(upload);
            }
        }
        if let Some(meter) = meter {
            meter.answered_locally(&problem);
        }
        response
    }
}

/// Says how a body will come, and listens for the side's leave to send it.
fn announce(request: &mut Request<Outgoing>, upload: &Arc<Upload>) {
    let headers = request.headers_mut();
    if !headers.contains_key(CONTENT_LENGTH) {
        // Without it hyper takes the body of a GET for none.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if upload.is_held_back() {
        let upload = Arc::clone(upload);
        hyper::ext::on_informational(request, move |informational| {
            if informational.status() == StatusCode::CONTINUE {
                upload.proceed();
            }
        });
    }
}

/// How a side did; `None` where it had no chance.
fn outcome(first: &Result<Answer, Fault>) -> Option<Outcome> {
    match first {
        Ok(answer) if answer.response.status().is_server_error() => Some(Outcome::Lost),
        Ok(_) => Some(Outcome::Won),
        Err(fault) => fault.label().map(|_| Outcome::Lost),
    }
}

fn is_failure(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
