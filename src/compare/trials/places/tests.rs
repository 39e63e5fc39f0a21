//! Places, names that are data, and trials.

use super::*;
use crate::json::{Limits, Unlimited};
use proptest::prelude::*;

fn sample(places: &mut Places, documents: &[&str], weight: f64) {
    let documents: Vec<_> = documents
        .iter()
        .map(|text| Document::read(text.as_bytes(), Limits::default(), &mut Unlimited).unwrap())
        .collect();
    places.sample(&documents.iter().collect::<Vec<_>>(), weight);
}

fn share(places: &Places, path: &str) -> f64 {
    places.share(places.find(path).unwrap())[0]
}

#[test]
fn paths_read_as_they_were_written() {
    let mut places = Places::default();
    for path in [
        "$",
        "$.a",
        "$.a[*]",
        "$.a[*].b",
        "$.c.*.d",
        "$['a b']['it\\'s'].x",
        "$['a.b'][*]",
        "$['\\n\\u0007']",
        "status",
        "body",
        "header:content-type",
    ] {
        let place = places.make(path).unwrap();
        assert_eq!(places.path(place).as_deref(), Some(path));
        assert_eq!(places.find(path), Some(place));
        assert_eq!(places.make(path), Some(place));
    }
    assert_eq!(places.find("$.b"), None);
    assert_eq!(places.make("$.cut…['"), None);
    assert_eq!(places.make("$.a…"), None, "what was cut is no path");
}

#[test]
fn a_paths_trials_are_the_pairs_that_have_it_on_either_side() {
    let mut places = Places::default();
    sample(
        &mut places,
        &[r#"{"a":1}"#, r#"{"b":[{"c":1},{"c":2}]}"#],
        1.0,
    );
    sample(&mut places, &[r#"{"a":1}"#], 3.0);
    assert_eq!(share(&places, "$"), 1.0);
    assert_eq!(share(&places, "$.a"), 1.0);
    assert_eq!(share(&places, "$.b[*].c"), 0.25, "once a pair, on one side");
    places.make("status").unwrap();
    assert_eq!(share(&places, "status"), 1.0);
    // No documents are pairs too, of which no path has trials.
    sample(&mut places, &[], 4.0);
    assert_eq!(share(&places, "$.a"), 0.5);
    let late = places.make("$.late").unwrap();
    assert_eq!(places.share(late)[0], 0.0, "no sample had it");
    sample(&mut places, &[r#"{"late":1}"#], 2.0);
    assert_eq!(places.share(late)[0], 0.2);
}

#[test]
fn an_hour_has_trials_of_its_own() {
    let mut places = Places::default();
    sample(&mut places, &[r#"{"a":1}"#], 1.0);
    places.turn();
    sample(&mut places, &[r#"{"b":1}"#], 3.0);
    let a = places.find("$.a").unwrap();
    assert_eq!(places.share(a), [0.25, 0.0]);
}

#[test]
fn names_are_data_once_there_are_more_than_32() {
    let mut places = Places::default();
    let first = places.make("$.counts.n0.x").unwrap();
    for n in 0..32 {
        sample(
            &mut places,
            &[&format!(r#"{{"counts":{{"n{n}":{{"x":1}}}}}}"#)],
            1.0,
        );
    }
    assert_eq!(places.path(first).as_deref(), Some("$.counts.n0.x"));
    sample(&mut places, &[r#"{"counts":{"n32":{"x":1}}}"#], 1.0);
    assert_eq!(places.path(first), None, "it is no place any more");
    let entry = places.make("$.counts.n0.x").unwrap();
    assert_eq!(places.path(entry).as_deref(), Some("$.counts.*.x"));
    assert_eq!(places.make("$.counts.new.x"), Some(entry));
    assert_eq!(places.make("$.counts.*.x"), Some(entry));
    assert_eq!(
        share(&places, "$.counts.*"),
        1.0,
        "each pair had some name there"
    );
    // The other fields keep their names.
    assert_eq!(
        places.path(places.find("$.counts").unwrap()).as_deref(),
        Some("$.counts")
    );
}

#[test]
fn a_map_of_the_rules_has_no_names() {
    let mut places = Places::default();
    places.make("$.counts.a").unwrap();
    let entry = places.make("$.counts.*").unwrap();
    assert_eq!(places.make("$.counts.a"), Some(entry));
}

#[test]
fn documents_leave_room_for_differences() {
    let mut places = Places::default();
    for a in 0..30 {
        for b in 0..30 {
            sample(
                &mut places,
                &[&format!(r#"{{"a{a}":{{"b{b}":{{"c":1,"d":2}}}}}}"#)],
                1.0,
            );
        }
    }
    assert_eq!(places.len(), MAX_FROM_DOCUMENTS);
    let late = places.make("$.a0.x").unwrap();
    assert_eq!(
        places.share(late),
        [1.0; 2],
        "it may have been there all the time"
    );
    sample(&mut places, &["{}"], 3.0);
    sample(&mut places, &[r#"{"a0":{"x":1}}"#], 1.0);
    assert_eq!(places.share(late)[0], 0.25, "of those since it is known");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn there_are_never_too_many_places(paths in proptest::collection::vec("([$]([.][a-z]{1,2}|[.][*]|\\[[*]\\]|\\['[a-d .]{1,3}'\\]){0,6})|[a-z]{1,4}", 1..300)) {
        let mut places = Places::default();
        for path in &paths {
            let Some(place) = places.make(path) else { continue };
            prop_assert!(places.path(place).is_some());
            let text = places.path(place).unwrap();
            prop_assert_eq!(places.find(&text), Some(place), "{}", text);
        }
        prop_assert!(places.len() <= MAX_PLACES);
        let names = places.spots.iter().skip(1).map(|spot| spot.members.len()).max();
        prop_assert!(names <= Some(MAX_NAMES));
    }
}
