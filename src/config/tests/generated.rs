//! Files made at random: valid ones load, and no text panics.

use super::{HEAD, read};
use crate::config::{Colour, is_valid, render};
use proptest::prelude::*;

fn optional(line: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        line.prop_map(|line| format!("{line}\n"))
    ]
}

fn duration() -> impl Strategy<Value = String> {
    (
        1u32..600,
        prop_oneof![Just("ms"), Just("s"), Just("m"), Just("h")],
    )
        .prop_map(|(n, unit)| format!("\"{n}{unit}\""))
}

fn percent() -> impl Strategy<Value = String> {
    (0u32..=10_000).prop_map(|steps| format!("{}.{:02}", steps / 100, steps % 100))
}

fn serve() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("old"), Just("split"), Just("new")]
}

fn side(name: &'static str) -> impl Strategy<Value = String> {
    let host = prop_oneof![
        Just("127.0.0.1"),
        Just("[::1]"),
        Just("tags.internal"),
        Just("${HOST}")
    ];
    // Above all ports that the proxy listens on: a side that is the proxy itself earns a warning.
    let url = (host, optional(Just(String::new())), 10_000u16..).prop_map(|(host, slash, port)| {
        format!(
            "url = \"http://{host}:{port}{}\"\n",
            if slash.is_empty() { "" } else { "/" }
        )
    });
    let rest = (
        optional(duration().prop_map(|d| format!("connect_timeout = {d}"))),
        optional(duration().prop_map(|d| format!("timeout = {d}"))),
        optional("preserve|upstream|[a-z]{1,8}[.]org".prop_map(|h| format!("host = \"{h}\""))),
        optional(
            (1u32..5000, 0u32..5000, duration()).prop_map(|(max, queue, age)| {
                format!("pool = {{ max_connections = {max}, queue = {queue}, max_age = {age} }}")
            }),
        ),
    );
    (url, rest).prop_map(move |(url, (a, b, c, d))| format!("[{name}]\n{url}{a}{b}{c}{d}"))
}

fn route() -> impl Strategy<Value = String> {
    let keyed = (
        percent(),
        optional("[a-z]{1,5}".prop_map(|k| format!("pin = {{ new = [\"{k}\"] }}"))),
    )
        .prop_map(|(percent, pin)| {
            format!("key = \"u-{{path.id|header.x-user}}\"\npercent = {percent}\n{pin}")
        });
    let bare = prop_oneof![Just(String::new()), Just("percent = 100\n".to_owned())];
    let shadow = prop_oneof![
        percent().prop_map(|p| format!("shadow = {p}")),
        (percent(), duration()).prop_map(|(p, d)| format!(
            "shadow = {{ percent = {p}, timeout = {d}, max_body = \"64KiB\" }}"
        )),
    ];
    let fallback = prop_oneof![
        any::<bool>().prop_map(|b| format!("fallback = {b}")),
        duration().prop_map(|d| format!("fallback = {{ after = {d} }}")),
    ];
    let compare = (any::<bool>(), 0u32..100).prop_map(|(null, by)| {
        format!("compare = {{ ignore = [\"$..a\"], null_is_absent = {null}, tolerance = {{ \"$.b\" = 0.{by} }} }}")
    });
    let split = prop_oneof![keyed.boxed(), bare.boxed()];
    (
        split,
        optional(shadow),
        optional(fallback),
        optional(compare),
        serve(),
    )
        .prop_map(|(split, shadow, fallback, compare, serve)| {
            format!("{split}serve = \"{serve}\"\n{shadow}{fallback}{compare}")
        })
}

/// A valid file.
fn file() -> impl Strategy<Value = String> {
    let server = (1u16..9000, 0u32..64, any::<bool>()).prop_map(|(port, workers, debug)| {
        format!("[server]\nlisten = \"127.0.0.2:{port}\"\nworkers = {workers}\ndebug_headers = {debug}\n")
    });
    let routes = prop::collection::vec(route(), 0..6);
    (serve(), optional(server), side("old"), side("new"), routes).prop_map(
        |(serve, server, old, new, routes)| {
            let routes: String = routes
                .iter()
                .enumerate()
                .map(|(n, route)| {
                    format!("[[route]]\nname = \"r{n}\"\nmatch = \"GET,PUT /r{n}/{{id}}\"\n{route}")
                })
                .collect();
            format!("[migration]\nname = \"m\"\nserve = \"{serve}\"\n{server}{old}{new}{routes}")
        },
    )
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    let loaded = read(text);
    prop_assert_eq!(
        loaded.settings.is_some(),
        is_valid(&loaded.problems),
        "{:#?}",
        loaded.problems
    );
    let lines = text.split('\n').count();
    for problem in &loaded.problems {
        prop_assert!(
            (1..=lines).contains(&problem.line) && problem.column > 0,
            "{problem:?}"
        );
        prop_assert!(
            (problem.line, problem.column) <= (problem.end_line, problem.end_column),
            "{problem:?}"
        );
        prop_assert!(problem.hint.is_some(), "{problem:?}");
    }
    let page = render(&loaded.problems, "routes.toml", text, Colour::Off);
    prop_assert_eq!(page.is_empty(), loaded.problems.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_valid_file_loads(text in file()) {
        let loaded = read(&text);
        prop_assert!(loaded.problems.is_empty(), "{text}\n{:#?}", loaded.problems);
        prop_assert!(loaded.settings.is_some());
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        check_any(&text)?;
    }

    #[test]
    fn no_toml_like_text_panics(text in "(\\PC|[\n\r\t\"'=\\[\\]{}#,.]|name|route|= 1|\\[\\[route\\]\\]\n){0,60}") {
        check_any(&format!("{HEAD}{text}"))?;
    }

    #[test]
    fn no_damage_to_a_valid_file_panics(text in file(), from in 0usize..400, length in 0usize..12, with in "\\PC{0,4}") {
        let chars: Vec<char> = text.chars().collect();
        let from = from.min(chars.len());
        let to = (from + length).min(chars.len());
        let damaged: String = chars[..from].iter().copied().chain(with.chars()).chain(chars[to..].iter().copied()).collect();
        check_any(&damaged)?;
    }
}
