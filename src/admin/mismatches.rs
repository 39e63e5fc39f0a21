//! `GET /api/mismatches?route=&limit=`: the latest mismatches, newest first.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use crate::store::Mismatch;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use std::sync::Arc;

const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 1_000;

/// What the query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    route: Option<String>,
    limit: usize,
}

impl Asked {
    /// An empty value is as none; what is unknown or given twice is refused rather than ignored.
    fn parse(query: &str) -> Result<Self, Refusal> {
        let (mut route, mut limit) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "route" => &mut route,
                "limit" => &mut limit,
                _ => {
                    return Err(refuse(
                        "The query may hold `route` and `limit`, nothing else.",
                    ));
                }
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(refuse("The query may hold `route` and `limit` once each."));
            }
        }
        let limit = match limit.filter(|text| !text.is_empty()) {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| refuse("`limit` must be a whole number from 1 to 1000."))?,
        };
        Ok(Self {
            route: route.filter(|name| !name.is_empty()),
            limit,
        })
    }
}

fn refuse(detail: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "query", detail)
}

#[derive(Serialize)]
struct MismatchesView<'a> {
    mismatches: Vec<&'a Mismatch>,
}

/// `GET /api/mismatches`.
pub(super) async fn mismatches(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default())?;
    // Up to 16 MiB of JSON: not on the thread that answers probes.
    let written = tokio::task::spawn_blocking(move || {
        let rows = admin.mismatches.latest(asked.route.as_deref(), asked.limit);
        serde_json::to_vec(&MismatchesView {
            mismatches: rows.iter().map(Arc::as_ref).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<(Option<&str>, usize)>) {
        let expected = expected.map(|(route, limit)| Asked {
            route: route.map(str::to_owned),
            limit,
        });
        assert_eq!(Asked::parse(query).ok(), expected, "{query}");
    }

    #[test]
    fn queries() {
        check("", Some((None, 50)));
        check("route=&limit=", Some((None, 50)));
        check("route=tags", Some((Some("tags"), 50)));
        check("limit=1000&route=a%2Db", Some((Some("a-b"), 1_000)));
        check("limit=1", Some((None, 1)));
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=ten",
            "limit=1.5",
            "limt=5",
            "limit=1&limit=2",
            "route=a&route=",
            "x",
        ] {
            check(bad, None);
        }
    }
}
