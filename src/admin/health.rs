//! `/livez`, `/readyz` and `/metrics`: for orchestrators and Prometheus, open without a token.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::time::Instant;

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// `GET /readyz`: a plan is loaded and the listeners are open.
pub(super) async fn readyz(State(admin): State<Admin>) -> Result<Json<Value>, Refusal> {
    if admin.readiness.is_open() {
        Ok(Json(json!({ "status": "ready" })))
    } else {
        Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            "Clients are not served: the proxy is starting or stopping.",
        ))
    }
}

/// `GET /metrics`.
pub(super) async fn metrics(State(admin): State<Admin>) -> Response {
    // A page of many routes takes milliseconds: not on the thread that answers probes.
    let now = Instant::now();
    let write = move || {
        for route in admin.live.snapshot().routes() {
            route.judging.show(&route.metrics, now);
        }
        admin.telemetry.process().ids(admin.live.ids().counts());
        admin.telemetry.render()
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(page) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            page,
        )
            .into_response(),
        Err(_) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics",
            "The page could not be made.",
        )
        .into_response(),
    }
}
