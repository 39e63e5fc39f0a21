//! Spans of requests, for a collector of OpenTelemetry. Without the feature `otel` there are none, which costs nothing: types without a value stand for them.
//!
//! Invariant: who tells a span never waits, and whether a collector is there changes nothing else.

#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod on;
#[cfg(feature = "otel")]
pub mod otlp;
mod outcome;

#[cfg(not(feature = "otel"))]
pub use off::{Copied, Tracer, Traces, Tracing};
#[cfg(feature = "otel")]
pub use on::{Copied, Span, Tracer, Traces, Tracing, Value};
pub use outcome::Outcome;
