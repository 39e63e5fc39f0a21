//! Mistakes in `[[route]]`, and twelve of all kinds in one file.

use super::mistakes::{check_route, found};
use super::{HEAD, REFERENCE, read};

#[test]
fn names() {
    let check = |names: &[&str], expected: &[&str]| {
        let routes: String = names
            .iter()
            .enumerate()
            .map(|(n, name)| format!("[[route]]\nname = \"{name}\"\nmatch = \"GET /{n}\"\n"))
            .collect();
        assert_eq!(found(&format!("{HEAD}{routes}")), expected, "{names:?}");
    };
    check(&["a", "0", "a.b_c-d"], &[]);
    check(&["A"], &["8:9-8:10 bad-name route[0].name"]);
    check(&["a b"], &["8:10-8:11 bad-name route[0].name"]);
    check(&[".a"], &["8:9-8:10 bad-name route[0].name"]);
    check(&["ä"], &["8:9-8:10 bad-name route[0].name"]);
    check(&[""], &["8:9-8:10 bad-name route[0].name"]);
    check(&[&"a".repeat(64)], &[]);
    check(&[&"a".repeat(65)], &["8:73-8:74 bad-name route[0].name"]);
    check(
        &["unmatched", "other"],
        &[
            "8:8-8:19 reserved-name route[0].name",
            "11:8-11:15 reserved-name route[1].name",
        ],
    );
    check(
        &["a", "b", "a", "a"],
        &[
            "14:8-14:11 duplicate-name route[2].name",
            "17:8-17:11 duplicate-name route[3].name",
        ],
    );
    let salted = format!("{HEAD}[[route]]\nname = \"a\"\nmatch = \"GET /\"\nsalt = \"\"\n");
    assert_eq!(found(&salted), ["10:8-10:10 bad-name route[0].salt"]);
}

#[test]
fn templates_and_paths_are_shown_inside_the_text() {
    let check = |line: &str, expected: &str| {
        let text = format!("{HEAD}[[route]]\nname = \"a\"\n{line}\n");
        assert_eq!(found(&text), [expected], "{line}");
    };
    check("match = \"GET\"", "9:13-9:14 bad-match route[0].match");
    check(
        "match = \"GET /a/{x}/{x}\"",
        "9:21-9:22 bad-match route[0].match",
    );
    check_route("key = \"{path.id\"", "10:8-10:9 bad-key route[0].key");
    check_route("key = \"ü{nope.x}\"", "10:10-10:11 bad-key route[0].key");
    check_route(
        "key = \"\\u00fc{nope.x}\"",
        "10:15-10:16 bad-key route[0].key",
    );
    check_route(
        "key = '{path.id}-{path.nope}'",
        "10:19-10:28 unknown-placeholder route[0].key",
    );
    check_route(
        "key = \"{header.x|path.x}{path.x}\"",
        "10:18-10:24 unknown-placeholder route[0].key",
    );
    check_route(
        "compare = { ignore = [\"$.a[?@.b]\"] }",
        "10:28-10:29 bad-path route[0].compare.ignore[0]",
    );
    check_route(
        "compare = { unordered = [\"tags\"] }",
        "10:27-10:28 bad-path route[0].compare.unordered[0]",
    );
    check_route(
        "compare = { match_by = { \"items\" = \"id\" } }",
        "10:27-10:28 bad-path route[0].compare.match_by.items",
    );
}

