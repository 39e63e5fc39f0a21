use super::*;
use proptest::prelude::*;

/// `line:column code` of each problem.
fn check(text: &str, expected: &[&str], readable: bool) {
    let mut source = Source::new(text);
    source.problems.sort_by_key(|p| (p.line, p.column));
    let found: Vec<_> = source
        .problems
        .iter()
        .map(|p| format!("{}:{} {}", p.line, p.column, p.code))
        .collect();
    assert_eq!(found, expected, "{text}\n{:#?}", source.problems);
    assert_eq!(source.readable, readable, "{text}");
}

#[test]
fn each_mistake_is_one_problem() {
    check("a = 1\n", &[], true);
    check(
        "a = \"x\nb = 1\nc = 'y\n",
        &["1:5 syntax", "3:5 syntax"],
        true,
    );
    check("a = old\nb = 1\n", &["1:5 syntax"], true);
    check("a 5\nb = 1\n", &["1:3 syntax"], true);
    check("a\nb = 1\n", &["1:2 syntax"], true);
    check("a =\nb = 1\n", &["1:4 syntax"], true);
    check(
        "a = [1, 2\nb = 1\nc = 2\n[d]\ne = 1\n",
        &["1:5 syntax"],
        true,
    );
    check("a = { b = 1\nc = 1\nd = 2\n", &["1:5 syntax"], true);
    check("a = [1 2]\nb = }\n", &["1:6 syntax", "2:5 syntax"], true);
    check("[a\nb = 1\n[c]\nd = 1\n", &["1:3 syntax"], true);
    check("[[a]\nb = 1\n[[a]]\nd = 1\n", &["1:5 syntax"], true);
    check("[a]\nb = 1\n[a]\nb = 2\n", &["3:2 duplicate-key"], true);
    check(
        "a = 1\na = 2\na = 3\n",
        &["2:1 duplicate-key", "3:1 duplicate-key"],
        true,
    );
    check("a = { b = 1, b = 2 }\n", &["1:14 duplicate-key"], true);
    check("a = \"\"\"x\nb = 1\n[c]\n", &["1:5 syntax"], true);
    check("a = \"ü\\q\"\n", &["1:8 syntax"], true);
    check("= 1\nb = 1\n", &["1:1 syntax"], true);
    check("a = 1 2\nb = 1\n", &["1:5 syntax"], true);
    check("a = 1 b = 2\nc = 1\n", &["1:5 syntax"], true);
    check("# \u{1}\na = 1\n", &["1:3 syntax"], true);
    check(
        "a = 01\nb = 1__0\nc = 2020-13-01\n",
        &["1:5 syntax", "2:6 syntax", "3:5 syntax"],
        true,
    );
    check("[a] b\nc = 1\n", &["1:5 syntax"], true);
    check("a]\nb = 1\n", &["1:2 syntax"], true);
    check(
        "a = 1[b]\nc = 1\n[b]\n",
        &["1:6 syntax", "3:2 duplicate-key"],
        true,
    );
    check(
        "a = \"x\"b = 2\nc = 1\nb = 1",
        &["1:8 syntax", "3:1 duplicate-key"],
        true,
    );
    check("[a b]\nc = 1\n[a.d]\ne = 1\n[f]\n", &["1:3 syntax"], true);
    check("}\n", &["1:1 syntax"], true);
}

#[test]
fn places_lead_back_to_the_text() {
    let text = "a = [1\nb = 1\nc =\nd = 2\n";
    let source = Source::new(text);
    assert_eq!(source.toml, "a =0\nb = 1\nc =0\nd = 2\n");
    for key in ["b = 1", "d = 2"] {
        let at = source.toml.find(key).unwrap();
        assert_eq!(&text[source.original(&(at..at + key.len()))], key);
    }
    assert!(source.hides(&source.original(&(3..4))));
    assert!(!source.hides(&source.original(&(5..6))));
    assert!(!source.lossy);
}

#[test]
fn a_text_that_is_no_toml_is_told_briefly() {
    let text = "{ \"json\": 1 }\n".repeat(500);
    let source = Source::new(&text);
    assert_eq!(source.problems.len(), MOST);
    assert!(!source.readable);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn any_text_becomes_toml_or_is_given_up(text in "(\\PC|[\n\r\t\"'=\\[\\]{}#,.a1 ]){0,60}") {
        let source = Source::new(&text);
        prop_assert_eq!(source.problems.is_empty(), first_error(&text).is_none());
        if source.readable {
            prop_assert!(first_error(&source.toml).is_none());
        }
    }
}
