//! Prometheus itself reads the metrics page: promtool finds nothing to say about it, and a server scrapes it and computes the diff rate.

mod deployed;

use crate::harness::client::get;
use crate::harness::{Backend, Program, Proxy, Reply, Setup, tool, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Keys of which new tells something else, of every ten.
const WRONG: usize = 3;

/// A proxy of which new is wrong about three keys in ten, refuses one route's requests, and is silent about another.
fn start() -> (Proxy, [Backend; 2]) {
    let old = Backend::start(|seen| match &*seen.target {
        "/fresh" => Reply::status(304),
        _ => Reply::json(&json!({"a \"b\" \\ \n c": seen.target, "at": 1})),
    });
    let new = Backend::start(|seen| {
        let wrong = (0..WRONG).any(|digit| seen.target.ends_with(&digit.to_string()));
        match &*seen.target {
            "/broken" => Reply::status(503),
            _ if wrong => Reply::json(&json!({"a \"b\" \\ \n c": 7, "at": 2})),
            _ => Reply::json(&json!({"a \"b\" \\ \n c": seen.target, "at": 1})),
        }
    });
    let proxy = Setup::new(&old, &new)
        .route("name = \"keys\"\nmatch = \"GET /keys/{key}\"\nkey = \"{path.key}\"\npercent = 50\nshadow = 100")
        .route("name = \"broken\"\nmatch = \"GET /broken\"\npercent = 100\nshadow = 100")
        .route("name = \"fresh\"\nmatch = \"GET /fresh\"\nshadow = 100\ncompare = { map = { \"$.id\" = \"key-id\" } }")
        .set("ids.key-id", "max_pairs = 10")
        .start();
    (proxy, [old, new])
}

fn ask(proxy: &Proxy, requests: usize) {
    let mut client = proxy.client();
    for number in 0..requests {
        assert_eq!(client.get(&format!("/keys/{number}")).status, 200);
    }
}

/// Counts on every kind of series: mismatches, fallbacks, drops, rejections, an override, an edit that was refused.
fn disturb(proxy: &Proxy) {
    let mut client = proxy.client();
    for (method, target, status) in [
        ("GET", "/broken", 200),
        ("GET", "/fresh", 304),
        ("GET", "/keys/a%2Fb", 400),
        ("BREW", "/elsewhere", 200),
        ("TRACE", "/elsewhere", 405),
    ] {
        let answer = client.request(method, target, &[], b"");
        assert_eq!(answer.status, status, "{method} {target}");
    }
    let body = json!({"serve": "old", "route": "fresh", "reason": "test"});
    assert_eq!(proxy.admin("PUT", "/api/override", Some(&body)).status, 200);
    proxy.edit("percent = 50", "percent = 500");
    proxy.wait_for_metric("crossfade_config_last_reload_successful", &[], 0.0);
}

#[test]
fn promtool_has_nothing_to_say_about_the_page() {
    let (proxy, _sides) = start();
    let page = || {
        let answer = proxy.admin("GET", "/metrics", None);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        answer.text().to_owned()
    };
    check_page(&page());
    ask(&proxy, 40);
    disturb(&proxy);
    let settled = proxy.settle();
    // What is checked is there: each of these has counted.
    for (name, labels) in [
        ("crossfade_requests_total", &[("method", "other")][..]),
        (
            "crossfade_divergences_total",
            &[("field", "$['a \"b\" \\\\ \\n c']")],
        ),
        ("crossfade_comparisons_total", &[("verdict", "mismatch")]),
        ("crossfade_fallbacks_total", &[("reason", "status")]),
        ("crossfade_shadow_dropped_total", &[("reason", "validator")]),
        ("crossfade_rejected_total", &[("reason", "encoded_path")]),
        ("crossfade_rejected_total", &[("reason", "method")]),
        ("crossfade_config_reloads_total", &[("result", "rejected")]),
        ("crossfade_override", &[]),
        (
            "crossfade_request_duration_seconds_count",
            &[("route", "keys")],
        ),
        (
            "crossfade_upstream_duration_seconds_count",
            &[("role", "shadow")],
        ),
        ("crossfade_build_info", &[]),
    ] {
        assert!(
            settled.sum(name, labels) > 0.0,
            "{name} {labels:?}: {:#?}",
            settled.series(name, &[])
        );
    }
    check_page(&page());
}

#[track_caller]
fn check_page(page: &str) {
    let mut promtool = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let [out, err] = [&said.stdout, &said.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        said.status.success() && out.is_empty() && err.is_empty(),
        "{}: {out}{err}\n{page}",
        said.status
    );
}

/// A Prometheus server that scrapes one address every second.
struct Server {
    _program: Program,
    _folder: TempDir,
    address: SocketAddr,
}

impl Server {
    #[track_caller]
    fn start(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  - job_name: crossfade\n    static_configs:\n      - targets: [\"{target}\"]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), settings).unwrap();
        // It dies with its test even if the test is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(tool("prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(folder.path())
            .stdin(Stdio::null());
        let mut program = Program::start(command);
        let line = program.wait_for("msg=\"Listening on\"");
        let address = line.split_once("address=").unwrap().1;
        let address = address.split(' ').next().unwrap().parse().unwrap();
        program.wait_for("Server is ready to receive web requests");
        Self {
            _program: program,
            _folder: folder,
            address,
        }
    }

    /// The only value that a query gives, if it gives one.
    #[track_caller]
    fn query(&self, query: &str) -> Option<(Value, f64)> {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = get(self.address, &format!("/api/v1/query?query={query}"));
        let document = answer.json();
        assert_eq!(document["status"], "success", "{document}");
        let rows = document["data"]["result"].as_array().unwrap().clone();
        assert!(rows.len() < 2, "{document}");
        let row = rows.into_iter().next()?;
        let value = row["value"][1].as_str().unwrap().parse().unwrap();
        Some((row["metric"].clone(), value))
    }
}

#[test]
fn a_prometheus_server_scrapes_the_proxy_and_tells_its_diff_rate() {
    let (proxy, _sides) = start();
    ask(&proxy, 40);
    disturb(&proxy);
    proxy.settle();
    let server = Server::start(proxy.admin_address());
    wait_until("the proxy was scraped", || {
        server
            .query("up{job=\"crossfade\"}")
            .is_some_and(|(_, up)| up == 1.0)
    });
    let rate = "sum by (route) (crossfade_comparisons_total{route=\"keys\", verdict=\"mismatch\"}) \
         / sum by (route) (crossfade_comparisons_total{route=\"keys\", verdict!=\"incomparable\"})";
    let told = |requests: usize| {
        let expected = WRONG as f64 / 10.0;
        let counted = format!("sum(crossfade_comparisons_total{{route=\"keys\"}}) == {requests}");
        wait_until("these requests are scraped", || {
            server.query(&counted).is_some()
        });
        let (labels, value) = server.query(rate).unwrap();
        assert_eq!(labels, json!({"route": "keys"}));
        assert!((value - expected).abs() < 1e-9, "{value}");
        let routes = proxy.admin_json("/api/routes");
        assert_eq!(routes["routes"][0]["diff_rate"], expected);
    };
    told(40);
    ask(&proxy, 60);
    proxy.settle();
    told(100);
    // The query of the README: the same rate, of the last minutes alone.
    let recent = "sum by (route) (rate(crossfade_comparisons_total{route=\"keys\", verdict=\"mismatch\"}[5m])) \
         / sum by (route) (rate(crossfade_comparisons_total{route=\"keys\", verdict!=\"incomparable\"}[5m]))";
    let (_, value) = server.query(recent).unwrap();
    assert!((value - WRONG as f64 / 10.0).abs() < 1e-9, "{value}");
    let generation = server.query("crossfade_config_generation").unwrap();
    assert_eq!(generation.1, 1.0);
    let lost = server.query("count({__name__=~\"crossfade_.+\"})").unwrap();
    let page = proxy.metrics();
    assert_eq!(lost.1, page.0.len() as f64, "every series arrives");
}
