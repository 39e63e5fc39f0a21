//! `GET /api/samples?route=&cause=&before=&limit=`: the samples on disk, newest first, page by page.

use crate::admin::api::Admin;
use crate::admin::query;
use crate::admin::refusal::Refusal;
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
    let query = Query {
        route,
        cause,
        before: before.map_err(|_| query::refuse("`before` must be the id of a sample."))?,
        limit: query::limit(limit.as_deref())?,
    };
    // It waits for a disk.
    let written = tokio::task::spawn_blocking(move || {
        let page = admin.samples.page(query)?;
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

fn unreadable(error: &SamplesError) -> Refusal {
    let detail = format!("The samples can't be read: {error}.");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "samples", detail)
}
