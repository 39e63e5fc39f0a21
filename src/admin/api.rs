//! What the handlers work on: the parts of the proxy that they read, and the few that they change.

use crate::admin::readiness::Readiness;
use crate::plan::Live;
use crate::store::samples::Samples;
use crate::store::{Causes, Mismatches, StateDir};
use crate::telemetry::Telemetry;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the admin API reads and changes.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The Plan in force.
    pub live: Arc<Live>,
    /// The metric cells.
    pub telemetry: Arc<Telemetry>,
    /// The latest mismatches.
    pub mismatches: Arc<Mismatches>,
    /// Pairs that differed, with both answers.
    pub samples: Arc<Samples>,
    /// What mismatches have in common.
    pub causes: Arc<Causes>,
    /// Where the override is kept.
    pub state: Arc<StateDir>,
    /// Whether clients are served.
    pub readiness: Readiness,
    /// The address that the admin API listens on, as it is bound.
    pub address: SocketAddr,
}
