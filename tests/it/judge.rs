//! `crossfade judge`: pairs that others recorded.

use crate::harness::program::{crossfade, output};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Output;

fn judge(folder: &Path, pairs: &str, more: &[&str]) -> Output {
    fs::write(folder.join("pairs.ndjson"), pairs).unwrap();
    let mut arguments = vec!["judge", "--pairs", "pairs.ndjson"];
    arguments.extend(more);
    output(crossfade(folder, &arguments))
}

#[track_caller]
fn report(folder: &Path, pairs: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["--output", "json"];
    arguments.extend(more);
    let said = judge(folder, pairs, &arguments);
    assert_eq!(
        said.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    serde_json::from_slice(&said.stdout).unwrap()
}

const RULES: &str = r#"
[migration]
name = "tags"
[old]
url = "http://127.0.0.1:1"
[new]
url = "http://127.0.0.1:2"
[[route]]
name = "tags"
match = "GET /tags"
compare = { ignore = ["$.at"], unordered = ["$.list"] }
"#;

#[test]
fn each_pair_has_the_verdict_of_its_looks() {
    let folder = tempfile::tempdir().unwrap();
    let line = |old: &str, new: &str, again: Option<(&str, &str)>| {
        let again = again.map_or_else(String::new, |(old, new)| {
            format!(", \"old2\": {old}, \"new2\": {new}")
        });
        format!("{{\"route\": \"a\", \"old\": {old}, \"new\": {new}{again}}}\n")
    };
    let verdict = |line: String| {
        let report = report(folder.path(), &line, &[]);
        let verdicts = report["verdicts"].as_object().unwrap();
        let some = verdicts.iter().filter(|(_, pairs)| **pairs == json!(1));
        some.map(|(verdict, _)| verdict.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (old, new, again, expected) in [
        ("1", "1.0", None, "match"),
        ("[1e400]", "[10e399]", None, "match"),
        ("9007199254740993", "9007199254740992", None, "mismatch"),
        ("null", "{}", None, "mismatch"),
        ("1", "2", None, "mismatch"),
        // Old moved on; both did; neither; each other's; new alone went back.
        ("1", "2", Some(("2", "2")), "transient"),
        ("1", "2", Some(("3", "3")), "transient"),
        ("1", "2", Some(("1", "2")), "mismatch"),
        ("1", "2", Some(("2", "1")), "mismatch"),
        ("1", "2", Some(("1", "1")), "mismatch"),
    ] {
        assert_eq!(
            verdict(line(old, new, again)),
            expected,
            "{old} {new} {again:?}"
        );
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(verdict(line(&deep, "2", None)), "incomparable");
}

#[test]
fn a_file_of_pairs_becomes_a_report_of_this_form() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), RULES).unwrap();
    let mut pairs = String::new();
    for number in 0..40 {
        // By the rules of the file these are equal; of a route that it lacks the same differ.
        for route in ["tags", "other"] {
            let at = 1_700_000_000 + number;
            writeln!(
                pairs,
                r#"{{"route": "{route}", "key": "k{number}", "at": {at}, "old": {{"at": 1, "list": [1, 2]}}, "new": {{"at": 2, "list": [2, 1]}}}}"#
            )
            .unwrap();
        }
        writeln!(
            pairs,
            r#"{{"route": "tags", "key": "k{number}", "at": "2026-01-01T00:00:00Z", "old": {{"name": "N{number}"}}, "new": {{"name": "n{number}"}}, "old2": {{"name": "N{number}"}}, "new2": {{"name": "n{number}"}}}}"#
        )
        .unwrap();
    }
    let report = report(folder.path(), &pairs, &[]);
    assert_eq!(report["pairs"], 120);
    assert_eq!(
        report["verdicts"],
        json!({"match": 40, "noise": 0, "mismatch": 80, "transient": 0, "lag": 0, "incomparable": 0})
    );
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&report), ["pairs", "verdicts", "fields", "causes"]);
    let fields = report["fields"].as_array().unwrap();
    let field = |route: &str, path: &str| {
        let mut named = fields
            .iter()
            .filter(|row| row["route"] == route && row["path"] == path);
        named.next().unwrap()
    };
    let name = field("tags", "$.name");
    assert_eq!(
        names(name),
        [
            "route", "path", "state", "kinds", "aligned", "crossed", "e", "rate", "low", "high",
            "trials"
        ]
    );
    assert_eq!(name["kinds"], json!(["changed"]));
    // Each key counts once an hour.
    assert_eq!(
        (&name["aligned"], &name["crossed"]),
        (&json!(40), &json!(0))
    );
    assert_eq!(field("other", "$.list")["kinds"], json!(["order"]));
    let causes = report["causes"].as_array().unwrap();
    let of_tags: Vec<_> = causes.iter().filter(|row| row["route"] == "tags").collect();
    assert_eq!(of_tags.len(), 1, "{causes:#?}");
    assert_eq!(
        names(of_tags[0]),
        [
            "id", "route", "paths", "kinds", "shape", "pairs", "keys", "share"
        ]
    );
    assert_eq!(of_tags[0]["paths"], json!(["$.name"]));
    assert_eq!(of_tags[0]["shape"], "case");
    assert_eq!(
        (&of_tags[0]["pairs"], &of_tags[0]["share"]),
        (&json!(40), &json!(1.0))
    );

    // Without the file there are no rules.
    fs::remove_file(folder.path().join("routes.toml")).unwrap();
    let said = judge(folder.path(), &pairs, &["--output", "json"]);
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(report["verdicts"]["mismatch"], 120);
    // For people.
    let said = judge(folder.path(), &pairs, &[]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.starts_with("120 pairs, 120 mismatch\n"), "{text}");
    assert!(text.contains("$.name"), "{text}");
}

