//! The same pairs judged by a running proxy, by `crossfade judge` from a record, and by `crossfade replay` from samples.

use crate::harness::program::{crossfade, output};
use crate::harness::{Backend, Proxy, Reply, Setup};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// An answer as it is given, and recorded.
#[derive(Clone, Debug)]
struct Said {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Said {
    fn of(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", kind)],
            body: body.into(),
        }
    }

    fn json(text: &str) -> Self {
        Self::of("application/json", text)
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn reply(&self) -> Reply {
        let reply = Reply::status(self.status).body(self.body.clone());
        let headers = self.headers.iter();
        headers.fold(reply, |reply, (name, value)| reply.header(name, value))
    }
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        let digit = |place: u32| DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
        (0..=group.len() as u32).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// What a side has said, by the target's last part.
type Record = Arc<Mutex<HashMap<String, Vec<Said>>>>;

/// A backend that answers by a target's last part and by how often that was asked for, and what it has said of each.
fn side(answer: impl Fn(&str, usize) -> Said + Send + Sync + 'static) -> (Backend, Record) {
    let said = Record::default();
    let record = Arc::clone(&said);
    let backend = Backend::start(move |seen| {
        let name = seen.target.rsplit('/').next().unwrap_or_default();
        let mut record = record.lock().unwrap();
        let said = record.entry(name.to_owned()).or_default();
        said.push(answer(name, said.len()));
        said[said.len() - 1].reply()
    });
    (backend, said)
}

/// A line for `judge`: old was asked a second time for itself if new was not asked as often.
fn line(name: &str, [old, new]: [&[Said]; 2]) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut line = json!({"route": "items", "key": name, "at": now.as_secs_f64()});
    let mut add = |name: &str, said: &Said| {
        line[name] = base64(&said.body).into();
        line[format!("{name}_head")] =
            json!({"status": said.status, "headers": said.headers, "body": "base64"});
    };
    add("old", &old[0]);
    add("new", &new[0]);
    if let (Some(old), Some(new)) = (old.last(), new.get(1)) {
        add("old2", old);
        add("new2", new);
    }
    if old.len() > new.len() {
        add("own", &old[1]);
    }
    line
}

fn run(proxy: &Proxy, arguments: &[&str]) -> Value {
    let said = output(crossfade(
        proxy.folder(),
        &[arguments, &["--output", "json"]].concat(),
    ));
    let told = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(0), "{told}");
    serde_json::from_slice(&said.stdout).unwrap()
}

fn judged(proxy: &Proxy, lines: &[Value]) -> Value {
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    fs::write(proxy.folder().join("pairs.ndjson"), lines.join("\n")).unwrap();
    let file = proxy.file();
    let file = file.to_str().unwrap();
    run(
        proxy,
        &["judge", "--pairs", "pairs.ndjson", "--config", file],
    )
}

