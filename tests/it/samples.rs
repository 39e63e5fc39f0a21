//! Samples of a running proxy: both answers of what differed, on disk, without their values unless they are shown.

use crate::harness::{Backend, Proxy, Reply, Setup, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

/// Two sides that differ in `n`, and say the target's last part.
fn sides() -> (Backend, Backend) {
    let side = |number: u8| {
        Backend::start(move |seen| {
            let name = seen.target.rsplit('/').next().unwrap_or_default();
            Reply::json(&json!({"n": number, "name": name, "list": [{"id": 1}, {"id": 2}]}))
        })
    };
    (side(1), side(2))
}

fn setup(old: &Backend, new: &Backend) -> Setup {
    Setup::new(old, new)
        .set("samples", "show = [\"$.list\"]")
        .route("name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { recheck = [\"1ms\"] }")
}

fn samples(proxy: &Proxy, query: &str) -> Vec<Value> {
    let page = proxy.admin_json(&format!("/api/samples?{query}"));
    page["samples"].as_array().unwrap().clone()
}

#[test]
fn what_differs_is_kept_with_both_answers_and_survives_a_restart() {
    let (old, new) = sides();
    let mut proxy = setup(&old, &new).start();
    for name in ["PLANTED1", "PLANTED2", "PLANTED1"] {
        proxy.get(&format!("/items/{name}"));
    }
    proxy.settle();
    let kept = samples(&proxy, "");
    assert_eq!(kept.len(), 3);
    let (last, first) = (&kept[0], &kept[2]);
    assert_eq!((&last["id"], &first["id"]), (&json!(3), &json!(1)));
    for (name, value) in [
        ("route", json!("items")),
        ("method", json!("GET")),
        ("served", json!("old")),
        ("verdict", json!("mismatch")),
        ("generation", json!(1)),
        ("redacted", json!(true)),
        (
            "fields",
            json!([{"path": "$.n", "kind": "changed", "change": "number number off_by_one"}]),
        ),
        ("compared", json!(["content-type"])),
    ] {
        assert_eq!(last[name], value, "{name}");
    }
    // Equal values can be recognised, and nothing else of them.
    let (one, other) = (&last["old"]["body"]["json"], &last["new"]["body"]["json"]);
    assert_eq!(one["n"]["$redacted"], "number");
    assert_ne!(one["n"], other["n"]);
    assert_eq!(one["name"], other["name"]);
    assert_eq!(one["name"], first["old"]["body"]["json"]["name"]);
    assert_ne!(one["name"], kept[1]["old"]["body"]["json"]["name"]);
    assert_eq!(one["list"], json!([{"id": 1}, {"id": 2}]));
    assert_eq!(last["key"], first["key"]);
    assert_eq!(last["cause"], first["cause"]);

    let page = proxy.admin_json("/api/samples?limit=2");
    assert_eq!(page["next"], 2);
    let rest = proxy.admin_json("/api/samples?limit=2&before=2");
    assert_eq!(
        (rest["samples"].as_array().unwrap().len(), &rest["next"]),
        (1, &Value::Null)
    );
    let cause = last["cause"].as_str().unwrap();
    let group = json!({"route": "items", "cause": cause, "samples": 3, "pairs": 3});
    assert_eq!(page["groups"], json!([group]));
    assert_eq!(samples(&proxy, &format!("cause={cause}")).len(), 3);
    assert_eq!(samples(&proxy, "route=other").len(), 0);
    for bad in ["before=x", "limit=0", "rout=a"] {
        let answer = proxy.admin("GET", &format!("/api/samples?{bad}"), None);
        assert_eq!(answer.status, 400, "{bad}");
    }

    let file = proxy.folder().join("state/samples.redb");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    proxy.restart();
    assert_eq!(samples(&proxy, ""), kept);
    proxy.get("/items/a");
    proxy.settle();
    assert_eq!(samples(&proxy, "limit=1")[0]["id"], 4);
}

#[test]
fn an_edit_shows_values_and_takes_old_samples_out() {
    let (old, new) = sides();
    let proxy = setup(&old, &new).start();
    proxy.get("/items/a");
    proxy.settle();
    assert_eq!(samples(&proxy, "").len(), 1);
    proxy.edit("show = [\"$.list\"]", "values = \"shown\"");
    wait_until("the edit", || proxy.generation() == 2);
    proxy.get("/items/b");
    proxy.settle();
    let kept = samples(&proxy, "limit=1");
    assert_eq!(kept[0]["old"]["body"]["json"]["name"], "b");
    assert_eq!(
        (&kept[0]["redacted"], &kept[0]["key"]),
        (&json!(false), &json!("b"))
    );
    proxy.edit("values = \"shown\"", "max_age = \"1ms\"");
    wait_until("old samples to be gone", || samples(&proxy, "").is_empty());
}

#[test]
fn a_place_that_can_not_be_used_costs_samples_and_nothing_else() {
    let (old, new) = sides();
    let proxy = setup(&old, &new).start_with(|folder, text| {
        let file = folder.join("routes.toml");
        fs::write(&file, text).unwrap();
        fs::write(folder.join("state"), "no folder").unwrap();
        file
    });
    for _ in 0..3 {
        assert_eq!(proxy.get("/items/a").status, 200);
    }
    let page = proxy.settle();
    assert_eq!(
        page.sum("crossfade_comparisons_total", &[("verdict", "mismatch")]),
        3.0
    );
    assert_eq!(proxy.admin("GET", "/api/samples", None).status, 503);
    proxy.wait_for_metric("crossfade_samples_lost_total", &[("reason", "write")], 3.0);
    let rows = proxy.admin_json("/api/mismatches");
    assert_eq!(rows["mismatches"].as_array().unwrap().len(), 3);
}

#[test]
fn what_was_asked_again_is_kept_with_all_four_answers() {
    // New is behind at first, for one key.
    let asked = AtomicU32::new(0);
    let old = Backend::start(|_| Reply::json(&json!({"n": 1})));
    let new = Backend::start(move |seen| {
        let late = seen.target.ends_with("late") && asked.fetch_add(1, Ordering::Relaxed) == 0;
        Reply::json(&json!({"n": if late { 0 } else { 1 }}))
    });
    let proxy = setup(&old, &new).start();
    // Copies that earn what it takes to ask again.
    for number in 0..40 {
        proxy.get(&format!("/items/{number}"));
    }
    proxy.settle();
    assert!(samples(&proxy, "").is_empty());
    proxy.get("/items/late");
    proxy.settle();
    let kept = samples(&proxy, "");
    let [sample] = &kept[..] else {
        panic!("{kept:#?}");
    };
    let body = |look: &str| &sample[look]["body"]["json"]["n"];
    assert_eq!(body("old"), body("old2"));
    assert_eq!(body("old"), body("new2"));
    assert_ne!(body("old"), body("new"));
    // New alone took its answer back: that is a mismatch.
    assert_eq!(sample["verdict"], "mismatch");
    assert!(samples(&proxy, "cause=mismatch").is_empty());
}
