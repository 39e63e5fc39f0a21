//! What outlives an edit, a restart and a crash: the override and the last good file. And what doesn't stop without a place for them.

mod process;

use crate::harness::{Answer, Backend, Proxy, Setup, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A keyed route of which new serves everything, in front of two sides that answer with their names.
pub(super) fn all_new(old: &Backend, new: &Backend) -> Setup {
    Setup::new(old, new)
        .set("server", "debug_headers = true")
        .route("name = \"all\"\nmatch = \"* /all/{key}\"\nkey = \"{path.key}\"\npercent = 100")
}

fn sides() -> (Backend, Backend) {
    (Backend::text("old"), Backend::text("new"))
}

/// Who served, and why.
#[track_caller]
fn served(answer: &Answer) -> (&str, &str) {
    assert_eq!(answer.status, 200);
    let side = answer.header("x-crossfade-side").unwrap();
    assert_eq!(answer.text(), side);
    (side, answer.header("x-crossfade-why").unwrap())
}

#[track_caller]
fn expect_served(proxy: &Proxy, target: &str, expected: (&str, &str)) {
    assert_eq!(served(&proxy.get(target)), expected, "{target}");
}

fn put(proxy: &Proxy, serve: &str, route: Option<&str>) -> Answer {
    let body = json!({"serve": serve, "route": route, "reason": "wrong prices"});
    proxy.admin("PUT", "/api/override", Some(&body))
}

#[track_caller]
fn put_ok(proxy: &Proxy, serve: &str, route: Option<&str>) -> Value {
    let answer = put(proxy, serve, route);
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let config = answer.json();
    let shown = &config["override"];
    assert_eq!(
        (&shown["serve"], &shown["route"], &shown["reason"]),
        (&json!(serve), &json!(route), &json!("wrong prices"))
    );
    let at = shown["at"].as_str().unwrap();
    assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
    config
}

#[test]
fn an_override_outlives_edits_and_restarts_until_it_is_deleted() {
    let (old, new) = sides();
    let mut proxy = all_new(&old, &new).start();
    expect_served(&proxy, "/all/1", ("new", "bucket"));
    assert_eq!(proxy.metric("crossfade_override", &[]), 0.0);

    let set = put_ok(&proxy, "old", None);
    assert_eq!((&set["generation"], set.get("durable")), (&json!(1), None));
    let expect_old = |proxy: &Proxy| {
        expect_served(proxy, "/all/1", ("old", "override"));
        expect_served(proxy, "/elsewhere", ("old", "override"));
        assert_eq!(proxy.admin_json("/api/config")["override"], set["override"]);
        assert_eq!(proxy.metric("crossfade_override", &[]), 1.0);
        let share = proxy.metric("crossfade_route_share", &[("route", "all")]);
        assert_eq!(share, 0.0);
        assert_eq!(proxy.admin_json("/api/routes")["routes"][0]["share"], 0.0);
    };
    expect_old(&proxy);

    proxy.edit("name = \"test\"", "name = \"test\"\nserve = \"new\"");
    wait_until("the edit is in force", || proxy.generation() == 2);
    expect_old(&proxy);
    proxy.edit("percent = 100", "percent = 140");
    wait_until("the edit is refused", || {
        !proxy.admin_json("/api/config")["last_error"].is_null()
    });
    expect_old(&proxy);
    proxy.edit("percent = 140", "percent = 100");
    proxy.restart();
    expect_old(&proxy);

    let deleted = proxy.admin("DELETE", "/api/override", None);
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    let expect_new = |proxy: &Proxy| {
        expect_served(proxy, "/all/1", ("new", "total"));
        assert!(proxy.admin_json("/api/config")["override"].is_null());
        assert_eq!(proxy.metric("crossfade_override", &[]), 0.0);
        assert_eq!(
            proxy.metric("crossfade_route_share", &[("route", "all")]),
            1.0
        );
    };
    expect_new(&proxy);
    proxy.restart();
    expect_new(&proxy);
    // Nothing to delete is no error.
    assert_eq!(proxy.admin("DELETE", "/api/override", None).status, 204);
}

#[test]
fn an_override_of_one_route_leaves_the_others_and_is_replaced_by_the_next() {
    let (old, new) = sides();
    let mut proxy = all_new(&old, &new)
        .route("name = \"few\"\nmatch = \"GET /few\"")
        .start();
    put_ok(&proxy, "old", Some("all"));
    expect_served(&proxy, "/all/1", ("old", "override"));
    expect_served(&proxy, "/few", ("old", "no_key"));
    put_ok(&proxy, "new", Some("few"));
    let expected = |proxy: &Proxy| {
        expect_served(proxy, "/all/1", ("new", "bucket"));
        expect_served(proxy, "/few", ("new", "override"));
        expect_served(proxy, "/neither", ("old", "no_key"));
    };
    expected(&proxy);
    proxy.restart();
    expected(&proxy);
    put_ok(&proxy, "new", None);
    expect_served(&proxy, "/neither", ("new", "override"));
    let write = proxy.client().request("DELETE", "/all/1", &[], b"");
    assert_eq!(served(&write), ("new", "override"));
}

#[test]
fn an_override_of_a_route_that_the_file_lacks_is_refused() {
    let (old, new) = sides();
    let proxy = all_new(&old, &new).start();
    let before = proxy.admin_json("/api/config");
    for route in ["al", "ALL", "", "unmatched"] {
        let answer = put(&proxy, "old", Some(route));
        assert_eq!(answer.status, 422, "{route:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    assert_eq!(proxy.admin_json("/api/config"), before);
    expect_served(&proxy, "/all/1", ("new", "bucket"));
    assert!(!proxy.folder().join("state/override.json").exists());
}

/// Without a place for state everything acts, and says that it will not last.
#[test]
fn a_state_dir_that_is_a_file_stops_neither_overrides_nor_edits() {
    let (old, new) = sides();
    let in_the_way = |folder: &Path, text: &str| {
        fs::write(folder.join("state"), "a file").unwrap();
        fs::write(folder.join("routes.toml"), text).unwrap();
        folder.join("routes.toml")
    };
    let mut proxy = all_new(&old, &new).start_with(in_the_way);
    assert_eq!(put_ok(&proxy, "old", None)["durable"], false);
    expect_served(&proxy, "/all/1", ("old", "override"));
    proxy.edit("percent = 100", "percent = 99.99");
    wait_until("the edit is in force", || proxy.generation() == 2);
    expect_served(&proxy, "/all/1", ("old", "override"));
    let deleted = proxy.admin("DELETE", "/api/override", None);
    assert!(matches!(deleted.status, 200 | 204), "{deleted:?}");
    expect_served(&proxy, "/all/1", ("new", "bucket"));

    put_ok(&proxy, "old", None);
    proxy.restart();
    expect_served(&proxy, "/all/1", ("new", "bucket"));
    assert_eq!(
        fs::read_to_string(proxy.folder().join("state")).unwrap(),
        "a file"
    );
}

#[test]
fn an_override_file_that_is_damaged_is_not_obeyed() {
    let (old, new) = sides();
    let mut proxy = all_new(&old, &new).start();
    put_ok(&proxy, "old", None);
    let file = proxy.folder().join("state/override.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    proxy.restart();
    expect_served(&proxy, "/all/1", ("new", "bucket"));
    put_ok(&proxy, "old", None);
    proxy.restart();
    expect_served(&proxy, "/all/1", ("old", "override"));
}

#[test]
fn two_proxies_in_one_process_do_not_disturb_each_other() {
    let ((old, new), (other_old, other_new)) = (sides(), sides());
    let mut one = all_new(&old, &new).start();
    let other = all_new(&other_old, &other_new).start();
    for proxy in [&one, &other] {
        expect_served(proxy, "/all/1", ("new", "bucket"));
    }
    put_ok(&one, "old", None);
    other.edit("percent = 100", "percent = 99.99");
    wait_until("the edit is in force", || other.generation() == 2);
    for _ in 0..3 {
        expect_served(&one, "/all/1", ("old", "override"));
    }
    expect_served(&other, "/all/1", ("new", "bucket"));

    let requests = |proxy: &Proxy, side| {
        proxy.metric(
            "crossfade_requests_total",
            &[("route", "all"), ("side", side)],
        )
    };
    assert_eq!((requests(&one, "old"), requests(&one, "new")), (3.0, 1.0));
    assert_eq!(
        (requests(&other, "old"), requests(&other, "new")),
        (0.0, 2.0)
    );
    assert_eq!((one.generation(), other.generation()), (1, 2));
    assert!(other.admin_json("/api/config")["override"].is_null());
    assert_eq!(other.metric("crossfade_override", &[]), 0.0);
    assert_eq!([old.count(), new.count()], [3, 1]);
    assert_eq!([other_old.count(), other_new.count()], [0, 2]);

    one.stop();
    expect_served(&other, "/all/1", ("new", "bucket"));
}
