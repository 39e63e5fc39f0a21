//! One request: admitted or refused, matched, keyed, decided once from one Plan, and sent on its way.

use crate::message::body::BodyError;
use crate::message::forwarded::{self, Address, Peer, Stamp, TRACEPARENT};
use crate::message::hop;
use crate::message::lines::Lines;
use crate::message::request_id::RequestId;
use crate::message::survey::Survey;
use crate::plan::{Plan, RoutePlan};
use crate::proxy::admit::{admit, admit_body};
use crate::proxy::answer::AnswerBody;
use crate::proxy::answering::{Access, Answering, answer};
use crate::proxy::failure::Refusal;
use crate::proxy::forward::{Exchange, Shown};
use crate::proxy::intake::Intake;
use crate::proxy::meter::{Meter, Notes};
use crate::proxy::observe::{Decided, Sampled};
use crate::proxy::outbox::Outbox;
use crate::proxy::phases::Busy;
use crate::proxy::prefix::Prefix;
use crate::proxy::tunnel::{self, Upgrade};
use crate::proxy::upload::{Expects, Upload};
use crate::proxy::worker::Worker;
use crate::route::bucket::{BUCKETS, Share};
use crate::route::decide::{self, Sampling};
use crate::route::key::{self, Sources};
use crate::route::table::{Captures, Target, is_ambiguous};
use crate::telemetry::access::{Begun, Record};
use crate::upstream::is_bad_framing;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// Answers one request of a client's connection.
pub(super) fn serve(
    worker: Arc<Worker>,
    address: Arc<Address>,
    request: Request<Incoming>,
    busy: &Busy,
) -> Serving {
    match Admitted::new(worker, address, request, busy) {
        Ok(admitted) if admitted.wants_body() => Serving::UnderWay(Box::pin(admitted.read_key())),
        Ok(admitted) => Serving::UnderWay(answer(admitted.decide(Prefix::default()))),
        Err(refused) => Serving::Done(Some(refused)),
    }
}

/// A request that is being answered. hyper keeps room for one as long as a connection lasts, so it is small: what is under way has a box of its own.
pub(super) enum Serving {
    Done(Option<Box<Response<AnswerBody>>>),
    UnderWay(Answering),
}

impl Future for Serving {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Done(response) => {
                let response = response.take().expect("polled once");
                Poll::Ready(Ok(*response))
            }
            Self::UnderWay(answering) => answering.as_mut().poll(cx).map(Ok),
        }
    }
}

/// A request that may be forwarded, and has a route.
struct Admitted {
    worker: Arc<Worker>,
    plan: Arc<Plan>,
    route: Arc<RoutePlan>,
    /// The route's place in the table, if it is one of the file's.
    place: Option<usize>,
    meter: Meter,
    read: bool,
    address: Arc<Address>,
    head: Parts,
    survey: Survey,
    id: RequestId,
    host: Option<HeaderValue>,
    /// None if the request has no body.
    body: Option<Box<Intake>>,
    expects: Expects,
    upgrade: Option<Box<Upgrade>>,
}

impl Admitted {
    fn new(
        worker: Arc<Worker>,
        address: Arc<Address>,
        request: Request<Incoming>,
        busy: &Busy,
    ) -> Result<Self, Box<Response<AnswerBody>>> {
        let started = Instant::now();
        let plan = worker.plan();
        let limits = &plan.settings.limits;
        let (mut head, incoming) = request.into_parts();
        let announced = incoming.size_hint().lower();
        let body = (!incoming.is_end_stream()).then(|| {
            let (telemetry, memory) = (worker.telemetry(), worker.bodies());
            let intake = Intake::new(incoming, limits, telemetry, memory, busy);
            Box::new(match head.version {
                Version::HTTP_2 => intake.of_http_2(),
                _ => intake,
            })
        });
        let stream = tunnel::by_stream(&mut head);
        let survey = Survey::of(&head.headers);
        let id = RequestId::of(&head.headers, survey, worker.names());
        let expects = if hop::expects_continue(head.version, &head.headers, survey) {
            Expects::Continue
        } else {
            Expects::Nothing
        };
        let admitted = admit(&mut head, survey, &worker, limits).and_then(|host| {
            if body.is_some() {
                admit_body(&head, announced, &worker, limits)?;
            }
            Ok(host)
        });
        let host = match admitted {
            Ok(host) => host,
            Err(refusal) => {
                if let Some(mut notes) = notes(&plan, &head, &address, (&id, started)) {
                    let problem = refusal.problem();
                    notes.record.refused(problem.status, problem.code);
                    notes.end(true, started.elapsed());
                }
                let upload = upload(body, Prefix::default(), expects);
                return Err(Box::new(refuse(
                    &worker,
                    refusal,
                    (&head.method, &id),
                    upload,
                )));
            }
        };
        let (route, place) = find(&plan, &head, host.as_ref());
        let notes = notes(&plan, &head, &address, (&id, started));
        let meter = Meter::start(
            Arc::clone(&route),
            worker.telemetry(),
            head.method.clone(),
            started,
            notes,
        );
        if route.policy.key.is_some() && is_ambiguous(head.uri.path()) {
            let upload = upload(body, Prefix::default(), expects);
            let refusal = Refusal::EncodedPath;
            meter.answered_locally(&refusal.problem());
            return Err(Box::new(refuse(
                &worker,
                refusal,
                (&head.method, &id),
                upload,
            )));
        }
        let read = decide::is_read(&route.policy, &head.method);
        let upgrade = stream.or_else(|| {
            let protocols = hop::upgrade(head.version, &head.method, &head.headers, survey)?;
            Some(Box::new(Upgrade::by_connection(protocols, busy.pulse())))
        });
        Ok(Self {
            worker,
            plan,
            route,
            place,
            meter,
            read,
            address,
            head,
            survey,
            id,
            host,
            body,
            expects,
            upgrade,
        })
    }

