//! What the proxy counts and measures: cells on the request path, and the page that Prometheus reads.
//!
//! One [`Telemetry`] value belongs to one proxy and nothing is installed globally, so several proxies can live in one process.
//! Invariant: counting never waits. The hot path adds to atomic cells with relaxed order; names, labels and text are made when the
//! page is written, at a scrape; between two nothing is done for it. The admin API and the screen read the same cells.
//! Once nothing is in flight, sampled = shadow requests + dropped, and shadow requests = the sum of comparisons ([`Ledger`]).
//!
//! What is counted when is the business of the flows; which labels exist is said in [`labels`].

mod divergence;
mod page;

pub mod access;
pub mod cells;
pub mod labels;
pub mod latency;
pub mod log;
pub mod process;
pub mod registry;
pub mod route;
pub mod side;
pub mod states;
pub mod trace;

pub use cells::{CounterCell, GaugeCell, Held};
pub use divergence::FieldCount;
pub use labels::{
    CodeClass, Dropped, EndpointState, FallbackReason, Judged, LostLine, LostSample, Rejected,
    ReloadResult, Role, ServedBy, UpstreamError,
};
pub use latency::{Latency, LatencySnapshot};
pub use process::ProcessMetrics;
pub use registry::Telemetry;
pub use route::{Ledger, RouteMetrics};
pub use side::SideMetrics;

#[cfg(test)]
mod tests;
