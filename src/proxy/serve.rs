//! One request: admitted or refused, matched, keyed, decided once from one Plan, and sent on its way.

use crate::message::forwarded::{self, Address, Peer, Scheme, Stamp};
use crate::message::hop;
use crate::message::reply::Problem;
use crate::message::survey::Survey;
use crate::plan::{Plan, RoutePlan};
use crate::proxy::answer::AnswerBody;
use crate::proxy::failure::Refusal;
use crate::proxy::forward::{Exchange, Shown};
use crate::proxy::meter::Meter;
use crate::proxy::observe::Sampled;
use crate::proxy::outbox::Outbox;
use crate::proxy::upload::{Expects, Prefix, Upload};
use crate::proxy::worker::Worker;
use crate::route::bucket::{BUCKETS, Share};
use crate::route::decide::{self, Sampling};
use crate::route::key::{self, Sources};
use crate::route::table::{Captures, Target, is_ambiguous};
use crate::upstream::is_bad_framing;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

/// The longest path and query of a request, in bytes.
pub const MAX_TARGET: usize = 16 * 1024;

/// Answers one request of a client's connection.
pub(super) async fn serve(
    worker: Arc<Worker>,
    address: Arc<Address>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let started = Instant::now();
    let plan = worker.plan();
    let (mut head, mut body) = request.into_parts();
    let survey = Survey::of(&head.headers);
    let expects = if hop::expects_continue(head.version, &head.headers, survey) {
        Expects::Continue
    } else {
        Expects::Nothing
    };
    let host = match admit(&mut head, survey, &worker) {
        Ok(host) => host,
        Err(refusal) => {
            let upload = upload(body, Prefix::default(), expects);
            return Ok(refuse(&worker, refusal, &head.method, upload));
        }
    };

    let (route, captures) = find(&plan, &head, host.as_ref());
    let meter = Meter::start(
        Arc::clone(&route),
        worker.telemetry(),
        head.method.clone(),
        started,
    );
    if route.policy.key.is_some() && is_ambiguous(head.uri.path()) {
        meter.complete(StatusCode::BAD_REQUEST);
        let upload = upload(body, Prefix::default(), expects);
        return Ok(refuse(&worker, Refusal::EncodedPath, &head.method, upload));
    }

    let peer = Peer {
        address,
        trusted_proxies: &plan.settings.server.trusted_proxies,
        scheme: Scheme::Http,
    };
    let read = decide::is_read(&route.policy, &head.method);
    let prefix = if wants_body(&route, read, &body) {
        match Box::pin(Prefix::read(&mut body, key::BODY_LIMIT)).await {
            Ok(prefix) => prefix,
            Err(error) if is_bad_framing(&error) => {
                meter.answered_locally(StatusCode::BAD_REQUEST);
                return Ok(refuse(&worker, Refusal::BrokenBody, &head.method, None));
            }
            // The client has left: nobody reads this.
            Err(_) => {
                let problem = Refusal::BrokenBody.problem();
                return Ok(AnswerBody::local(&problem, &head.method));
            }
        }
    } else {
        Prefix::default()
    };
    let key = key_of(&route, &head, &captures, &prefix, &peer);
    let decision = decide::decide(&route.policy, &plan.switches, read, key.as_deref());
    let sampled = decide::is_mirrored(&route.policy, &plan.switches, read)
        && is_sampled(decide::sampling(
            &route.policy,
            &plan.switches,
            read,
            key.as_deref(),
        ))
        && !is_copy(&head, &peer);

    let upload = upload(body, prefix, expects);
    let shown = plan
        .settings
        .server
        .debug_headers
        .then(|| Shown::new(&route, decision, plan.generation));
    prepare(&mut head, survey, (&peer, host.as_ref()), &worker);
    let sampled = sampled
        .then(|| {
            Sampled::take(
                &route,
                &head,
                upload.as_deref(),
                worker.offers(),
                (key, decision, plan.generation),
            )
        })
        .flatten();
    drop(peer);
    drop(plan);
    let mut exchange = Exchange {
        request: Outbox::new(head),
        worker,
        route,
        decision,
        upload,
        meter: Some(meter),
        sampled,
        shown,
    };
    if read {
        return Ok(exchange.run().await);
    }
    // A write whose body has arrived runs to its answer though its client leaves: it lives in a task of its own.
    let worker = Arc::clone(&exchange.worker);
    let task = worker.spawn(async move { exchange.run().await });
    Ok(task.await.unwrap_or_else(|_| {
        let problem = Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The proxy failed.",
        );
        AnswerBody::local(&problem, &Method::POST)
    }))
}

