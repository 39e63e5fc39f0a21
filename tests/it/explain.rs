//! What `crossfade explain` foretells is what the backends see.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{Backend, Client, Reply, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// Requests in each of the four states of the switches.
const REQUESTS: usize = 250;
/// Tells the requests apart in the backends' logs.
const NUMBER: &str = "x-number";

fn start(old: &Backend, new: &Backend) -> Proxy {
    Setup::new(old, new)
        .set("migration", "serve = \"split\"\nshadow = true")
        .set("server", "trusted_proxies = [\"127.0.0.0/8\"]")
        .route(
            "name = \"tags\"\nmatch = \"* /contents/{content}/tags\"\nkey = \"{path.content}\"\npercent = 50\nshadow = 60\n\
             pin = { new = [\"a\", \"é\"], old = [\"b\"] }",
        )
        .route(
            "name = \"search\"\nmatch = \"POST,PUT /search\"\nread = true\nkey = \"{body./id|header.x-user}\"\n\
             percent = 50\nshadow = 100\nsalt = \"other\"",
        )
        .route("name = \"elsewhere\"\nmatch = \"* /me\"\nhost = \"elsewhere.example\"")
        .route(
            "name = \"me\"\nmatch = \"GET,DELETE /me\"\nhost = \"Test.example\"\nkey = \"{cookie.sid|query.u}-{client.ip}\"\n\
             percent = 60.5\nshadow = 50",
        )
        .route("name = \"ahead\"\nmatch = \"GET,PUT /ahead/{x}\"\nkey = \"{path.x}\"\nserve = \"new\"\nshadow = 100")
        .route("name = \"behind\"\nmatch = \"* /behind/{x}\"\nkey = \"{path.x}\"\nserve = \"old\"\npercent = 100\nshadow = 20")
        .route("name = \"all-new\"\nmatch = \"GET /new/{rest*}\"\npercent = 100\nshadow = 100")
        .route("name = \"random\"\nmatch = \"GET /random\"\nshadow = 50")
        .start()
}

#[derive(Clone, Debug)]
struct Asked {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Asked {
    /// Any of the shapes that a decision depends on; the same seed gives the same requests.
    fn random(random: &mut fastrand::Rng) -> Self {
        let mut pick = |texts: &[&str]| {
            random
                .choice(texts)
                .map(|text| (*text).to_owned())
                .unwrap_or_default()
        };
        let content = pick(&[
            "a", "b", "é", "%C3%A9", "c", "0ad", "bash", "gcc", "%41", "A", "%ff", "x%2Fy", "..",
            "%2e", "",
        ]);
        let query = pick(&[
            "",
            "?u=1",
            "?u=",
            "?u=a+b&u=2",
            "?u=%ff",
            "?x=1&u=3",
            "?u=4",
        ]);
        let path = match pick(&[
            "tags", "tags", "tags", "search", "me", "me", "new", "random", "ahead", "behind",
            "none",
        ])
        .as_str()
        {
            "tags" => format!("/contents/{content}/tags"),
            "search" => "/search".to_owned(),
            "me" => "/me".to_owned(),
            "new" => format!("/new/{content}"),
            "random" => "/random".to_owned(),
            switched @ ("ahead" | "behind") => format!("/{switched}/{content}"),
            _ => format!("/none/{content}"),
        };
        let method = match path.as_str() {
            "/search" => pick(&["POST", "PUT", "GET", "DELETE"]),
            _ => pick(&[
                "GET", "GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH",
            ]),
        };
        let mut fields = Vec::new();
        for (name, values) in [
            ("x-user", &["", "", "7", "8", "9"][..]),
            ("x-user", &["", "", "", "7", "8"]),
            ("cookie", &["", "", "sid=1", "a=b; sid=2", "sid="]),
            (
                "x-forwarded-for",
                &[
                    "",
                    "",
                    "192.0.2.1",
                    "192.0.2.1, 127.0.0.9",
                    "::ffff:192.0.2.1",
                    "nonsense",
                ],
            ),
            ("x-crossfade-shadow", &["", "", "", "", "1"]),
            ("content-encoding", &["", "", "", "gzip"]),
        ] {
            let value = pick(values);
            if !value.is_empty() {
                fields.push((name.to_owned(), value));
            }
        }
        let has_body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        let long = format!("{{\"id\": 1, \"long\": \"{}\"}}", "x".repeat(64 * 1024));
        let body = pick(&[
            "",
            &long,
            "{\"id\": 1.0}",
            "{\"id\": 12345678901234567890}",
            "{\"id\": \"x\"}",
            "{\"id\": null}",
            "id=1",
        ]);
        Self {
            method,
            target: path + &query,
            fields,
            body: if has_body { body } else { String::new() },
        }
    }

