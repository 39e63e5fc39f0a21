//! The one place where something that went wrong becomes an answer. What the client reads is short; the log says why.

use crate::message::body::BodyError;
use crate::message::hop::HostError;
use crate::message::reply::Problem;
use crate::message::request_id::RequestId;
use crate::plan::RoutePlan;
use crate::side::Side;
use crate::telemetry::{FallbackReason, Rejected, UpstreamError};
use crate::upstream::{Fault, clients_part};
use http::StatusCode;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// Why a request was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Host(HostError),
    Target,
    Method,
    Fields,
    UriTooLong,
    TransferCoding,
    Length,
    Loop,
    EncodedPath,
    BrokenBody,
    BodyTooLarge,
    BodyTooSlow,
    Memory,
}

impl Refusal {
    pub(super) fn label(self) -> Rejected {
        match self {
            Self::Host(_)
            | Self::Target
            | Self::TransferCoding
            | Self::Length
            | Self::BrokenBody => Rejected::BadRequest,
            Self::Method => Rejected::Method,
            Self::Fields => Rejected::HeadTooLarge,
            Self::UriTooLong => Rejected::UriTooLong,
            Self::Loop => Rejected::Loop,
            Self::EncodedPath => Rejected::EncodedPath,
            Self::BodyTooLarge => Rejected::BodyTooLarge,
            Self::BodyTooSlow => Rejected::BodyTimeout,
            Self::Memory => Rejected::Memory,
        }
    }

    /// What is wrong with a client's body that could not be read to its end.
    pub(super) fn of_body(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::TooSlow => Self::BodyTooSlow,
            BodyError::Client(_)
            | BodyError::Withdrawn
            | BodyError::Upstream(_)
            | BodyError::Unwanted => Self::BrokenBody,
        }
    }

    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Host(HostError::Missing) => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request has no Host field.",
            )
            .closing(),
            Self::Host(HostError::Several) => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request has more than one Host field.",
            )
            .closing(),
            Self::Host(HostError::Invalid) => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request's Host is not a host with an optional port.",
            )
            .closing(),
            Self::Target => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request's target is neither a path nor a URL of http.",
            )
            .closing(),
            Self::Method => Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "CONNECT and TRACE are not proxied.",
            )
            .closing(),
            Self::Fields => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "The request has more fields than this proxy takes.",
            ),
            Self::UriTooLong => Problem::new(
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                "The request's target is longer than this proxy takes.",
            ),
            Self::TransferCoding => Problem::new(
                StatusCode::NOT_IMPLEMENTED,
                "transfer_coding",
                "The body has a transfer coding other than chunked.",
            )
            .closing(),
            Self::Length => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request's Content-Length begins with 0, which two parsers could read differently.",
            )
            .closing(),
            Self::Loop => Problem::new(
                StatusCode::LOOP_DETECTED,
                "loop",
                "The request came through this proxy before.",
            ),
            Self::EncodedPath => Problem::new(
                StatusCode::BAD_REQUEST,
                "encoded_path",
                "The path has an encoded slash or a dot segment, which two parsers could read differently.",
            ),
            Self::BrokenBody => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The body broke off.",
            )
            .closing(),
            Self::BodyTooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is larger than this proxy takes.",
            )
            .closing(),
            Self::BodyTooSlow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "The body came too slowly.",
            )
            .closing(),
            Self::Memory => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "memory",
                "Requests hold as much memory as they may.",
            )
            .retry_after(1),
        }
    }
}

/// What the client is told of a side that failed.
pub(super) fn problem(fault: &Fault) -> Problem {
    match fault {
        Fault::Connect(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream_connect",
            "The service behind this proxy could not be reached.",
        ),
        Fault::ConnectTimeout => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_connect",
            "The service behind this proxy could not be reached in time.",
        ),
        Fault::Timeout => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The service behind this proxy did not answer in time.",
        ),
        Fault::Reset(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream_reset",
            "The service behind this proxy closed the connection before its answer.",
        ),
        Fault::Protocol(_) | Fault::Switched | Fault::Handshake | Fault::TransferCoding => {
            Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream_protocol",
                "The service behind this proxy sent an answer that is no HTTP.",
            )
        }
        Fault::Queue => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_queue",
            "Every connection to the service behind this proxy is in use.",
        )
        .retry_after(1),
        Fault::Client(error) => {
            let part = clients_part(&**error);
            part.map_or(Refusal::BrokenBody, Refusal::of_body).problem()
        }
    }
}

/// Why old is asked after new; `None` where the client is to blame.
pub(super) fn fallback_reason(fault: &Fault) -> Option<FallbackReason> {
    match fault {
        // Out of connections to new, the process can't reach it either.
        Fault::Connect(_) | Fault::ConnectTimeout | Fault::Queue => Some(FallbackReason::Connect),
        Fault::Timeout => Some(FallbackReason::Timeout),
        Fault::Reset(_) => Some(FallbackReason::Reset),
        Fault::Protocol(_) | Fault::Switched | Fault::Handshake | Fault::TransferCoding => {
            Some(FallbackReason::Protocol)
        }
        Fault::Client(_) => None,
    }
}

/// Logs a failure of a side, each kind at most once a second: a side that is down must not flood the log.
pub(super) fn log(route: &RoutePlan, side: Side, fault: &Fault, id: &RequestId) {
    static LIMITS: [[LogLimit; UpstreamError::ALL.len()]; 2] =
        [const { [const { LogLimit::new() }; UpstreamError::ALL.len()] }; 2];
    let Some(kind) = fault.label() else { return };
    let limit = &LIMITS[side.index()][kind as usize];
    let Some(unlogged) = limit.pass(Instant::now()) else {
        return;
    };
    let mut cause = String::new();
    let mut source = fault.source();
    while let Some(error) = source {
        cause.push_str(&format!(": {error}"));
        source = error.source();
    }
    tracing::warn!(route = %route.name(), %side, kind = kind.name(), %id, unlogged, "{fault}{cause}");
}

/// Lets one line through each second, and counts the others.
struct LogLimit {
    /// Seconds from the first failure of the process, plus one; 0 for never.
    last: AtomicU64,
    unlogged: AtomicU64,
}

impl LogLimit {
    const fn new() -> Self {
        Self {
            last: AtomicU64::new(0),
            unlogged: AtomicU64::new(0),
        }
    }

    /// How many lines were left out before this one; `None` if this one is left out too.
    fn pass(&self, now: Instant) -> Option<u64> {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let second = now
            .saturating_duration_since(*START.get_or_init(|| now))
            .as_secs()
            + 1;
        if self.last.swap(second, Ordering::Relaxed) == second {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unlogged.swap(0, Ordering::Relaxed))
    }
}
