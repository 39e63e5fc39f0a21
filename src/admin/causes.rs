//! `GET /api/causes?route=`: what the mismatches have in common. `POST /api/causes/ID/ack`: what somebody says of a cause.
//!
//! An acknowledgement acts in memory before it is written, and whether or not it can be, as an override does.

use crate::admin::api::Admin;
use crate::admin::input;
use crate::admin::refusal::Refusal;
use crate::compare::cause::{Cause, CauseId};
use crate::config::edit::silencing;
use crate::config::settings::Url;
use crate::plan::Plan;
use crate::side::Side;
use crate::store::{Ack, Example, RouteCauses, rfc3339};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// Characters of a note.
const NOTE_LIMIT: usize = 1_000;

/// The answer of `GET /api/causes`.
#[derive(Debug, Serialize)]
pub(super) struct CausesView {
    mismatches: u64,
    rest: u64,
    causes: Vec<CauseView>,
}

#[derive(Debug, Serialize)]
pub(super) struct CauseView {
    id: String,
    route: String,
    paths: Vec<String>,
    kinds: Vec<&'static str>,
    shape: String,
    pairs: u64,
    /// Of the route's mismatches.
    share: f64,
    keys: Option<u64>,
    first_seen: String,
    last_seen: String,
    generations: Vec<u64>,
    state: &'static str,
    ack: Option<AckView>,
    rule: Option<String>,
    examples: Vec<ExampleView>,
    /// There only if it was asked to be kept and could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    durable: Option<bool>,
}

#[derive(Debug, Serialize)]
struct AckView {
    note: String,
    until: String,
    at: String,
    pairs: u64,
}

#[derive(Debug, Serialize)]
struct ExampleView {
    #[serde(flatten)]
    example: Example,
    /// What asks each side the same.
    curl: Option<CurlView>,
}

#[derive(Debug, Serialize)]
struct CurlView {
    old: String,
    new: String,
}

/// The causes of one route or of all.
pub(super) fn list(admin: &Admin, route: Option<&str>) -> Vec<RouteCauses> {
    let plan = admin.live.snapshot();
    let trials = |name: &str| {
        let route = plan.routes().find(|route| **route.name() == *name);
        route.map_or(0, |route| route.metrics.trials())
    };
    admin.causes.list(route, &trials)
}

/// `GET /api/causes`.
pub(super) async fn causes(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Json<CausesView>, Refusal> {
    let mut route = None;
    for (name, value) in form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes()) {
        if name != "route" || route.replace(value.into_owned()).is_some() {
            let detail = "The query may hold `route`, once, and nothing else.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "query", detail));
        }
    }
    let route = route.filter(|name| !name.is_empty());
    Ok(Json(CausesView::of(&admin, route.as_deref())))
}

impl CausesView {
    fn of(admin: &Admin, route: Option<&str>) -> Self {
        let (plan, now) = (admin.live.snapshot(), input::now());
        let listed = list(admin, route);
        let mut causes: Vec<_> = listed
            .iter()
            .flat_map(|of_route| of_route.causes.iter().map(move |cause| (of_route, cause)))
            .map(|(of_route, cause)| CauseView::of(admin, &plan, of_route, cause, now))
            .collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.pairs));
        Self {
            mismatches: listed.iter().map(|of_route| of_route.mismatches).sum(),
            rest: listed.iter().map(|of_route| of_route.rest).sum(),
            causes,
        }
    }
}

impl CauseView {
    fn of(
        admin: &Admin,
        plan: &Plan,
        of_route: &RouteCauses,
        cause: &Cause<Arc<Example>>,
        now: Timestamp,
    ) -> Self {
        let ack = admin.causes.ack_of(cause);
        let holds = ack.as_ref().is_some_and(|ack| ack.holds(cause.pairs, now));
        Self {
            id: cause.id.to_string(),
            route: of_route.route.clone(),
            paths: cause.paths.clone(),
            kinds: cause.kinds.iter().map(|kind| kind.name()).collect(),
            shape: cause.shape.clone(),
            pairs: cause.pairs,
            share: cause.pairs as f64 / of_route.mismatches.max(1) as f64,
            keys: cause.keys,
            first_seen: time(cause.first_seen),
            last_seen: time(cause.last_seen),
            generations: cause.generations.clone(),
            state: if holds { "acknowledged" } else { "open" },
            ack: ack.map(|ack| AckView {
                note: ack.note,
                until: ack.until,
                at: ack.at,
                pairs: ack.pairs,
            }),
            rule: rule(plan, &of_route.route, cause),
            examples: cause
                .examples
                .iter()
                .map(|example| ExampleView {
                    curl: example.target.as_ref().map(|target| CurlView {
                        old: curl(plan, Side::Old, &example.method, target),
                        new: curl(plan, Side::New, &example.method, target),
                    }),
                    example: Example::clone(example),
                })
                .collect(),
            durable: None,
        }
    }
}

/// What would silence a cause, as lines of its route's table.
fn rule<E>(plan: &Plan, route: &str, cause: &Cause<E>) -> Option<String> {
    let silence = cause.silence.clone()?;
    let route = plan.routes().find(|known| **known.name() == *route);
    let identity = |path: &str| {
        let judging = &route?.judging;
        judging.recall(Instant::now(), |docket, _| docket.identity(path))
    };
    Some(silencing(&silence.aligned(identity)))
}

