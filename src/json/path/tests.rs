use super::*;
use proptest::prelude::*;

/// A place as text of its own: `.name` and `[at/len]`.
fn selects(path: &str, place: &str) -> bool {
    let path = FieldPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut progress = path.start();
    for step in place
        .split_inclusive([']', ' '])
        .map(str::trim)
        .filter(|step| !step.is_empty())
    {
        let step = match step
            .strip_prefix('[')
            .and_then(|step| step.strip_suffix(']'))
        {
            Some(index) => {
                let (at, len) = index.split_once('/').unwrap();
                Step::Index {
                    at: at.parse().unwrap(),
                    len: len.parse().unwrap(),
                }
            }
            None => Step::Name(step),
        };
        progress = path.advance(progress, step);
    }
    path.selects(progress)
}

#[test]
fn paths_select_what_rfc_9535_says() {
    for (path, place, expected) in [
        ("$", "", true),
        ("$", "a", false),
        ("$.a", "a", true),
        ("$.a", "b", false),
        ("$.a", "a b", false),
        ("$.a", "", false),
        ("$.a.b", "a b", true),
        ("$['a']", "a", true),
        ("$[\"a\"]", "a", true),
        ("$['a b']", "a", false),
        ("$.a[0]", "a [0/3]", true),
        ("$.a[0]", "a [1/3]", false),
        ("$.a[-1]", "a [2/3]", true),
        ("$.a[-3]", "a [0/3]", true),
        ("$.a[-4]", "a [0/3]", false),
        ("$.a[0]", "a 0", false),
        ("$.a[*]", "a [1/3]", true),
        ("$.a[*]", "a x", true),
        ("$.a.*", "a [1/3]", true),
        ("$.*", "a", true),
        ("$.*", "a b", false),
        ("$..a", "a", true),
        ("$..a", "x [0/1] a", true),
        ("$..a", "a x", false),
        ("$..a", "a a", true),
        ("$..a.b", "x a b", true),
        ("$..a.b", "a x b", false),
        ("$..a..b", "x a y z b", true),
        ("$..a..b", "b a", false),
        ("$..*", "x", true),
        ("$..*", "x y [0/1]", true),
        ("$..*", "", false),
        ("$..[0]", "x [0/2]", true),
        ("$..[0]", "[0/2] [0/2]", true),
        ("$..[0]", "x [1/2]", false),
        ("$..['a']", "x a", true),
        ("$ .a [0]", "a [0/1]", true),
        ("$[ 'a' ]", "a", true),
        ("$[ 0 ]", "[0/1]", true),
        (r"$['\u00e9']", "é", true),
        (r"$['\ud83d\ude00']", "😀", true),
        (r"$['it\'s']", "it's", true),
        ("$['a\"b']", "a\"b", true),
        ("$.ünï", "ünï", true),
        ("$._1", "_1", true),
    ] {
        assert_eq!(selects(path, place), expected, "{path} at {place:?}");
    }
}

