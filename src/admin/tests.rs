//! The API over real connections: each answer's status, type and shape, and what slow or many peers can't do.

mod changes;
mod peers;

use crate::admin::{Admin, Limits, Readiness, router, serve};
use crate::compare::Ids;
use crate::compare::recheck::Judgement;
use crate::compare::{Incomparable, Kind, Verdict};
use crate::config;
use crate::plan::Live;
use crate::side::Side;
use crate::store::samples::{Bounds, Samples};
use crate::store::{Answered, Causes, FieldRow, KeyText, Mismatch, Mismatches, Redactor, StateDir};
use crate::telemetry::{CodeClass, Dropped, Role, ServedBy, Telemetry};
use http::Method;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

const FILE: &str = r#"
[migration]
name = "tags"
[old]
url = "http://127.0.0.1:7001"
[new]
url = "http://127.0.0.1:7002"
[[route]]
name = "content-tags"
match = "GET /contents/{content}/tags"
key = "{path.content}"
percent = 5
"#;

/// A running admin listener.
struct Rig {
    admin: Admin,
    dir: TempDir,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What differs from test to test.
#[derive(Default)]
struct Setup {
    server: String,
    limits: Limits,
    /// Replaces the address in the API's own knowledge: a test can't bind one that is not loopback.
    address: Option<SocketAddr>,
}

fn settings(dir: &Path, server: &str) -> config::Settings {
    let text = format!("{FILE}\n[server]\n{server}\n");
    let loaded = config::load(&text, dir, &|_| None);
    loaded
        .settings
        .unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

/// Samples below a test's directory, which nobody counts.
fn samples(state: &Arc<StateDir>) -> Arc<Samples> {
    let bounds = Bounds {
        max_size: 4 << 20,
        max_age: Duration::from_secs(3_600),
    };
    let redactor = Arc::new(Redactor::new().unwrap());
    Samples::start(Arc::clone(state), redactor, bounds, Arc::new(|_, _| ())).unwrap()
}

impl Rig {
    fn new() -> Self {
        Self::with(&Setup::default())
    }

    fn with(setup: &Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let telemetry = Telemetry::new();
        let settings = settings(dir.path(), &setup.server);
        let state = Arc::new(StateDir::new(dir.path().join("state")));
        let admin = Admin {
            samples: samples(&state),
            live: Arc::new(Live::new(
                settings,
                "abc".to_owned(),
                None,
                telemetry.clone(),
                Arc::new(Ids::unkeyed()),
            )),
            telemetry,
            mismatches: Arc::new(Mismatches::new()),
            causes: Arc::new(Causes::default()),
            state,
            readiness: Readiness::new(),
            address: listener.local_addr().unwrap(),
        };
        let address = setup.address.unwrap_or(admin.address);
        let router = router(Admin {
            address,
            ..admin.clone()
        });
        let limits = setup.limits;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stopped = async move { stopped.await.unwrap_or_default() };
            runtime
                .block_on(serve(listener, router, limits, stopped))
                .unwrap();
        });
        Self {
            admin,
            dir,
            stop,
            thread,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.admin.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends a head (and body) as it is; the answer up to the end of the connection.
    fn raw(&self, text: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        Reply::read(&mut stream)
    }

    fn get(&self, target: &str) -> Reply {
        self.raw(&format!(
            "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
    }

    fn change(&self, method: &str, body: &str) -> Reply {
        self.raw(&change(method, "localhost", "application/json", body))
    }
}

fn change(method: &str, host: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} /api/override HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(stream: &mut TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        assert!(self.has("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }

    fn has(&self, field: &str) -> bool {
        self.head.lines().any(|line| line == field)
    }

    /// Asserts that it is a problem document; its code.
    #[track_caller]
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.has("content-type: application/problem+json"),
            "{}",
            self.head
        );
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], status);
        problem["code"].as_str().unwrap().to_owned()
    }
}

#[test]
fn health_and_metrics() {
    let rig = Rig::new();
    assert_eq!(rig.get("/livez").status, 200);
    assert_eq!(rig.get("/readyz").problem(503), "not_ready");
    rig.admin.readiness.open();
    assert_eq!(rig.get("/readyz").json(), json!({"status": "ready"}));
    rig.admin.readiness.close();
    assert_eq!(rig.get("/readyz").status, 503);
    let page = rig.get("/metrics");
    assert!(
        page.has("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        page.head
    );
    assert!(
        page.body.contains("crossfade_config_generation 1\n"),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains("crossfade_route_share{route=\"content-tags\"} 0.05\n")
    );
}

#[test]
fn config_says_what_is_in_force() {
    let rig = Rig::new();
    let before = rig.get("/api/config").json();
    let at = before["applied_at"].as_str().unwrap();
    assert!(
        at.parse::<jiff::Timestamp>().is_ok() && at.ends_with('Z'),
        "{at}"
    );
    let expected = json!({"generation": 1, "sha256": "abc", "applied_at": at, "restart_required": [], "override": null, "last_error": null});
    assert_eq!(before, expected);

    rig.admin
        .live
        .rejected(config::load("[migration", rig.dir.path(), &|_| None).problems);
    let broken = rig.get("/api/config").json();
    assert!(
        broken["last_error"]["at"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let problem = &broken["last_error"]["problems"][0];
    for member in [
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
        assert!(problem.get(member).is_some(), "{member} in {problem}");
    }
    rig.admin
        .live
        .apply(settings(rig.dir.path(), "workers = 3"), "def".to_owned());
    let after = rig.get("/api/config").json();
    assert_eq!(
        (&after["generation"], &after["sha256"], &after["last_error"]),
        (&json!(2), &json!("def"), &json!(null))
    );
    assert_eq!(after["restart_required"], json!(["server.workers"]));
}

/// The quantiles of one duration.
fn all_ms(ms: &Value) -> Value {
    json!({"p50_ms": ms, "p90_ms": ms, "p99_ms": ms})
}

#[test]
fn routes_show_the_cells() {
    let rig = Rig::new();
    let empty = rig.get("/api/routes").json();
    assert_eq!(
        empty["routes"][0]["latency"]["old"],
        json!({"p50_ms": null, "p90_ms": null, "p99_ms": null})
    );
    assert_eq!(
        (
            &empty["routes"][0]["diff_rate"],
            &empty["routes"][0]["trials"]
        ),
        (&json!(null), &json!(0))
    );
    assert_eq!(
        (&empty["routes"][1]["name"], &empty["routes"][1]["match"]),
        (&json!("unmatched"), &json!(null))
    );

    let cells = rig.admin.telemetry.route("content-tags", None);
    cells.request(
        &Method::GET,
        ServedBy::Old,
        CodeClass::Success,
        Duration::from_millis(2),
    );
    cells.upstream(Side::Old, Role::Serve, Duration::from_micros(20));
    cells.pair([Duration::from_micros(20), Duration::from_micros(40)]);
    (0..6).for_each(|_| cells.sampled());
    cells.dropped(Dropped::Body);
    (0..5).for_each(|_| cells.shadow_request(Side::New));
    cells.verdict(Verdict::Match);
    cells.verdict(Judgement::Noise);
    cells.verdict(Verdict::Mismatch);
    cells.verdict(Judgement::Transient);
    (0..2).for_each(|_| cells.recheck());
    cells.verdict(Verdict::Incomparable(Incomparable::TooDeep));
    cells.divergence("$.tags[*]", Kind::Missing);
    let dropped = json!({"queue": 0, "bytes": 0, "body": 1, "validator": 0, "served_failed": 0, "aborted": 0, "breaker": 0, "shutdown": 0});
    let incomparable = json!({
        "shadow_connect": 0, "shadow_timeout": 0, "shadow_reset": 0, "shadow_protocol": 0, "shadow_queue": 0,
        "too_large": 0, "too_deep": 1, "too_many_nodes": 0, "coding": 0, "bytes": 0, "recent_write": 0, "multipart": 0, "stream": 0, "identity": 0, "internal": 0,
    });
    let expected = json!({
        "name": "content-tags", "match": "GET /contents/{content}/tags", "serve": "split", "percent": 5.0, "share": 0.05,
        "requests": {"old": 1, "new": 0, "none": 0},
        "shadow": {"sampled": 6, "sent": 5, "dropped": dropped},
        "verdicts": {"match": 1, "noise": 1, "mismatch": 1, "transient": 1, "lag": 0, "incomparable": 1},
        "rechecks": 2,
        "incomparable": incomparable,
        "diff_rate": 0.25, "trials": 4,
        "latency": {
            "old": all_ms(&json!(0.019)), "new": all_ms(&json!(null)),
            "pairs": {"count": 1, "old": all_ms(&json!(0.019)), "new": all_ms(&json!(0.039))},
        },
        "fields": [{"field": "$.tags[*]", "kind": "missing", "count": 1, "state": null, "differs": null, "own": null, "test": null}],
    });
    assert_eq!(rig.get("/api/routes").json()["routes"][0], expected);
}

#[test]
fn mismatches_newest_first() {
    let rig = Rig::new();
    assert_eq!(rig.get("/api/mismatches").json(), json!({"mismatches": []}));
    for route in ["a", "b", "a"] {
        rig.admin.mismatches.push(Mismatch {
            id: 0,
            at: "2024-01-01T00:00:00.000Z".to_owned(),
            route: route.to_owned(),
            method: "GET".to_owned(),
            target: "/x".to_owned(),
            key: Some(KeyText::Redacted("0123456789abcdef".to_owned())),
            bucket: Some(7),
            served: Side::New,
            generation: 1,
            rechecked: false,
            flaky: false,
            old: Answered::new(http::StatusCode::OK, Duration::from_millis(1)),
            new: Answered::new(http::StatusCode::OK, Duration::from_millis(1)),
            fields: vec![FieldRow {
                path: "$.a".to_owned(),
                at: "$.a".to_owned(),
                kind: Kind::Type,
            }],
            fields_truncated: false,
            patch: None,
            patch_exact: false,
            patch_truncated: false,
            redacted: true,
            marks: Vec::new(),
        });
    }
    let ids = |query: &str| -> Vec<u64> {
        let rows = rig.get(&format!("/api/mismatches{query}")).json();
        rows["mismatches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(ids(""), [3, 2, 1]);
    assert_eq!(ids("?route=a&limit=1"), [3]);
    assert_eq!(ids("?route=b&limit="), [2]);
    assert_eq!(
        rig.get("/api/mismatches").json()["mismatches"][0]["key"]["$redacted"],
        "string"
    );
}