#[test]
fn bad_lines_are_told_and_the_others_judged() {
    let folder = tempfile::tempdir().unwrap();
    let good = "{\"route\": \"a\", \"old\": 1, \"new\": 2}\n";
    let pairs = format!(
        "{good}nothing\n\n{good}{{\"route\": \"a\"}}\n{good}{}",
        &good[..20]
    );
    let said = judge(folder.path(), &pairs, &["--output", "json"]);
    assert_eq!(said.status.code(), Some(2));
    let told = String::from_utf8(said.stderr).unwrap();
    for line in ["line 2: ", "line 5: missing field `old`", "line 7: "] {
        assert!(told.contains(line), "{told}");
    }
    assert!(!told.contains("line 3"), "{told}");
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(
        (&report["pairs"], &report["verdicts"]["mismatch"]),
        (&json!(3), &json!(3))
    );
    // Many are counted.
    let said = judge(folder.path(), &"x\n".repeat(100), &[]);
    let told = String::from_utf8(said.stderr).unwrap();
    assert_eq!(told.matches("line ").count(), 20, "{told}");
    assert!(told.contains("80 bad lines more"), "{told}");
    for (arguments, told) in [
        (
            &["--pairs", "absent.ndjson"][..],
            "absent.ndjson can't be read",
        ),
        (
            &["--pairs", "pairs.ndjson", "--config", "absent.toml"],
            "absent.toml",
        ),
    ] {
        let said = output(crossfade(folder.path(), &[&["judge"], arguments].concat()));
        assert_eq!(said.status.code(), Some(2));
        let text = String::from_utf8(said.stderr).unwrap();
        assert!(text.contains(told), "{text}");
        assert!(said.stdout.is_empty());
    }
}

#[test]
fn a_rare_defect_is_told_from_noise_on_the_same_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let mut pairs = String::new();
    for number in 0..30_000 {
        let key = format!("k{}", random.u32(..20_000));
        // Each answer says one of two times, by chance; new says another name for a few keys.
        let mut time = || {
            ["\"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:01Z\""]
                [usize::from(random.u8(..20) == 0)]
        };
        let times = [time(), time(), time(), time()];
        let wrong = number % 200 == 0;
        let name = if wrong { "\"wrong\"" } else { "\"right\"" };
        write!(
            pairs,
            "{{\"route\": \"a\", \"key\": \"{key}\", \"at\": {}, \"old\": {{\"t\": {}, \"n\": \"right\"}}, \"new\": {{\"t\": {}, \"n\": {name}}}",
            1_700_000_000 + number / 100,
            times[0],
            times[1],
        )
        .unwrap();
        // As the proxy would: what differs is asked again, and of the others one in fifty.
        if times[0] != times[1] || wrong || number % 50 == 1 {
            write!(
                pairs,
                ", \"old2\": {{\"t\": {}, \"n\": \"right\"}}, \"new2\": {{\"t\": {}, \"n\": {name}}}",
                times[2], times[3]
            )
            .unwrap();
        }
        pairs.push_str("}\n");
    }
    let report = report(folder.path(), &pairs, &[]);
    let fields = report["fields"].as_array().unwrap();
    let state = |path: &str| {
        let mut named = fields.iter().filter(|row| row["path"] == path);
        named.next().unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (state("$.n"), state("$.t")),
        ("suspicious".to_owned(), "noisy".to_owned()),
        "{fields:#?}"
    );
    let paths: HashSet<&str> = fields
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths.len(), 2);
    assert!(
        report["verdicts"]["noise"].as_u64().unwrap() > 100,
        "{}",
        report["verdicts"]
    );
    assert!(
        report["verdicts"]["mismatch"].as_u64().unwrap() >= 150,
        "{}",
        report["verdicts"]
    );
}

#[test]
fn identities_are_learnt_from_the_pairs_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let rules = RULES.replace(
        "compare = {",
        "compare = { map = { \"$.id\" = \"tag-id\" },",
    );
    let rules = rules.replace("[[route]]", "[ids.tag-id]\n[[route]]");
    fs::write(folder.path().join("routes.toml"), rules).unwrap();
    let line = |key: &str, old: u8, new: u8| {
        format!(
            "{{\"route\": \"tags\", \"key\": {key:?}, \"old\": {{\"id\": {old}}}, \"new\": {{\"id\": {new}}}}}\n"
        )
    };
    let pairs = [
        line("a", 7, 9),
        line("a", 7, 9),
        // Nothing is sure yet.
        line("b", 7, 8),
        line("a", 7, 9),
        line("b", 7, 9),
        line("c", 7, 8),
        line("c", 7, 7),
    ];
    let said = report(folder.path(), &pairs.concat(), &[]);
    let verdicts = &said["verdicts"];
    assert_eq!(
        (
            &verdicts["match"],
            &verdicts["incomparable"],
            &verdicts["mismatch"]
        ),
        (&json!(3), &json!(2), &json!(2)),
        "{said}"
    );
    assert_eq!(said["causes"][0]["shape"], "identity");
    // As names they are of this route alone.
    let other = pairs.concat().replace("\"tags\"", "\"other\"");
    let said = report(folder.path(), &other, &[]);
    assert_eq!(said["verdicts"]["match"], 1);
}
