//! The integration tests: one binary, a file a topic. What they share is in `harness`.
#![allow(
    clippy::unwrap_used,
    reason = "everything here is a test, and clippy knows only functions marked as tests by itself"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the harness bounds its waiting by a clock, and its backends start tasks of their own"
)]

mod access_log;
mod again;
mod amplification;
mod attacks;
mod bodies;
mod breaker;
mod causes;
mod clock;
mod commands;
mod corpus;
mod demo;
mod differential;
mod disk;
mod drain;
mod endpoints;
mod expect;
mod explain;
mod failures;
mod fallback;
mod faults;
mod forms;
mod forward;
mod framing;
mod gone;
mod handover;
mod harness;
mod headers;
mod http2;
mod ids;
mod isolation;
mod judge;
mod learn;
mod limits;
mod listeners;
mod live;
mod matrix;
mod multiplex;
mod pools;
mod prometheus;
mod proxy_protocol;
mod releases;
mod replay;
mod request_id;
mod samples;
mod secrets;
mod shadow;
mod split;
mod stale;
mod state;
mod supervised;
mod tidy;
mod tls;
mod tls_sides;
#[cfg(feature = "otel")]
mod traces;
mod trailers;
mod tunnel;
mod unix_sides;
mod websocket;
