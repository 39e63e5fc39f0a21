//! No spans: nothing here has a value, so that the compiler leaves out what would be done with one.

use crate::telemetry::trace::outcome::Outcome;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A proxy's spans: none.
#[derive(Debug, Default)]
pub struct Traces;

impl Traces {
    /// There is nobody to tell them to.
    #[must_use]
    pub fn tracer(&self) -> Option<Arc<Tracer>> {
        None
    }

    /// Spans that were lost: `None`, since nobody counts them.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        None
    }
}

/// Where spans are told. There is none.
#[derive(Debug)]
pub enum Tracer {}

impl Tracer {
    /// The spans of a request.
    #[must_use]
    pub fn request(self: &Arc<Self>, _: Option<&[u8]>, _: Instant) -> Option<Tracing> {
        match **self {}
    }

    /// The spans of a copy.
    #[must_use]
    pub fn copy(self: &Arc<Self>, _: Option<&[u8]>) -> Option<Copied> {
        match **self {}
    }
}

/// The spans of a request.
#[derive(Debug)]
pub enum Tracing {}

impl Tracing {
    /// What the sides are told.
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        match *self {}
    }

    /// A side is asked.
    pub fn asks(&mut self, _: &'static str) {
        match *self {}
    }

    /// It has answered, or failed.
    pub fn heard(&mut self, _: Result<u16, &'static str>) {
        match *self {}
    }

    /// The request has ended.
    pub fn ended(self, _: Outcome<'_>, _: Duration) {
        match self {}
    }
}

/// The spans of a copy.
#[derive(Debug)]
pub enum Copied {}

impl Copied {
    /// The span's id.
    #[must_use]
    pub fn span(&self) -> u64 {
        match *self {}
    }

    /// The side has answered whole, or failed.
    pub fn heard(&mut self, _: &'static str, _: Result<u16, &'static str>) {
        match *self {}
    }

    /// It was judged.
    pub fn judged(self, _: &str, _: &'static str) {
        match self {}
    }
}
