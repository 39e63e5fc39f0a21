//! Causes found against causes planted, and what a book promises whatever comes.

mod planted;

use super::*;
use crate::compare::{Divergence, Kind, Rules, compare_documents};
use serde_json::{Value, json};

/// A book of the route `r`, and the pairs that went into it.
struct Shelf {
    book: Book<u64>,
    trials: u64,
}

impl Shelf {
    fn new() -> Self {
        Self {
            book: Book::new("r"),
            trials: 0,
        }
    }

    /// Pairs that are equal.
    fn equal(&mut self, pairs: u64) {
        self.trials += pairs;
    }

    /// A pair of documents that differ; its marks.
    fn differ(&mut self, old: &Value, new: &Value) -> Vec<Divergence> {
        let comparison = compare_documents(
            old.to_string().as_bytes(),
            new.to_string().as_bytes(),
            &Rules::default(),
        );
        self.trials += 1;
        self.book.add(
            &Seen {
                at: self.trials as i64,
                generation: 1 + self.trials / 100,
                key: Some(&self.trials.to_string()),
                divergences: &comparison.divergences,
                example: &self.trials,
            },
            MARKS,
        );
        comparison.divergences
    }

    fn causes(&self) -> Vec<Cause<u64>> {
        self.book.causes(self.trials)
    }

    /// The paths, shape and pairs of each cause.
    fn shapes(&self) -> Vec<(String, String, u64)> {
        let causes = self.causes();
        causes
            .into_iter()
            .map(|cause| (cause.paths.join(" "), cause.shape, cause.pairs))
            .collect()
    }
}

#[track_caller]
fn check(shelf: &Shelf, expected: &[(&str, &str, u64)]) {
    let found = shelf.shapes();
    let found: Vec<_> = found
        .iter()
        .map(|(paths, shape, pairs)| (&**paths, &**shape, *pairs))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn one_defect_on_many_fields_is_one_cause() {
    let mut shelf = Shelf::new();
    shelf.equal(100);
    for n in 0..10 {
        shelf.differ(
            &json!({"a": "Ab", "b": 1.25, "c": {"d": "X"}, "n": n}),
            &json!({"a": "ab", "b": 1.3, "c": {}, "n": n}),
        );
    }
    check(
        &shelf,
        &[("$.a $.b $.c.d", "case, rounding, string_to_absent", 10)],
    );
    let cause = &shelf.causes()[0];
    assert_eq!(cause.kinds, [Kind::Changed, Kind::Missing]);
    assert_eq!(
        (cause.first_seen, cause.last_seen, cause.keys),
        (101, 110, Some(10))
    );
    assert_eq!(
        (&cause.generations[..], &cause.examples[..]),
        (&[2][..], &[108, 109, 110][..])
    );
}

#[test]
fn what_is_always_there_goes_together_by_its_shape_alone() {
    let mut shelf = Shelf::new();
    for n in 0..20 {
        shelf.differ(
            &json!({"a": "Ab", "b": "Cd", "c": 1.25, "n": n}),
            &json!({"a": "ab", "b": "cd", "c": 1.3, "n": n}),
        );
    }
    let mut shapes: Vec<_> = shelf
        .shapes()
        .into_iter()
        .map(|(paths, shape, _)| (paths, shape))
        .collect();
    shapes.sort();
    let expected = [("$.a $.b", "case"), ("$.c", "rounding")];
    assert_eq!(
        shapes,
        expected.map(|(paths, shape)| (paths.to_owned(), shape.to_owned()))
    );
}

#[test]
fn a_shape_that_one_pair_leaves_open_is_told_by_the_others() {
    let mut shelf = Shelf::new();
    shelf.equal(1_000);
    // One less, of which one becomes 0; and 0 instead of many, of which one is one less.
    for n in 1..=9 {
        shelf.differ(&json!({"less": n}), &json!({"less": n - 1}));
        shelf.differ(&json!({"zero": n}), &json!({"zero": 0}));
        shelf.differ(
            &json!({"round": 0.1 * f64::from(n) + 0.05}),
            &json!({"round": (0.1 * f64::from(n) + 0.05).round()}),
        );
    }
    let mut shapes = shelf.shapes();
    shapes.sort();
    let expected = [
        ("$.less", "off_by_one"),
        ("$.round", "rounding"),
        ("$.zero", "to_zero"),
    ];
    let expected = expected.map(|(path, shape)| (path.to_owned(), shape.to_owned(), 9));
    assert_eq!(shapes, expected);
}

#[test]
fn numbers_that_have_nothing_to_do_with_each_other_are_one_cause() {
    let mut shelf = Shelf::new();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let (old, new) = (random.u8(1..50), random.u8(1..50));
        if old != new {
            shelf.differ(&json!({ "n": old }), &json!({ "n": new }));
        }
    }
    let shapes = shelf.shapes();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    assert_eq!(shapes[0].1, "replaced");
}

