//! `POST /api/routes/NAME/reset`: what judgements remember of a route begins anew.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use axum::extract::{Path, State};
use http::StatusCode;

/// `POST /api/routes/NAME/reset`: 204.
pub(super) async fn reset(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    let plan = admin.live.snapshot();
    let Some(route) = plan.routes().find(|route| **route.name() == *name) else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "route",
            "There is no route with this name.",
        ));
    };
    route.judging.reset();
    tracing::warn!(
        route = name,
        "what was known of the route's fields is forgotten"
    );
    Ok(StatusCode::NO_CONTENT)
}
