//! Which path leads where, and what every answer has in common.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use crate::admin::{
    access, causes, config, health, learn, mismatches, overrule, reset, routes, samples, upstreams,
};
use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, post, put};
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{StatusCode, header};

/// The admin API as a service.
pub fn router(admin: Admin) -> Router {
    // Inside the method's own layer: a method that is not allowed is 405 whatever it carries.
    let change = || from_fn_with_state(admin.clone(), access::change);
    let overrule = put(overrule::put)
        .delete(overrule::delete)
        .route_layer(change());
    let acknowledge = post(causes::acknowledge).route_layer(change());
    let reset = post(reset::reset).route_layer(change());
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/api/config", get(config::config))
        .route("/api/routes", get(routes::routes))
        .route("/api/routes/{name}/reset", reset)
        .route("/api/upstreams", get(upstreams::upstreams))
        .route("/api/mismatches", get(mismatches::mismatches))
        .route("/api/samples", get(samples::samples))
        .route("/api/causes", get(causes::causes))
        .route("/api/causes/{id}/ack", acknowledge)
        .route("/api/learn", get(learn::learn))
        .route("/api/override", overrule)
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(admin.clone(), access::token))
        .layer(map_response(finish))
        .with_state(admin)
}

async fn not_found() -> Refusal {
    let detail = "There are /livez, /readyz, /metrics, /api/config, /api/routes, /api/routes/NAME/reset, /api/upstreams, /api/mismatches, /api/samples, /api/causes, /api/causes/ID/ack, /api/learn and /api/override.";
    Refusal::new(StatusCode::NOT_FOUND, "not_found", detail)
}

async fn not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "The method is not one of those that `allow` lists.",
    )
}

/// Answers are of the moment, and are what they say they are.
async fn finish(mut response: Response) -> Response {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    response
}
