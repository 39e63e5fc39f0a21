//! Errors of the admin API: a problem document, and the header field that its status calls for.

use crate::message::reply::Problem;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::borrow::Cow;

/// Why a request gets no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Problem,
    field: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    /// A refusal with a word for scripts and a sentence for people.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            problem: Problem::new(status, code, detail),
            field: None,
        }
    }

    /// The same with a header field.
    pub(super) fn with(self, name: HeaderName, value: &'static str) -> Self {
        Self {
            field: Some((name, value)),
            ..self
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // The connection leaves the body of an answer to HEAD out by itself.
        let mut response = self.problem.respond(&Method::GET).map(Body::new);
        if let Some((name, value)) = self.field {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