    /// Whether the key is made of the body. One that is announced as too long for that is left alone.
    fn wants_body(&self) -> bool {
        // The template is read last: most requests have no body, and a thousand routes have a thousand templates.
        let key = self.route.policy.key.as_ref();
        self.read
            && self
                .body
                .as_ref()
                .is_some_and(|body| body.size_hint().lower() <= key::BODY_LIMIT as u64)
            && key.is_some_and(|key| key.reads_body())
    }

    /// Reads what the key is made of, then answers.
    async fn read_key(mut self) -> Response<AnswerBody> {
        let prefix = match &mut self.body {
            Some(body) => Prefix::read(body, key::BODY_LIMIT).await,
            None => Ok(Prefix::default()),
        };
        match prefix {
            Ok(prefix) => answer(self.decide(prefix)).await,
            Err(error) => self.unread(&error),
        }
    }

    /// Answers a request whose body could not be read.
    fn unread(self, error: &BodyError) -> Response<AnswerBody> {
        let problem = Refusal::of_body(error).problem();
        match error {
            BodyError::Client(error) if is_bad_framing(error) => {
                let process = self.worker.telemetry().process();
                process.rejected(Refusal::BrokenBody.label());
            }
            // Counted where the limit was passed.
            BodyError::TooSlow => {}
            BodyError::TooLarge => {
                let upload = upload(self.body, Prefix::default(), self.expects);
                upload
                    .into_iter()
                    .for_each(|upload| self.worker.drain(upload));
            }
            // The client has left: nobody reads this.
            BodyError::Client(_)
            | BodyError::Withdrawn
            | BodyError::Upstream(_)
            | BodyError::Unwanted => {
                return AnswerBody::local(&problem, &self.head.method, &self.id);
            }
        }
        self.meter.answered_locally(&problem);
        AnswerBody::local(&problem, &self.head.method, &self.id)
    }

    /// Decides, and makes ready what goes to the sides.
    fn decide(self, prefix: Prefix) -> (Exchange, Access) {
        let Self {
            worker,
            plan,
            route,
            mut meter,
            read,
            survey,
            id,
            host,
            mut head,
            upgrade,
            ..
        } = self;
        let peer = Peer {
            address: self.address,
            trusted_proxies: &plan.settings.server.trusted_proxies,
        };
        let captures = self
            .place
            .and_then(|place| plan.table.captures(place, head.uri.path()))
            .unwrap_or_default();
        let key = key_of(&route, &head, &captures, &prefix, &peer);
        let decision = decide::decide(&route.policy, &plan.switches, read, key.as_deref());
        let access = if read {
            Access::Read
        } else {
            let writes = worker.offers().writes();
            let written = key.as_deref();
            Access::Write(written.map(|key| writes.key(&route.policy.salt, key)))
        };
        // What may become a tunnel has no answer to compare.
        let sampled = upgrade.is_none()
            && decide::is_mirrored(&route.policy, &plan.switches, read)
            && is_sampled(decide::sampling(
                &route.policy,
                &plan.switches,
                read,
                key.as_deref(),
            ))
            && !is_copy(&head, &peer);
        let upload = upload(self.body, prefix, self.expects);
        let shown = plan
            .settings
            .server
            .debug_headers
            .then(|| Shown::new(&route, decision, plan.generation));
        let stamp = Stamp {
            peer: &peer,
            host: host.as_ref(),
            version: head.version,
            process: worker.process(),
            id: &id,
        };
        if let Some(traceparent) = meter.traceparent() {
            head.headers.insert(TRACEPARENT, traceparent);
        }
        // A copy, and a body, need the fields themselves.
        let lines = prepare(
            &mut head,
            survey,
            stamp,
            &route,
            !sampled && upload.is_none(),
        );
        if let Some(upgrade) = &upgrade {
            hop::ask_to_switch(&mut head.headers, upgrade.switch.protocols.clone());
        }
        let sampled = sampled
            .then(|| {
                Sampled::take(
                    &route,
                    &head,
                    upload.as_deref(),
                    worker.offers(),
                    Decided {
                        key,
                        decision,
                        generation: plan.generation,
                        began: meter.started(),
                    },
                )
            })
            .flatten();
        if let Some(record) = meter.record() {
            record.decided(decision.why.name(), decision.bucket, sampled.is_some());
        }
        let exchange = Exchange {
            request: Outbox::new(head, lines),
            id,
            worker,
            route,
            decision,
            upload,
            meter: Some(meter),
            sampled,
            shown,
            upgrade,
        };
        (exchange, access)
    }
}

