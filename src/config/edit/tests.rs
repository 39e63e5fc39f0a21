use super::*;
use proptest::prelude::*;

const FILE: &str = "\
# the tags service
[migration]
name  = \"tags\"   # salt

# content
[[route]]
name    = \"content\"
match   = \"GET /contents/{content}\" # the page
key     = \"{path.content}\"
percent = 5       # five
shadow  = { timeout = \"2s\", percent = 10 } # ten

[[route]]
name = 'tags'
match = \"GET /tags\"

[route.compare]
ignore = [\"$..x\"]
";

/// What changed, as (lines that went, lines that came).
fn changed(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let (mut gone, mut come): (Vec<_>, Vec<_>) =
        (before.split('\n').collect(), after.split('\n').collect());
    while !gone.is_empty() && gone.first() == come.first() {
        gone.remove(0);
        come.remove(0);
    }
    while !gone.is_empty() && gone.last() == come.last() {
        gone.pop();
        come.pop();
    }
    let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
    (owned(gone), owned(come))
}

fn check(route: &str, key: &str, value: &str, gone: &[&str], come: &[&str]) {
    let edited = set_route(FILE, route, &[(key, value)]).unwrap();
    let found = changed(FILE, &edited);
    let owned = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found, (owned(gone), owned(come)), "{route} {key}={value}");
    // The same edit with the line ends of another system.
    let crlf = FILE.replace('\n', "\r\n");
    assert_eq!(
        set_route(&crlf, route, &[(key, value)]).unwrap(),
        edited.replace('\n', "\r\n")
    );
}

#[test]
fn a_value_is_written_over_and_comments_stay() {
    check(
        "content",
        "percent",
        "25",
        &["percent = 5       # five"],
        &["percent = 25       # five"],
    );
    check(
        "content",
        "percent",
        "0.25",
        &["percent = 5       # five"],
        &["percent = 0.25       # five"],
    );
    check(
        "content",
        "shadow",
        "50",
        &["shadow  = { timeout = \"2s\", percent = 10 } # ten"],
        &["shadow  = { timeout = \"2s\", percent = 50 } # ten"],
    );
    check(
        "content",
        "shadow",
        "{ percent = 1 }",
        &["shadow  = { timeout = \"2s\", percent = 10 } # ten"],
        &["shadow  = { percent = 1 } # ten"],
    );
    check(
        "content",
        "key",
        "{header.x-user}",
        &["key     = \"{path.content}\""],
        &["key     = \"{header.x-user}\""],
    );
    check(
        "tags",
        "name",
        "'all'",
        &["name = 'tags'"],
        &["name = 'all'"],
    );
}

#[test]
fn a_new_key_stands_below_the_last_one_of_its_route() {
    check("content", "serve", "old", &[], &["serve = \"old\""]);
    check("content", "serve", "\"old\"", &[], &["serve = \"old\""]);
    check("tags", "fallback", "false", &[], &["fallback = false"]);
    check("tags", "salt", "2024", &[], &["salt = \"2024\""]);
    check(
        "tags",
        "host",
        " tags.example.org ",
        &[],
        &["host = \"tags.example.org\""],
    );
    check(
        "tags",
        "read",
        "maybe \"not\"",
        &[],
        &["read = 'maybe \"not\"'"],
    );
    let edited = set_route(FILE, "tags", &[("percent", "100"), ("serve", "new")]).unwrap();
    assert!(
        edited.contains("match = \"GET /tags\"\npercent = 100\nserve = \"new\"\n\n[route.compare]")
    );
}

#[test]
fn every_form_that_toml_has_for_a_route() {
    let check = |text: &str, key: &str, value: &str, expected: &str| {
        assert_eq!(
            set_route(text, "a", &[(key, value)]).as_deref(),
            Ok(expected),
            "{text}"
        );
    };
    check(
        "route = [{ name = \"a\" }]",
        "percent",
        "1",
        "route = [{ name = \"a\", percent = 1 }]",
    );
    check(
        "route = [{ percent = 1, name = \"a\" }]",
        "percent",
        "2",
        "route = [{ percent = 2, name = \"a\" }]",
    );
    check(
        "[[route]]\n  name = \"a\"",
        "percent",
        "1",
        "[[route]]\n  name = \"a\"\n  percent = 1",
    );
    check(
        "[[route]]\nname = \"a\"\n[route.shadow]\n",
        "shadow",
        "1",
        "[[route]]\nname = \"a\"\n[route.shadow]\npercent = 1\n",
    );
    check(
        "[[route]]\nname = \"a\"\nshadow = {}\n",
        "shadow",
        "1",
        "[[route]]\nname = \"a\"\nshadow = { percent = 1 }\n",
    );
    check(
        "[[route]]\nname = \"a\"\nshadow.timeout = \"1s\"\n",
        "shadow",
        "1",
        "[[route]]\nname = \"a\"\nshadow.timeout = \"1s\"\nshadow.percent = 1\n",
    );
    check(
        "[[route]]\nname = \"a\"\nshadow.timeout = \"1s\"\n",
        "percent",
        "1",
        "[[route]]\nname = \"a\"\nshadow.timeout = \"1s\"\npercent = 1\n",
    );
    check(
        "[[route]]\nname = \"a\"\npin = {\n  new = [\"x\"], # one\n}\n# end\n",
        "percent",
        "1",
        "[[route]]\nname = \"a\"\npin = {\n  new = [\"x\"], # one\n}\npercent = 1\n# end\n",
    );
}

#[test]
fn the_total_switch() {
    let check = |text: &str, expected: Result<&str, EditError>| {
        assert_eq!(
            set_total(text, Serve::Old),
            expected.map(str::to_owned),
            "{text}"
        );
    };
    check(
        "[migration]\nserve = 'new' # x\n",
        Ok("[migration]\nserve = \"old\" # x\n"),
    );
    check(
        "[migration] # x\n\n[old]\n",
        Ok("[migration] # x\nserve = \"old\"\n\n[old]\n"),
    );
    check("[migration]", Ok("[migration]\nserve = \"old\""));
    check(
        "migration.name = \"a\"\r\n",
        Ok("migration.name = \"a\"\r\nmigration.serve = \"old\"\r\n"),
    );
    check(
        "migration = { name = \"a\" }",
        Ok("migration = { name = \"a\", serve = \"old\" }"),
    );
    check("[old]\n", Err(EditError::NoMigration));
    check("migration = 5\n", Err(EditError::NoMigration));
}

#[test]
fn what_cannot_be_edited_is_said() {
    let check = |text: &str, route: &str, key: &str, value: &str, expected: &str| {
        let error = set_route(text, route, &[(key, value)]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        FILE,
        "nope",
        "percent",
        "1",
        "no route has the name \"nope\"; the file has content, tags",
    );
    check(
        "",
        "nope",
        "percent",
        "1",
        "no route has the name \"nope\"; the file has no routes",
    );
    check(
        FILE,
        "tags",
        "percnt",
        "1",
        "a route has no key `percnt`: did you mean `percent`?",
    );
    check(
        FILE,
        "tags",
        "write",
        "1",
        "`write` is not implemented in this version",
    );
    check(
        FILE,
        "tags",
        "percent",
        " ",
        "`percent` has no value: write percent=VALUE",
    );
    check(
        FILE,
        "tags",
        "compare",
        "{}",
        "`compare` is a table of several lines: edit it in the file",
    );
    let twice = "[[route]]\nname = \"a\"\n[[route]]\nname = \"a\"\n";
    check(
        twice,
        "a",
        "percent",
        "1",
        "several routes have the name \"a\": give each a name of its own first",
    );
    let error = set_route("a = 1\nb = \"ü", "a", &[("percent", "1")]).unwrap_err();
    assert!(
        matches!(
            error,
            EditError::Syntax {
                line: 2,
                column: 7,
                ..
            }
        ),
        "{error}"
    );
    let error = set_total("a = ", Serve::Old).unwrap_err();
    assert!(
        matches!(error, EditError::Syntax { line: 1, .. }),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_edit_says_what_was_meant_and_nothing_else(
        route in prop_oneof![Just("content"), Just("tags")],
        key in prop_oneof![Just("salt"), Just("key"), Just("host"), Just("serve")],
        value in "\\PC{0,12}[a-z]",
    ) {
        let edited = set_route(FILE, route, &[(key, &value)]).unwrap();
        let tables: toml::Table = edited.parse().unwrap();
        let mut expected: toml::Table = FILE.parse().unwrap();
        for found in expected["route"].as_array_mut().unwrap() {
            if found["name"].as_str() == Some(route) {
                let text = value.trim().parse::<Value>().ok().and_then(|v| v.as_str().map(str::to_owned));
                let text = text.unwrap_or_else(|| value.trim().to_owned());
                found.as_table_mut().unwrap().insert(key.to_owned(), text.into());
            }
        }
        prop_assert_eq!(tables, expected);
        let again = set_route(&edited, route, &[(key, &value)]).unwrap();
        prop_assert_eq!(again, edited);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), value in any::<String>()) {
        let _ = set_total(&text, Serve::Old);
        let _ = set_route(&text, "a", &[("percent", &value)]);
        let _ = set_route(FILE, "tags", &[("percent", &value)]);
    }
}