#[test]
fn a_constant_is_told_from_other_values() {
    let mut shelf = Shelf::new();
    shelf.equal(10_000);
    let city = |n: u64| format!("city {}", n * 7_919 % 10_007);
    for n in 0..600 {
        let new = if n % 3 == 0 {
            "N/A".to_owned()
        } else {
            city(n * n + 1)
        };
        shelf.differ(&json!({ "city": city(n) }), &json!({ "city": new }));
    }
    check(
        &shelf,
        &[("$.city", "replaced", 400), ("$.city", "constant", 200)],
    );
    // Few values instead of few others are no constants.
    let mut shelf = Shelf::new();
    shelf.equal(10_000);
    for n in 0..600 {
        let (old, new) = (["open", "shut"][n % 2], ["idle", "gone"][n / 2 % 2]);
        shelf.differ(&json!({ "state": old }), &json!({ "state": new }));
    }
    check(&shelf, &[("$.state", "replaced", 600)]);
}

#[test]
fn names_are_the_same_everywhere_and_say_nothing_of_values() {
    let cause = |route: &str, old: &Value, new: &Value| {
        let found = compare_documents(
            old.to_string().as_bytes(),
            new.to_string().as_bytes(),
            &Rules::default(),
        );
        let mut book = Book::new(route);
        let seen = Seen {
            at: 0,
            generation: 1,
            key: None,
            divergences: &found.divergences,
            example: &1,
        };
        book.add(&seen, MARKS);
        let cause = book.causes(1).remove(0);
        assert_eq!(CauseId::parse(&cause.id.to_string()), Some(cause.id));
        (cause.id.to_string(), cause.keys)
    };
    let one = cause("r", &json!({"a": "x y"}), &json!({"a": "p"}));
    assert_eq!(one, cause("r", &json!({"a": "q"}), &json!({"a": "y x"})));
    // Pinned: scripts know it.
    assert_eq!(one, (PINNED.to_owned(), None));
    assert_ne!(one, cause("s", &json!({"a": "x"}), &json!({"a": "p"})));
    assert_ne!(one, cause("r", &json!({"b": "x"}), &json!({"b": "p"})));
    for bad in [
        "",
        "0123456789a",
        "0123456789ab0",
        "0123456789AB",
        "+123456789ab",
    ] {
        assert_eq!(CauseId::parse(bad), None, "{bad}");
    }
}

const PINNED: &str = "283678d3f84e";

#[test]
fn a_book_never_grows_beyond_its_bounds_and_keeps_what_is_frequent() {
    let mut shelf = Shelf::new();
    for n in 0..50_u32 {
        shelf.differ(&json!({"a": "Ab", "n": n}), &json!({"a": "ab", "n": n}));
    }
    let random = |n: u64| format!("p{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    for n in 0..5_000 {
        shelf.differ(&json!({ (random(n)): 1, "x": 1 }), &json!({ "x": 1 }));
        assert!(shelf.book.len() <= MARKS);
    }
    assert_eq!(shelf.shapes()[0], ("$.a".to_owned(), "case".to_owned(), 50));
    assert_eq!(shelf.book.rest(), 5_000 - (MARKS as u64 - 1));
    // Without room nothing new is taken, but in place of what is there.
    let mut book = Book::new("r");
    let found = compare_documents(
        br#"{"a":1,"b":"x"}"#,
        br#"{"a":2,"b":"y"}"#,
        &Rules::default(),
    );
    let seen = Seen {
        at: 0,
        generation: 1,
        key: None,
        divergences: &found.divergences,
        example: &0,
    };
    book.add(&seen, 0);
    assert_eq!((book.len(), book.rest()), (1, 1));
}

#[test]
fn a_row_finds_its_causes_by_its_marks() {
    let mut shelf = Shelf::new();
    shelf.equal(1_000);
    for n in 0..40 {
        shelf.differ(
            &json!({"a": "Ab", "b": 1.25, "n": n}),
            &json!({"a": "ab", "b": 1.25, "n": n}),
        );
        shelf.differ(
            &json!({"a": "Ab", "b": 1.25, "n": n}),
            &json!({"a": "Ab", "b": 1.3, "n": n}),
        );
    }
    let found = shelf.differ(&json!({"a": "Xy", "b": 7.11}), &json!({"a": "xy", "b": 7}));
    let causes = shelf.causes();
    let having = |divergences: &[Divergence]| {
        let marks = marks(divergences);
        let having = causes
            .iter()
            .filter(|cause| marks.iter().any(|mark| cause.explains(*mark, &causes)));
        having.map(|cause| cause.shape.clone()).collect::<Vec<_>>()
    };
    assert_eq!(having(&found).len(), 2);
    assert_eq!(having(&found[..1]), ["case"]);
}
