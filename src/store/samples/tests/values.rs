//! What stands in a sample, and what can be said of it without the values.

use super::{Rig, hiding, look, raw};
use crate::compare::{Answer, Comparison, Kind, Rules, Unlimited, Verdict, compare};
use crate::config::settings::Values;
use crate::json::FieldPath;
use crate::store::samples::{Blur, Body, RawSample, Sample, StandIn};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A sample as it comes out again.
fn kept(sample: RawSample) -> Sample {
    let rig = Rig::new();
    rig.offer(sample);
    rig.page().samples.remove(0)
}

fn document(body: &Body) -> Value {
    match body {
        Body::Json(raw) => serde_json::from_str(raw.get()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_hidden_unless_they_are_shown() {
    let old = r#"{"id": 7, "name": "PLANTED", "tags": [{"name": "one", "ok": true}, null], "token": {"a": "PLANTED"}}"#;
    let new = r#"{"id": 7.0, "name": "PLANTED", "tags": [], "token": 1}"#;
    let sample = kept(raw("a", old, new));
    let text = serde_json::to_string(&sample).unwrap();
    assert!(!text.contains("PLANTED") && !text.contains("one"), "{text}");
    assert!(sample.redacted);
    assert_eq!(sample.key.as_ref().unwrap()["$redacted"], "string");
    assert!(
        sample.target.starts_with("/tags/$redacted:"),
        "{}",
        sample.target
    );
    let (hidden_old, hidden_new) = (document(&sample.old.body), document(&sample.new.body));
    assert_eq!(hidden_old["id"]["$redacted"], "number");
    assert_eq!(hidden_old["id"], hidden_new["id"]);
    assert_eq!(hidden_old["name"], hidden_new["name"]);
    assert_eq!(hidden_old["tags"][0]["ok"]["$redacted"], "boolean");
    assert_eq!(hidden_old["tags"][1], Value::Null);
    assert_eq!(hidden_old["token"]["$redacted"], "object");
    let content_type = (&*sample.old.headers[0].0, &sample.old.headers[0].1);
    assert_eq!(content_type, ("content-type", &json!("application/json")));

    // By path.
    let some = RawSample {
        hiding: hiding(Values::Redacted, &["$.tags[*].name", "$.token"]),
        ..raw("a", old, new)
    };
    let some = kept(some);
    let shown = document(&some.old.body);
    assert_eq!(shown["tags"][0]["name"], "one");
    assert_eq!(shown["name"]["$redacted"], "string");
    assert_eq!(
        shown["token"]["$redacted"], "object",
        "secrets are never shown"
    );

    // Altogether, but for secrets.
    let all = RawSample {
        hiding: hiding(Values::Shown, &[]),
        ..raw("a", old, new)
    };
    let all = kept(all);
    let shown = document(&all.old.body);
    assert_eq!(
        (&shown["name"], &shown["id"]),
        (&json!("PLANTED"), &json!(7))
    );
    assert_eq!(shown["token"]["$redacted"], "object");
    assert_eq!(all.key, Some(json!("7")));
    assert_eq!(all.target, "/tags/7?page=2");
}

#[test]
fn fields_and_bodies_that_are_no_documents_are_hidden_too() {
    let with = |values, content_type: &'static str, body: &'static [u8]| {
        let mut sample = raw("a", "", "");
        sample.hiding = hiding(values, &[]);
        for look in [&mut sample.old, &mut sample.new] {
            look.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            look.headers
                .insert(SET_COOKIE, HeaderValue::from_static("PLANTED"));
            look.headers
                .insert("x-name", HeaderValue::from_static("plain"));
            look.body = Some(Bytes::from_static(body));
        }
        kept(sample)
    };
    let shown = |sample: &Sample| match &sample.old.body {
        Body::Text(text) => Some(text.clone()),
        Body::None | Body::Json(_) | Body::Lines(_) | Body::Form(_) | Body::Bytes { .. } => None,
    };
    for values in [Values::Redacted, Values::Shown] {
        for (content_type, body) in [
            ("text/plain", &b"a text"[..]),
            ("application/x-www-form-urlencoded", b"token=PLANTED"),
            ("application/x-ndjson", b"{\"token\": \"PLANTED\"}\n{}"),
            ("application/json", b"{\"token\": \"PLANTED\""),
            ("image/png", b"\xff\xfe"),
        ] {
            let sample = with(values, content_type, body);
            let text = serde_json::to_string(&sample).unwrap();
            assert!(!text.contains("PLANTED"), "{text}");
            let open = values == Values::Shown && content_type == "text/plain";
            assert_eq!(shown(&sample).is_some(), open, "{content_type}");
            assert_eq!(
                text.contains("[\"x-name\",\"plain\"]"),
                values == Values::Shown,
                "{text}"
            );
        }
    }
}

fn answer(stand_in: &StandIn) -> Answer<'_> {
    Answer {
        status: stand_in.status,
        headers: &stand_in.headers,
        body: stand_in.body.as_deref(),
    }
}

fn judge(sample: &Sample, rules: &Rules, blur: Blur<'_>) -> Comparison {
    let replica = sample.replica(blur).unwrap();
    compare(
        &answer(&replica.old),
        &answer(&replica.new),
        rules,
        &mut Unlimited,
    )
}

fn paths(texts: &[&str]) -> Vec<FieldPath> {
    texts
        .iter()
        .map(|text| FieldPath::parse(text).unwrap())
        .collect()
}

/// What rules say of a pair as it came, and of its sample.
fn both(old: &str, new: &str, rules: &Rules) -> [Comparison; 2] {
    let (one, other) = (look(old), look(new));
    let view = |look: &'_ crate::store::samples::RawLook| StandIn {
        status: look.status,
        headers: look.headers.clone(),
        body: look.body.as_deref().map(<[u8]>::to_vec),
    };
    let (one, other) = (view(&one), view(&other));
    let as_it_came = compare(&answer(&one), &answer(&other), rules, &mut Unlimited);
    let redactor = crate::store::Redactor::new().unwrap();
    let group = crate::store::samples::Group::new("a", "mismatch");
    let sample = raw("a", old, new).hidden(&group, &redactor);
    [as_it_came, judge(&sample, rules, Blur::default())]
}

/// What is said of a pair, but for what its values are: those stand in a patch, and in the shapes of what was seen.
fn said(comparison: &Comparison) -> (Verdict, Vec<(&str, &str, Kind)>) {
    let found = comparison.divergences.iter();
    let places = found.map(|found| (&*found.path, &*found.at, found.kind));
    (comparison.verdict, places.collect())
}

#[track_caller]
fn same(old: &str, new: &str, rules: &Rules) {
    let [as_it_came, hidden] = both(old, new, rules);
    assert_eq!(said(&as_it_came), said(&hidden), "{old} {new}");
}

#[test]
fn rules_say_the_same_of_what_is_hidden() {
    let rules = Rules::default();
    let ordered = Rules {
        unordered: paths(&["$..tags"]),
        ignore: paths(&["$.at"]),
        match_by: vec![(FieldPath::parse("$.items").unwrap(), vec!["id".to_owned()])],
        null_is_absent: true,
        ..Rules::default()
    };
    for (old, new) in [
        ("1", "1.0"),
        ("1", "2"),
        ("9007199254740993", "9007199254740992"),
        ("1e400", "1e401"),
        ("1e400", "10e399"),
        ("0.1", "0.1000000000000000055"),
        ("true", "false"),
        ("[true, false]", "[true, true]"),
        ("true", "1"),
        ("\"1\"", "1"),
        ("null", "{}"),
        ("{\"a\": null}", "{}"),
        ("{\"a\": 1, \"a\": 2}", "{\"a\": 1}"),
        ("{\"tags\": [1, 2, 2]}", "{\"tags\": [2, 1, 2]}"),
        (
            "{\"items\": [{\"id\": 1, \"n\": 1}, {\"id\": 2}]}",
            "{\"items\": [{\"id\": 2}, {\"id\": 1, \"n\": 2}]}",
        ),
        ("{\"at\": 1, \"b\": \"x\"}", "{\"at\": 2, \"b\": \"x\"}"),
        ("[1, 2, 3, 4]", "[0, 1, 2, 3, 4]"),
        ("{\"token\": {\"a\": 1}}", "{\"token\": {\"a\": 1.0}}"),
        ("not json", "1"),
        ("not json", "nor this"),
        ("", "1"),
    ] {
        same(old, new, &rules);
        same(old, new, &ordered);
    }
}

#[test]
fn how_near_hidden_numbers_are_is_not_known_and_with_a_blur_they_are_alike() {
    let rules = Rules {
        tolerance: vec![(FieldPath::parse("$.weight").unwrap(), 0.5)],
        ..Rules::default()
    };
    let verdicts = |old: &str, new: &str| {
        let sample = kept(raw("a", old, new));
        let numbers = paths(&["$.weight"]);
        [Blur::default(), Blur { paths: &numbers }].map(|blur| judge(&sample, &rules, blur).verdict)
    };
    let (near, far) = ("{\"weight\": 1.0, \"n\": 1}", "{\"weight\": 1.1, \"n\": 1}");
    assert_eq!(verdicts(near, far), [Verdict::Mismatch, Verdict::Match]);
    let other = "{\"weight\": 1.1, \"n\": 2}";
    assert_eq!(verdicts(near, other), [Verdict::Mismatch; 2]);
    // Where values are shown there is nothing to blur.
    let shown = RawSample {
        hiding: hiding(Values::Shown, &[]),
        ..raw("a", near, "{\"weight\": 3, \"n\": 1}")
    };
    let numbers = paths(&["$.weight"]);
    let judged = judge(&kept(shown), &rules, Blur { paths: &numbers });
    assert_eq!(judged.verdict, Verdict::Mismatch);
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        (0..3_i64).prop_map(|n| json!(n as f64 / 2.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[ab]|token", inner, 0..3)
                .prop_map(|members| { Value::Object(members.into_iter().collect()) }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_judgement_without_rules_needs_no_values(old in any_document(), new in any_document()) {
        let [as_it_came, hidden] = both(&old.to_string(), &new.to_string(), &Rules::default());
        prop_assert_eq!(as_it_came.verdict, hidden.verdict);
        // Below a secret the places are hidden too, and which of equally good alignments of elements is taken depends on what they say.
        let is_plain = |document: &Value| !document.to_string().contains("token") && !document.to_string().contains('[');
        if is_plain(&old) && is_plain(&new) {
            prop_assert_eq!(said(&as_it_came), said(&hidden));
        }
    }
}
