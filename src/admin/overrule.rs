//! `PUT /api/override` and `DELETE /api/override`: the instant rollback.
//!
//! An override acts in memory before anything is written, and whether or not it can be. What is written afterwards is not the request's
//! own but whatever is in force when the file's turn comes, so requests that overtake each other leave the file as the memory is.

use crate::admin::api::Admin;
use crate::admin::config::ConfigView;
use crate::admin::input;
use crate::admin::refusal::Refusal;
use crate::side::Side;
use crate::store::{SavedOverride, rfc3339};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

/// Characters of a reason.
const REASON_LIMIT: usize = 1_000;

/// `PUT /api/override`.
pub(super) async fn put(
    State(admin): State<Admin>,
    body: Body,
) -> Result<Json<ConfigView>, Refusal> {
    let asked = Asked::parse(&input::read(body).await?)?;
    let plan = admin.live.snapshot();
    if let Some(name) = &asked.route
        && !plan.settings.routes.iter().any(|route| route.name == *name)
    {
        return Err(unusable(
            "`route` must be null, for everything, or the name of a route of the file.",
        ));
    }
    let at = rfc3339(input::now());
    tracing::warn!(serve = %asked.serve, route = asked.route.as_deref(), reason = asked.reason, "override set");
    let saved = SavedOverride {
        serve: asked.serve,
        route: asked.route,
        reason: asked.reason,
        at,
    };
    admin.live.set_override(Some(saved));
    let view = ConfigView::of(&admin.live);
    Ok(Json(if keep(admin).await {
        view
    } else {
        view.not_durable()
    }))
}

/// `DELETE /api/override`: 204; 200 with `"durable": false` if the override would come back with the next start.
pub(super) async fn delete(State(admin): State<Admin>) -> Response {
    tracing::warn!("override removed");
    admin.live.set_override(None);
    let view = ConfigView::of(&admin.live);
    if keep(admin).await {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Json(view.not_durable()).into_response()
    }
}

/// Makes the file say what is in force; false if it can't.
async fn keep(admin: Admin) -> bool {
    input::keep(
        "the override acts, but will not survive a restart",
        move || {
            admin
                .state
                .keep_override(|| admin.live.snapshot().overrule.clone())
        },
    )
    .await
}

/// What the body asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    serve: Side,
    route: Option<String>,
    reason: String,
}

impl Asked {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let (mut serve, mut route, mut reason) = (None, None, String::new());
        for (name, value) in input::members(body, "override")? {
            match (&*name, value) {
                ("serve", Value::String(text)) => serve = text.parse().ok(),
                ("route", Value::String(text)) => route = Some(text),
                ("route", Value::Null) => {}
                ("reason", Value::String(text)) if input::is_line(&text, REASON_LIMIT) => {
                    reason = text
                }
                ("serve", _) => {}
                ("route", _) => return Err(unusable("`route` must be null or a text.")),
                ("reason", _) => {
                    return Err(unusable(
                        "`reason` must be one line of text, at most 1000 characters.",
                    ));
                }
                _ => {
                    return Err(unusable(
                        "The body may hold `serve`, `route` and `reason`, nothing else.",
                    ));
                }
            }
        }
        let serve = serve.ok_or_else(|| unusable("`serve` must be \"old\" or \"new\"."))?;
        Ok(Self {
            serve,
            route,
            reason,
        })
    }
}

fn unusable(detail: &'static str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "override", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<(Side, Option<&str>, &str), u16>) {
        let found = Asked::parse(body.as_bytes());
        let found = found.map_err(|refusal| refusal.into_response().status().as_u16());
        let expected = expected.map(|(serve, route, reason)| Asked {
            serve,
            route: route.map(str::to_owned),
            reason: reason.to_owned(),
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn bodies() {
        check(
            r#"{"serve":"old","route":null,"reason":"errors"}"#,
            Ok((Side::Old, None, "errors")),
        );
        check(
            r#"{"serve":"new","route":"tags"}"#,
            Ok((Side::New, Some("tags"), "")),
        );
        check(r#"{"serve":"old"}"#, Ok((Side::Old, None, "")));
        for (bad, status) in [
            ("", 400),
            ("serve=old", 400),
            (r#"{"serve":"old","serve":"new"}"#, 422),
            ("{\"serve\":\"old\"", 400),
            ("{\"serve\":\"old\"} x", 400),
            ("\u{feff}{}", 400),
            ("[]", 422),
            ("null", 422),
            ("{}", 422),
            (r#"{"serve":"both"}"#, 422),
            (r#"{"serve":null}"#, 422),
            (r#"{"serve":"old","route":7}"#, 422),
            (r#"{"serve":"old","reason":null}"#, 422),
            (r#"{"serve":"old","reason":"a\nb"}"#, 422),
            (r#"{"serve":"old","reason":"\u001b[2J"}"#, 422),
            (r#"{"serve":"old","rote":"tags"}"#, 422),
        ] {
            check(bad, Err(status));
        }
        let long = |length| format!(r#"{{"serve":"old","reason":"{}"}}"#, "ü".repeat(length));
        assert!(Asked::parse(long(REASON_LIMIT).as_bytes()).is_ok());
        check(&long(REASON_LIMIT + 1), Err(422));
    }
}
