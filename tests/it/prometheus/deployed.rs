//! What lies in deploy/: the alerts fire when they should, and neither they nor the dashboard ask for a metric, a label or a value that no proxy tells.

use super::{Server, ask, disturb, start, wait_until};
use crate::harness::tool;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each metric's labels, and what these may say.
type Told = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file)
}

#[track_caller]
fn promtool(arguments: [&str; 2], file: &str) {
    let path = deployed(file);
    let said = Command::new(tool("promtool"))
        .args(arguments)
        .arg(path.file_name().unwrap())
        .current_dir(path.parent().unwrap())
        .output()
        .unwrap();
    let [out, err] = [&said.stdout, &said.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        said.status.success() && out.contains("SUCCESS"),
        "{out}{err}"
    );
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    promtool(["check", "rules"], "prometheus/alerts.yml");
    promtool(["test", "rules"], "prometheus/alerts.test.yml");
    let [rules, trials] =
        ["alerts.yml", "alerts.test.yml"].map(|file| text(&format!("prometheus/{file}")));
    let alerts: Vec<&str> = after(&rules, "- alert: ").collect();
    assert!(alerts.len() >= 6, "{alerts:?}");
    for alert in alerts {
        assert!(
            trials.contains(&format!("alertname: {alert}\n        exp_alerts:\n")),
            "no trial expects {alert}"
        );
    }
}

#[test]
fn alerts_and_dashboard_ask_only_for_what_is_told() {
    let (proxy, _sides) = start();
    ask(&proxy, 40);
    disturb(&proxy);
    proxy.settle();
    let told = told(proxy.admin("GET", "/metrics", None).text());
    let dashboard: Value = serde_json::from_str(&text("grafana/crossfade.json")).unwrap();
    let mut queries = Vec::new();
    expressions(&dashboard, &mut queries);
    assert!(queries.len() > 20, "{queries:?}");
    let rules = text("prometheus/alerts.yml");
    for query in queries.iter().map(String::as_str).chain([rules.as_str()]) {
        let faults = faults(query, &told);
        assert!(faults.is_empty(), "{faults:?}: {query}");
    }
    // And Prometheus understands the dashboard's queries.
    let server = Server::start(proxy.admin_address());
    wait_until("the proxy was scraped", || {
        server.query("sum(up)").is_some_and(|(_, up)| up == 1.0)
    });
    for query in queries {
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$job", ".+")
            .replace("$instance", ".+")
            .replace("$route", ".+");
        server.query(&format!("count({query}) or vector(0)"));
    }
}

#[test]
fn a_query_for_what_nobody_tells_is_found() {
    let told = told(
        "# TYPE crossfade_a_total counter\ncrossfade_a_total{side=\"old\",route=\"x\"} 1\n# TYPE crossfade_b histogram\ncrossfade_b_bucket{le=\"1\"} 0\n",
    );
    for (query, expected) in [
        ("rate(crossfade_a_total{side=\"old\", job=\"j\"}[1m])", None),
        ("crossfade_a_total{route=~\"$route\"}", None),
        ("crossfade_a_total", None),
        (
            "crossfade_a_totals",
            Some("nobody tells crossfade_a_totals"),
        ),
        ("crossfade_b", Some("nobody tells crossfade_b")),
        (
            "crossfade_a_total{sides=\"old\"}",
            Some("crossfade_a_total has no label sides"),
        ),
        (
            "crossfade_a_total{side=~\"old|newer\"}",
            Some("crossfade_a_total has no side newer"),
        ),
    ] {
        assert_eq!(
            faults(query, &told).first().map(String::as_str),
            expected,
            "{query}"
        );
    }
}

fn text(file: &str) -> String {
    fs::read_to_string(deployed(file)).unwrap()
}

/// The words that follow each of these.
fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(mark)
        .skip(1)
        .map(|rest| rest.split_whitespace().next().unwrap())
}

/// What a page of metrics tells: series that are there, with their labels.
fn told(page: &str) -> Told {
    let mut told = Told::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let labels = told.entry(line[..end].to_owned()).or_default();
        for (name, _, value) in matchers(&line[end..]) {
            labels.entry(name).or_default().insert(value);
        }
    }
    told
}

/// The matchers in the braces at the beginning: name, operator, value.
fn matchers(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return found;
    };
    while let Some((head, tail)) = rest.split_once('"') {
        if head.contains('}') {
            break;
        }
        let head = head.trim_matches([',', ' ']);
        let name = head.trim_end_matches(['=', '~', '!']);
        let mut end = 0;
        while !tail[end..].starts_with('"') {
            end += if tail[end..].starts_with('\\') {
                2
            } else {
                tail[end..].chars().next().unwrap().len_utf8()
            };
        }
        found.push((
            name.to_owned(),
            head[name.len()..].to_owned(),
            tail[..end].to_owned(),
        ));
        rest = &tail[end + 1..];
        if rest.starts_with('}') {
            break;
        }
    }
    found
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    other => expressions(other, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|one| expressions(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a query names that is not told. Prometheus adds `job` and `instance` by itself; what a variable stands for is chosen from what is told.
fn faults(query: &str, told: &Told) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("crossfade_") {
        let rest = &query[at..];
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(rest.len());
        let name = &rest[..end];
        let Some(labels) = told.get(name) else {
            found.push(format!("nobody tells {name}"));
            continue;
        };
        for (label, operator, value) in matchers(&rest[end..]) {
            if ["job", "instance"].contains(&label.as_str()) {
                continue;
            }
            let Some(values) = labels.get(&label) else {
                found.push(format!("{name} has no label {label}"));
                continue;
            };
            let alternatives = value.split(if operator.ends_with('~') { '|' } else { '\0' });
            for one in alternatives.filter(|one| !one.starts_with('$')) {
                if !values.contains(one) {
                    found.push(format!("{name} has no {label} {one}"));
                }
            }
        }
    }
    found
}
