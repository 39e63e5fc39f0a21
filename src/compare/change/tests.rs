use super::*;
use crate::compare::{Kind, Rules, compare_documents};
use proptest::prelude::*;

/// The change that is found between two documents, each a value by itself or a member.
fn form(old: &str, new: &str) -> Form {
    let comparison = compare_documents(old.as_bytes(), new.as_bytes(), &Rules::default());
    let [found] = &comparison.divergences[..] else {
        panic!("{old} {new}: {:?}", comparison.divergences);
    };
    found.change.form
}

#[track_caller]
fn check(old: &str, new: &str, from: Type, to: Type, traits: &[Trait]) {
    let traits = traits.iter().copied().collect();
    assert_eq!(
        form(old, new),
        Form::Values { from, to, traits },
        "{old} {new}"
    );
}

#[test]
fn types_are_told() {
    check("null", "\"\"", Type::Null, Type::String, &[]);
    check("1", "\"1\"", Type::Number, Type::String, &[]);
    check("{\"a\":null}", "{}", Type::Null, Type::Absent, &[]);
    check("{}", "{\"a\":[1]}", Type::Absent, Type::Array, &[]);
    check("[1,2]", "[1,2,{}]", Type::Absent, Type::Object, &[]);
    check("true", "false", Type::Bool, Type::Bool, &[]);
    check("{}", "<", Type::Document, Type::Bytes, &[]);
    check("", "{}", Type::Absent, Type::Document, &[]);
}

#[test]
fn texts_have_these_in_common() {
    for (old, new, traits) in [
        ("Tag", "tag", &[Trait::Case][..]),
        ("a b", " a  b\\n", &[Trait::Whitespace]),
        ("/a", "/a/", &[Trait::TrailingSlash]),
        (
            "2024-01-01T10:00:00Z",
            "2024-01-01T12:00:00+02:00",
            &[Trait::TimeFormat],
        ),
        (
            "2024-01-01T10:00:00.123456Z",
            "2024-01-01T10:00:00Z",
            &[Trait::TimeFormat],
        ),
        ("2024-01-01", "2024-01-01T07:11:13Z", &[Trait::TimeFormat]),
        (
            "2024-01-01T10:00:00Z",
            "2024-01-01T12:00:00Z",
            &[Trait::TimeZone],
        ),
        (
            "2024-01-01T10:00:00Z",
            "2024-01-01T10:00:00+01:00",
            &[Trait::TimeZone],
        ),
        (
            "2024-02-29T23:59:59Z",
            "2024-03-01T00:00:12Z",
            &[Trait::Time],
        ),
        ("2024-01-01", "2024-01-02", &[Trait::Time]),
        ("1.50", "1.5", &[Trait::NumberFormat]),
        ("a&amp;b", "a&b", &[Trait::Escaping]),
        ("a%20b", "a b", &[Trait::Escaping]),
        ("Ünï", "Ã\u{9c}nÃ¯", &[Trait::Charset]),
        ("Ünï", "?n?", &[Trait::Charset]),
        ("snake_case_name", "snakeCaseName", &[Trait::Separators]),
        ("2024-01-01-x", "20240101x", &[Trait::Separators]),
        ("a, b, c", "c, a, b", &[Trait::Parts]),
        ("http://a/b", "https://a/b", &[Trait::UrlScheme]),
        ("http://a/b", "http://c:8/b", &[Trait::UrlHost]),
        ("name", "the name", &[Trait::Prefix]),
        ("id:name", "name", &[Trait::Unprefixed]),
        ("name", "name (old)", &[Trait::Suffix]),
        ("a long name", "a long", &[Trait::Truncated]),
        ("a long name", "a lo…", &[Trait::Truncated]),
        ("a", "", &[Trait::ToEmpty]),
        ("", "a", &[Trait::FromEmpty]),
        ("Ada", "Bob", &[]),
        ("--", "..", &[]),
        ("1234", "9876", &[]),
    ] {
        check(
            &format!("\"{old}\""),
            &format!("\"{new}\""),
            Type::String,
            Type::String,
            traits,
        );
    }
}