/// What a cause is, wherever it is told.
fn causes(answer: &Value, counted: bool) -> Vec<Value> {
    let causes = answer["causes"].as_array().unwrap().iter();
    let mut causes: Vec<_> = causes
        .map(|cause| {
            let mut names = vec!["id", "route", "paths", "kinds", "shape"];
            names.extend(counted.then_some("pairs"));
            names.into_iter().map(|name| cause[name].clone()).collect()
        })
        .collect();
    causes.sort_by_key(Value::to_string);
    causes
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A name, what old and new say at first, and from the second time on, if that is something else.
type Pair = (&'static str, [Said; 2], Option<[Said; 2]>);

/// Pairs of each kind.
fn pairs() -> Vec<Pair> {
    const LINES: &str = "application/x-ndjson";
    const FORM: &str = "application/x-www-form-urlencoded";
    const LATIN: &str = "application/json; charset=latin1";
    const WIDE: &str = "application/json; charset=utf-16le";
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let json = |old: &str, new: &str| [Said::json(old), Said::json(new)];
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let of = |kind, old: &[u8], new: &[u8]| [Said::of(kind, old), Said::of(kind, new)];
    let mut pairs = vec![
        ("equal", json("[1.0]", "[1]"), None),
        (
            "shape",
            json(
                r#"{"stamp": "2026-01-02T03:04:05Z"}"#,
                r#"{"stamp": "2025-11-12T13:14:15Z"}"#,
            ),
            None,
        ),
        (
            "no-shape",
            json(
                r#"{"stamp": "2026-01-02T03:04:05Z"}"#,
                r#"{"stamp": "yesterday"}"#,
            ),
            None,
        ),
        ("near", json(r#"{"near": 1}"#, r#"{"near": 1.25}"#), None),
        ("far", json(r#"{"near": 1}"#, r#"{"near": 1.75}"#), None),
        (
            "set",
            json(r#"{"set": [1, 2]}"#, r#"{"set": [2, 1]}"#),
            None,
        ),
        (
            "order",
            json(r#"{"list": [1, 2]}"#, r#"{"list": [2, 1]}"#),
            None,
        ),
        (
            "items",
            json(
                r#"{"items": [{"id": 1, "n": 1}, {"id": 2}]}"#,
                r#"{"items": [{"id": 2}, {"id": 1, "n": 2}]}"#,
            ),
            None,
        ),
        ("type", json(r#"{"a": 1}"#, r#"{"a": "1"}"#), None),
        ("null", json(r#"{"b": null}"#, "{}"), None),
        (
            "case",
            json(
                r#"{"name": "Rome", "city": "Oslo"}"#,
                r#"{"name": "rome", "city": "oslo"}"#,
            ),
            None,
        ),
        ("twice", json(r#"{"k": 1, "k": 2}"#, r#"{"k": 1}"#), None),
        ("deep", json(&deep, "1"), None),
        (
            "lines",
            of(
                LINES,
                b"{\"x\": 1, \"at\": 1}\n{\"x\": 2}\n",
                b"{\"x\": 1, \"at\": 2}\n{\"x\": 3}\n",
            ),
            None,
        ),
        (
            "lines-equal",
            of(
                LINES,
                b"{\"x\": 1, \"at\": 1}\n",
                b"{\"x\": 1.0, \"at\": 2}",
            ),
            None,
        ),
        (
            "lines-broken",
            of(LINES, b"{\"x\": 1}\n", b"{\"x\": 1\n"),
            None,
        ),
        ("form", of(FORM, b"f=1&at=1&g=%26", b"g=%26&f=2"), None),
        ("form-several", of(FORM, b"s=1&s=2", b"s=2&s=1"), None),
        ("form-equal", of(FORM, b"f=1&at=1", b"f=1"), None),
        (
            "latin",
            of(LATIN, b"{\"l\": \"\xfc\"}", b"{\"l\": \"\xe9\"}"),
            None,
        ),
        (
            "wide",
            of(WIDE, &wide("{\"w\": 1}"), &wide("{\"w\": 2}")),
            None,
        ),
        ("text", of("text/plain", b"a text", b"A text"), None),
        ("bytes", of("image/png", b"\xff\xfe", b"\xff\xfd"), None),
        (
            "parts",
            of("multipart/mixed; boundary=x", b"--x--", b"--x--\r\n"),
            None,
        ),
        ("no-json", json("{}", "{"), None),
        (
            "transient",
            json(r#"{"m": 1}"#, r#"{"m": 2}"#),
            Some(json(r#"{"m": 2}"#, r#"{"m": 2}"#)),
        ),
        (
            "flaky",
            json(r#"{"o": "a"}"#, r#"{"o": "b"}"#),
            Some(json(r#"{"o": "a"}"#, r#"{"o": "a"}"#)),
        ),
        (
            "moved",
            json(r#"{"p": 1}"#, r#"{"p": 2}"#),
            Some(json(r#"{"p": 3}"#, r#"{"p": 4}"#)),
        ),
        (
            "lines-again",
            of(LINES, b"1\n2", b"1\n3"),
            Some(of(LINES, b"1\n4", b"1\n4")),
        ),
    ];
    let body = || Said::json("{}");
    pairs.push(("status", [body(), body().status(404)], None));
    pairs.push((
        "tag",
        [body().with("etag", "\"1\""), body().with("etag", "\"2\"")],
        None,
    ));
    let coded =
        |text: &str| Said::of("application/json", gzip(text)).with("content-encoding", "gzip");
    pairs.push(("coded", [coded(r#"{"c": 1}"#), coded(r#"{"c": 2}"#)], None));
    let broken = Said::json("[1]").with("content-encoding", "gzip");
    pairs.push(("broken", [Said::json("[2]"), broken], None));
    pairs
}

const RULES: &str = r#"
ignore = ["$.at", "$[*].at"]
shape = ["$.stamp"]
tolerance = { "$.near" = 0.5 }
unordered = ["$.set"]
match_by = { "$.items" = "id" }
headers = ["content-type", "etag"]
recheck = ["1ms"]
"#;

fn by_name(name: &str, time: usize, which: usize) -> Said {
    let known = pairs().into_iter().find(|(known, ..)| *known == name);
    let Some((_, first, again)) = known else {
        return Said::json("{}");
    };
    let said = if time == 0 {
        first
    } else {
        again.unwrap_or(first)
    };
    said[which].clone()
}

#[track_caller]
fn check(values: &str) {
    let (old, of_old) = side(|name, time| by_name(name, time, 0));
    let (new, of_new) = side(|name, time| by_name(name, time, 1));
    let proxy = Setup::new(&old, &new)
        .set("samples", &format!("values = \"{values}\""))
        .route(&format!(
            "name = \"items\"\nmatch = \"GET /items/{{id}}\"\nkey = \"{{path.id}}\"\nshadow = 100\n[route.compare]{RULES}"
        ))
        .start();
    let mut client = proxy.client();
    let mut lines = Vec::new();
    let mut ask = |names: &mut dyn Iterator<Item = String>| {
        for name in names {
            client.get(&format!("/items/{name}"));
            proxy.settle();
            let said = [&of_old, &of_new].map(|said| said.lock().unwrap()[&name].clone());
            lines.push(line(&name, [&said[0], &said[1]]));
        }
    };
    // Copies that earn what it takes to ask again.
    ask(&mut (0..20 * pairs().len()).map(|number| format!("equal{number}")));
    ask(&mut pairs().into_iter().map(|(name, ..)| name.to_owned()));
    let live = proxy.admin_json("/api/routes")["routes"][0]["verdicts"].clone();
    assert_eq!(
        (&live["transient"], &live["incomparable"]),
        (&json!(2), &json!(3)),
        "{live}"
    );
    let found = proxy.admin_json("/api/causes");

    let report = judged(&proxy, &lines);
    assert_eq!(report["verdicts"], live);
    assert_eq!(causes(&report, true), causes(&found, true));

    // Judged again by the rules in force nothing changes, and the causes are those that people know.
    let admin = proxy.admin_address().to_string();
    let file = proxy.file();
    let arguments = [
        "replay",
        "--config",
        file.to_str().unwrap(),
        "--admin",
        &admin,
    ];
    let replayed = run(&proxy, &arguments);
    let route = &replayed["routes"][0];
    assert_eq!(route["before"], route["after"], "{replayed:#}");
    for verdict in ["mismatch", "transient"] {
        assert_eq!(route["after"][verdict], live[verdict], "{verdict}");
    }
    assert_eq!(route["rate"]["before"], route["rate"]["after"][0]);
    for cause in replayed["causes"].as_array().unwrap() {
        assert_eq!(cause["change"], "stays", "{cause}");
        assert_eq!(cause["before"], cause["after"], "{cause}");
    }
    assert_eq!(causes(&replayed, false), causes(&found, false));
    for cause in found["causes"].as_array().unwrap() {
        let id = cause["id"].as_str().unwrap();
        let page = proxy.admin_json(&format!("/api/samples?cause={id}"));
        let samples = page["samples"].as_array().unwrap();
        assert!(!samples.is_empty(), "{cause}");
        for sample in samples {
            assert_eq!(
                (&sample["cause"], &sample["verdict"]),
                (&cause["id"], &json!("mismatch"))
            );
        }
        let group = &page["groups"][0];
        assert_eq!(
            (&group["cause"], &group["pairs"]),
            (&cause["id"], &cause["pairs"])
        );
    }
}

#[test]
fn all_who_judge_a_pair_come_to_the_same() {
    check("shown");
}

#[test]
fn all_who_judge_a_pair_come_to_the_same_without_its_values() {
    check("redacted");
}

#[test]
fn what_old_does_to_itself_is_known_from_a_record_too() {
    let number = Arc::new(AtomicU64::new(0));
    let answer = |is_new: bool| {
        let number = Arc::clone(&number);
        move |name: &str, _| {
            let now = 1_000_000 + number.fetch_add(1, Ordering::Relaxed);
            let pair: u32 = name.parse().unwrap_or(0);
            if is_new && pair % 50 == 49 {
                return Said::json(r#"{"now": null}"#);
            }
            Said::json(&format!(r#"{{"now": {now}}}"#))
        }
    };
    let ((old, of_old), (new, of_new)) = (side(answer(false)), side(answer(true)));
    let proxy = Setup::new(&old, &new)
        .instead("noise", "sample = 10")
        .route("name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100")
        .start();
    let mut client = proxy.client();
    let mut lines = Vec::new();
    // Until it is known for long enough.
    for pair in 0..600 {
        let name = pair.to_string();
        client.get(&format!("/items/{name}"));
        proxy.settle();
        let said = [&of_old, &of_new].map(|said| said.lock().unwrap()[&name].clone());
        lines.push(line(&name, [&said[0], &said[1]]));
    }
    let live = &proxy.admin_json("/api/routes")["routes"][0];
    let verdicts = &live["verdicts"];
    assert!(verdicts["noise"].as_u64() > Some(0), "{verdicts}");
    assert!(verdicts["mismatch"].as_u64() > Some(0), "{verdicts}");
    let report = judged(&proxy, &lines);
    assert_eq!(&report["verdicts"], verdicts);
    let fields = report["fields"].as_array().unwrap();
    assert_eq!(fields[0]["state"], "blind", "{fields:?}");
    assert_eq!(fields[0]["state"], live["fields"][0]["state"], "{live:#}");
}
