//! `GET /api/samples?route=&cause=&before=&limit=`: the samples on disk, newest first, page by page. Causes have the ids of `GET /api/causes`.

use crate::admin::api::Admin;
use crate::admin::causes;
use crate::admin::query;
use crate::admin::refusal::Refusal;
use crate::compare::cause::CauseId;
use crate::store::RouteCauses;
use crate::store::samples::{Query, SamplesError};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

/// `GET /api/samples`.
pub(super) async fn samples(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.as_deref().unwrap_or_default();
    let names = ["route", "cause", "before", "limit"];
    let [route, cause, before, limit] = query::parameters(query, names)?;
    let before = before.map(|text| text.parse()).transpose();
    let listed = causes::list(&admin, None);
    let query = Query {
        cause: cause.map(|name| names_of(&listed, route.as_deref(), name)),
        route,
        before: before.map_err(|_| query::refuse("`before` must be the id of a sample."))?,
        limit: query::limit(limit.as_deref())?,
    };
    // It waits for a disk.
    let written = tokio::task::spawn_blocking(move || {
        let page = admin.samples.page(query)?;
        let page = page.renamed(|route, cause| present(&listed, route, cause));
        Ok(serde_json::to_vec(&page).expect("a page is JSON, and memory takes it"))
    });
    match written.await {
        Ok(Ok(body)) => {
            Ok(([(CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
        }
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "samples",
            "The samples could not be written down.",
        )),
    }
}

/// All names that a cause goes by: samples have the one that it had when they were kept.
fn names_of(listed: &[RouteCauses], route: Option<&str>, name: String) -> Vec<String> {
    let listed = listed
        .iter()
        .filter(|of_route| route.is_none_or(|route| route == of_route.route));
    let named = CauseId::parse(&name).and_then(|id| {
        let mut causes = listed.filter_map(|of_route| of_route.named(id));
        causes.next()
    });
    match named {
        Some(cause) => cause.names().map(|id| id.to_string()).collect(),
        // A verdict, or a cause of before this process.
        None => vec![name],
    }
}

/// The name that a route's cause goes by now.
fn present(listed: &[RouteCauses], route: &str, cause: &str) -> Option<String> {
    let id = CauseId::parse(cause)?;
    let of_route = listed.iter().find(|of_route| of_route.route == route)?;
    of_route.named(id).map(|cause| cause.id.to_string())
}

fn unreadable(error: &SamplesError) -> Refusal {
    let detail = format!("The samples can't be read: {error}.");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "samples", detail)
}
