//! What comes with a change: a body within bounds, an object that says each thing once. And what a change leaves behind, on the disk.

use crate::admin::refusal::Refusal;
use crate::store::StateError;
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of a request's body.
const BODY_LIMIT: usize = 16 * 1024;
/// For a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// For the state directory to take the change; a disk that hangs must not keep the answer back.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "a change shows when it was made")]
pub(super) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Writes what is in force; false if it can't be, of which the log says `what` that means.
pub(super) async fn keep(
    what: &'static str,
    write: impl FnOnce() -> Result<(), StateError> + Send + 'static,
) -> bool {
    let writing = tokio::task::spawn_blocking(move || {
        let kept = write();
        if let Err(error) = &kept {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, source, "{what}");
        }
        kept.is_ok()
    });
    matches!(timeout(WRITE_TIMEOUT, writing).await, Ok(Ok(true)))
}

/// A whole body.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    match timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body may hold 16 KiB.",
        )),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "body",
            "The body broke off.",
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            "The body did not arrive within 10 seconds.",
        )),
    }
}

/// The members of a body that is an object, each once: which of two is meant is not to be guessed. `code` is the word for what the body is about.
pub(super) fn members(body: &[u8], code: &'static str) -> Result<Map<String, Value>, Refusal> {
    let document: Value = serde_json::from_slice(body).map_err(|error| {
        let detail = format!(
            "The body is no JSON document (line {}, column {}).",
            error.line(),
            error.column()
        );
        Refusal::new(StatusCode::BAD_REQUEST, "json", detail)
    })?;
    let unusable = |detail| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    let Value::Object(members) = document else {
        return Err(unusable("The body must be an object."));
    };
    if serde_json::from_slice::<Once>(body).is_err() {
        return Err(unusable("The body may hold each member once."));
    }
    Ok(members)
}

/// Whether a text may be shown in logs and on terminals: no line breaks, no escape sequences, and not too long.
pub(super) fn is_line(text: &str, limit: usize) -> bool {
    text.chars().count() <= limit && !text.chars().any(char::is_control)
}

/// What refuses an object that says something twice, as `Value` does not.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that has each member once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
            if !names.insert(name) {
                return Err(serde::de::Error::custom("a member twice"));
            }
        }
        Ok(self)
    }
}
