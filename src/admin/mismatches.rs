//! `GET /api/mismatches?route=&limit=`: the latest mismatches, newest first.

use crate::admin::api::Admin;
use crate::admin::causes;
use crate::admin::query;
use crate::admin::refusal::Refusal;
use crate::store::{Mismatch, RouteCauses};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

#[derive(Serialize)]
struct MismatchesView<'a> {
    mismatches: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct RowView<'a> {
    #[serde(flatten)]
    row: &'a Mismatch,
    /// The rarest.
    cause: Option<String>,
    /// All of them.
    causes: Vec<String>,
}

impl<'a> RowView<'a> {
    fn of(row: &'a Mismatch, known: &[RouteCauses]) -> Self {
        let of_route = known.iter().find(|known| known.route == row.route);
        let causes = of_route
            .map(|known| known.of(&row.marks))
            .unwrap_or_default();
        let causes: Vec<_> = causes.iter().map(ToString::to_string).collect();
        Self {
            row,
            cause: causes.first().cloned(),
            causes,
        }
    }
}

/// `GET /api/mismatches`.
pub(super) async fn mismatches(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.as_deref().unwrap_or_default();
    let [route, limit] = query::parameters(query, ["route", "limit"])?;
    let limit = query::limit(limit.as_deref())?;
    // Up to 16 MiB of JSON: not on the thread that answers probes.
    let written = tokio::task::spawn_blocking(move || {
        let rows = admin.mismatches.latest(route.as_deref(), limit);
        let known = causes::list(&admin, route.as_deref());
        serde_json::to_vec(&MismatchesView {
            mismatches: rows.iter().map(|row| RowView::of(row, &known)).collect(),
        })
    });
    match written.await {
        Ok(Ok(body)) => {
            Ok(([(CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
        }
        Ok(Err(_)) | Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "mismatches",
            "The mismatches could not be written down.",
        )),
    }
}