/// Refuses what can't be forwarded, whatever the route. The request's Host.
fn admit(
    head: &mut Parts,
    survey: Survey,
    worker: &Worker,
) -> Result<Option<HeaderValue>, Refusal> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    if !hop::is_target(&head.method, &head.uri) {
        return Err(Refusal::Target);
    }
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        return Err(Refusal::UriTooLong);
    }
    let host = hop::settle_host(head.version, &head.uri, &mut head.headers, survey)
        .map_err(Refusal::Host)?;
    if !hop::is_only_chunked(&head.headers, survey) {
        return Err(Refusal::TransferCoding);
    }
    if forwarded::is_loop(&head.headers, survey, worker.process()) {
        return Err(Refusal::Loop);
    }
    Ok(host)
}

fn refuse(
    worker: &Arc<Worker>,
    refusal: Refusal,
    method: &Method,
    upload: Option<Arc<Upload>>,
) -> Response<AnswerBody> {
    worker.telemetry().process().rejected(refusal.label());
    if let Some(upload) = upload {
        worker.drain(upload);
    }
    AnswerBody::local(&refusal.problem(), method)
}

fn find<'a>(
    plan: &'a Plan,
    head: &'a Parts,
    host: Option<&'a HeaderValue>,
) -> (Arc<RoutePlan>, Captures<'a>) {
    let target = Target {
        method: &head.method,
        host: host.and_then(|host| host.to_str().ok()),
        path: head.uri.path(),
    };
    match plan.table.lookup(target) {
        Some(found) => (Arc::clone(found.policy), found.captures),
        None => (Arc::clone(&plan.unmatched), Captures::default()),
    }
}

/// Whether the key is made of the body. One that is announced as too long for that is left alone.
fn wants_body(route: &RoutePlan, read: bool, body: &Incoming) -> bool {
    read && route
        .policy
        .key
        .as_ref()
        .is_some_and(|key| key.reads_body())
        && body.size_hint().lower() <= key::BODY_LIMIT as u64
        && !body.is_end_stream()
}

fn key_of(
    route: &RoutePlan,
    head: &Parts,
    captures: &Captures<'_>,
    prefix: &Prefix,
    peer: &Peer<'_>,
) -> Option<String> {
    let template = route.policy.key.as_ref()?;
    key::key(
        template,
        &Sources {
            captures,
            query: head.uri.query(),
            headers: &head.headers,
            body: prefix.whole(),
            client_ip: Some(peer.client_ip(&head.headers)),
        },
    )
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

fn upload(body: Incoming, prefix: Prefix, expects: Expects) -> Option<Arc<Upload>> {
    let empty = body.is_end_stream() && prefix.is_empty();
    (!empty).then(|| Upload::new(body, prefix, expects))
}

/// Makes the head what both sides may see, but for Host.
fn prepare(
    head: &mut Parts,
    survey: Survey,
    (peer, host): (&Peer<'_>, Option<&HeaderValue>),
    worker: &Worker,
) {
    let trailers = hop::accepts_trailers(&head.headers, survey);
    hop::remove_hop_by_hop(&mut head.headers, survey);
    let stamp = Stamp {
        peer,
        host,
        version: head.version,
        process: worker.process(),
    };
    stamp.put(&mut head.headers, survey);
    if trailers {
        hop::ask_for_trailers(&mut head.headers);
    }
    if head.uri.authority().is_some() {
        let target = head.uri.path_and_query().cloned();
        head.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
}
