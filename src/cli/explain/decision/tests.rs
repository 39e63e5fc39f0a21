use super::*;
use crate::cli::explain::request::{Field, parse_method};
use crate::compare::Ids;
use crate::config;
use crate::plan::build::{Lasting, Stamp};
use crate::side::Side;
use crate::store::SavedOverride;
use crate::telemetry::Telemetry;
use crate::upstream::Endpoints;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const FILE: &str = r#"
[migration]
name = "tags"
[server]
trusted_proxies = ["10.0.0.0/8"]
[old]
url = "http://127.0.0.1:7001"
[new]
url = "http://127.0.0.1:7002"
[[route]]
name = "content-tags"
match = "* /contents/{content}/tags"
key = "{path.content}"
percent = 50
shadow = 70
pin = { new = ["games"] }
[[route]]
name = "search"
match = "POST /search"
read = true
key = "{body./user/id|header.x-user}"
percent = 50
fallback = false
[[route]]
name = "by-client"
match = "GET /me"
host = "me.example.org"
key = "{client.ip}"
percent = 50
[[route]]
name = "tags"
match = "GET /tags"
shadow = 30
"#;

fn plan(overrule: Option<(Side, Option<&str>)>) -> Plan {
    let loaded = config::load(FILE, Path::new("."), &|_| None);
    let settings = loaded
        .settings
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let overrule = overrule.map(|(serve, route)| SavedOverride {
        serve,
        route: route.map(str::to_owned),
        reason: "test".to_owned(),
        at: "2026-01-01T00:00:00Z".to_owned(),
    });
    let telemetry = Telemetry::new();
    let stamp = Stamp {
        generation: 1,
        sha256: String::new(),
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    Plan::build(
        settings,
        stamp,
        overrule,
        Lasting {
            endpoints: &Endpoints::new(Arc::clone(&telemetry)),
            telemetry: &telemetry,
            ids: &Arc::new(Ids::unkeyed()),
            before: None,
        },
    )
}

/// `METHOD URL`, header fields, a body; explained as JSON.
fn explained(plan: &Plan, request: &str, fields: &[&str], body: Option<&str>) -> Value {
    let (method, url) = request.split_once(' ').unwrap();
    let fields: Vec<Field> = fields.iter().map(|field| field.parse().unwrap()).collect();
    let asked = Asked::new(
        parse_method(method).unwrap(),
        &url.parse().unwrap(),
        &fields,
        &plan.settings,
    );
    let asked = Asked {
        body: body.map(|body| body.as_bytes().to_vec()),
        ..asked
    };
    serde_json::to_value(explain(plan, &asked)).unwrap()
}

#[track_caller]
fn check(actual: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&actual[name], value, "{name} of {actual}");
    }
}

#[test]
fn a_whole_explanation_has_every_public_field() {
    // "0ad" is in bucket 4281 of tags, and 7734 of tags/shadow.
    let expected = json!({
        "route": "content-tags", "method": "GET", "read": true, "key": "0ad", "salt": "tags", "bucket": 4281, "percent": 50.0,
        "side": "new", "why": "bucket", "rejected": null,
        "shadow": {"side": "old", "sampled": false, "bucket": 7734}, "fallback": true, "generation": null,
    });
    assert_eq!(
        explained(&plan(None), "GET /contents/0ad/tags", &[], None),
        expected
    );
}

#[test]
fn decisions_are_those_of_the_request_path() {
    let plan = plan(None);
    let get = |url: &str, fields: &[&str]| explained(&plan, &format!("GET {url}"), fields, None);
    check(
        &get("/contents/games/tags", &[]),
        &json!({"side": "new", "why": "pin", "fallback": true}),
    );
    check(
        &get("http://x:1/contents/gcc/tags", &[]),
        &json!({"side": "old", "why": "bucket", "fallback": false}),
    );
    check(
        &explained(&plan, "PUT /contents/0ad/tags", &[], None),
        &json!({"side": "old", "why": "write", "key": "0ad", "shadow": {"side": "new", "sampled": false, "bucket": 7734}}),
    );
    check(
        &get("/nothing", &[]),
        &json!({"route": "unmatched", "side": "old", "why": "no_key", "bucket": null}),
    );
    check(
        &get("/tags", &[]),
        &json!({"why": "no_key", "shadow": {"side": "new", "sampled": null, "bucket": null}}),
    );
}