    fn send(&self, proxy: &Proxy, number: usize) -> u16 {
        let number = number.to_string();
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<(&str, &str)> = fields.chain([(NUMBER, number.as_str())]).collect();
        Client::connect(proxy.address())
            .request(&self.method, &self.target, &fields, self.body.as_bytes())
            .status
    }

    /// With the running proxy's word on the override, or from the file and the folder of its state alone.
    fn explain(&self, proxy: &Proxy, number: usize) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command
            .args([
                "explain",
                &self.method,
                &self.target,
                "--output",
                "json",
                "--config",
            ])
            .arg(proxy.file());
        command
            .args(["-H", "host: test.example"])
            .stdin(Stdio::null());
        for (name, value) in &self.fields {
            command.arg("-H").arg(format!("{name}: {value}"));
        }
        if !self.body.is_empty() {
            let file = proxy.folder().join(format!("body-{number}"));
            std::fs::write(&file, &self.body).unwrap();
            command.arg("--data").arg(file);
        }
        if number.is_multiple_of(2) {
            command.args(["--admin", &proxy.admin_address().to_string()]);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{self:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// How often each request reached a side.
fn log(backend: &Backend) -> BTreeMap<usize, u64> {
    let mut log = BTreeMap::new();
    for seen in backend.requests() {
        *log.entry(seen.header(NUMBER)[0].parse().unwrap())
            .or_default() += 1;
    }
    log
}

/// Both a request's answer and the sides that saw it are as its explanation says.
#[track_caller]
fn check(asked: &Asked, explained: &Value, status: u16, seen: [u64; 2]) {
    let told = || format!("{asked:?}\n{explained}\nstatus {status}, seen by old and new {seen:?}");
    if let Some(rejected) = explained["rejected"].as_object() {
        assert_eq!(rejected["status"], status, "{}", told());
        assert_eq!(seen, [0, 0], "{}", told());
        return;
    }
    assert_eq!(status, 200, "{}", told());
    let (served, other) = match explained["side"].as_str().unwrap() {
        "old" => (seen[0], seen[1]),
        _ => (seen[1], seen[0]),
    };
    assert_eq!(served, 1, "{}", told());
    match explained["shadow"]["sampled"].as_bool() {
        Some(sampled) => assert_eq!(other, u64::from(sampled), "{}", told()),
        None => assert!(other <= 1, "{}", told()),
    }
}

/// Sends requests, waits until their shadows are done, and explains each; returns the words that were used.
fn agree(proxy: &Proxy, [old, new]: [&Backend; 2], seed: u64) -> BTreeMap<String, usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let requests: Vec<Asked> = (0..REQUESTS).map(|_| Asked::random(&mut random)).collect();
    let sent: Vec<u16> = requests
        .iter()
        .enumerate()
        .map(|(number, asked)| asked.send(proxy, number))
        .collect();
    let dropped = proxy.settle().sum("crossfade_shadow_dropped_total", &[]);
    assert_eq!(dropped, 0.0, "one request at a time fills no queue");
    let [seen_by_old, seen_by_new] = [log(old), log(new)];
    let mut words = BTreeMap::new();
    for (number, asked) in requests.iter().enumerate() {
        let explained = asked.explain(proxy, number);
        let seen =
            [&seen_by_old, &seen_by_new].map(|log| log.get(&number).copied().unwrap_or_default());
        check(asked, &explained, sent[number], seen);
        *words
            .entry(explained["why"].as_str().unwrap_or("rejected").to_owned())
            .or_default() += 1;
    }
    old.forget();
    new.forget();
    words
}

#[test]
fn a_thousand_explanations_agree_with_the_logs_of_the_backends() {
    let (old, new) = (
        Backend::start(|_| Reply::status(200)),
        Backend::start(|_| Reply::status(200)),
    );
    let proxy = start(&old, &new);
    let mut words = agree(&proxy, [&old, &new], 1);

    let overrule = json!({"serve": "new", "route": "tags", "reason": "test"});
    assert_eq!(
        proxy.admin("PUT", "/api/override", Some(&overrule)).status,
        200
    );
    words.extend(agree(&proxy, [&old, &new], 2));
    assert_eq!(proxy.admin("DELETE", "/api/override", None).status, 204);

    let mut edit = |from: &str, to: &str, seed: u64| {
        let before = proxy.generation();
        proxy.edit(from, to);
        wait_until("the edit is applied", || proxy.generation() > before);
        words.extend(agree(&proxy, [&old, &new], seed));
    };
    edit("serve = \"split\"", "serve = \"new\"", 3);
    edit(
        "serve = \"new\"\nshadow = true",
        "serve = \"split\"\nshadow = false",
        4,
    );

    let used: Vec<&str> = words.keys().map(String::as_str).collect();
    assert_eq!(
        used,
        [
            "bucket", "no_key", "override", "pin", "rejected", "route", "total", "write"
        ]
    );
}