fn time(milliseconds: i64) -> String {
    rfc3339(Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

/// What asks a side for a target, in words of a shell. Neither fields nor a body are kept of a request.
fn curl(plan: &Plan, side: Side, method: &str, target: &str) -> String {
    let (socket, base) = match plan.settings.upstream(side).urls.first() {
        Some(Url::Http(authority)) => (None, format!("http://{authority}")),
        Some(Url::Https(authority)) => (None, format!("https://{authority}")),
        Some(Url::Unix(path)) => (Some(path), "http://localhost".to_owned()),
        None => (None, String::new()),
    };
    let mut command = "curl -sS".to_owned();
    if let Some(path) = socket {
        command = format!(
            "{command} --unix-socket {}",
            quoted(&path.to_string_lossy())
        );
    }
    command = match method {
        "GET" => command,
        "HEAD" => format!("{command} -I"),
        other => format!("{command} -X {}", quoted(other)),
    };
    format!("{command} {}", quoted(&format!("{base}{target}")))
}

/// A text that a shell takes as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `POST /api/causes/ID/ack`.
pub(super) async fn acknowledge(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<CauseView>, Refusal> {
    let asked = Asked::parse(&input::read(body).await?, input::now())?;
    let id = CauseId::parse(&id);
    let listed = list(&admin, None);
    let found = listed.iter().find_map(|of_route| {
        let cause = of_route
            .causes
            .iter()
            .find(|cause| id.is_some_and(|id| cause.is(id)))?;
        Some((of_route, cause))
    });
    let Some((of_route, cause)) = found else {
        let detail = "No cause has this id, as far as this process has seen.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "cause", detail));
    };
    let now = input::now();
    tracing::info!(cause = %cause.id, route = of_route.route, note = asked.note, "cause acknowledged");
    let ack = Ack {
        id: cause.id.to_string(),
        note: asked.note,
        until: rfc3339(asked.until),
        at: rfc3339(now),
        pairs: cause.pairs,
    };
    admin.causes.acknowledge(cause, ack);
    let plan = admin.live.snapshot();
    let mut view = CauseView::of(&admin, &plan, of_route, cause, now);
    let kept = input::keep(
        "what was said of a cause holds, but will not survive a restart",
        move || admin.state.keep_acks(|| admin.causes.acks()),
    );
    if !kept.await {
        view.durable = Some(false);
    }
    Ok(Json(view))
}

/// What the body says.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    note: String,
    until: Timestamp,
}

impl Asked {
    fn parse(body: &[u8], now: Timestamp) -> Result<Self, Refusal> {
        let (mut note, mut until) = (None, None);
        for (name, value) in input::members(body, "ack")? {
            let place = match &*name {
                "note" => &mut note,
                "until" => &mut until,
                _ => {
                    return Err(unusable(
                        "The body may hold `note` and `until`, nothing else.",
                    ));
                }
            };
            let Value::String(text) = value else {
                return Err(unusable("`note` and `until` must be texts."));
            };
            *place = Some(text);
        }
        let note = note
            .filter(|text| input::is_line(text, NOTE_LIMIT))
            .ok_or_else(|| unusable("`note` must be one line of text, at most 1000 characters."))?;
        let until = until
            .and_then(|text| text.parse().ok())
            .filter(|until| *until > now);
        let until = until.ok_or_else(|| {
            unusable("`until` must be a moment to come, as in \"2030-01-31T00:00:00Z\".")
        })?;
        Ok(Self { note, until })
    }
}

fn unusable(detail: &'static str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "ack", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    #[test]
    fn bodies() {
        let now: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let parse = |body: &str| Asked::parse(body.as_bytes(), now);
        let good = parse(r#"{"note":"known","until":"2024-01-02T00:00:00+01:00"}"#).unwrap();
        assert_eq!(
            (&*good.note, rfc3339(good.until)),
            ("known", "2024-01-01T23:00:00.000Z".to_owned())
        );
        for (bad, status) in [
            ("", 400),
            ("{", 400),
            ("[]", 422),
            ("{}", 422),
            (r#"{"note":"a"}"#, 422),
            (r#"{"until":"2025-01-01T00:00:00Z"}"#, 422),
            (r#"{"note":"a","until":"2025-01-01"}"#, 422),
            (r#"{"note":"a","until":"2024-01-01T00:00:00Z"}"#, 422),
            (r#"{"note":"a\n","until":"2025-01-01T00:00:00Z"}"#, 422),
            (r#"{"note":1,"until":"2025-01-01T00:00:00Z"}"#, 422),
            (r#"{"note":"a","until":"2025-01-01T00:00:00Z","x":1}"#, 422),
            (
                r#"{"note":"a","note":"b","until":"2025-01-01T00:00:00Z"}"#,
                422,
            ),
        ] {
            let refusal = parse(bad).unwrap_err().into_response();
            assert_eq!(refusal.status().as_u16(), status, "{bad}");
        }
    }

    #[test]
    fn a_shell_takes_texts_as_they_are() {
        assert_eq!(quoted("/a?b=$c&d=it's"), r"'/a?b=$c&d=it'\''s'");
    }
}
