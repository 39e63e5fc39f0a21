//! `[ids]`, and what routes ask of it.

use super::mistakes::{check_in, found};
use super::{HEAD, good, read};

/// A good head, these lines, and a route with this `compare`.
fn file(lines: &str, compare: &str) -> String {
    format!(
        "{HEAD}{lines}\n[[route]]\nname = \"a\"\nmatch = \"GET /a\"\ncompare = {{ {compare} }}\n"
    )
}

#[test]
fn names_and_what_asks_for_them() {
    let text = "[ids.tag-id]\n[ids.\"user.id\"]\nmax_pairs = 10_000_000\n";
    let map = "map = { \"$.id\" = \"tag-id\", \"$..user\" = \"user.id\", \"$.next\" = \"tag-id\" }, ignore = [\"$.id\"], tolerance = { \"$.id\" = 1 }";
    let settings = good(&file(text, map));
    let bounds: Vec<_> = settings.id_bounds().collect();
    assert_eq!(bounds, [("tag-id", 1_000_000), ("user.id", 10_000_000)]);
    let rules = &settings.routes[0].compare;
    let ids = rules.ids.iter();
    let ids: Vec<_> = ids.map(|(path, name)| (path.as_str(), &**name)).collect();
    let expected = [
        ("$.id", "tag-id"),
        ("$..user", "user.id"),
        ("$.next", "tag-id"),
    ];
    assert_eq!(ids, expected);
    assert_eq!(rules.id_names(), ["tag-id", "user.id"]);
    assert!(good(HEAD).ids.is_empty());
    assert!(good(&file("", "map = {}")).ids.is_empty());
    let inline = good(&file(
        "[ids]\nx = { max_pairs = 1 }",
        "map = { \"$\" = \"x\" }",
    ));
    assert_eq!(inline.id_bounds().collect::<Vec<_>>(), [("x", 1)]);
}

#[test]
fn what_is_wrong_with_them() {
    check_in(
        "[ids.x]",
        "max_pairs = 0",
        "8:13-8:14 out-of-range ids.x.max_pairs",
    );
    check_in(
        "[ids.x]",
        "max_pairs = 10_000_001",
        "8:13-8:23 out-of-range ids.x.max_pairs",
    );
    check_in(
        "[ids.x]",
        "max_pairs = \"1\"",
        "8:13-8:16 wrong-type ids.x.max_pairs",
    );
    check_in(
        "[ids.x]",
        "max_pair = 1",
        "8:1-8:9 unknown-key ids.x.max_pair",
    );
    check_in("[ids]", "x = 5", "8:5-8:6 wrong-type ids.x");
    check_in("[ids]", "Tag = {}", "8:1-8:2 bad-name ids.Tag");
    check_in("[ids]", "\"a b\" = {}", "8:3-8:4 bad-name ids.\"a b\"");
    let check = |lines: &str, compare: &str, expected: &[&str]| {
        assert_eq!(found(&file(lines, compare)), expected, "{lines} {compare}");
    };
    check(
        "[ids.tag-id]",
        "map = { \"$.id\" = \"tag\" }",
        &["11:30-11:35 unknown-ids route[0].compare.map.\"$.id\""],
    );
    check(
        "",
        "map = { \"$.id\" = \"tag\" }",
        &["11:30-11:35 unknown-ids route[0].compare.map.\"$.id\""],
    );
    check(
        "[ids.x]",
        "map = { \"$.id\" = 5 }",
        &["11:30-11:31 wrong-type route[0].compare.map.\"$.id\""],
    );
    check(
        "[ids.x]",
        "map = { \"id\" = \"x\" }",
        &["11:22-11:23 bad-path route[0].compare.map.id"],
    );
    check(
        "[ids.x]",
        "map = [\"$.id\"]",
        &["11:19-11:27 wrong-type route[0].compare.map"],
    );
    // A table that is wrong is known all the same.
    check(
        "[ids.x]\nmax_pairs = -1",
        "map = { \"$.id\" = \"x\" }",
        &["8:13-8:15 out-of-range ids.x.max_pairs"],
    );
    check(
        "[[ids]]",
        "map = { \"$.id\" = \"x\" }",
        &["7:1-7:8 wrong-type ids"],
    );
    let hint = |lines: &str| {
        let text = file(lines, "map = { \"$.id\" = \"tag\" }");
        read(&text).problems[0].hint.clone().unwrap()
    };
    assert_eq!(hint("[ids.tag-id]\n[ids.x]"), "[ids] has `tag-id` and `x`");
    assert!(hint("").contains("[ids.tag-id]"));
}

#[test]
fn a_name_that_nobody_asks_for_is_told() {
    let text = file("[ids.x]\n[ids.y]", "map = { \"$.id\" = \"x\" }");
    assert_eq!(found(&text), ["8:6-8:7 unused-ids ids.y"]);
    assert!(read(&text).settings.is_some(), "a warning stops nothing");
    // What follows from another problem is not told.
    let text = text.replace("\"$.id\" = \"x\"", "\"id\" = \"x\"");
    assert_eq!(found(&text).len(), 1);
}
