//! Two releases of one public REST server that really differ, with the same data: what their notes announce is found, as causes.
//!
//! The server is json-server, 0.17.4 and 1.0.0-beta.3 (tests/releases). What must be found was written down from the newer one's own README ("Notable
//! differences with v0.17", and the parameters that its chapters describe and no longer describe) before the two were first run side by side:
//!
//! 1. "`id` is always a string": a number becomes a text.
//! 2. Pages are objects with `first`, `next`, `pages`, `items` and `data`, where they were arrays.
//! 3. `_sort=-field` has taken the place of `_order=desc`, which is not heard any more: another order.
//! 4. `_expand` is gone (`_embed` took its place): the parent is missing in each element.
//! 5. Nested routes (`/posts/1/notes`) are gone: not found.
//! 6. Full-text search by `q` is gone: elements that do not match are there too.

use crate::harness::proxy::{Listens, own_address};
use crate::harness::{Program, Setup, tool_folder, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// One release, with the data in a folder of its own, since it may write to it.
struct Release {
    _program: Program,
    _folder: TempDir,
    address: SocketAddr,
}

impl Listens for Release {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Release {
    #[track_caller]
    fn start(script: &str, data: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("db.json"), data.to_string()).unwrap();
        // It must be told a port: one of an address that nobody else uses stays free.
        let listener = TcpListener::bind(own_address()).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let script = tool_folder("releases").join("node_modules").join(script);
        assert!(
            Path::new(&script).is_file(),
            "{} is missing: run tests/run, which fetches it from npm",
            script.display()
        );
        // It dies with its test even if the test is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "node"])
            .arg(script)
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string(), "db.json"])
            .current_dir(folder.path())
            .stdin(Stdio::null());
        let program = Program::start(command);
        wait_until("the release listens", || {
            TcpStream::connect(address).is_ok()
        });
        Self {
            _program: program,
            _folder: folder,
            address,
        }
    }
}

/// Posts with numbers for ids, notes with texts: so that what becomes of ids can be told from the rest.
fn data() -> Value {
    let posts =
        (1..=12).map(|id| json!({"id": id, "title": format!("post {id}"), "views": id * 7 % 12}));
    let notes = (1..=12).map(
        |id| json!({"id": id.to_string(), "text": format!("note {id}"), "likes": id * 5 % 12, "postId": id.to_string()}),
    );
    let parents = (1..=12).map(|id| json!({"id": id.to_string(), "name": format!("parent {id}")}));
    let children = (1..=12).map(|id| json!({"id": id.to_string(), "parentId": id.to_string()}));
    json!({
        "posts": posts.collect::<Vec<_>>(), "notes": notes.collect::<Vec<_>>(),
        "parents": parents.collect::<Vec<_>>(), "children": children.collect::<Vec<_>>(),
    })
}

#[test]
fn what_a_release_announces_is_found_as_causes() {
    let data = data();
    let old = Release::start("json-server-old/lib/cli/bin.js", &data);
    let new = Release::start("json-server-new/lib/bin.js", &data);
    let route = |name: &str, pattern: &str| {
        format!(
            "name = \"{name}\"\nmatch = \"GET {pattern}\"\nshadow = 100\ncompare = {{ recheck = [\"10ms\"] }}"
        )
    };
    let proxy = Setup::new(&old, &new)
        .route(&route("post", "/posts/{id}"))
        .route(&route("notes", "/notes"))
        .route(&route("children", "/children"))
        .route(&route("nested", "/parents/{id}/children"))
        .start();
    let mut client = proxy.client();
    for round in 1..=10 {
        for target in [
            format!("/posts/{round}"),
            // The same on both sides: no cause.
            format!("/notes?id={round}"),
            "/notes?_page=1".to_owned(),
            "/notes?_sort=likes&_order=desc".to_owned(),
            format!("/notes?q=note%20{round}"),
            "/children?_expand=parent".to_owned(),
            format!("/parents/{round}/children"),
        ] {
            assert_eq!(client.get(&target).status, 200, "{target}");
        }
    }
    proxy.settle();

    let answer = proxy.admin_json("/api/causes");
    let causes = answer["causes"].as_array().unwrap();
    let is_found = |route: &str, path: &str, kind: &str, pairs: u64| {
        let cause = causes.iter().find(|cause| {
            let has =
                |member: &str, text: &str| cause[member].as_array().unwrap().contains(&json!(text));
            cause["route"] == route && has("paths", path) && has("kinds", kind)
        });
        let cause = cause.unwrap_or_else(|| panic!("no {kind} at {path} of {route}: {answer:#}"));
        assert_eq!(cause["pairs"], pairs, "{cause:#}");
    };
    is_found("post", "$.id", "type", 10);
    is_found("notes", "$", "type", 10);
    is_found("notes", "$", "order", 10);
    is_found("notes", "$[*]", "extra", 10);
    is_found("children", "$[*].parent", "missing", 10);
    is_found("nested", "status", "status", 10);
    // And nothing else: each is one cause.
    assert_eq!(causes.len(), 6, "{answer:#}");
    assert_eq!(answer["mismatches"], 60);
}
