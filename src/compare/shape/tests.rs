//! Shapes by example, and what holds for all of them.

use super::*;
use crate::json::{Decimal, Document, Limits, Node, Unlimited};
use proptest::prelude::*;

fn shape(json: &str) -> Shape {
    let document = Document::read(json.as_bytes(), Limits::default(), &mut Unlimited).unwrap();
    Shape::of(document.value(Node::ROOT))
}

#[test]
fn shapes_read_as_documented() {
    let check =
        |json: &str, expected: &str| assert_eq!(shape(json).to_string(), expected, "{json}");
    check("null", "null");
    check("true", "bool");
    check("[1]", "array");
    check("{}", "object");
    check("0", "int 0");
    check("-0.0", "int 0");
    check("7", "int 1e0");
    check("-7042", "int -1e3");
    check("2.0", "int 1e0");
    check("2.5", "float 1e0");
    check("-0.0025", "float -1e-3");
    check("1e400", "int 1e400");
    check("123456789012345678901234567890", "int 1e29");
    check("1700000000", "epoch seconds");
    check("1700000000.25", "epoch seconds");
    check("1700000000123", "epoch milliseconds");
    check("-1700000000123", "int -1e12");
    check("5000000000", "int 1e9");
    check(r#""2026-01-02T03:04:05Z""#, "time Z");
    check(r#""2026-01-02 03:04:05.123456Z""#, "time Z");
    check(r#""2026-01-02T03:04:05+00:00""#, "time +00:00");
    check(r#""2026-01-02T03:04:05-08:30""#, "time with offset");
    check(
        r#""2026-01-02T03:04:05""#,
        "text of upper digit punctuation under 32",
    );
    check(
        r#""2026-01-02T03:04:05.Z""#,
        "text of upper digit punctuation under 32",
    );
    check(r#""6F9619FF-8B86-D011-B42D-00CF4FC964FF""#, "uuid");
    check(r#""6f9619ff8b86d011b42d00cf4fc964ff""#, "hex of 32");
    check(r#""6F9619FF8B86D011""#, "hex upper of 16");
    check(r#""decade""#, "text of lower under 8");
    check(r#""dec0de""#, "text of lower digit under 8");
    check(r#""https://example.org/a""#, "url https");
    check(r#""http://example.org/a""#, "url http");
    check(r#""ftp://example.org/a""#, "url");
    check(
        r#""no scheme://x""#,
        "text of lower blank punctuation under 16",
    );
    check(r#""007""#, "3 digits");
    check(r#""""#, "empty text");
    check(r#""Ünï 1""#, "text of lower digit blank non-ascii under 8");
    assert_eq!(Seen::ABSENT.shape.to_string(), "absent");
    assert_eq!(Seen::BYTES.shape.to_string(), "bytes");
    assert_eq!(Seen::number(404).shape, shape("404"));
    assert_eq!(Seen::text(Some("007")).shape, shape("\"007\""));
    assert_eq!(Seen::text(None), Seen::ABSENT);
    assert_ne!(Seen::text(Some("a")).value, Seen::text(Some("b")).value);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn equal_numbers_have_equal_shapes(text in "-?(0|[1-9][0-9]{0,15})([.][0-9]{1,3})?([eE][+-]?[0-9]{1,2})?") {
        let other = format!("{}{}", text, if text.contains(['e', 'E']) { "" } else { "e0" });
        prop_assert_eq!(Decimal::parse(&text), Decimal::parse(&other));
        prop_assert_eq!(shape(&text), shape(&other));
    }

    #[test]
    fn any_text_has_a_shape(text in ".{0,80}") {
        let shape = Shape::of(Value::String(&text));
        prop_assert!(!shape.to_string().is_empty());
        prop_assert_eq!(shape, Shape::of(Value::String(&text)));
    }
}
