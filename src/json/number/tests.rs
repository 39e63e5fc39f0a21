use super::*;
use proptest::prelude::*;
use std::hash::DefaultHasher;

fn decimal(text: &str) -> Decimal<'_> {
    Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    decimal(text).hash(&mut hasher);
    hasher.finish()
}

fn check(a: &str, b: &str, expected: Ordering) {
    assert_eq!(decimal(a).cmp(&decimal(b)), expected, "{a} {b}");
    assert_eq!(decimal(b).cmp(&decimal(a)), expected.reverse(), "{b} {a}");
    assert_eq!(decimal(a) == decimal(b), expected.is_eq(), "{a} {b}");
    assert_eq!(hash(a) == hash(b), expected.is_eq(), "{a} {b}");
}

#[test]
fn numbers_compare_by_value() {
    use Ordering::{Equal, Greater, Less};
    let nines = format!("1e{}", "9".repeat(50));
    let next = format!("0.1e1{}", "0".repeat(50));
    let tiny = format!("1e-{}", "9".repeat(50));
    for (a, b, expected) in [
        ("1", "1.0", Equal),
        ("1", "1e0", Equal),
        ("1", "0.1E+1", Equal),
        ("100", "1e2", Equal),
        ("100", "1E+0002", Equal),
        ("-0", "0", Equal),
        ("0e5", "0.000", Equal),
        (
            "-0.0e-999999999999999999999999999999999999999999",
            "0",
            Equal,
        ),
        ("1e400", "10e399", Equal),
        ("1e400", "1e401", Less),
        ("-1e400", "-1e401", Greater),
        ("9007199254740993", "9007199254740992", Greater),
        ("0.1", "0.10", Equal),
        ("0.1", "0.1000000000000000000000000000001", Less),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            Less,
        ),
        ("10", "9", Greater),
        ("-10", "9", Less),
        ("0", "-1", Greater),
        ("0.05", "0.049", Greater),
        ("1e99999999999999999999", "10e99999999999999999998", Equal),
        (
            "1e-99999999999999999999",
            "0.1e-99999999999999999998",
            Equal,
        ),
        (
            "1e9999999999999999999999999999999999999",
            "10e9999999999999999999999999999999999998",
            Equal,
        ),
        (
            "1e10000000000000000000000000000000000000",
            "0.1e10000000000000000000000000000000000001",
            Equal,
        ),
        (
            "10e99999999999999999999999999999999999998",
            "1e99999999999999999999999999999999999999",
            Equal,
        ),
        (&nines, &next, Equal),
        (&nines, "1", Greater),
        (&nines, &tiny, Greater),
        (&tiny, "0", Greater),
        (&tiny, "1", Less),
        (&format!("-{nines}"), &nines, Less),
    ] {
        check(a, b, expected);
    }
}

#[test]
fn other_texts_are_no_numbers() {
    for text in [
        "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1 ", " 1", "0x1", "NaN", "Infinity",
        "1.e1", "--1", "1e1.0", "١",
    ] {
        assert!(Decimal::parse(text).is_none(), "{text}");
    }
}

#[test]
fn distances_are_exact() {
    let long = format!("0.{}1", "0".repeat(500));
    for (a, b, tolerance, expected) in [
        ("1.0", "1.1", "0.1", true),
        ("1.0", "1.1000000000000000000001", "0.1", false),
        ("1", "1.0", "0", true),
        ("1", "2", "0", false),
        ("9007199254740993", "9007199254740992", "0.5", false),
        ("9007199254740993", "9007199254740992", "1", true),
        ("-0.05", "0.05", "0.1", true),
        ("-0.06", "0.05", "0.1", false),
        ("10", "0.95", "9.5", true),
        ("10", "0.4", "9.5", false),
        ("0", "1e-7", "1e-6", true),
        ("0", "1e-5", "1e-6", false),
        ("0", "1e-999999999999", "1e-6", true),
        ("0", "1e999999999999", "1e-6", false),
        ("1e999999999999", "1.001e999999999999", "1e300", false),
        ("1e999999999999", "-1e999999999999", "1e300", false),
        ("1e999999999999", "10e999999999998", "1", true),
        (
            "1e99999999999999999999999999999999999999999999",
            "1",
            "1",
            false,
        ),
        (
            "1e-99999999999999999999999999999999999999999999",
            "0",
            "1e-300",
            true,
        ),
        (
            "1000000000000000000000000000001",
            "1000000000000000000000000000000",
            "1",
            true,
        ),
        (
            "1000000000000000000000000000002",
            "1000000000000000000000000000000",
            "1",
            false,
        ),
        ("99.95", "100", "0.05", true),
        ("99.949", "100", "0.05", false),
        (&long, "0", &long, true),
        ("1", "1", "-1", false),
        ("1", "2", "-1", false),
    ] {
        assert_eq!(
            decimal(a).within(&decimal(b), &decimal(tolerance)),
            expected,
            "{a} {b} {tolerance}"
        );
        assert_eq!(
            decimal(b).within(&decimal(a), &decimal(tolerance)),
            expected,
            "{b} {a} {tolerance}"
        );
    }
}

