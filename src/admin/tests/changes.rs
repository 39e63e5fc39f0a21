//! The override, and everything that is refused.

use super::{Rig, Setup, change};
use crate::side::Side;
use crate::store::SavedOverride;
use serde_json::json;

#[test]
fn an_override_acts_at_once_is_kept_and_goes() {
    let rig = Rig::new();
    let put = rig.change(
        "PUT",
        r#"{"serve": "new", "route": "content-tags", "reason": "try"}"#,
    );
    assert_eq!(put.status, 200, "{put:?}");
    let shown = put.json();
    assert_eq!(shown, rig.get("/api/config").json());
    let overrule = &shown["override"];
    assert_eq!(
        (&overrule["serve"], &overrule["route"], &overrule["reason"]),
        (&json!("new"), &json!("content-tags"), &json!("try"))
    );
    assert_eq!(shown["generation"], 1, "an override is no generation");
    assert_eq!(rig.get("/api/routes").json()["routes"][0]["share"], 1.0);
    assert!(rig.get("/metrics").body.contains("crossfade_override 1\n"));
    let kept: SavedOverride = rig.admin.state.load_override().unwrap().unwrap();
    assert_eq!(serde_json::to_value(&kept).unwrap(), *overrule);

    assert_eq!(
        rig.change("PUT", r#"{"serve": "old"}"#).json()["override"]["route"],
        json!(null)
    );
    assert_eq!(
        rig.admin.state.load_override().unwrap().unwrap().serve,
        Side::Old
    );
    for _ in 0..2 {
        let gone = rig.change("DELETE", "");
        assert_eq!((gone.status, &*gone.body), (204, ""));
    }
    assert_eq!(rig.get("/api/config").json()["override"], json!(null));
    assert_eq!(rig.admin.state.load_override().unwrap(), None);
}

#[test]
fn an_override_that_cannot_be_kept_acts_all_the_same_and_says_so() {
    let rig = Rig::new();
    std::fs::write(rig.dir.path().join("state"), "in the way").unwrap();
    let put = rig.change("PUT", r#"{"serve": "old", "route": null, "reason": "now"}"#);
    assert_eq!((put.status, &put.json()["durable"]), (200, &json!(false)));
    assert_eq!(
        rig.admin
            .live
            .snapshot()
            .overrule
            .as_ref()
            .map(|saved| saved.serve),
        Some(Side::Old)
    );
    let deleted = rig.change("DELETE", "");
    assert_eq!(
        (deleted.status, &deleted.json()["durable"]),
        (200, &json!(false))
    );
    assert_eq!(rig.admin.live.snapshot().overrule, None);
    assert_eq!(rig.get("/api/config").json().get("durable"), None);
}

/// Says of a cause what can't be said.
fn acknowledgement(host: &str, content_type: &str) -> String {
    let text = change("POST", host, content_type, "{}");
    text.replace("/api/override", "/api/causes/0123456789ab/ack")
}

#[test]
fn a_refused_change_changes_nothing() {
    let rig = Rig::new();
    let good = r#"{"serve":"old"}"#;
    let own = rig.admin.address.to_string();
    for (text, status, code) in [
        (
            change("PUT", "evil.example", "application/json", good),
            403,
            "host",
        ),
        (
            change("DELETE", "evil.example:80", "application/json", ""),
            403,
            "host",
        ),
        (
            change(
                "PUT",
                "localhost\r\nhost: localhost",
                "application/json",
                good,
            ),
            403,
            "host",
        ),
        (change("PUT", &own, "text/plain", good), 415, "content_type"),
        (
            acknowledgement("evil.example", "application/json"),
            403,
            "host",
        ),
        (acknowledgement(&own, "text/plain"), 415, "content_type"),
        (acknowledgement(&own, "application/json"), 422, "ack"),
        (
            change("DELETE", &own, "text/plain", ""),
            415,
            "content_type",
        ),
        (change("PUT", &own, "application/json", "{"), 400, "json"),
        (
            change("PUT", &own, "application/json", r#"{"serve":"both"}"#),
            422,
            "override",
        ),
        (
            change(
                "PUT",
                &own,
                "application/json",
                r#"{"serve":"old","route":"nope"}"#,
            ),
            422,
            "override",
        ),
        (
            change(
                "PUT",
                &own,
                "application/json",
                r#"{"serve":"old","route":"unmatched"}"#,
            ),
            422,
            "override",
        ),
        (
            change("PUT", &own, "application/json", &" ".repeat(16 * 1024 + 1)),
            413,
            "too_large",
        ),
        (
            change("POST", &own, "application/json", good),
            405,
            "method",
        ),
        (
            change("PUT", &own, "application/json", good)
                .replace("/api/override", "http://evil.example/api/override"),
            403,
            "host",
        ),
    ] {
        assert_eq!(rig.raw(&text).problem(status), code, "{text:.200}");
    }
    assert_eq!(rig.admin.live.snapshot().overrule, None);
    assert_eq!(
        rig.raw(&change(
            "PUT",
            &own,
            "application/json; charset=utf-8",
            good
        ))
        .status,
        200
    );
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let rig = Rig::new();
    for target in ["/", "/api", "/api/", "/api/nope", "/metrics/", "/livez/x"] {
        assert_eq!(rig.get(target).problem(404), "not_found", "{target}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "lmit=5"] {
        assert_eq!(
            rig.get(&format!("/api/mismatches?{query}")).problem(400),
            "query",
            "{query}"
        );
    }
    for (target, allow) in [
        ("/api/config", "allow: get,head"),
        ("/metrics", "allow: get,head"),
        ("/api/override", "allow: put,delete"),
    ] {
        let reply = rig.raw(&format!(
            "PATCH {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ));
        assert_eq!(reply.problem(405), "method");
        assert!(reply.has(allow), "{}", reply.head);
    }
    let head = rig.raw("HEAD /api/nope HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!((head.status, &*head.body), (404, ""));
}

#[test]
fn a_token_guards_the_api_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    let server = format!("admin_token_file = {:?}", file.to_string_lossy());
    let rig = Rig::with(&Setup {
        server,
        ..Setup::default()
    });
    let get = |token: &str| {
        rig.raw(&format!(
            "GET /api/config HTTP/1.1\r\nhost: x\r\n{token}connection: close\r\n\r\n"
        ))
    };
    let bare = get("");
    assert_eq!(bare.problem(401), "unauthorized");
    assert!(
        bare.has("www-authenticate: bearer realm=\"crossfade\""),
        "{}",
        bare.head
    );
    let wrong = get("authorization: Bearer two\r\n");
    assert_eq!(wrong.problem(401), "unauthorized");
    assert!(
        wrong.head.contains("error=\"invalid_token\""),
        "{}",
        wrong.head
    );
    assert_eq!(get("authorization: Bearer one\r\n").status, 200);
    assert_eq!(
        rig.change("PUT", r#"{"serve":"old"}"#).problem(401),
        "unauthorized"
    );
    assert_eq!(rig.get("/api/nope").problem(401), "unauthorized");
    for open in ["/livez", "/metrics"] {
        assert_eq!(rig.get(open).status, 200, "{open}");
    }
    std::fs::write(&file, "two").unwrap();
    assert_eq!(get("authorization: Bearer one\r\n").status, 401);
    assert_eq!(get("authorization: Bearer two\r\n").status, 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        get("authorization: Bearer two\r\n").problem(503),
        "token_file"
    );
}

#[test]
fn an_address_that_others_reach_has_no_api_without_a_token() {
    let rig = Rig::with(&Setup {
        address: Some("10.0.0.1:9900".parse().unwrap()),
        ..Setup::default()
    });
    assert_eq!(rig.get("/api/config").problem(403), "token_needed");
    assert_eq!(
        rig.change("PUT", r#"{"serve":"old"}"#).problem(403),
        "token_needed"
    );
    assert_eq!(rig.get("/livez").status, 200);
}
