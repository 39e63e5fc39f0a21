//! `crossfade replay`: samples judged again, of a proxy that runs and of one that does not any more.

use crate::harness::program::{crossfade, output};
use crate::harness::{Backend, Proxy, Reply, Setup};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;

const ROUTE: &str =
    "name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100";

/// Two sides that differ in a name for every key, in a weight by a little for every second, and in an order for every fourth.
fn proxy(samples: &str) -> (Backend, Backend, Proxy) {
    let side = |is_new: bool| {
        Backend::start(move |seen| {
            let id: u32 = seen
                .target
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .parse()
                .unwrap_or(0);
            let (second, fourth) = (
                is_new && id.is_multiple_of(2),
                is_new && id.is_multiple_of(4),
            );
            let list = if fourth { [2, 1] } else { [1, 2] };
            let weight = if second { 1.25 } else { 1.0 };
            Reply::json(
                &json!({"name": if is_new { "B" } else { "A" }, "weight": weight, "list": list}),
            )
        })
    };
    let (old, new) = (side(false), side(true));
    let proxy = Setup::new(&old, &new)
        .set("samples", samples)
        .route(&format!("{ROUTE}\ncompare = {{ recheck = [] }}"))
        .start();
    for id in 0..40 {
        assert_eq!(proxy.get(&format!("/items/{id}")).status, 200);
    }
    proxy.settle();
    (old, new, proxy)
}

/// Runs the command by the file that is in force, but for these rules.
fn replay(proxy: &Proxy, rules: &str, more: &[&str]) -> Output {
    let text = proxy.text().replace("recheck = []", rules);
    assert!(text.contains(rules), "{text}");
    fs::write(proxy.folder().join("next.toml"), text).unwrap();
    let admin = proxy.admin_address().to_string();
    let mut arguments = vec!["replay", "--config", "next.toml", "--output", "json"];
    if !more.contains(&"offline") {
        arguments.extend(["--admin", &admin]);
    }
    output(crossfade(proxy.folder(), &arguments))
}

#[track_caller]
fn report(proxy: &Proxy, rules: &str) -> Value {
    let said = replay(proxy, rules, &[]);
    assert_eq!(
        said.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    serde_json::from_slice(&said.stdout).unwrap()
}

/// What became of the pairs, and of the causes: their paths and what is said of them.
fn outcome(report: &Value) -> (Value, Vec<(String, String)>) {
    let causes = report["causes"].as_array().unwrap().iter();
    let causes = causes.map(|cause| {
        let paths = cause["paths"].as_array().unwrap().iter();
        let paths: Vec<_> = paths.map(|path| path.as_str().unwrap()).collect();
        (
            paths.join(" "),
            cause["change"].as_str().unwrap().to_owned(),
        )
    });
    let mut causes: Vec<_> = causes.collect();
    causes.sort();
    (report["routes"][0]["after"].clone(), causes)
}

fn counts(matching: u64, mismatch: u64, unknown: u64) -> Value {
    json!({
        "match": matching, "noise": 0, "mismatch": mismatch, "transient": 0, "lag": 0,
        "incomparable": 0, "unknown": unknown,
    })
}

#[test]
fn other_rules_say_what_they_would_change() {
    let (_old, _new, proxy) = proxy("values = \"shown\"");
    let same = report(&proxy, "null_is_absent = false");
    assert_eq!(same["samples"], 40);
    let route = &same["routes"][0];
    assert_eq!(
        (&route["route"], &route["samples"]),
        (&json!("items"), &json!(40))
    );
    assert_eq!(route["before"], counts(0, 40, 0));
    assert_eq!(route["after"], counts(0, 40, 0));
    assert_eq!(route["rate"], json!({"before": 1.0, "after": [1.0, 1.0]}));
    let (_, causes) = outcome(&same);
    assert!(
        !causes.is_empty() && causes.iter().all(|(_, change)| change == "stays"),
        "{causes:?}"
    );

    let check = |rules: &str, after: Value, rate: f64| {
        let report = report(&proxy, rules);
        let (counted, causes) = outcome(&report);
        assert_eq!(counted, after, "{rules}");
        assert_eq!(
            report["routes"][0]["rate"]["after"],
            json!([rate, rate]),
            "{rules}"
        );
        causes
    };
    let causes = check("ignore = [\"$.name\"]", counts(20, 20, 0), 0.5);
    assert!(
        causes
            .iter()
            .any(|(paths, change)| paths == "$.name" && change == "vanishes"),
        "{causes:?}"
    );
    assert!(
        causes
            .iter()
            .any(|(paths, change)| paths.contains("$.weight") && change != "vanishes"),
        "{causes:?}"
    );
    let near = "ignore = [\"$.name\"], tolerance = { \"$.weight\" = 0.5 }";
    check(near, counts(30, 10, 0), 0.25);
    let all = "ignore = [\"$.name\"], unordered = [\"$.list\"], tolerance = { \"$.weight\" = 0.5 }";
    let causes = check(all, counts(40, 0, 0), 0.0);
    assert!(
        causes.iter().all(|(_, change)| change == "vanishes"),
        "{causes:?}"
    );
    // A field that was not compared was not kept.
    let said = report(&proxy, &format!("{all}, headers = [\"etag\"]"));
    assert_eq!(outcome(&said).0, counts(0, 0, 40));
    assert_eq!(said["routes"][0]["rate"]["after"], json!([0.0, 1.0]));
}

#[test]
fn what_redacted_samples_can_not_tell_is_unknown() {
    let (_old, _new, proxy) = proxy("values = \"redacted\"");
    let (after, _) = outcome(&report(&proxy, "ignore = [\"$.name\"]"));
    assert_eq!(after, counts(20, 20, 0));
    let near = "ignore = [\"$.name\"], tolerance = { \"$.weight\" = 0.5 }";
    // Ten differ in the order, too.
    let (after, _) = outcome(&report(&proxy, near));
    assert_eq!(after, counts(20, 10, 10));
    let (after, _) = outcome(&report(&proxy, "tolerance = { \"$.weight\" = 0.5 }"));
    assert_eq!(after, counts(0, 40, 0));
}

#[test]
fn the_file_is_read_where_no_proxy_runs() {
    let (_old, _new, mut proxy) = proxy("values = \"redacted\"");
    // Read, so that it is written.
    let page = proxy.admin_json("/api/samples");
    assert_eq!(page["samples"].as_array().unwrap().len(), 40);
    // With port 0 in the file there is no proxy where it says.
    let locked = replay(&proxy, "null_is_absent = false", &["offline"]);
    assert_eq!(locked.status.code(), Some(5));
    let told = String::from_utf8_lossy(&locked.stderr);
    assert!(told.contains("another process has"), "{told}");
    proxy.stop();
    let said = replay(&proxy, "ignore = [\"$.name\"]", &["offline"]);
    assert_eq!(
        said.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(outcome(&report).0, counts(20, 20, 0));
    assert_eq!(
        report["routes"][0]["rate"],
        json!({"before": null, "after": null})
    );
    // One that is named is asked, and nothing else.
    let said = replay(&proxy, "ignore = [\"$.name\"]", &[]);
    assert_eq!(said.status.code(), Some(5));
    fs::remove_file(proxy.folder().join("state/samples.redb")).unwrap();
    let said = replay(&proxy, "ignore = [\"$.name\"]", &["offline"]);
    assert_eq!(said.status.code(), Some(5));
    fs::write(proxy.folder().join("next.toml"), "[migration]\n").unwrap();
    let said = output(crossfade(
        proxy.folder(),
        &["replay", "--config", "next.toml"],
    ));
    assert_eq!(said.status.code(), Some(2));
}
