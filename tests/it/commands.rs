//! The commands as scripts see them: exit statuses, and what stands on stdout.

mod edits;
mod place;
mod run;

use crate::harness::{Backend, Reply};
use place::{Place, Ran, closed_port};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;

#[test]
fn usage_errors_end_with_2_and_leave_stdout_alone() {
    let place = Place::new();
    for line in [
        "bogus",
        "check a b",
        "check absent.toml",
        "explain GET",
        "explain get /a",
        "explain GET a",
        "explain GET /a -H x",
        "explain GET /a --data absent.json",
        "explain GET /a --config absent.toml",
        "bucket 0ad",
        "set content-tags",
        "set content-tags percent",
        "set content-tags percent=1 percent=2",
        "set content-tags percent=101",
        "set content-tags percents=1",
        "set absent percent=1",
        "mismatches --limit 0",
        "mismatches --limit 1001",
        "mismatches --admin https://127.0.0.1:9900",
        "rollback --admin nowhere",
        "run --config absent.toml",
    ] {
        let before = place.text();
        let ran = place.run(line).ends_with(2);
        let said = if line.starts_with("check absent") {
            &ran.out
        } else {
            &ran.err
        };
        assert!(!said.is_empty(), "{line} says nothing");
        assert!(
            ran.out.is_empty() || line.starts_with("check"),
            "{line}: {}",
            ran.out
        );
        assert_eq!(place.text(), before, "{line} changed the file");
    }
    place.run("--version").ends_with(0);
    place.run("help explain").ends_with(0);
}

#[test]
fn json_stands_on_stdout_alone() {
    let place = Place::new();
    let check = place.run("check --output json").ends_with(0).json();
    assert_eq!(
        check,
        json!({"file": "routes.toml", "valid": true, "problems": []})
    );
    let bucket = place
        .run("bucket 0ad --salt tags --output json")
        .ends_with(0)
        .json();
    assert_eq!(bucket["bucket"], 4281);
    assert_eq!(
        place.run("bucket 0ad --salt tags").ends_with(0).out,
        "4281\n"
    );

    place.write("bad.toml", "[migration]\nname = 1\nbogus = 2\n");
    let report = place
        .run("check bad.toml --output json")
        .ends_with(2)
        .json();
    assert_eq!(report["valid"], false);
    let problem = &report["problems"][0];
    for name in [
        "severity",
        "code",
        "message",
        "hint",
        "path",
        "line",
        "column",
        "end_line",
        "end_column",
    ] {
        assert!(problem.get(name).is_some(), "{name} in {problem}");
    }
    let absent = place
        .run("check absent.toml --output json")
        .ends_with(2)
        .json();
    assert_eq!(absent["problems"][0]["code"], "unreadable");
}

