//! `GET /api/upstreams`: how the sides are, as far as it decides what they are asked.

use crate::admin::api::Admin;
use crate::side::Side;
use crate::telemetry::Role;
use crate::upstream::{Endpoint, Group};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

/// The answer of `GET /api/upstreams`.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamsView {
    sides: [SideView; 2],
}

#[derive(Debug, Serialize)]
struct SideView {
    side: &'static str,
    protocol: &'static str,
    breaker: BreakersView,
    endpoints: Vec<EndpointView>,
}

/// Null where there is none.
#[derive(Debug, Serialize)]
struct BreakersView {
    serve: Option<&'static str>,
    shadow: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct EndpointView {
    url: String,
    state: &'static str,
}

impl SideView {
    fn of(group: &Group) -> Self {
        let common = group.common();
        let breaker = |role| {
            common
                .has_breaker(role)
                .then(|| common.guard(role).state().name())
        };
        Self {
            side: common.side().name(),
            protocol: common.settings().protocol.name(),
            breaker: BreakersView {
                serve: breaker(Role::Serve),
                shadow: breaker(Role::Shadow),
            },
            endpoints: group
                .endpoints()
                .iter()
                .map(|endpoint| EndpointView::of(endpoint))
                .collect(),
        }
    }
}

impl EndpointView {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            url: endpoint.url(),
            state: endpoint.state().name(),
        }
    }
}

/// `GET /api/upstreams`.
pub(super) async fn upstreams(State(admin): State<Admin>) -> Json<UpstreamsView> {
    let plan = admin.live.snapshot();
    Json(UpstreamsView {
        sides: Side::BOTH.map(|side| SideView::of(plan.unmatched.group(side))),
    })
}
