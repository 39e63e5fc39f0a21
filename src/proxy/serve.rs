//! One request: admitted or refused, matched, keyed, decided once from one Plan, and sent on its way.

use crate::message::forwarded::{self, Peer, Scheme};
use crate::message::hop;
use crate::message::reply::Problem;
use crate::plan::{Plan, RoutePlan};
use crate::proxy::answer::AnswerBody;
use crate::proxy::failure::Refusal;
use crate::proxy::forward::{Exchange, Shown};
use crate::proxy::head::Head;
use crate::proxy::meter::Meter;
use crate::proxy::observe::Sampled;
use crate::proxy::upload::{Expects, Prefix, Upload};
use crate::proxy::worker::Worker;
use crate::route::bucket::{BUCKETS, Share};
use crate::route::decide::{self, Sampling};
use crate::route::key::{self, Sources};
use crate::route::table::{Captures, Target, is_ambiguous};
use crate::upstream::is_bad_framing;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body, Incoming};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// The longest path and query of a request, in bytes.
pub const MAX_TARGET: usize = 16 * 1024;

/// Answers one request of a client's connection.
pub(super) async fn serve(
    worker: Arc<Worker>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let started = Instant::now();
    let plan = worker.plan();
    let (mut head, mut body) = request.into_parts();
    let expects = if hop::expects_continue(head.version, &head.headers) {
        Expects::Continue
    } else {
        Expects::Nothing
    };
    if let Err(refusal) = admit(&mut head, &worker) {
        let upload = upload(body, Prefix::default(), expects);
        return refuse(&worker, refusal, &head.method, upload);
    }

    let (route, captures) = find(&plan, &head);
    let meter = Meter::start(
        Arc::clone(&route),
        worker.telemetry(),
        head.method.clone(),
        started,
    );
    if route.policy.key.is_some() && is_ambiguous(head.uri.path()) {
        meter.complete(StatusCode::BAD_REQUEST);
        let upload = upload(body, Prefix::default(), expects);
        return refuse(&worker, Refusal::EncodedPath, &head.method, upload);
    }

    let peer = Peer {
        address: peer,
        trusted_proxies: &plan.settings.server.trusted_proxies,
        scheme: Scheme::Http,
    };
    let read = decide::is_read(&route.policy, &head.method);
    let prefix = match key_prefix(&route, read, &mut body).await {
        Ok(prefix) => prefix,
        Err(error) if is_bad_framing(&error) => {
            meter.answered_locally(StatusCode::BAD_REQUEST);
            return refuse(&worker, Refusal::BrokenBody, &head.method, None);
        }
        // The client has left: nobody reads this.
        Err(_) => return AnswerBody::local(&Refusal::BrokenBody.problem(), &head.method),
    };
    let key = key_of(&route, &head, &captures, &prefix, &peer);
    drop(captures);
    let decision = decide::decide(&route.policy, &plan.switches, read, key.as_deref());
    let sampling = decide::sampling(&route.policy, &plan.switches, read, key.as_deref());
    let sampled = is_sampled(sampling) && !is_copy(&head, &peer);

    let upload = upload(body, prefix, expects);
    let shown = plan
        .settings
        .server
        .debug_headers
        .then(|| Shown::new(&route, decision, plan.generation));
    let head = prepare(head, &peer, &worker);
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
    drop(plan);
    let exchange = Exchange {
        worker: Arc::clone(&worker),
        route,
        decision,
        head,
        upload,
        meter,
        sampled,
        shown,
    };
    if read {
        return exchange.run().await;
    }
    // A write whose body has arrived runs to its answer though its client leaves: it lives in a task of its own.
    match worker.spawn(exchange.run()).await {
        Ok(response) => response,
        Err(_) => AnswerBody::local(
            &Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The proxy failed.",
            ),
            &Method::POST,
        ),
    }
}

/// Refuses what can't be forwarded, whatever the route.
fn admit(head: &mut Parts, worker: &Worker) -> Result<(), Refusal> {
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
    hop::settle_host(head.version, &head.uri, &mut head.headers).map_err(Refusal::Host)?;
    if !hop::is_only_chunked(&head.headers) {
        return Err(Refusal::TransferCoding);
    }
    if forwarded::is_loop(&head.headers, worker.process()) {
        return Err(Refusal::Loop);
    }
    Ok(())
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

fn find<'a>(plan: &'a Plan, head: &'a Parts) -> (Arc<RoutePlan>, Captures<'a>) {
    let target = Target {
        method: &head.method,
        host: head.headers.get(HOST).and_then(|host| host.to_str().ok()),
        path: head.uri.path(),
    };
    match plan.table.lookup(target) {
        Some(found) => (Arc::clone(found.policy), found.captures),
        None => (Arc::clone(&plan.unmatched), Captures::default()),
    }
}

/// Reads the beginning of a body that the key is made of. A body that is announced as too long for that is left alone.
async fn key_prefix(
    route: &RoutePlan,
    read: bool,
    body: &mut Incoming,
) -> Result<Prefix, hyper::Error> {
    let wanted = read
        && route
            .policy
            .key
            .as_ref()
            .is_some_and(|key| key.reads_body());
    let too_long = body.size_hint().lower() > key::BODY_LIMIT as u64;
    if wanted && !too_long && !body.is_end_stream() {
        return Prefix::read(body, key::BODY_LIMIT).await;
    }
    Ok(Prefix::default())
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

/// The request as both sides may see it, but for Host.
fn prepare(mut head: Parts, peer: &Peer<'_>, worker: &Worker) -> Head {
    let trailers = hop::accepts_trailers(&head.headers);
    hop::remove_hop_by_hop(&mut head.headers);
    forwarded::stamp(&mut head.headers, head.version, peer, worker.process());
    if trailers {
        hop::ask_for_trailers(&mut head.headers);
    }
    let target = head
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Head {
        method: head.method,
        target: Uri::from(target),
        headers: head.headers,
    }
}
