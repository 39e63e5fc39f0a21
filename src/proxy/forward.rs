//! A decided request goes to its side, to old if new fails where that is allowed, and its answer comes back.

use crate::config::settings::Fallback;
use crate::message::body::Outgoing;
use crate::message::hop;
use crate::plan::RoutePlan;
use crate::proxy::answer::{AnswerBody, Open, Passing};
use crate::proxy::failure::{self, Refusal};
use crate::proxy::head::Head;
use crate::proxy::meter::Meter;
use crate::proxy::observe::Sampled;
use crate::proxy::upload::Upload;
use crate::proxy::worker::Worker;
use crate::route::decide::{Decision, Why};
use crate::side::Side;
use crate::telemetry::{Dropped, FallbackReason, Role, UpstreamError};
use crate::upstream::{Answer, Dispatch, Failure, Fault, is_bad_framing, out_of_time, send};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
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
    pub(super) head: Head,
    pub(super) upload: Option<Arc<Upload>>,
    pub(super) meter: Meter,
    pub(super) sampled: Option<Sampled>,
    pub(super) shown: Option<Shown>,
}

impl Exchange {
    /// Asks, and answers.
    pub(super) async fn run(mut self) -> Response<AnswerBody> {
        let side = self.decision.side;
        let patience = match self.route.fallback {
            Fallback::On { after } if self.decision.may_fall_back() => after,
            Fallback::On { .. } | Fallback::Off => {
                let headers = std::mem::take(&mut self.head.headers);
                return match self.ask(side, headers, None).await {
                    Ok(answer) => self.pass_on(side, answer),
                    Err(fault) => self.fail(side, &fault),
                };
            }
        };
        if let Some(upload) = &self.upload {
            upload.keep_for_replay();
        }
        let (reason, first) = match self.ask(side, self.head.headers.clone(), patience).await {
            Ok(answer) if is_failure(answer.response.status()) => {
                (Some(FallbackReason::Status), Ok(answer))
            }
            Ok(answer) => return self.pass_on(side, answer),
            Err(fault) => (failure::fallback_reason(&fault), Err(fault)),
        };
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
            failure::log(&self.route, side, fault);
        }
        drop(first);
        self.route.metrics.fallback(reason);
        if let Some(sampled) = self.sampled.take() {
            sampled.dropped(Dropped::ServedFailed);
        }
        let headers = std::mem::take(&mut self.head.headers);
        match self.ask(side.other(), headers, None).await {
            Ok(answer) => self.pass_on(side.other(), answer),
            Err(fault) => self.fail(side.other(), &fault),
        }
    }

    async fn ask(
        &mut self,
        side: Side,
        mut headers: HeaderMap,
        patience: Option<Duration>,
    ) -> Result<Answer, Fault> {
        self.meter.served_by(side.into());
        let endpoint = self.route.endpoint(side);
        let body = match &self.upload {
            Some(upload) => upload.attempt(),
            None => Outgoing::Empty,
        };
        headers.insert(HOST, endpoint.host_for(headers.get(HOST)));
        if self.upload.is_some() && !headers.contains_key(CONTENT_LENGTH) {
            // Without it hyper takes the body of a GET for none.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.head.method);
        request.uri_mut().clone_from(&self.head.target);
        *request.headers_mut() = headers;
        if let Some(upload) = self.upload.as_ref().filter(|upload| upload.is_held_back()) {
            let upload = Arc::clone(upload);
            hyper::ext::on_informational(&mut request, move |informational| {
                if informational.status() == StatusCode::CONTINUE {
                    upload.proceed();
                }
            });
        }
        let progress = self.upload.as_ref().map(|upload| upload.progress());
        let dispatch = Dispatch {
            request,
            timeout: endpoint.settings().timeout,
            progress,
        };
        let sent = send(self.worker.pools(), endpoint, dispatch);
        let result = match patience {
            None => sent.await,
            Some(patience) => tokio::select! {
                biased;
                answer = sent => answer,
                () = out_of_time(Instant::now(), patience, progress) => {
                    endpoint
                        .metrics()
                        .error(Role::Serve, UpstreamError::Timeout);
                    Err(Fault::Timeout.into())
                }
            },
        };
        result.map_err(|Failure { fault, .. }| fault)
    }

    fn pass_on(mut self, side: Side, answer: Answer) -> Response<AnswerBody> {
        self.route
            .metrics
            .upstream(side, Role::Serve, answer.elapsed);
        if let Some(upload) = &self.upload {
            upload.answered();
        }
        let (mut head, incoming) = answer.response.into_parts();
        let observed = self
            .sampled
            .take()
            .and_then(|sampled| sampled.answered(side, &head, &incoming, answer.elapsed));
        hop::remove_hop_by_hop(&mut head.headers);
        let status = head.status;
        let open = Open {
            meter: self.meter,
            observed,
        };
        let passing = Passing {
            incoming,
            status,
            route: self.route,
            upload: self.upload,
            open: Some(open),
        };
        let mut response = Response::new(passing.into_body());
        *response.status_mut() = status;
        *response.headers_mut() = head.headers;
        if let Some(shown) = &self.shown {
            shown.write(side, &mut response);
        }
        response
    }

    fn fail(self, side: Side, fault: &Fault) -> Response<AnswerBody> {
        failure::log(&self.route, side, fault);
        let problem = failure::problem(fault);
        let mut response = AnswerBody::local(&problem, &self.head.method);
        if let Some(shown) = &self.shown {
            shown.write(side, &mut response);
        }
        if let Fault::Client(error) = fault {
            if is_bad_framing(error) {
                self.worker
                    .telemetry()
                    .process()
                    .rejected(Refusal::BrokenBody.label());
                self.meter.answered_locally(problem.status);
            }
            // Else the client has left, and request and copy count as aborted.
            return response;
        }
        if let Some(sampled) = self.sampled {
            sampled.dropped(Dropped::ServedFailed);
        }
        self.meter.answered_locally(problem.status);
        if let Some(upload) = self.upload {
            self.worker.drain(upload);
        }
        response
    }
}

fn is_failure(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
