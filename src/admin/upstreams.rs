//! `GET /api/upstreams`: how the sides are, as far as it decides what they are asked.

use crate::admin::api::Admin;
use crate::side::Side;
use crate::telemetry::Role;
use crate::upstream::Endpoint;
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
    breaker: BreakersView,
}

/// Null where there is none.
#[derive(Debug, Serialize)]
struct BreakersView {
    serve: Option<&'static str>,
    shadow: Option<&'static str>,
}

impl SideView {
    fn of(endpoint: &Endpoint) -> Self {
        let breaker = |role| {
            endpoint
                .has_breaker(role)
                .then(|| endpoint.guard(role).state().name())
        };
        Self {
            side: endpoint.side().name(),
            breaker: BreakersView {
                serve: breaker(Role::Serve),
                shadow: breaker(Role::Shadow),
            },
        }
    }
}

/// `GET /api/upstreams`.
pub(super) async fn upstreams(State(admin): State<Admin>) -> Json<UpstreamsView> {
    let plan = admin.live.snapshot();
    Json(UpstreamsView {
        sides: Side::BOTH.map(|side| SideView::of(plan.unmatched.endpoint(side))),
    })
}
