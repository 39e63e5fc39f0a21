//! Bad edits: they change nothing, and every problem is told until a good edit comes.

use super::{Sides, in_force, reloads};
use crate::harness::{Backend, Proxy, Setup, wait_until};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// What the proxy decides for a hundred keys, in its own words.
fn decisions(proxy: &Proxy) -> Vec<(u16, Vec<Option<String>>)> {
    let mut client = proxy.client();
    let words = ["side", "route", "bucket", "why", "generation"];
    let decision = |key: i32| {
        let answer = client.get(&format!("/keys/{key}"));
        let words = words.map(|word| {
            let value = answer.header(&format!("x-crossfade-{word}"));
            value.map(str::to_owned)
        });
        (answer.status, words.to_vec())
    };
    (0..100).map(decision).collect()
}

fn last_reload_successful(proxy: &Proxy) -> f64 {
    let page = proxy.metrics();
    let name = "crossfade_config_last_reload_successful";
    assert_eq!(page.series(name, &[]).len(), 1);
    page.sum(name, &[])
}

/// Waits until an edit is refused; returns its problems.
#[track_caller]
fn refused(proxy: &Proxy, count: f64) -> Vec<Value> {
    wait_until("the edit is refused", || {
        reloads(proxy, "rejected") >= count
    });
    assert_eq!(reloads(proxy, "rejected"), count);
    assert_eq!(last_reload_successful(proxy), 0.0);
    let config = proxy.admin_json("/api/config");
    assert_eq!(config["generation"], 1);
    let error = &config["last_error"];
    let at = error["at"].as_str().unwrap();
    assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
    error["problems"].as_array().unwrap().clone()
}

fn by_key(old: &Backend, new: &Backend) -> Setup {
    Setup::new(old, new)
        .set("server", "debug_headers = true")
        .route("name = \"keys\"\nmatch = \"GET /keys/{key}\"\nkey = \"{path.key}\"\npercent = 40\npin = { new = [\"1\"] }")
}

#[test]
fn bad_edits_change_nothing_and_a_good_one_clears_them() {
    let (old, new) = (Backend::text("old"), Backend::text("new"));
    let proxy = by_key(&old, &new).start();
    let good = proxy.text();
    let before = (decisions(&proxy), proxy.admin_json("/api/config"));
    assert_eq!(last_reload_successful(&proxy), 1.0);
    assert!(before.1["last_error"].is_null());

    let edited = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replace(from, to).into_bytes()
    };
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8.extend(b"# caf\xe9\n");
    let bad: [(&str, Vec<u8>); 8] = [
        ("broken TOML", edited("percent = 40", "percent = = 40")),
        (
            "a number out of range",
            edited("percent = 40", "percent = 140"),
        ),
        ("a key unknown", edited("percent = 40", "percents = 40")),
        (
            "a key of a later version",
            edited("percent = 40", "percent = 40\nwrite = \"lead\""),
        ),
        (
            "a template that names nothing",
            edited("{path.key}", "{path.other}"),
        ),
        ("not UTF-8", not_utf8),
        ("empty", Vec::new()),
        (
            "another file altogether",
            b"\x7fELF\x02\x01\x01\0\0".to_vec(),
        ),
    ];
    let mut count = 0.0;
    for (what, text) in bad {
        let draft = proxy.folder().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, proxy.file()).unwrap();
        count += 1.0;
        let problems = refused(&proxy, count);
        assert!(!problems.is_empty(), "{what}");
        for problem in problems {
            for word in ["severity", "code", "message"] {
                let text = problem[word].as_str().unwrap();
                assert!(!text.is_empty(), "{what}: {problem}");
            }
            for place in ["line", "column", "end_line", "end_column"] {
                assert!(problem[place].as_u64().unwrap() > 0, "{what}: {problem}");
            }
        }
        assert_eq!(decisions(&proxy), before.0, "{what}");
    }

    fs::remove_file(proxy.file()).unwrap();
    let problems = refused(&proxy, count + 1.0);
    assert_eq!(problems[0]["code"], "unreadable", "deleted");
    fs::create_dir(proxy.file()).unwrap();
    let problems = refused(&proxy, count + 2.0);
    assert_eq!(problems[0]["code"], "unreadable", "a folder in its place");
    assert_eq!(decisions(&proxy), before.0);
    // Asked for it, the proxy says again what is wrong.
    proxy.running().reload();
    refused(&proxy, count + 3.0);

    // Opening a pipe waits until somebody writes into it, and the admin API lives in the thread that would wait.
    let draft = proxy.folder().join("draft");
    assert!(
        Command::new("mkfifo")
            .arg(&draft)
            .status()
            .unwrap()
            .success()
    );
    fs::remove_dir(proxy.file()).unwrap();
    fs::rename(&draft, proxy.file()).unwrap();
    let problems = refused(&proxy, count + 4.0);
    assert_eq!(problems[0]["code"], "unreadable", "a pipe in its place");
    // A file without end would fill the memory that serves.
    let endless = fs::File::create(&draft).unwrap();
    endless.set_len(1 << 40).unwrap();
    fs::rename(&draft, proxy.file()).unwrap();
    let problems = refused(&proxy, count + 5.0);
    assert_eq!(problems[0]["code"], "unreadable", "a file far too large");
    assert_eq!(decisions(&proxy), before.0);

    // What is in force comes back as a text: no edit, but nothing is wrong any more.
    fs::remove_file(proxy.file()).unwrap();
    proxy.write(&good);
    wait_until("the good text is seen", || {
        reloads(&proxy, "unchanged") > 0.0
    });
    assert_eq!(proxy.admin_json("/api/config"), before.1);
    assert_eq!(last_reload_successful(&proxy), 1.0);

    proxy.edit("percent = 40", "percent = 140");
    wait_until("the edit is refused", || {
        last_reload_successful(&proxy) == 0.0
    });
    proxy.edit("percent = 140", "percent = 100");
    wait_until("the edit is in force", || proxy.generation() == 2);
    assert!(proxy.admin_json("/api/config")["last_error"].is_null());
    assert_eq!(last_reload_successful(&proxy), 1.0);
    assert!(
        decisions(&proxy)
            .iter()
            .all(|(_, words)| words[0].as_deref() == Some("new"))
    );
}