#[test]
fn long_texts_cost_no_more_than_their_length() {
    let digits = "7".repeat(1_000_000);
    let exponent = format!("1e{digits}");
    assert_eq!(
        decimal(&exponent),
        decimal(&format!("10e{}6", &digits[1..]))
    );
    assert!(decimal(&exponent) > decimal(&digits));
    assert!(decimal(&digits).within(&decimal(&format!("{digits}.5")), &decimal("0.5")));
    assert!(!decimal(&digits).within(&decimal(&format!("{digits}.51")), &decimal("0.5")));
}

/// A number as an integer in units of 10^-60, for exponents between -20 and 20: slow, and plainly right.
fn reference(text: &str) -> (bool, Vec<u8>) {
    let (negative, text) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = 60 + exponent - fraction.len() as i32;
    let text = format!(
        "{whole}{fraction}{}",
        "0".repeat(usize::try_from(zeros).unwrap())
    );
    let mut digits = vec![b'0'; 140 - text.len()];
    digits.extend(text.bytes());
    let zero = digits.iter().all(|digit| *digit == b'0');
    (negative && !zero, digits)
}

fn reference_order(a: &str, b: &str) -> Ordering {
    match (reference(a), reference(b)) {
        ((false, a), (false, b)) => a.cmp(&b),
        ((true, a), (true, b)) => b.cmp(&a),
        ((true, _), (false, _)) => Ordering::Less,
        ((false, _), (true, _)) => Ordering::Greater,
    }
}

fn number() -> impl Strategy<Value = String> {
    // Few digits and mostly zeros, so that equal values in different clothes are common.
    "-?(0|[1-9][0-9]{0,3}|10{0,6})(\\.(0{0,4}[0-9]{1,2}|[0-9]{1,20}|0{1,5}))?([eE][+-]?(0?[0-9]|1[0-9]))?"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn order_agrees_with_the_reference(a in number(), b in number()) {
        check(&a, &b, reference_order(&a, &b));
    }

    #[test]
    fn another_way_to_write_a_number_is_equal(digits in "[1-9][0-9]{0,30}", shift in 0..2_000_i64, exponent in -5_000..5_000_i64) {
        let plain = format!("{digits}e{exponent}");
        check(&plain, &format!("{digits}{}e{}", "0".repeat(shift as usize), exponent - shift), Ordering::Equal);
        check(&plain, &format!("0.{}{digits}e{}", "0".repeat(shift as usize), exponent + shift + digits.len() as i64), Ordering::Equal);
    }

    #[test]
    fn distance_agrees_with_integers(a in -2_000_i64..2_000, b in -2_000_i64..2_000, t in 0_i64..3_000, places in 0..400_i32) {
        let [x, y, t_text] = [a, b, t].map(|number| format!("{number}e-{places}"));
        prop_assert_eq!(decimal(&x).within(&decimal(&y), &decimal(&t_text)), (a - b).abs() <= t);
    }

    #[test]
    fn any_text_is_a_number_or_not(text in "[-+0-9.eE]{0,12}|.{0,8}") {
        // serde_json bounds magnitudes, so only short exponents are asked.
        let short = text.to_lowercase().split_once('e').is_none_or(|(_, exponent)| exponent.len() <= 2);
        if short {
            prop_assert_eq!(Decimal::parse(&text).is_some(), serde_json::from_str::<serde_json::Number>(&text).is_ok() && text.trim() == text);
        }
    }
}
