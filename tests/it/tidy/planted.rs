//! The floors test bites: each planted tree has one thing wrong with it, or nothing.

use super::violations;

/// Each line `=== path` begins a file.
fn check(tree: &str, expected: &[&str]) {
    let files: Vec<(String, String)> = tree
        .split("=== ")
        .skip(1)
        .map(|file| {
            let (path, text) = file.split_once('\n').unwrap();
            (path.to_owned(), text.to_owned())
        })
        .collect();
    assert_eq!(violations(&files), expected, "{tree}");
}

#[test]
fn imports_that_climb_or_go_sideways_are_found() {
    let sideways = "src/route/key.rs:1: route (floor 1) goes sideways to compare (floor 1)";
    check(
        "=== src/route/key.rs\nuse crate::compare::Rules;\n",
        &[sideways],
    );
    check(
        "=== src/route/key.rs\nuse super::super::compare::Rules;\n",
        &[sideways],
    );
    check(
        "=== src/route/key.rs\nuse crate::{compare::{self, Rules as R}, side::Side};\n",
        &[sideways, sideways],
    );
    check(
        "=== src/route/key.rs\nfn f() -> crate::compare::Rules { todo!() }\n",
        &[sideways],
    );
    check(
        "=== src/route/mod.rs\npub use crate::compare::Rules;\n",
        &["src/route/mod.rs:1: route (floor 1) goes sideways to compare (floor 1)"],
    );
    check(
        "=== src/route/key.rs\nuse crate::side::Side;\n\n#[cfg(test)]\nmod tests {\n    use crate::proxy::serve;\n}\n",
        &["src/route/key.rs:5: route (floor 1) climbs to proxy (floor 7)"],
    );
    check(
        "=== src/side.rs\nuse crate::json::Reader;\n",
        &["src/side.rs:1: side (floor 0) goes sideways to json (floor 0)"],
    );
    check(
        "=== src/plan/live.rs\nuse crate::route::Table;\nuse crate::config::Settings;\nuse super::build;\n",
        &[],
    );
    check(
        "=== src/main.rs\nuse crossfade::cli;\nfn main() { cli::run() }\n",
        &[],
    );
    check(
        "=== src/lib.rs\npub mod side;\npub mod proxy;\n=== src/cellar.rs\n",
        &["src/cellar.rs: room \"cellar\" has no floor in tests/it/tidy.rs"],
    );
}

#[test]
fn what_only_looks_like_an_import_is_not_found() {
    check(
        r####"=== src/route/key.rs
//! [`crate::proxy::Serve`] and tokio::spawn in a comment
/* crate::proxy::x /* tokio::y */ crate::app::z */
fn f<'a>(text: &'a str) -> char {
    let _ = ("crate::proxy::x", r#"tokio::"x" "#, b"std::fs::read", '"', '\'', b'"', "\"crate::app::x");
    let side = crate::side::Side::Old;
    'x'
}
"####,
        &[],
    );
}

#[test]
fn circles_within_a_room_are_found() {
    let circle = "src/plan/build.rs, src/plan/live.rs: these files of one room import each other in a circle";
    check(
        "=== src/plan/build.rs\nuse crate::plan::live::Live;\n=== src/plan/live.rs\nuse super::build::Build;\n",
        &[circle],
    );
    let through_mod = "=== src/plan/mod.rs\nmod build;\nmod live;\npub use live::Live;\npub use build::Build as Built;\n";
    check(
        &format!(
            "{through_mod}=== src/plan/build.rs\nuse crate::plan::Live;\n=== src/plan/live.rs\n"
        ),
        &[],
    );
    check(
        &format!(
            "{through_mod}=== src/plan/build.rs\nuse super::Live;\n=== src/plan/live.rs\nuse super::build;\n"
        ),
        &[circle],
    );
    check(
        "=== src/compare/diff.rs\nmod lists;\nfn f() { lists::g() }\n=== src/compare/diff/lists.rs\nuse super::f;\n",
        &[
            "src/compare/diff.rs, src/compare/diff/lists.rs: these files of one room import each other in a circle",
        ],
    );
    check(
        "=== src/plan/build.rs\nuse super::live::Live;\n=== src/plan/live.rs\n#[cfg(test)]\nmod tests {\n    use super::super::build::Build;\n    use super::*;\n}\n",
        &[],
    );
    check(
        "=== src/message/hop.rs\n#[cfg(test)]\nmod tests;\n=== src/message/hop/tests.rs\nuse super::*;\n",
        &[],
    );
}

#[test]
fn the_outside_world_is_found_in_pure_rooms_only() {
    for (line, name) in [
        ("use tokio::sync::mpsc;", "tokio::sync::mpsc"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs::read"),
        ("use std::{fmt, env};", "std::env"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("use std::time;", "std::time"),
        ("use std::time::{Duration, Instant};", "std::time::Instant"),
        ("fn f() { metrics::counter!(\"x\"); }", "metrics::counter"),
        ("use hyper::body::*;", "hyper::body::*"),
        ("use std::time::*;", "std::time::*"),
    ] {
        check(
            &format!("=== src/route/key.rs\n\n{line}\n"),
            &[&format!("src/route/key.rs:2: a pure room names {name}")],
        );
        check(&format!("=== src/upstream/send.rs\n{line}\n"), &[]);
        check(
            &format!("=== src/json/path.rs\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n"),
            &[],
        );
    }
    check(
        "=== src/route/key.rs\nuse std::net::IpAddr;\nuse std::time::Duration;\nuse std::collections::HashMap;\n",
        &[],
    );
    check(
        "=== src/compare/diff.rs\nasync fn f() {}\n",
        &["src/compare/diff.rs:1: a pure room is async"],
    );
}

#[test]
fn long_files_are_found() {
    check(&format!("=== tests/it/x.rs\n{}", "\n".repeat(500)), &[]);
    check(
        &format!("=== src/side.rs\n{}", "\n".repeat(501)),
        &["src/side.rs: 501 lines, more than 500: split it by concern"],
    );
}
