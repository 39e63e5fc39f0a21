//! Nothing that is written anywhere has a secret in it, or a control character that came from outside.

use crate::harness::backend::Seen;
use crate::harness::program::{Program, crossfade, output};
use crate::harness::proxy::nobody;
use crate::harness::{
    Backend, Client, Reply, Setup, client, wait_until, with_one_worker_and_with_four,
};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;

with_one_worker_and_with_four!(no_secret_is_kept_or_shown);

const PLANTED: &str = "PLANTED";

const ROUTES: [&str; 2] = [
    "name = \"keyed\"\nmatch = \"GET /keyed\"\nkey = \"{query.token|header.authorization|cookie.sid}\"\npercent = 50\nshadow = 100",
    "name = \"plain\"\nmatch = \"GET /plain/{x}\"\nkey = \"{path.x}\"\npercent = 50\nshadow = 100",
];

const FIELDS: [(&str, &str); 3] = [
    ("authorization", "Bearer PLANTED"),
    ("cookie", "sid=PLANTED"),
    ("x-api-token", "PLANTED"),
];

/// Every file below a folder, but for those that the test has written.
fn files(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => files(&path),
            false => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
        })
        .collect()
}

/// An answer that differs from those with other numbers, and has secrets everywhere.
fn answer(number: u8) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let body = serde_json::json!({
        "n": number,
        "access_token": format!("PLANTED{number}"),
        "deep": [{"client_secret": [format!("PLANTED{number}")]}],
        (format!("added{number}")): {"cookie": "PLANTED"},
    })
    .to_string();
    move |_| {
        Reply::status(200)
            .header("content-type", "application/json")
            .header("set-cookie", "sid=PLANTED")
            .body(body.clone())
    }
}

fn no_secret_is_kept_or_shown(workers: usize) {
    let (old, new) = (Backend::start(answer(1)), Backend::start(answer(2)));
    let mut setup = Setup::new(&old, &new)
        .workers(workers)
        .set("samples", "values = \"shown\"")
        .set("log", "access = \"on\"\nfile = \"access.log\"")
        .set("server", "debug_headers = true");
    for route in ROUTES {
        setup = setup.route(&format!(
            "{route}\ncompare = {{ headers = [\"set-cookie\"] }}"
        ));
    }
    let mut proxy = setup.start();
    for target in [
        "/keyed",
        "/keyed?token=PLANTED",
        "/plain/a?a=1&To%6Ben=PLANTED",
        "/plain/b?client_secret=PLANTED&b=2",
    ] {
        proxy.client().request("GET", target, &FIELDS, b"");
    }
    proxy.settle();
    let mut shown = String::new();
    for target in [
        "/api/mismatches",
        "/api/samples",
        "/api/routes",
        "/api/config",
        "/api/upstreams",
        "/metrics",
    ] {
        shown.push_str(proxy.admin("GET", target, None).text());
    }
    // What was shown is what it should be: the rest of the rows is there.
    let rows = proxy.admin_json("/api/mismatches");
    let rows = rows["mismatches"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert!(
        shown.contains("/n") && shown.contains("access_token"),
        "{shown}"
    );
    let keys = |route: &str| -> Vec<&Value> {
        let of = rows.iter().filter(|row| row["route"] == route);
        of.map(|row| &row["key"]).collect()
    };
    assert!(keys("keyed").iter().all(|key| key["$redacted"] == "string"));
    assert!(keys("plain").iter().all(|key| key.is_string()));
    proxy.stop();
    shown.push_str(&files(proxy.folder()));
    assert!(shown.contains("/plain/a") && shown.contains("\"old2\""));
    assert!(!shown.contains(PLANTED), "{shown}");
}

#[test]
fn an_explanation_shows_no_secret() {
    let backend = Backend::text("ok");
    let mut setup = Setup::both(&backend);
    for route in ROUTES {
        setup = setup.route(route);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), setup.text()).unwrap();
    for target in [
        "/keyed",
        "/keyed?token=PLANTED",
        "/plain/a?client_secret=PLANTED",
    ] {
        for format in ["table", "json"] {
            let mut arguments = vec!["explain", "GET", target, "--output", format];
            arguments.extend(["-H", "authorization: PLANTED", "-H", "cookie: sid=PLANTED"]);
            let said = output(crossfade(folder.path(), &arguments));
            assert!(said.status.success(), "{said:?}");
            let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
            assert!(!text.contains(PLANTED), "{text}");
            assert!(text.contains(&target[1..6]), "{text}");
        }
    }
}

/// Starts a program, edits its `[log]`, lets a side fail it, and returns what it has said.
fn log_of(lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.toml");
    let setup = Setup::both(&nobody());
    fs::write(&file, setup.text()).unwrap();
    let mut program = Program::start(crossfade(folder.path(), &["run"]));
    let (address, admin) = program.addresses();
    let draft = folder.path().join("draft");
    fs::write(&draft, setup.set("log", lines).text()).unwrap();
    fs::rename(&draft, &file).unwrap();
    wait_until("the edit is in force", || {
        client::admin(admin, "GET", "/api/config", None).json()["generation"] == 2
    });
    let reason = serde_json::json!({"serve": "new", "reason": "two \u{202e}words"});
    client::admin(admin, "PUT", "/api/override", Some(&reason));
    let fields = [("x-request-id", "mine"), ("authorization", PLANTED)];
    let answer = Client::connect(address).request("GET", "/?token=PLANTED", &fields, b"");
    assert_eq!(answer.status, 502);
    program.signal(Signal::TERM);
    let (status, said) = program.wait();
    assert!(status.success(), "{said}");
    assert!(!said.contains(PLANTED), "{said}");
    let is_bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!said.chars().any(is_bad), "{said:?}");
    said
}

#[test]
fn the_log_tells_who_failed_on_one_line() {
    let said = log_of("level = \"info\"");
    let line = said.lines().find(|line| line.contains("id=mine")).unwrap();
    assert!(
        line.contains(" WARN ") && line.contains("kind=connect"),
        "{line}"
    );
    let line = said
        .lines()
        .find(|line| line.contains("override set"))
        .unwrap();
    assert!(line.contains("\\u202e"), "{line}");
}

#[test]
fn the_log_may_be_json() {
    let said = log_of("format = \"json\"\nlevel = \"debug\"");
    let lines: Vec<Value> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let find = |name: &str, value: &str| lines.iter().find(|line| line[name] == value);
    let failed = find("id", "mine").unwrap();
    assert_eq!(
        (&failed["level"], &failed["kind"]),
        (&"warn".into(), &"connect".into())
    );
    let set = find("message", "override set").unwrap();
    assert_eq!(set["reason"], "two \u{202e}words");
}

#[test]
fn the_access_log_goes_to_stdout_and_the_level_counts() {
    let said = log_of("access = \"on\"\nlevel = \"error\"");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
    let [line] = lines[..] else { panic!("{said}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["id"], &line["query"]),
        (&"mine".into(), &"token=$redacted".into())
    );
    assert!(!said.contains("WARN"), "{said}");
}
