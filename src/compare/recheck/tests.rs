//! The table of verdicts row by row, and orientations by example and by symmetry.

use super::*;
use crate::compare::finding::Incomparable;
use crate::compare::rules::Rules;
use crate::compare::verdict::Unlimited;
use crate::compare::verdict::tests::rules;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

/// An answer written as a document, or as `500 text`.
fn answer<'a>(text: &'a str, headers: &'a HeaderMap) -> Answer<'a> {
    let (status, body) = text
        .split_once(' ')
        .and_then(|(status, body)| Some((status.parse().ok()?, body)))
        .unwrap_or((200, text));
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Some(body.as_bytes()),
    }
}

/// Looks at old1, new1, old2, new2.
fn again(answers: [&str; 4], by: &str) -> Again {
    let headers = HeaderMap::new();
    let [old1, new1, old2, new2] = answers.map(|text| answer(text, &headers));
    let rules = rules(by);
    let found = compare(&old1, &new1, &rules, &mut Unlimited).divergences;
    let first = Look {
        old: old1,
        new: new1,
    };
    let last = Look {
        old: old2,
        new: new2,
    };
    look_again(first, last, &found, &rules, &mut Unlimited).unwrap()
}

#[test]
fn the_table_row_by_row() {
    let second = Duration::from_secs(1);
    let check = |answers: [&str; 4], noise, written: Option<u32>, expected| {
        let again = again(answers, "");
        let evidence = Evidence {
            noise,
            again: Some(&again),
            written: written.map(|ms| second * ms / 1_000),
            lag: 5 * second,
        };
        assert_eq!(verdict(&evidence), expected, "{answers:?}");
    };
    let flaky = Judgement::Mismatch {
        flaky: true,
        rechecked: true,
    };
    let stays = Judgement::Mismatch {
        flaky: false,
        rechecked: true,
    };
    check(["1", "2", "1", "2"], true, None, Judgement::Noise);
    check(["1", "2", "2", "2"], false, None, Judgement::Transient);
    check(["1", "2", "2", "2"], false, Some(1), Judgement::Transient);
    check(["1", "2", "1", "1"], false, Some(4_999), Judgement::Lag);
    check(["1", "2", "1", "1"], false, Some(5_000), flaky);
    check(["1", "2", "1", "1"], false, None, flaky);
    check(["1", "2", "3", "3"], false, None, Judgement::Transient);
    check(["1", "2", "1", "2"], false, Some(1), stays);
    check(["1", "2", "2", "1"], false, None, stays);
    check(["1", "2", "3", "4"], false, None, stays);
    check(["1", "2", "1", "3"], false, None, stays);
    check(
        [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":1}"#, r#"{"b":2}"#],
        false,
        None,
        stays,
    );
    let alone = Evidence {
        noise: false,
        again: None,
        written: Some(second),
        lag: 5 * second,
    };
    let unchecked = Judgement::Mismatch {
        flaky: false,
        rechecked: false,
    };
    assert_eq!(verdict(&alone), unchecked);
    assert_eq!(
        verdict(&Evidence {
            noise: true,
            ..alone
        }),
        Judgement::Noise
    );
}

/// What is near both within a tolerance has not moved, and what differed still differs.
#[test]
fn a_value_between_two_that_differ_is_no_excuse() {
    let again = again(["1.0", "1.2", "1.1", "1.1"], "tolerance $ 0.1");
    assert!(again.equal && again.old_stayed && again.new_stayed);
    let evidence = Evidence {
        noise: false,
        again: Some(&again),
        written: None,
        lag: Duration::ZERO,
    };
    assert_eq!(
        verdict(&evidence),
        Judgement::Mismatch {
            flaky: false,
            rechecked: true
        }
    );
}

#[test]
fn each_path_has_its_own_orientation() {
    let check = |answers: [&str; 4], by: &str, expected: &[(&str, Orientation)]| {
        let again = again(answers, by);
        let found: Vec<_> = again
            .paths
            .iter()
            .map(|path| (path.path.as_str(), path.orientation))
            .collect();
        assert_eq!(found, expected, "{answers:?}");
    };
    use Orientation::{Aligned, Crossed, Neither};
    check(
        [
            r#"{"a":1,"b":1,"c":1,"d":1}"#,
            r#"{"a":2,"b":2,"c":2,"d":2}"#,
            r#"{"a":1,"b":2,"c":1,"d":5}"#,
            r#"{"a":2,"b":1,"c":1,"d":6}"#,
        ],
        "",
        &[
            ("$.a", Aligned),
            ("$.b", Crossed),
            ("$.c", Neither),
            ("$.d", Neither),
        ],
    );
    // Equal now: neither way round, whoever moved.
    check(["1", "2", "2", "2"], "", &[("$", Neither)]);
    // A parent that is missing reports itself alone, and what is below it stayed with it.
    check(
        [r#"{"a":{"x":1}}"#, "{}", r#"{"a":{"x":1}}"#, "{}"],
        "",
        &[("$.a", Aligned)],
    );
    check(
        [r#"{"a":{"x":1}}"#, "{}", r#"{"a":{"x":2}}"#, "{}"],
        "",
        &[("$.a", Neither)],
    );
    check(
        [
            r#"{"a":{"x":1}}"#,
            r#"{"a":{"x":2}}"#,
            r#"{"a":{"x":1}}"#,
            "{}",
        ],
        "",
        &[("$.a.x", Neither)],
    );
    // A name that only begins alike is another one.
    check(
        [
            r#"{"a":1,"ab":1}"#,
            r#"{"a":2,"ab":1}"#,
            r#"{"a":1,"ab":1}"#,
            r#"{"a":2,"ab":3}"#,
        ],
        "",
        &[("$.a", Aligned)],
    );
    // Out of shape: the shapes stay, whatever the values are.
    check(
        [
            r#"{"t":"2026-01-01T00:00:00Z"}"#,
            r#"{"t":null}"#,
            r#"{"t":"2026-01-01T00:00:09Z"}"#,
            r#"{"t":null}"#,
        ],
        "",
        &[("$.t", Aligned)],
    );
    // In shape: the values have to stay.
    check(
        [
            r#"{"t":"2026-01-01T00:00:00Z"}"#,
            r#"{"t":"2026-01-01T00:00:01Z"}"#,
            r#"{"t":"2026-01-01T00:00:09Z"}"#,
            r#"{"t":"2026-01-01T00:00:01Z"}"#,
        ],
        "",
        &[("$.t", Neither)],
    );
    // Where two shapes meet at a path of many places, they are what counts.
    check(
        [
            r#"[{"t":1},{"t":5}]"#,
            r#"[{"t":2},{"t":null}]"#,
            r#"[{"t":3},{"t":6}]"#,
            r#"[{"t":4},{"t":null}]"#,
        ],
        "",
        &[("$[*].t", Aligned)],
    );
    check(
        ["[1,2,3]", "[3,2,1]", "[1,2,3]", "[3,2,1]"],
        "",
        &[("$", Aligned)],
    );
    check(
        ["[1,2,3]", "[3,2,1]", "[3,2,1]", "[1,2,3]"],
        "",
        &[("$", Crossed)],
    );
    // Statuses hide bodies, and bodies their fields.
    check(["1", "500 x", "1", "500 x"], "", &[("status", Aligned)]);
    check(["1", "2", "500 x", "2"], "", &[("$", Neither)]);
    check(["1", "<", "1", "<"], "", &[("body", Aligned)]);
    check(["1", "<", "2", "<"], "", &[("body", Neither)]);
    check(["1", "<", "1", ">"], "", &[("body", Neither)]);
    // Near enough is the same.
    check(
        ["1.0", "2.0", "1.05", "2.05"],
        "tolerance $ 0.1",
        &[("$", Aligned)],
    );
}

#[test]
fn a_side_that_lacks_what_it_said_is_not_compared() {
    let headers = HeaderMap::new();
    let check = |answers: [&str; 4], by: &str, expected: [bool; 2]| {
        let [old1, new1, old2, new2] = answers.map(|text| answer(text, &headers));
        let rules = rules(by);
        let found = compare(&old1, &new1, &rules, &mut Unlimited).divergences;
        let mut possible = [Possible::BOTH];
        let verdict = judge(
            &old2,
            &new2,
            (&rules).into(),
            &mut Unlimited,
            &mut |documents| {
                if is_telling(&[old1, new1, old2, new2], (&rules).into()) {
                    rule_out(
                        &leading(&found).collect::<Vec<_>>(),
                        &mut possible,
                        documents,
                    );
                }
            },
        );
        assert_eq!(verdict, Verdict::Mismatch);
        let [Possible { aligned, crossed }] = possible;
        assert_eq!([aligned, crossed], expected, "{answers:?} {by}");
    };
    let clock = [
        r#"{"a":[{"t":1}]}"#,
        r#"{"a":[{"t":2}]}"#,
        r#"{"a":[{"t":3}]}"#,
        r#"{"a":[{"t":4}]}"#,
    ];
    check(clock, "", [false, false]);
    check(clock, "ignore $.b", [false, false]);
    let [one, two, three, _] = clock;
    check([one, two, one, two], "", [true, false]);
    check([one, two, two, one], "", [false, true]);
    check([one, two, one, three], "", [false, false]);
    // What is near may be the same, and elements that are told apart by their places may be hidden.
    check(clock, "tolerance $.a[*].t 0.1", [true, true]);
    check(clock, "ignore $.a[1]", [true, true]);
    // Of what was not there nothing is known, and a name that is data is not looked for.
    let (none, some) = ("{}", r#"{"a":1}"#);
    check([none, some, none, r#"{"a":"x"}"#], "", [false, false]);
    check([none, some, some, none], "", [false, true]);
    check([none, some, none, some], "", [true, false]);
    check(clock, "map $.a[*]", [true, true]);
}

#[test]
fn the_last_look_counts_where_the_sides_have_stood_by_their_answers() {
    let first = [r#"{"a":1,"b":1}"#, r#"{"a":2,"b":2}"#];
    let stays = again([first[0], first[1], first[0], first[1]], "");
    let turns = again(
        [first[0], first[1], r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#],
        "",
    );
    let orientations =
        |again: Again| -> Vec<_> { again.paths.iter().map(|path| path.orientation).collect() };
    use Orientation::{Aligned, Crossed, Neither};
    assert_eq!(
        orientations(stays.clone().after(&stays)),
        [Aligned, Aligned]
    );
    assert_eq!(
        orientations(turns.clone().after(&stays)),
        [Aligned, Crossed]
    );
    assert_eq!(
        orientations(turns.clone().after(&turns)),
        [Aligned, Neither]
    );
    let back = stays.clone().after(&turns);
    assert_eq!(orientations(back.clone()), [Aligned, Neither]);
    assert_eq!(orientations(stays.after(&back)), [Aligned, Neither]);
    assert!(back.may_stand() && !back.clone().given_up().may_stand());
    assert_eq!(orientations(back.given_up()), [Neither, Neither]);
}

#[test]
fn what_was_seen_is_the_first_place_out_of_shape() {
    let again = again(
        [r#"[{"t":1},{"t":5}]"#, r#"[{"t":2},{"t":null}]"#, "1", "2"],
        "",
    );
    let shapes = again.paths[0].seen.map(|seen| seen.shape.to_string());
    assert_eq!(shapes, ["int 1e0", "null"]);
}

#[test]
fn what_cannot_be_compared_any_more_says_nothing() {
    struct Nothing;
    impl Memory for Nothing {
        fn charge(&mut self, _: usize) -> bool {
            false
        }
    }
    let headers = HeaderMap::new();
    let look = |old, new| Look {
        old: answer(old, &headers),
        new: answer(new, &headers),
    };
    let rules = Rules::default();
    let found = look_again(
        look("1", "2"),
        look("[1]", "[2]"),
        &[],
        &rules,
        &mut Nothing,
    );
    assert_eq!(found, Err(Incomparable::Bytes));
}

fn document() -> impl Strategy<Value = String> {
    let field = || {
        prop_oneof![
            Just(""),
            Just("1"),
            Just("2"),
            Just("\"x\""),
            Just("null"),
            Just("[1,2]"),
            Just("[2,1]")
        ]
    };
    (field(), field()).prop_map(|(a, b)| {
        let member = |name, value: &str| (!value.is_empty()).then(|| format!("\"{name}\":{value}"));
        let members: Vec<_> = [member("a", a), member("b", b)]
            .into_iter()
            .flatten()
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Documents with lists of alike elements, among them names that stand twice and numbers in several spellings.
fn listing() -> impl Strategy<Value = String> {
    let value = || {
        prop_oneof![
            Just("1"),
            Just("1.0"),
            Just("2"),
            Just("20"),
            Just("\"x\""),
            Just("\"2026-01-01T00:00:00Z\""),
            Just("null"),
            Just("{\"d\":1}"),
        ]
    };
    let element = (value(), value(), proptest::option::of(value())).prop_map(|(t, u, again)| {
        let again = again.map_or_else(String::new, |again| format!(",\"t\":{again}"));
        format!("{{\"t\":{t},\"u\":{u}{again}}}")
    });
    let list = proptest::collection::vec(
        prop_oneof![4 => element, 1 => value().prop_map(str::to_owned)],
        0..4,
    );
    (list, value()).prop_map(|(list, a)| format!("{{\"l\":[{}],\"a\":{a}}}", list.join(",")))
}

/// How each path stands by whole comparisons, whatever need not be compared.
fn compared(answers: [&str; 4], by: &str) -> Vec<Orientation> {
    let headers = HeaderMap::new();
    let [old1, new1, old2, new2] = answers.map(|text| answer(text, &headers));
    let rules = rules(by);
    let find = |one, other| compare(one, other, &rules, &mut Unlimited).divergences;
    let found = find(&old1, &new1);
    let differs = [
        [&old1, &old2],
        [&new1, &new2],
        [&old1, &new2],
        [&old2, &new1],
    ]
    .map(|[one, other]| find(one, other));
    let is_equal = find(&old2, &new2).is_empty();
    let orientation = |divergence| {
        let [old, new, one, other] = differs.each_ref().map(|found| is_same(divergence, found));
        match (old && new, one && other) {
            (true, false) if !is_equal => Orientation::Aligned,
            (false, true) if !is_equal => Orientation::Crossed,
            _ => Orientation::Neither,
        }
    };
    leading(&found).map(orientation).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_ruled_out_is_what_comparisons_rule_out(
        documents in proptest::collection::vec(listing(), 2..5),
        which in proptest::array::uniform4(0_usize..4),
        by in prop_oneof![
            Just(""), Just("ignore $.l[*].u"), Just("unordered $.l"), Just("match_by $.l t"), Just("nulls"),
            Just("map $.l[*]"), Just("tolerance $..t 1"), Just("shape $..t"), Just("ignore $.l[0]"),
        ],
    ) {
        let answers = which.map(|which| &*documents[which % documents.len()]);
        let again = again(answers, by);
        let found: Vec<_> = again.paths.iter().map(|path| path.orientation).collect();
        prop_assert_eq!(found, compared(answers, by), "{:?} {}", answers, by);
    }

    /// With the last answers changed about, what was aligned is crossed and the other way round, whatever was seen before: the test of noise rests on
    /// this.
    #[test]
    fn swapping_the_last_look_turns_each_orientation(
        a in document(), b in document(), c in document(), d in document(),
        between in proptest::option::of((document(), document())),
    ) {
        let last = |c: &String, d: &String| {
            let last = again([&a, &b, c, d], "");
            match &between {
                Some((e, f)) => last.after(&again([&a, &b, e, f], "")),
                None => last,
            }
        };
        let (one, other) = (last(&c, &d), last(&d, &c));
        prop_assert_eq!(one.equal, other.equal);
        prop_assert_eq!(one.paths.len(), other.paths.len());
        for (one, other) in one.paths.iter().zip(&other.paths) {
            let turned = match one.orientation {
                Orientation::Aligned => Orientation::Crossed,
                Orientation::Crossed => Orientation::Aligned,
                Orientation::Neither => Orientation::Neither,
            };
            prop_assert_eq!(&one.path, &other.path);
            prop_assert_eq!(turned, other.orientation);
        }
    }
}
