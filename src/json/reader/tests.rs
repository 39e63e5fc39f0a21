use super::*;
use crate::json::bounds::Unlimited;
use crate::json::document::{Node, Value};
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Result<Document<'_>, ReadError> {
    Document::read(bytes, Limits::default(), &mut Unlimited)
}

/// A document written out again: strings as Rust shows them, numbers as they came.
fn show(document: &Document<'_>, node: Node) -> String {
    let children = |open: &str, close: &str, names: bool| {
        let parts: Vec<_> = document
            .children(node)
            .map(|child| {
                let name = if names {
                    format!("{:?}:", document.key(child))
                } else {
                    String::new()
                };
                name + &show(document, child)
            })
            .collect();
        assert_eq!(parts.len(), document.count(node));
        format!("{open}{}{close}", parts.join(","))
    };
    match document.value(node) {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.into(),
        Value::String(text) => format!("{text:?}"),
        Value::Array => children("[", "]", false),
        Value::Object => children("{", "}", true),
    }
}

fn check(input: &str, expected: &str) {
    let document = read(input.as_bytes()).unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(show(&document, Node::ROOT), expected, "{input}");
}

#[test]
fn documents_are_read() {
    check("null", "null");
    check(" \t\r\n true ", "true");
    check("false", "false");
    check("-0.5E+007", "-0.5E+007");
    check("1e400", "1e400");
    check(
        "123456789012345678901234567890",
        "123456789012345678901234567890",
    );
    check("[]", "[]");
    check("[ ]", "[]");
    check("{ }", "{}");
    check("[1,[2,[]],3]", "[1,[2,[]],3]");
    check(
        r#"{"a":{"b":[1,{"c":null}]},"d":"e"}"#,
        r#"{"a":{"b":[1,{"c":null}]},"d":"e"}"#,
    );
    check(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#);
    check(r#""""#, r#""""#);
    check(
        r#""a long string without any escape in it, twice""#,
        r#""a long string without any escape in it, twice""#,
    );
    check(
        r#"["\u00e9","é","\ud83d\ude00","\"\\\/\b\f\n\r\t"]"#,
        "[\"é\",\"é\",\"😀\",\"\\\"\\\\/\\u{8}\\u{c}\\n\\r\\t\"]",
    );
    check(
        r#"{"\u0061b":1,"x":"plain","y\n":"z\tz"}"#,
        r#"{"ab":1,"x":"plain","y\n":"z\tz"}"#,
    );
    check("\"\u{7f}\u{2028}\"", "\"\\u{7f}\\u{2028}\"");
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for (input, place) in [
        (&b""[..], 0),
        (b"  ", 2),
        (b"\xef\xbb\xbf{}", 0),
        (b"NaN", 0),
        (b"nul", 0),
        (b"-Infinity", 1),
        (b"{} x", 3),
        (b"1 2", 2),
        (b"01", 1),
        (b"1.", 2),
        (b"[1e]", 3),
        (b"[1,]", 3),
        (b"[,1]", 1),
        (b"[1 2]", 3),
        (b"[1", 2),
        (b"[", 1),
        (b"{", 1),
        (b"{\"a\"}", 4),
        (b"{\"a\":}", 5),
        (b"{\"a\":1,}", 7),
        (b"{a:1}", 1),
        (b"{\"a\":1]", 6),
        (b"[1}", 2),
        (b"]", 0),
        (b"'a'", 0),
        (b"\"a", 2),
        (b"\"a\nb\"", 2),
        (b"\"a\0b\"", 2),
        (b"\"abcdefghij\x1fk\"", 11),
        (b"\"\\x\"", 1),
        (b"\"\\", 1),
        (b"\"\\u12\"", 3),
        (b"\"\\ud800\"", 1),
        (b"\"\\udc00\"", 1),
        (b"\"\\ud800\\u0041\"", 1),
        (b"\"\\ud800x\"", 1),
        (b"\"\xff\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"[1]\0", 3),
        (b"// c\n1", 0),
    ] {
        match read(input) {
            Err(ReadError::NotJson { at, .. }) => assert_eq!(at, place, "{}", input.escape_ascii()),
            other => panic!("{}: {other:?}", input.escape_ascii()),
        }
    }
}

#[test]
fn bounds_are_exact() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(nested(128).as_bytes()).is_ok());
    assert_eq!(
        read(nested(129).as_bytes()).unwrap_err(),
        ReadError::TooDeep
    );
    assert_eq!(
        read("[".repeat(1_000_000).as_bytes()).unwrap_err(),
        ReadError::TooDeep
    );
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(read(objects(128).as_bytes()).is_ok());
    assert_eq!(
        read(objects(129).as_bytes()).unwrap_err(),
        ReadError::TooDeep
    );

    let many = |nodes: usize| format!("[{}0]", "0,".repeat(nodes - 2));
    assert_eq!(read(many(200_000).as_bytes()).unwrap().len(), 200_000);
    assert_eq!(
        read(many(200_001).as_bytes()).unwrap_err(),
        ReadError::TooManyNodes
    );

    let large = format!("\"{}\"", "a".repeat(4 * 1024 * 1024 - 2));
    assert!(read(large.as_bytes()).is_ok());
    assert_eq!(
        read(format!("{large} ").as_bytes()).unwrap_err(),
        ReadError::TooLarge
    );
}

#[test]
fn repeated_names_are_seen() {
    let repeats = |input: &str| {
        let document = read(input.as_bytes()).unwrap();
        document.repeats(Node::ROOT)
    };
    assert!(!repeats(r#"{"a":1,"b":1}"#));
    assert!(repeats(r#"{"a":1,"b":1,"a":1}"#));
    assert!(repeats(r#"{"a":1,"\u0061":1}"#));
    let many = |last: usize| {
        let members: Vec<_> = (0..500)
            .chain([last])
            .map(|n| format!("\"k{n}\":{n}"))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(!repeats(&many(500)));
    assert!(repeats(&many(250)));
    let document = read(br#"[{"a":1},{"a":{"b":1,"b":2}}]"#).unwrap();
    let repeating: Vec<_> = document
        .subtree(Node::ROOT)
        .filter(|node| document.repeats(*node))
        .map(Node::index)
        .collect();
    assert_eq!(repeating, [4]);
}

/// Memory with a limit, which counts.
struct Limited {
    left: usize,
}

impl Memory for Limited {
    fn charge(&mut self, bytes: usize) -> bool {
        let granted = bytes <= self.left;
        self.left -= if granted { bytes } else { 0 };
        granted
    }
}

#[test]
fn memory_is_asked_before_it_is_taken() {
    let input = format!(
        "[{}{{\"a\\n\":\"b\\n{}\"}}]",
        "1,".repeat(10_000),
        "x".repeat(10_000)
    );
    let document_size = 10_003 * size_of::<Slot>() + 10_000;
    let read = |left| {
        Document::read(input.as_bytes(), Limits::default(), &mut Limited { left })
            .map(|document| document.len())
    };
    assert_eq!(read(3 * document_size), Ok(10_003));
    for left in [0, 100, document_size / 2, document_size - 1] {
        assert_eq!(read(left), Err(ReadError::Refused), "{left}");
    }
}

/// Text that is nearly JSON.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => proptest::sample::select(&["{", "}", "[", "]", ",", ":", " ", "\n", "null", "true", "false", "\"a\"", "\"b\"", "1", "0", "-", "1.5", "1e-3", "{}", "[]", "\"a\":", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"é\"", "nul"][..]).prop_map(|token| token.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            proptest::collection::vec((".{0,6}", inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn same(document: &Document<'_>, node: Node, value: &serde_json::Value) -> bool {
    match (document.value(node), value) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == *b,
        (Value::Number(a), serde_json::Value::Number(b)) => a == b.to_string(),
        (Value::String(a), serde_json::Value::String(b)) => a == b,
        (Value::Array, serde_json::Value::Array(b)) => {
            document.count(node) == b.len()
                && document
                    .children(node)
                    .zip(b)
                    .all(|(a, b)| same(document, a, b))
        }
        (Value::Object, serde_json::Value::Object(b)) => {
            document.count(node) == b.len()
                && document
                    .children(node)
                    .zip(b)
                    .all(|(a, (name, b))| document.key(a) == name && same(document, a, b))
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array
            | Value::Object,
            _,
        ) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn validity_agrees_with_serde_json(bytes in nearly_json()) {
        let ours = read(&bytes);
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", bytes.escape_ascii(), ours.err(), theirs.err());
    }

    #[test]
    fn what_serde_json_writes_is_read(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let document = read(text.as_bytes()).unwrap();
        prop_assert!(same(&document, Node::ROOT, &value), "{text}");
    }
}
