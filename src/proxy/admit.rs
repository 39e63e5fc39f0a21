//! Which requests may be forwarded, whatever their route: framing and names in which two parsers could not see two requests.
//!
//! Invariant: hyper has read the head, and refused what RFC 9112 calls malformed; here only what it handed over is looked at.

use crate::config::settings::Limits;
use crate::message::forwarded;
use crate::message::hop;
use crate::message::survey::Survey;
use crate::proxy::failure::Refusal;
use crate::proxy::worker::Worker;
use http::request::Parts;
use http::{HeaderValue, Method, Version};

/// Refuses what can't be forwarded, whatever the route. The request's Host.
pub(super) fn admit(
    head: &mut Parts,
    survey: Survey,
    worker: &Worker,
    limits: &Limits,
) -> Result<Option<HeaderValue>, Refusal> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    if head.version == Version::HTTP_2 {
        hop::make_http_1(&mut head.headers, survey);
        // Of HTTP/1 the library takes no more.
        if head.headers.len() > limits.head_fields {
            return Err(Refusal::Fields);
        }
    }
    if !hop::is_target(&head.method, &head.uri) {
        return Err(Refusal::Target);
    }
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits.uri_size {
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

/// Refuses a body whose length two parsers could read differently, that is announced as too large, or for which there is no memory.
pub(super) fn admit_body(
    head: &Parts,
    announced: u64,
    worker: &Worker,
    limits: &Limits,
) -> Result<(), Refusal> {
    if !hop::is_plain_length(&head.headers) {
        Err(Refusal::Length)
    } else if announced > limits.body_size as u64 {
        Err(Refusal::BodyTooLarge)
    } else if worker.bodies().used() >= limits.body_memory {
        Err(Refusal::Memory)
    } else {
        Ok(())
    }
}