#[test]
fn colours_stay_off_a_pipe_and_obey_the_environment() {
    let place = Place::new();
    let explain = |settings: &[(&str, &str)]| {
        let mut command = place.command(&["explain", "GET", "/contents/0ad/tags"]);
        command.envs(settings.iter().copied());
        Ran::new("explain", command.output().unwrap())
            .ends_with(0)
            .out
    };
    assert!(!explain(&[]).contains('\u{1b}'));
    assert!(
        explain(&[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'),
        "the text has something to colour"
    );
    assert!(!explain(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn explain_tells_the_decision() {
    let place = Place::new();
    let explained = place
        .run("explain GET /contents/0ad/tags --output json")
        .ends_with(0)
        .json();
    assert_eq!(explained["side"], "new");
    assert_eq!(explained["why"], "bucket");
    assert_eq!(
        explained["shadow"],
        json!({"side": "old", "sampled": false, "bucket": 7734})
    );
    assert_eq!(explained["generation"], Value::Null);

    place.write("body.json", "{\"id\": 7.50}");
    let search = "explain POST /search --output json -H x-user:9";
    assert_eq!(place.run(search).ends_with(0).json()["key"], "9");
    assert_eq!(
        place
            .run(&format!("{search} --data body.json"))
            .ends_with(0)
            .json()["key"],
        "7.50"
    );

    let refused = place
        .run("explain GET /contents/a%2fb/tags --output json")
        .ends_with(0)
        .json();
    assert_eq!(
        refused["rejected"],
        json!({"status": 400, "reason": "encoded_path"})
    );
    assert!(
        place
            .run("explain GET /contents/../tags")
            .ends_with(0)
            .out
            .contains("encoded_path")
    );
}

#[test]
fn explain_knows_the_override_that_is_kept_and_the_one_in_force() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("state")).unwrap();
    let kept =
        json!({"serve": "old", "route": null, "reason": "kept", "at": "2026-01-01T00:00:00Z"});
    place.write("state/override.json", &kept.to_string());
    let line = "explain GET /contents/0ad/tags --output json";
    let explained = place.run(line).ends_with(0).json();
    assert_eq!(
        (&explained["side"], &explained["why"]),
        (&json!("old"), &json!("override"))
    );

    let admin = Backend::start(|_| {
        Reply::json(&json!({"generation": 7, "sha256": "another", "override": null}))
    });
    let ran = place
        .run(&format!("{line} --admin {}", admin.address()))
        .ends_with(0);
    let explained = ran.json();
    assert_eq!(
        (&explained["side"], &explained["why"]),
        (&json!("new"), &json!("bucket"))
    );
    assert_eq!(explained["generation"], 7);
    assert!(ran.err.contains("does not run this text"), "{}", ran.err);
    assert_eq!(admin.only_request().target, "/api/config");

    place
        .run(&format!("{line} --admin {}", closed_port()))
        .ends_with(2);
}

#[test]
fn diff_tells_equal_from_different_from_unusable() {
    let place = Place::new();
    place.write("a.json", "{\"content\": \"0ad\", \"tags\": [\"x\", \"y\"]}");
    place.write("b.json", "{\"tags\": [\"y\", \"x\"], \"content\": \"0ad\"}");
    place.write("c.json", "{\"content\": \"0ad\", \"tags\": [\"x\"]}");
    place.run("diff a.json a.json").ends_with(0);
    assert!(
        place
            .run("diff a.json b.json")
            .ends_with(4)
            .out
            .contains("order")
    );
    place
        .run("diff a.json b.json --route content-tags")
        .ends_with(0);

    let same = place
        .run("diff a.json b.json --route content-tags --output json")
        .ends_with(0)
        .json();
    assert_eq!(
        (&same["verdict"], &same["reason"], &same["fields"]),
        (&json!("match"), &Value::Null, &json!([]))
    );
    let row = place
        .run("diff a.json c.json --route content-tags --output json")
        .ends_with(4)
        .json();
    assert_eq!(row["verdict"], "mismatch");
    assert_eq!(row["fields"][0]["path"], "$.tags[*]");
    assert_eq!(row["fields"][0]["kind"], "missing");
    assert!(
        row["patch"].is_array() && row["patch_exact"].is_boolean(),
        "{row}"
    );
    assert_eq!(row["patch_truncated"], false);

    place.write(
        "deep.json",
        &format!("{}{}", "[".repeat(200), "]".repeat(200)),
    );
    let deep = place
        .run("diff a.json deep.json --output json")
        .ends_with(2)
        .json();
    assert_eq!(
        (&deep["verdict"], &deep["reason"]),
        (&json!("incomparable"), &json!("too_deep"))
    );
    for line in [
        "diff a.json absent.json",
        "diff a.json b.json --route absent",
        "diff - -",
    ] {
        let ran = place.run(line).ends_with(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{line}");
    }
}

#[test]
fn mismatches_are_asked_of_the_proxy() {
    let rows = json!({"mismatches": [{
        "id": 1, "at": "2026-01-01T00:00:00Z", "route": "content-tags", "method": "GET",
        "target": "/contents/0ad/tags", "served": "old", "old": {"status": 200}, "new": {"status": 200},
        "fields": [{"path": "$.tags[*]", "at": "$.tags[3]", "kind": "missing"}],
    }]});
    let answer = rows.clone();
    let admin = Backend::start(move |_| Reply::json(&answer));
    let place = Place::with_admin(admin.address());
    place.write("token", "s3cret\n");
    place.write(
        "routes.toml",
        &place
            .text()
            .replace("workers = 1", "workers = 1\nadmin_token_file = \"token\""),
    );

    assert_eq!(
        place
            .run("mismatches --route content-tags --limit 5 --output json")
            .ends_with(0)
            .json(),
        rows
    );
    let seen = admin.only_request();
    assert_eq!(seen.target, "/api/mismatches?limit=5&route=content-tags");
    assert_eq!(seen.header("authorization"), ["Bearer s3cret"]);
    assert!(
        place
            .run("mismatches")
            .ends_with(0)
            .out
            .contains("$.tags[3] missing")
    );

    admin.answer_with(|_| Reply::status(401));
    assert!(place.run("mismatches").ends_with(5).err.contains("401"));
    let gone = place
        .run(&format!(
            "mismatches --admin {} --output json",
            closed_port()
        ))
        .ends_with(5);
    assert!(
        gone.out.is_empty() && gone.err.contains("no proxy can be reached"),
        "{}",
        gone.err
    );
}

#[test]
fn a_route_is_reset_in_the_running_proxy() {
    let admin = Backend::start(|_| Reply::status(204));
    let place = Place::with_admin(admin.address());
    let told = place.run("reset content-tags").ends_with(0);
    assert!(told.out.contains("content-tags"), "{}", told.out);
    let seen = admin.only_request();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/routes/content-tags/reset")
    );
    assert_eq!(seen.header("content-type"), ["application/json"]);
    place.run("reset a/b").ends_with(2);
    admin.answer_with(|_| Reply::status(404));
    assert!(place.run("reset absent").ends_with(5).err.contains("404"));
    let gone = format!("reset content-tags --admin {}", closed_port());
    place.run(&gone).ends_with(5);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let mut child = place
        .command(&["explain", "GET", "/contents/0ad/tags"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