#[test]
fn what_needs_a_key_or_a_read() {
    check_route(
        "percent = 5",
        "10:11-10:12 percent-without-key route[0].percent",
    );
    check_route(
        "percent = 99.99",
        "10:11-10:16 percent-without-key route[0].percent",
    );
    check_route(
        "pin = { new = [\"a\"] }",
        "10:7-10:22 pin-without-key route[0].pin",
    );
    check_route(
        "key = \"{path.id}\"\npin = { new = [\"a\", \"b\"], old = [\"c\", \"b\", \"b\"] }",
        "11:39-11:42 pin-on-both-sides route[0].pin.old[1]",
    );
    check_route(
        "key = \"{path.id}\"\npin = { new = [\"\"] }",
        "11:16-11:18 bad-value route[0].pin.new[0]",
    );
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(
            found(&format!("{HEAD}[[route]]\nname = \"a\"\n{text}\n")),
            expected,
            "{text}"
        );
    };
    check(
        "match = \"POST /\"\npercent = 100",
        &["10:11-10:14 no-reads route[0].percent"],
    );
    check(
        "match = \"PUT,DELETE /\"\nshadow = 1",
        &["10:10-10:11 no-reads route[0].shadow"],
    );
    check(
        "match = \"PATCH /\"\nkey = \"x\"\npin = { old = [\"a\"] }",
        &["11:7-11:22 no-reads route[0].pin"],
    );
    check("match = \"POST /\"\npercent = 0\nshadow = 0", &[]);
    check("match = \"POST /\"\npercent = 100\nread = true", &[]);
    check("match = \"POST,GET /\"\npercent = 100\nshadow = 5", &[]);
    check("match = \"* /\"\npercent = 100", &[]);
    check(
        "match = \"* /\"\nread = true",
        &["10:8-10:12 read-methods route[0].read"],
    );
    check(
        "match = \"POST,DELETE /\"\nread = true\npercent = 100",
        &["10:8-10:12 read-methods route[0].read"],
    );
    check("match = \"GET,HEAD,OPTIONS,POST,PUT /\"\nread = true", &[]);
}

#[test]
fn twelve_mistakes_are_twelve_problems() {
    let text = r#"# twelve
[migration]
name = "tags
serve = "olt"

[server]
listen = "localhost:8080"
worker = 2

[old]
url = "ftp://127.0.0.1:7001"
timeout = "15 seconds"

[new]
url = http://127.0.0.1:7002

[[route]]
name = "content"
match = "GET /contents/{content}"
key = "{path.contents}"
percent = 150

[[route]]
name = "content"
match = "GET /contents/{content}/tags"
percent = 5
pin = { new = ["a", "b"
shadow = 100
"#;
    assert_eq!(
        found(text),
        [
            "3:8-3:13 syntax",
            "4:9-4:14 bad-value migration.serve",
            "7:10-7:26 bad-address server.listen",
            "8:1-8:7 unknown-key server.worker",
            "11:8-11:9 bad-url old.url",
            "12:11-12:23 bad-duration old.timeout",
            "15:7-15:28 syntax",
            "20:9-20:22 unknown-placeholder route[0].key",
            "21:11-21:14 out-of-range route[0].percent",
            "24:8-24:17 duplicate-name route[1].name",
            "26:11-26:12 percent-without-key route[1].percent",
            "27:7-27:8 syntax",
        ]
    );
}

#[test]
fn one_lost_character_never_makes_a_flood() {
    let lost =
        |at: usize, c: char| format!("{}{}", &REFERENCE[..at], &REFERENCE[at + c.len_utf8()..]);
    let counts: Vec<usize> = REFERENCE
        .char_indices()
        .map(|(at, c)| read(&lost(at, c)).problems.len())
        .collect();
    assert!(counts.iter().all(|count| *count <= 3), "{counts:?}");
    // Nearly every slip is one problem; where it makes a read a write, each key that needs reads is one.
    let several = counts.iter().filter(|count| **count > 1).count();
    assert!(several * 50 < counts.len(), "{several} of {}", counts.len());
}

#[test]
fn a_broken_header_does_not_take_its_table_along() {
    let check = |broken: &str, expected: &[&str]| {
        let text = HEAD.replace("[old]", broken);
        assert_eq!(found(&text), expected, "{text}");
    };
    check("[old", &["3:5-3:5 syntax"]);
    check("old]", &["3:4-3:5 syntax"]);
    check("[old] x", &["3:7-3:8 syntax"]);
    check("[o ld]", &["3:3-3:4 syntax"]);
    check(
        "[old]\nurl = \"http://x\"\n[old]",
        &["5:2-5:5 duplicate-key"],
    );
    let routes = format!("{HEAD}[[route]\nname = \"a\"\nmatch = \"GET /\"\npercent = 500\n");
    assert_eq!(
        found(&routes),
        [
            "7:9-7:9 syntax",
            "10:11-10:14 out-of-range route[0].percent"
        ]
    );
}