#[test]
fn numbers_have_these_in_common() {
    for (old, new, traits) in [
        ("12.345", "12.35", &[Trait::Rounding][..]),
        ("12.3", "12", &[Trait::Rounding]),
        ("1234", "1200", &[Trait::Rounding]),
        ("12.96", "13", &[Trait::Rounding]),
        ("9.7", "10.0", &[Trait::Rounding]),
        ("7", "17", &[]),
        ("12", "10", &[]),
        ("7", "8", &[Trait::OffByOne]),
        ("1", "0", &[Trait::OffByOne, Trait::ToZero]),
        ("0", "17", &[Trait::FromZero]),
        ("17", "-17", &[Trait::Sign]),
        ("1999", "19.99", &[Trait::Scale]),
        ("1700000000123", "1700000000", &[Trait::Scale]),
        ("0.30000000000000004", "0.3", &[Trait::Precision]),
        ("9007199254740993", "9007199254740992", &[Trait::Precision]),
        ("12", "57", &[]),
        ("1e400", "1e401", &[]),
    ] {
        check(old, new, Type::Number, Type::Number, traits);
    }
}

#[test]
fn other_forms() {
    assert_eq!(form("[1,2,3]", "[3,1,2]"), Form::Reordered);
    let comparison = compare_documents(
        br#"{"name":"Ada","n":1}"#,
        br#"{"title":"Ada","m":1}"#,
        &Rules::default(),
    );
    let found = comparison
        .divergences
        .iter()
        .map(|found| (&*found.path, found.kind, found.change.form == Form::Renamed));
    let expected = [
        ("$.name", Kind::Missing, true),
        ("$.n", Kind::Missing, false),
        ("$.title", Kind::Extra, true),
        ("$.m", Kind::Extra, false),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn a_shape_among_many_others_is_seen() {
    let list = |text: &dyn Fn(usize) -> String| {
        format!("[{}]", (0..100).map(text).collect::<Vec<_>>().join(","))
    };
    let old = list(&|n| format!("{{\"id\":{n},\"x\":\"Ab\"}}"));
    let new = list(&|n| {
        format!(
            "{{\"id\":{n},\"x\":\"{}\"}}",
            if n == 77 { "" } else { "ab" }
        )
    });
    let rules = Rules {
        match_by: vec![(
            crate::json::FieldPath::parse("$").unwrap(),
            vec!["id".to_owned()],
        )],
        ..Rules::default()
    };
    let comparison = compare_documents(old.as_bytes(), new.as_bytes(), &rules);
    let last = comparison.divergences.last().unwrap();
    assert_eq!((comparison.divergences.len(), &*last.at), (17, "$[77].x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_is_too_strange(old in "\\PC{0,12}|[-0-9TZ:+.%&;/ ]{0,24}", new in "\\PC{0,12}|[-0-9TZ:+.%&;/ ]{0,24}") {
        let change = Change::of_texts(Some(&old), Some(&new));
        let back = Change::of_texts(Some(&new), Some(&old));
        let traits = |change: Change| match change.form {
            Form::Values { traits, .. } => traits,
            other => panic!("{other:?}"),
        };
        // What has no direction is seen from both sides.
        prop_assume!(old != new);
        for one in [Trait::Case, Trait::Whitespace, Trait::TrailingSlash, Trait::TimeZone, Trait::TimeFormat, Trait::Time, Trait::Separators, Trait::OffByOne, Trait::Rounding] {
            prop_assert_eq!(traits(change).has(one), traits(back).has(one), "{:?}", one);
        }
        for (one, other) in [(Trait::Prefix, Trait::Unprefixed), (Trait::ToEmpty, Trait::FromEmpty)] {
            prop_assert_eq!(traits(change).has(one), traits(back).has(other), "{:?}", one);
        }
    }
}

#[test]
fn forms_are_read_as_they_are_written() {
    let values = |from, to, traits: &[Trait]| Form::Values {
        from,
        to,
        traits: traits.iter().copied().collect(),
    };
    for (form, text) in [
        (Form::Renamed, "renamed"),
        (Form::Reordered, "reordered"),
        (Form::Length, "length"),
        (Form::Duplicate, "duplicate"),
        (Form::Status(200, 404), "200 404"),
        (values(Type::Null, Type::Absent, &[]), "null absent"),
        (values(Type::Document, Type::Bytes, &[]), "json bytes"),
        (
            values(Type::String, Type::String, &[Trait::Suffix, Trait::Case]),
            "string string case suffix",
        ),
    ] {
        assert_eq!(form.to_string(), text);
        assert_eq!(Form::parse(text), Some(form), "{text}");
    }
    for text in ["", "null", "200", "200 404 1", "null none", "bool bool odd"] {
        assert_eq!(Form::parse(text), None, "{text}");
    }
}
