//! `GET /api/learn?route=`: the rules that each route's differences call for, and what speaks for them.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use crate::compare::lesson::Advice;
use crate::config::edit::{Rule, RuleValue};
use axum::Json;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The answer of `GET /api/learn`.
#[derive(Debug, Serialize)]
pub(super) struct LearnView {
    routes: Vec<RouteView>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    name: String,
    /// Pairs that differed, since the start or the last reset.
    pairs: u64,
    rules: Vec<Value>,
}

/// `GET /api/learn`.
pub(super) async fn learn(
    State(admin): State<Admin>,
    RawQuery(query): RawQuery,
) -> Result<Json<LearnView>, Refusal> {
    let asked = route(query.as_deref().unwrap_or_default())?;
    let plan = admin.live.snapshot();
    let routes = plan.routes().filter(|route| match &asked {
        Some(asked) => **route.name() == **asked,
        None => true,
    });
    let routes: Vec<_> = routes
        .map(|route| {
            let (pairs, advice) = route.judging.advice(Instant::now());
            RouteView {
                name: route.name().to_string(),
                pairs,
                rules: advice.iter().map(rule).collect(),
            }
        })
        .collect();
    if let (Some(asked), true) = (asked, routes.is_empty()) {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "route",
            format!("No route has the name \"{asked}\"."),
        ));
    }
    Ok(Json(LearnView { routes }))
}

fn rule(advice: &Advice) -> Value {
    let rule = Rule::proposed(&advice.path, &advice.rule);
    let value = match &rule {
        Rule::Path { .. } => Value::Null,
        Rule::Entry { value, .. } => match value {
            RuleValue::Name(name) => Value::from(name.as_str()),
            RuleValue::Names(names) => Value::from(names.as_slice()),
            RuleValue::Number(number) => Value::from(*number),
        },
    };
    json!({"key": rule.key(), "path": advice.path, "value": value, "evidence": advice.evidence})
}

/// The route that the query names. An empty value is as none.
fn route(query: &str) -> Result<Option<String>, Refusal> {
    let mut route = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "route" || route.replace(value.into_owned()).is_some() {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "query",
                "The query may hold `route` once, nothing else.",
            ));
        }
    }
    Ok(route.filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::proposal;

    #[test]
    fn queries() {
        for (query, expected) in [
            ("", Some(None)),
            ("route=", Some(None)),
            ("route=a%2Db", Some(Some("a-b"))),
            ("route=a&route=b", None),
            ("limit=3", None),
        ] {
            let expected = expected.map(|route: Option<&str>| route.map(str::to_owned));
            assert_eq!(route(query).ok(), expected, "{query}");
        }
    }

    #[test]
    fn one_name_is_no_list() {
        for (names, value) in [
            (&["id"][..], json!("id")),
            (&["kind", "no"], json!(["kind", "no"])),
        ] {
            let advice = Advice {
                rule: proposal::Rule::MatchBy(names.iter().map(|&name| name.to_owned()).collect()),
                path: "$.items".to_owned(),
                evidence: "e".to_owned(),
            };
            assert_eq!(
                rule(&advice),
                json!({"key": "match_by", "path": "$.items", "value": value, "evidence": "e"})
            );
        }
    }

    #[test]
    fn a_power_of_ten_is_exact() {
        let advice = Advice {
            rule: proposal::Rule::Tolerance(-6),
            path: "$.w".to_owned(),
            evidence: "e".to_owned(),
        };
        assert_eq!(
            rule(&advice),
            json!({"key": "tolerance", "path": "$.w", "value": 1e-6, "evidence": "e"})
        );
    }
}
