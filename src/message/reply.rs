//! Answers that the proxy gives itself: `application/problem+json` of RFC 9457.
//!
//! What stands in such an answer is public and stable; what went wrong inside belongs in the log.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use std::borrow::Cow;

/// What an answer of the proxy's own says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// A stable word that scripts may go by: the end of `type`, and the member `code`. Lower case and underscores.
    pub code: &'static str,
    /// One sentence for the person who reads it. Never an address, a path on disk or an error's inner text.
    pub detail: Cow<'static, str>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u32>,
    /// What becomes of the connection.
    pub then: Then,
}

/// What becomes of a connection after an answer of the proxy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoOn,
    /// It is closed: what follows could be taken for another request by somebody.
    Close,
}

/// The document, in the order in which it is written.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    /// A problem without Retry-After.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            then: Then::GoOn,
        }
    }

    /// The same with `Connection: close`.
    #[must_use]
    pub fn closing(self) -> Self {
        Self {
            then: Then::Close,
            ..self
        }
    }

    /// The same with `Retry-After: SECONDS`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The body: `{"type": "urn:crossfade:CODE", "title", "status", "code", "detail"}`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let document = Document {
            r#type: format!("urn:crossfade:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        serde_json::to_vec(&document)
            .expect("text and numbers always serialise")
            .into()
    }

    /// The whole answer to a request of this method. HEAD gets the fields that GET would get, and no body (RFC 9110 §9.3.2).
    #[must_use]
    pub fn respond(&self, method: &Method) -> Response<Full<Bytes>> {
        let body = self.body();
        let length = HeaderValue::from(body.len());
        let mut response = Response::new(if method == Method::HEAD {
            Full::default()
        } else {
            Full::new(body)
        });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CONTENT_LENGTH, length);
        // RFC 9110 §15.1 lets caches keep a 404, 405, 414 or 501 that says nothing of its own.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.then == Then::Close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body;
    use proptest::prelude::*;

    #[test]
    fn an_answer_has_its_type_its_length_and_its_fields_in_order() {
        let problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_queue",
            "Too many requests wait.",
        )
        .retry_after(1);
        let text = r#"{"type":"urn:crossfade:upstream_queue","title":"Service Unavailable","status":503,"code":"upstream_queue","detail":"Too many requests wait."}"#;
        assert_eq!(problem.body(), text);
        let response = problem.respond(&Method::GET);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            response.headers()[CONTENT_LENGTH],
            text.len().to_string().as_str()
        );
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.body().size_hint().exact(), Some(text.len() as u64));
    }

    #[test]
    fn head_has_the_fields_of_get_and_no_body() {
        let problem = Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream_reset",
            "The service broke off.",
        );
        let (get, head) = (
            problem.respond(&Method::GET),
            problem.respond(&Method::HEAD),
        );
        assert_eq!(get.headers(), head.headers());
        assert!(!get.headers().contains_key(RETRY_AFTER));
        assert_eq!(head.body().size_hint().exact(), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_detail_gives_a_document_that_says_it(detail in any::<String>(), status in 400_u16..600) {
            let problem = Problem::new(StatusCode::from_u16(status).unwrap(), "bad_request", detail.clone());
            let read: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
            prop_assert_eq!(read["detail"].as_str(), Some(detail.as_str()));
            prop_assert_eq!(read["status"].as_u64(), Some(u64::from(status)));
        }
    }
}