#[test]
fn errors_name_their_place() {
    for (path, at, part) in [
        ("", 0, "begins with `$`"),
        ("a", 0, "begins with `$`"),
        ("$a", 1, "expected `.`"),
        ("$.", 2, "behind `.`"),
        ("$..", 3, "behind `..`"),
        ("$.a-b", 3, "['..']"),
        ("$.1", 2, "begins with a digit"),
        ("$.a ", 3, "blanks"),
        ("$[", 2, "quoted name"),
        ("$[]", 2, "quoted name"),
        ("$[a]", 2, "quoted name"),
        ("$['a]", 2, "not closed"),
        ("$['a'", 5, "expected `]`"),
        ("$[0,1]", 3, "only one selector"),
        ("$['a','b']", 5, "only one selector"),
        ("$[1:2]", 3, "slices"),
        ("$[:2]", 2, "slices"),
        ("$[?@.a]", 2, "filters"),
        ("$[01]", 2, "leading zero"),
        ("$[-0]", 2, "leading zero"),
        ("$[-]", 2, "leading zero"),
        ("$[9007199254740992]", 2, "too large"),
        ("$.a.[0]", 4, "behind `.`"),
        ("$.*a", 3, "expected `.`"),
        (r"$['\x']", 3, "escape"),
        (r#"$['\"']"#, 3, "escape"),
        (r"$['\ud800']", 3, "escape"),
        (r"$['\u00g0']", 3, "escape"),
        ("$['a\nb']", 4, "control"),
        ("$...a", 3, "behind `..`"),
        ("$.ünï-x", 7, "['..']"),
    ] {
        let error = FieldPath::parse(path).unwrap_err();
        assert_eq!(error.at, at, "{path}: {error}");
        assert!(error.message.contains(part), "{path}: {error}");
        assert!(!error.message.ends_with('.'), "{path}: {error}");
    }
    assert_eq!(
        FieldPath::parse(&format!("${}", ".a".repeat(64)))
            .unwrap_err()
            .at,
        127
    );
    assert!(FieldPath::parse(&format!("${}", ".a".repeat(63))).is_ok());
}

#[test]
fn names_are_known_where_there_are_only_names() {
    let names = |text| {
        FieldPath::parse(text)
            .unwrap()
            .names()
            .map(|names| names.join("/"))
    };
    assert_eq!(names("$.a['b c']"), Some("a/b c".into()));
    assert_eq!(names("$"), Some(String::new()));
    for text in ["$..a", "$.*", "$.a[0]"] {
        assert_eq!(names(text), None);
    }
}

#[test]
fn the_longest_path_uses_every_bit() {
    let path = FieldPath::parse(&format!("${}", "..a".repeat(63))).unwrap();
    let mut progress = path.start();
    for step in 0..70 {
        assert_eq!(path.selects(progress), step >= 63, "{step}");
        progress = path.advance(progress, Step::Name("a"));
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Name(&'static str),
    Any,
    Deep(&'static str),
}

/// Matching by trying every way, for the property below.
fn slow(pieces: &[Piece], names: &[&str]) -> bool {
    match (pieces, names) {
        ([], names) => names.is_empty(),
        ([_, ..], []) => false,
        ([Piece::Name(name), pieces @ ..], [first, names @ ..]) => {
            first == name && slow(pieces, names)
        }
        ([Piece::Any, pieces @ ..], [_, names @ ..]) => slow(pieces, names),
        ([Piece::Deep(name), rest @ ..], [first, names @ ..]) => {
            (first == name && slow(rest, names)) || slow(pieces, names)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_refused_or_kept(text in "\\$?[.a-z\\[\\]*'\"0-9\\\\u -]{0,12}|.{0,12}") {
        match FieldPath::parse(&text) {
            Ok(path) => prop_assert_eq!(path.as_str(), text),
            Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{text:?} {error:?}"),
        }
    }

    #[test]
    fn steps_agree_with_trying_every_way(
        pieces in proptest::collection::vec(prop_oneof![
            proptest::sample::select(&["a", "b"][..]).prop_map(Piece::Name),
            Just(Piece::Any),
            proptest::sample::select(&["a", "b"][..]).prop_map(Piece::Deep),
        ], 0..6),
        names in proptest::collection::vec(proptest::sample::select(&["a", "b"][..]), 0..8),
    ) {
        let text = pieces.iter().fold(String::from("$"), |text, piece| match piece {
            Piece::Name(name) => format!("{text}.{name}"),
            Piece::Any => format!("{text}.*"),
            Piece::Deep(name) => format!("{text}..{name}"),
        });
        let path = FieldPath::parse(&text).unwrap();
        let mut progress = path.start();
        for name in &names {
            if !path.continues(progress) {
                progress = Progress::default();
            }
            progress = path.advance(progress, Step::Name(name));
        }
        prop_assert_eq!(path.selects(progress), slow(&pieces, &names), "{}", text);
    }
}