/// What is to be noted of a request, if it gets a line in the access log, or spans.
fn notes(
    plan: &Plan,
    head: &Parts,
    address: &Arc<Address>,
    (id, started): (&RequestId, Instant),
) -> Option<Notes> {
    let sink = plan.access.as_ref().filter(|sink| sink.is_wanted());
    let tracer = plan.unmatched.tracer.as_ref();
    if sink.is_none() && tracer.is_none() {
        return None;
    }
    let traceparent = head.headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
    let tracing = tracer.and_then(|tracer| tracer.request(traceparent, started));
    let peer = Peer {
        address: Arc::clone(address),
        trusted_proxies: &plan.settings.server.trusted_proxies,
    };
    let record = Record::begin(Begun {
        id: id.to_string(),
        client: peer.client_ip(&head.headers),
        version: head.version,
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query(),
        traceparent,
    });
    Some(Notes {
        sink: sink.cloned(),
        tracing,
        record,
    })
}

fn refuse(
    worker: &Arc<Worker>,
    refusal: Refusal,
    (method, id): (&Method, &RequestId),
    upload: Option<Arc<Upload>>,
) -> Response<AnswerBody> {
    worker.telemetry().process().rejected(refusal.label());
    if let Some(upload) = upload {
        worker.drain(upload);
    }
    AnswerBody::local(&refusal.problem(), method, id)
}

fn find(plan: &Plan, head: &Parts, host: Option<&HeaderValue>) -> (Arc<RoutePlan>, Option<usize>) {
    let target = Target {
        method: &head.method,
        host: host.and_then(|host| host.to_str().ok()),
        path: head.uri.path(),
    };
    match plan.table.lookup(target) {
        Some(found) => (Arc::clone(found.policy), Some(found.index)),
        None => (Arc::clone(&plan.unmatched), None),
    }
}

fn key_of(
    route: &RoutePlan,
    head: &Parts,
    captures: &Captures<'_>,
    prefix: &Prefix,
    peer: &Peer<'_>,
) -> Option<String> {
    route.policy.key.as_ref()?;
    route.policy.key_of(&Sources {
        captures,
        query: head.uri.query(),
        headers: &head.headers,
        body: prefix.whole(),
        client_ip: Some(peer.client_ip(&head.headers)),
    })
}

fn is_sampled(sampling: Sampling) -> bool {
    match sampling {
        Sampling::Sure { sampled, .. } => sampled,
        Sampling::Random(share) => share > Share::NONE && share.contains(fastrand::u16(..BUCKETS)),
    }
}

/// A request that another crossfade made for a comparison is not copied again. From strangers the mark means nothing.
fn is_copy(head: &Parts, peer: &Peer<'_>) -> bool {
    peer.is_trusted() && head.headers.contains_key(forwarded::X_CROSSFADE_SHADOW)
}

fn upload(body: Option<Box<Intake>>, prefix: Prefix, expects: Expects) -> Option<Arc<Upload>> {
    let body = body.filter(|body| !(body.is_end_stream() && prefix.is_empty()))?;
    Some(Upload::new(body, prefix, expects))
}

/// Makes the head what both sides may see, but for Host, and but for lines that may be written after it.
fn prepare(
    head: &mut Parts,
    survey: Survey,
    stamp: Stamp<'_>,
    route: &RoutePlan,
    may_write: bool,
) -> Option<Lines> {
    let trailers = hop::accepts_trailers(&head.headers, survey);
    let key = route.policy.key.as_ref();
    hop::remove_hop_by_hop_but(&mut head.headers, survey, |name| {
        key.is_some_and(|key| key.reads_field(name))
    });
    let lines = if may_write {
        stamp.write(&mut head.headers, survey)
    } else {
        stamp.put(&mut head.headers, survey);
        None
    };
    if trailers {
        hop::ask_for_trailers(&mut head.headers);
    }
    if head.uri.authority().is_some() {
        head.uri = Uri::from(origin_form(&head.uri));
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    lines
}

/// Path and query of an absolute target. Where it has a query and no path, its path is `/`, without which it would be no target (RFC 9112 §3.2.1).
fn origin_form(target: &Uri) -> PathAndQuery {
    let slash = PathAndQuery::from_static("/");
    match target.path_and_query() {
        Some(target) if target.as_str().starts_with('/') => target.clone(),
        Some(target) => PathAndQuery::from_maybe_shared(target.to_string()).unwrap_or(slash),
        None => slash,
    }
}