#[test]
fn host_client_and_body_are_read_as_the_proxy_reads_them() {
    let plan = plan(None);
    let get = |url: &str, fields: &[&str]| explained(&plan, &format!("GET {url}"), fields, None);
    check(&get("/me", &[]), &json!({"route": "unmatched"}));
    check(
        &get("/me", &["host: ME.example.org:80"]),
        &json!({"route": "by-client", "key": "127.0.0.1"}),
    );
    check(
        &get("http://me.example.org/me", &["x-forwarded-for: 192.0.2.1"]),
        &json!({"key": "127.0.0.1"}),
    );

    let search = |fields: &[&str], body| explained(&plan, "POST /search", fields, body);
    check(
        &search(&["x-user: h"], Some("{\"user\": {\"id\": 1.0}}")),
        &json!({"key": "1.0", "fallback": false}),
    );
    check(
        &search(&["x-user: h"], Some("{\"user\": ")),
        &json!({"key": "h"}),
    );
    check(&search(&[], None), &json!({"key": null, "why": "no_key"}));
}

#[test]
fn what_a_trusted_proxy_says_is_believed() {
    let plan = plan(None);
    let ask = |client: &str, fields: &[&str]| {
        let fields: Vec<Field> = fields.iter().map(|field| field.parse().unwrap()).collect();
        let url = "http://me.example.org/me".parse().unwrap();
        let asked = Asked::new(Method::GET, &url, &fields, &plan.settings);
        serde_json::to_value(explain(
            &plan,
            &Asked {
                client: client.parse().unwrap(),
                ..asked
            },
        ))
        .unwrap()
    };
    check(
        &ask("10.0.0.1", &["x-forwarded-for: 192.0.2.1"]),
        &json!({"key": "192.0.2.1"}),
    );
    check(
        &ask("192.0.2.9", &["x-forwarded-for: 192.0.2.1"]),
        &json!({"key": "192.0.2.9"}),
    );

    let copied = |client: &str| {
        let asked = Asked::new(
            Method::GET,
            &"/contents/bash/tags".parse().unwrap(),
            &["x-crossfade-shadow: 1".parse().unwrap()],
            &plan.settings,
        );
        explain(
            &plan,
            &Asked {
                client: client.parse().unwrap(),
                ..asked
            },
        )
        .shadow
        .sampled
    };
    assert_eq!(
        copied("10.0.0.1"),
        Some(false),
        "a copy is not copied again"
    );
    assert_eq!(
        copied("192.0.2.9"),
        Some(true),
        "the mark of a stranger means nothing"
    );
}

#[test]
fn a_request_that_would_be_refused_is_explained_as_that() {
    let long = format!("GET /{}", "a".repeat(16 * 1024));
    let plan = plan(None);
    let rows = [
        (
            "GET /contents/a%2Fb/tags",
            &[][..],
            json!({"status": 400, "reason": "encoded_path"}),
        ),
        (
            "PUT /contents/%2e%2E/tags",
            &[],
            json!({"status": 400, "reason": "encoded_path"}),
        ),
        (
            "TRACE /contents/a/tags",
            &[],
            json!({"status": 405, "reason": "method"}),
        ),
        (
            "GET /tags",
            &["host: a", "host: b"],
            json!({"status": 400, "reason": "bad_request"}),
        ),
        (&long, &[], json!({"status": 414, "reason": "uri_too_long"})),
        ("GET /tags/%2F", &[], Value::Null),
    ];
    for (request, fields, rejected) in rows {
        let side = if rejected.is_null() {
            json!("old")
        } else {
            Value::Null
        };
        check(
            &explained(&plan, request, fields, None),
            &json!({"rejected": rejected, "side": side}),
        );
    }
}

#[test]
fn the_override_is_obeyed() {
    let everything = plan(Some((Side::Old, None)));
    check(
        &explained(&everything, "GET /contents/games/tags", &[], None),
        &json!({"side": "old", "why": "override"}),
    );
    let one = plan(Some((Side::New, Some("content-tags"))));
    check(
        &explained(&one, "DELETE /contents/a/tags", &[], None),
        &json!({"side": "new", "why": "override"}),
    );
    check(
        &explained(&one, "GET /tags", &[], None),
        &json!({"why": "no_key"}),
    );
}