/// A rejected edit must not stand in for a good one that is like what it replaced in part.
#[test]
fn a_bad_edit_does_not_half_act() {
    let sides = Sides::start();
    let proxy = sides.setup("old").start();
    // The first route is right and would move; the second one is wrong.
    let text = sides.setup("new").text();
    let at = text.rfind("serve").unwrap();
    proxy.write(&(text[..at].to_owned() + &text[at..].replace("new", "both")));
    let problems = refused(&proxy, 1.0);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0]["path"], "route[1].serve");
    in_force(&proxy, 1, "old");
}

/// Twelve mistakes on twelve lines, which are marked: each is told, and nothing else.
#[test]
fn twelve_mistakes_are_twelve_problems() {
    let (old, new) = (Backend::text("old"), Backend::text("new"));
    let proxy = by_key(&old, &new).start();
    let text = r#"
[migration]
name = "test"
serve = "both"                      # wrong
shadow = "yes"                      # wrong
colour = 1                          # wrong

[server]
listen = "127.0.0.1"                # wrong
workers = -1                        # wrong

[old]
url = "http://127.0.0.1:7001/api"   # wrong
timeout = "15 seconds"              # wrong

[new]
url = "http://127.0.0.1:7002"
pool = { max_idle = "many" }        # wrong

[[route]]
name = "Keys"                       # wrong
match = "GET /keys/{key}"
key = "{path.other}"                # wrong
percent = 12.345                    # wrong
compare = { ignore = ["updated"] }  # wrong

[[route]]
name = "others"
match = "GET /others"
"#;
    let lines = text.lines().zip(1_u64..);
    let wrong: Vec<_> = lines
        .filter_map(|(line, number)| line.ends_with("# wrong").then_some(number))
        .collect();
    assert_eq!(wrong.len(), 12);
    proxy.write(text);
    let problems = refused(&proxy, 1.0);
    let places: Vec<_> = problems
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert_eq!(places, wrong, "{problems:#?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem["severity"] == "error")
    );

    // `crossfade check` tells the same of the same file.
    let mut command = crate::harness::program::crossfade(proxy.folder(), &["check"]);
    command.args(["--output", "json"]);
    let checked = crate::harness::program::output(command);
    assert_eq!(checked.status.code(), Some(2));
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["problems"], Value::Array(problems));
}
