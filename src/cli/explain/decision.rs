//! The decision for one request, and what it went by: the fields of `explain --output json`.

use crate::cli::explain::request::Asked;
use crate::config::settings::Fallback;
use crate::message::forwarded::X_CROSSFADE_SHADOW;
use crate::plan::build::{Plan, RoutePlan};
use crate::redact::HIDDEN;
use crate::route::decide::{Policy, Sampling, decide, is_read, sampling};
use crate::route::key::Sources;
use crate::route::table::{Captures, Target, is_ambiguous};
use http::Method;
use http::header::HOST;
use serde::Serialize;

/// The decision for one request.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Explanation {
    pub(super) route: String,
    pub(super) method: String,
    pub(super) read: bool,
    pub(super) key: Option<String>,
    pub(super) salt: String,
    pub(super) bucket: Option<u16>,
    pub(super) percent: f64,
    /// `None` if the request would be refused.
    pub(super) side: Option<&'static str>,
    pub(super) why: Option<&'static str>,
    pub(super) rejected: Option<Rejection>,
    pub(super) shadow: Shadow,
    pub(super) fallback: bool,
    pub(super) generation: Option<u64>,
}

/// The answer that the proxy would give itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Rejection {
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

/// Whether the other side would get a copy.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Shadow {
    pub(super) side: Option<&'static str>,
    /// `None` where it is random.
    pub(super) sampled: Option<bool>,
    pub(super) bucket: Option<u16>,
}

/// Takes a request through the steps of the request path.
pub(super) fn explain(plan: &Plan, asked: &Asked) -> Explanation {
    let target = Target {
        method: &asked.method,
        host: asked.headers.get(HOST).and_then(|host| host.to_str().ok()),
        path: asked.target.path(),
    };
    let (route, captures) = match plan.table.lookup(target) {
        Some(found) => (found.policy, found.captures),
        None => (&plan.unmatched, Captures::default()),
    };
    match rejection(plan, route, asked) {
        Some(rejection) => refused(&route.policy, &asked.method, rejection),
        None => decided(plan, route, asked, &captures),
    }
}

fn rejection(plan: &Plan, route: &RoutePlan, asked: &Asked) -> Option<Rejection> {
    if matches!(asked.method, Method::CONNECT | Method::TRACE) {
        return Some(Rejection {
            status: 405,
            reason: "method",
        });
    }
    if asked.target.as_str().len() > plan.settings.limits.uri_size {
        return Some(Rejection {
            status: 414,
            reason: "uri_too_long",
        });
    }
    if !asked.is_target_valid() || !asked.is_host_valid() {
        return Some(Rejection {
            status: 400,
            reason: "bad_request",
        });
    }
    let ambiguous = route.policy.key.is_some() && is_ambiguous(asked.target.path());
    ambiguous.then_some(Rejection {
        status: 400,
        reason: "encoded_path",
    })
}

fn refused(policy: &Policy, method: &Method, rejection: Rejection) -> Explanation {
    Explanation {
        route: policy.name.to_string(),
        method: method.to_string(),
        read: is_read(policy, method),
        key: None,
        salt: policy.salt.as_str().to_owned(),
        bucket: None,
        percent: policy.percent.percent(),
        side: None,
        why: None,
        rejected: Some(rejection),
        shadow: Shadow {
            side: None,
            sampled: Some(false),
            bucket: None,
        },
        fallback: false,
        generation: None,
    }
}

fn decided(plan: &Plan, route: &RoutePlan, asked: &Asked, captures: &Captures<'_>) -> Explanation {
    let policy = &route.policy;
    let peer = asked.peer(&plan.settings);
    let read = is_read(policy, &asked.method);
    let sources = Sources {
        captures,
        query: asked.target.query(),
        headers: &asked.headers,
        // The proxy waits for a body only where it can matter.
        body: asked.body.as_deref().filter(|_| read),
        client_ip: Some(peer.client_ip(&asked.headers)),
    };
    let key = policy.key_of(&sources);
    let decision = decide(policy, &plan.switches, read, key.as_deref());
    let (sampled, shadow_bucket) = match sampling(policy, &plan.switches, read, key.as_deref()) {
        Sampling::Sure { sampled, bucket } => (Some(sampled), bucket),
        Sampling::Random(_) => (None, None),
    };
    let is_copy = peer.is_trusted() && asked.headers.contains_key(X_CROSSFADE_SHADOW);
    Explanation {
        route: policy.name.to_string(),
        method: asked.method.to_string(),
        read,
        key: match key {
            Some(_) if route.hiding.key_is_secret => Some(HIDDEN.to_owned()),
            other => other,
        },
        salt: policy.salt.as_str().to_owned(),
        bucket: decision.bucket,
        percent: policy.percent.percent(),
        side: Some(decision.side.name()),
        why: Some(decision.why.name()),
        rejected: None,
        shadow: Shadow {
            side: Some(decision.side.other().name()),
            sampled: if is_copy { Some(false) } else { sampled },
            bucket: shadow_bucket,
        },
        fallback: decision.may_fall_back() && route.fallback != Fallback::Off,
        generation: None,
    }
}

#[cfg(test)]
mod tests;
