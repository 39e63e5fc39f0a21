//! The tag service that both sides of the demo speak: a catalog behind HTTP.
//!
//! The two sides differ only in how an answer is rendered (`defects.rs`); what is stored, counted and found is the same. Every refusal is `application/problem+json`.

use crate::demo::catalog::{Catalog, CatalogError, Content};
use crate::demo::data::Entry;
use crate::demo::defects::{self, Count};
use crate::demo::page::{Page, PageError};
use crate::side::Side;
use axum::Router;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What must be encoded in a path segment (RFC 3986 §3.3 leaves these as they are, and names of the data have them).
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b':');

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// The service of one side.
pub fn router(side: Side, catalog: Catalog) -> Router {
    Router::new()
        .route("/contents", post(add))
        .route("/contents/{content}", get(content))
        .route("/contents/{content}/tags", get(content_tags))
        .route(
            "/contents/{content}/tags/{tag}",
            put(put_tag).delete(delete_tag),
        )
        .route("/tags", get(tags))
        .route("/tags/{tag}/contents", get(tag_contents))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "this service has no such path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "see the field allow for what this path takes",
            )
        })
        .with_state(Arc::new(Service {
            side,
            catalog: RwLock::new(catalog),
            answers: AtomicU64::new(0),
        }))
}

struct Service {
    side: Side,
    catalog: RwLock<Catalog>,
    answers: AtomicU64,
}

type Shared = State<Arc<Service>>;
type OnePart = Result<Path<String>, PathRejection>;

impl Service {
    fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog
            .read()
            .expect("nothing panics while it holds the catalog")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog
            .write()
            .expect("nothing panics while it holds the catalog")
    }

    /// What a content's answer shows of it on this side.
    fn shown<'a>(&self, name: &str, content: &'a Content) -> (Vec<&'a str>, String) {
        let nth = self.answers.fetch_add(1, Ordering::Relaxed);
        let tags = defects::tags(self.side, name, content.tags.iter().map(AsRef::as_ref), nth);
        (
            tags,
            defects::updated_at(self.side, content.updated_at, nth).to_string(),
        )
    }
}

#[derive(Serialize)]
struct ContentBody<'a> {
    content: &'a str,
    title: &'a str,
    section: &'a str,
    tags: Vec<&'a str>,
    updated_at: String,
}

async fn content(State(service): Shared, path: OnePart) -> Result<Response, Problem> {
    let Path(name) = path?;
    let catalog = service.read();
    let found = catalog.content(&name)?;
    let (tags, updated_at) = service.shown(&name, found);
    let body = ContentBody {
        content: &name,
        title: &found.title,
        section: &found.section,
        tags,
        updated_at,
    };
    Ok(json(StatusCode::OK, JSON, &body))
}

#[derive(Serialize)]
struct ContentTagsBody<'a> {
    content: &'a str,
    tags: Vec<&'a str>,
    updated_at: String,
}

async fn content_tags(State(service): Shared, path: OnePart) -> Result<Response, Problem> {
    let Path(name) = path?;
    let catalog = service.read();
    let (tags, updated_at) = service.shown(&name, catalog.content(&name)?);
    Ok(json(
        StatusCode::OK,
        JSON,
        &ContentTagsBody {
            content: &name,
            tags,
            updated_at,
        },
    ))
}

#[derive(Serialize)]
struct TagsBody<'a> {
    tags: Vec<TagRow<'a>>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct TagRow<'a> {
    tag: &'a str,
    count: Count,
}

async fn tags(State(service): Shared, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let page = Page::parse(query.as_deref())?;
    let catalog = service.read();
    let listing = catalog.tags(&page);
    let row = |(tag, count)| TagRow {
        tag,
        count: defects::count(service.side, count),
    };
    let body = TagsBody {
        tags: listing.items.into_iter().map(row).collect(),
        next: listing.next,
    };
    Ok(json(StatusCode::OK, JSON, &body))
}

#[derive(Serialize)]
struct TagContentsBody<'a> {
    tag: &'a str,
    contents: Vec<ContentRow<'a>>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct ContentRow<'a> {
    content: &'a str,
    title: &'a str,
}

async fn tag_contents(
    State(service): Shared,
    path: OnePart,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Path(tag) = path?;
    let page = Page::parse(query.as_deref())?;
    let catalog = service.read();
    let listing = catalog.tag_contents(&tag, &page)?;
    let contents = listing
        .items
        .into_iter()
        .map(|(content, title)| ContentRow { content, title })
        .collect();
    Ok(json(
        StatusCode::OK,
        JSON,
        &TagContentsBody {
            tag: &tag,
            contents,
            next: listing.next,
        },
    ))
}

async fn add(
    State(service): Shared,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let entry: Entry = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is no content: {error}"),
        )
    })?;
    if entry.content.is_empty() || entry.tags.iter().any(String::is_empty) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "a content and a tag need a name",
        ));
    }
    let name = entry.content.clone();
    let mut catalog = service.write();
    catalog.add(entry, now())?;
    let added = catalog.content(&name)?;
    let (tags, updated_at) = service.shown(&name, added);
    let body = ContentBody {
        content: &name,
        title: &added.title,
        section: &added.section,
        tags,
        updated_at,
    };
    let mut response = json(StatusCode::CREATED, JSON, &body);
    let location =
        HeaderValue::try_from(format!("/contents/{}", utf8_percent_encode(&name, SEGMENT)))
            .expect("an encoded segment is plain ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

type TwoParts = Result<Path<(String, String)>, PathRejection>;

async fn put_tag(State(service): Shared, path: TwoParts) -> Result<StatusCode, Problem> {
    let Path((content, tag)) = path?;
    service.write().put_tag(&content, &tag, now())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_tag(State(service): Shared, path: TwoParts) -> Result<StatusCode, Problem> {
    let Path((content, tag)) = path?;
    service.write().delete_tag(&content, &tag, now())?;
    Ok(StatusCode::NO_CONTENT)
}

#[expect(clippy::disallowed_methods, reason = "contents show when they changed")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn json(status: StatusCode, media_type: &'static str, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("texts, numbers and lists always serialize");
    (status, [(header::CONTENT_TYPE, media_type)], bytes).into_response()
}

/// A refusal, as RFC 9457 shapes it.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            title: &'a str,
            status: u16,
            detail: &'a str,
        }
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body {
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        json(self.status, PROBLEM, &body)
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let status = match error {
            CatalogError::NoContent | CatalogError::NoTag | CatalogError::NotTagged => {
                StatusCode::NOT_FOUND
            }
            CatalogError::Exists => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

#[cfg(test)]
mod tests;
