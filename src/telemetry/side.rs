//! What is counted for one side, whatever the route.

use crate::telemetry::cells::{CounterCell, GaugeCell};
use crate::telemetry::labels::{EndpointState, Label, Role, UpstreamError};

/// The cells of one side.
#[derive(Debug, Default)]
pub struct SideMetrics {
    /// Open connections.
    pub connections: GaugeCell,
    /// Requests that wait for a connection.
    pub waiting: GaugeCell,
    /// Requests that were sent once more.
    pub retries: CounterCell,
    breakers: [GaugeCell; Role::ALL.len()],
    endpoints: [GaugeCell; EndpointState::ALL.len()],
    errors: [[CounterCell; UpstreamError::ALL.len()]; Role::ALL.len()],
}

impl SideMetrics {
    /// The side has failed.
    pub fn error(&self, role: Role, kind: UpstreamError) {
        self.errors[role.index()][kind.index()].increment();
    }

    /// 1 while the breaker of a role is not closed.
    #[must_use]
    pub fn breaker_open(&self, role: Role) -> &GaugeCell {
        &self.breakers[role.index()]
    }

    /// Endpoints in a state.
    #[must_use]
    pub fn endpoints(&self, state: EndpointState) -> &GaugeCell {
        &self.endpoints[state.index()]
    }

    /// Failures of one role and kind.
    #[must_use]
    pub fn errors(&self, role: Role, kind: UpstreamError) -> u64 {
        self.errors[role.index()][kind.index()].value()
    }
}
