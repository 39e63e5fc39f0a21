use super::*;
use crate::route::bucket::bucket;
use proptest::prelude::*;

/// The route `content-tags`: key `{path.content}`, 50 percent, all mirrored. Under salt "tags", "0ad" is in bucket 4281
/// and "gcc" in 7342.
fn split() -> Policy {
    Policy {
        name: "content-tags".into(),
        serve: Serve::Split,
        percent: Share::from_percent(50.0).unwrap(),
        lone: None,
        key: Some(Box::new(Template::parse("{path.content}").unwrap())),
        salt: Arc::new(Salt::new("tags")),
        pins: Some(Box::new(Pins {
            old: ["pinned-old".to_owned()].into(),
            new: ["pinned-new".to_owned()].into(),
        })),
        shadow: Share::ALL,
        read: false,
    }
}

fn keyless(percent: Share) -> Policy {
    Policy {
        key: None,
        pins: None,
        percent,
        ..split()
    }
}

fn switches(serve: Serve, overrule: Option<(Side, Option<&str>)>) -> Switches {
    let overrule = overrule.map(|(serve, route)| Override {
        serve,
        route: route.map(Arc::from),
    });
    Switches {
        serve,
        shadow: true,
        overrule,
    }
}

const LOW: u16 = 4281;
const HIGH: u16 = 7342;

#[track_caller]
fn check(
    policy: &Policy,
    switches: &Switches,
    (read, key): (bool, Option<&str>),
    expected: (&str, &str, Option<u16>),
) {
    let decision = decide(policy, switches, read, key);
    assert_eq!(
        (decision.side.name(), decision.why.name(), decision.bucket),
        expected,
        "{key:?} {switches:?}"
    );
}

#[test]
fn the_first_rule_that_applies_gives_the_side() {
    let plain = switches(Serve::Split, None);
    let everything = |side| switches(Serve::Split, Some((side, None)));
    let this_route = |side| switches(Serve::Old, Some((side, Some("content-tags"))));
    let other_route = |side| switches(Serve::Split, Some((side, Some("other"))));
    let read = |key| (true, Some(key));
    let write = |key| (false, Some(key));

    // 1: the override, for everything or this route, beats every switch and includes writes.
    check(
        &split(),
        &everything(Side::New),
        read("gcc"),
        ("new", "override", Some(HIGH)),
    );
    check(
        &split(),
        &everything(Side::Old),
        read("pinned-new"),
        ("old", "override", Some(bucket("tags", "pinned-new"))),
    );
    check(
        &split(),
        &everything(Side::New),
        (false, None),
        ("new", "override", None),
    );
    check(
        &split(),
        &this_route(Side::New),
        read("0ad"),
        ("new", "override", Some(LOW)),
    );
    check(
        &split(),
        &other_route(Side::Old),
        read("0ad"),
        ("new", "bucket", Some(LOW)),
    );

    // 2 and 3: switches; old goes before new, the total one gives the name where both say the same.
    let route = |serve| Policy { serve, ..split() };
    let total = |serve| switches(serve, None);
    let rows = [
        (Serve::Old, Serve::New, "old", "total"),
        (Serve::Old, Serve::Old, "old", "total"),
        (Serve::New, Serve::Old, "old", "route"),
        (Serve::Split, Serve::Old, "old", "route"),
        (Serve::New, Serve::Split, "new", "total"),
        (Serve::New, Serve::New, "new", "total"),
        (Serve::Split, Serve::New, "new", "route"),
    ];
    for (above, own, side, why) in rows {
        check(
            &route(own),
            &total(above),
            read("0ad"),
            (side, why, Some(LOW)),
        );
        check(
            &route(own),
            &total(above),
            write("0ad"),
            (side, why, Some(LOW)),
        );
    }

    // 4: writes, pinned or not.
    check(&split(), &plain, write("0ad"), ("old", "write", Some(LOW)));
    check(
        &split(),
        &plain,
        write("pinned-new"),
        ("old", "write", Some(bucket("tags", "pinned-new"))),
    );
    check(
        &keyless(Share::ALL),
        &plain,
        (false, None),
        ("old", "write", None),
    );

    // 5: pins, whatever the percent.
    let all = Policy {
        percent: Share::ALL,
        ..split()
    };
    check(
        &all,
        &plain,
        read("pinned-old"),
        ("old", "pin", Some(bucket("tags", "pinned-old"))),
    );
    let none = Policy {
        percent: Share::NONE,
        ..split()
    };
    check(
        &none,
        &plain,
        read("pinned-new"),
        ("new", "pin", Some(bucket("tags", "pinned-new"))),
    );

    // 6: no key to go by.
    check(&all, &plain, (true, None), ("old", "no_key", None));
    check(
        &keyless(Share::NONE),
        &plain,
        (true, None),
        ("old", "no_key", None),
    );

    // 7: buckets, and a route without key that is all new's.
    check(&split(), &plain, read("0ad"), ("new", "bucket", Some(LOW)));
    check(&split(), &plain, read("gcc"), ("old", "bucket", Some(HIGH)));
    check(&none, &plain, read("0ad"), ("old", "bucket", Some(LOW)));
    check(&all, &plain, read("gcc"), ("new", "bucket", Some(HIGH)));
    check(
        &keyless(Share::ALL),
        &plain,
        (true, None),
        ("new", "bucket", None),
    );
}

#[test]
fn what_is_a_read() {
    let searching = Policy {
        read: true,
        ..split()
    };
    let rows = [
        (Method::GET, true, true),
        (Method::HEAD, true, true),
        (Method::OPTIONS, true, true),
        (Method::POST, false, true),
        (Method::PUT, false, true),
        (Method::PATCH, false, false),
        (Method::DELETE, false, false),
        (Method::TRACE, false, false),
    ];
    for (method, plain, declared) in rows {
        assert_eq!(is_read(&split(), &method), plain, "{method}");
        assert_eq!(
            is_read(&searching, &method),
            declared,
            "{method} with read = true"
        );
    }
}

#[test]
fn only_reads_are_mirrored_and_switches_do_not_matter() {
    let plain = switches(Serve::Split, None);
    let sure = |sampled, bucket| Sampling::Sure { sampled, bucket };
    let half = |policy: Policy| Policy {
        shadow: Share::from_percent(70.0).unwrap(),
        ..policy
    };
    let off = |policy: Policy| Policy {
        shadow: Share::NONE,
        ..policy
    };
    let stopped = Switches {
        shadow: false,
        ..switches(Serve::Split, None)
    };
    // "0ad" is in bucket 7734 of tags/shadow, "bash" in 6772.
    let rows = [
        (
            half(split()),
            &plain,
            true,
            Some("0ad"),
            sure(false, Some(7734)),
        ),
        (
            half(split()),
            &plain,
            true,
            Some("bash"),
            sure(true, Some(6772)),
        ),
        (
            half(split()),
            &plain,
            false,
            Some("bash"),
            sure(false, Some(6772)),
        ),
        (
            half(split()),
            &stopped,
            true,
            Some("bash"),
            sure(false, Some(6772)),
        ),
        (
            half(split()),
            &plain,
            true,
            None,
            Sampling::Random(Share::from_percent(70.0).unwrap()),
        ),
        (half(split()), &plain, false, None, sure(false, None)),
        (split(), &plain, true, None, sure(true, None)),
        (off(split()), &plain, true, None, sure(false, None)),
        (
            off(keyless(Share::ALL)),
            &plain,
            true,
            None,
            sure(false, None),
        ),
        (keyless(Share::NONE), &plain, true, None, sure(true, None)),
    ];
    for (policy, switches, read, key, expected) in rows {
        assert_eq!(
            sampling(&policy, switches, read, key),
            expected,
            "{read} {key:?} {policy:?}"
        );
    }
    for serve in [Serve::Old, Serve::Split, Serve::New] {
        let switches = switches(serve, Some((Side::Old, None)));
        assert_eq!(
            sampling(&half(split()), &switches, true, Some("bash")),
            sure(true, Some(6772))
        );
    }
}

#[test]
fn the_share_in_force_obeys_switches_and_override() {
    let plain = switches(Serve::Split, None);
    let rows = [
        (split(), plain.clone(), 0.5),
        (keyless(Share::ALL), plain.clone(), 1.0),
        (keyless(Share::NONE), plain, 0.0),
        (split(), switches(Serve::New, None), 1.0),
        (
            Policy {
                serve: Serve::Old,
                ..split()
            },
            switches(Serve::New, None),
            0.0,
        ),
        (split(), switches(Serve::Old, Some((Side::New, None))), 1.0),
        (
            split(),
            switches(Serve::New, Some((Side::Old, Some("content-tags")))),
            0.0,
        ),
        (
            split(),
            switches(Serve::Split, Some((Side::Old, Some("other")))),
            0.5,
        ),
    ];
    for (policy, switches, expected) in rows {
        assert_eq!(share_in_force(&policy, &switches), expected, "{switches:?}");
    }
}

#[test]
fn old_is_asked_instead_only_where_a_key_chose_new() {
    for (side, why, expected) in [
        (Side::New, Why::Bucket, true),
        (Side::New, Why::Pin, true),
        (Side::New, Why::Override, false),
        (Side::New, Why::Total, false),
        (Side::New, Why::Route, false),
        (Side::Old, Why::Bucket, false),
    ] {
        assert_eq!(
            Decision {
                side,
                why,
                bucket: None
            }
            .may_fall_back(),
            expected,
            "{why:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn raising_a_share_never_moves_a_key_from_new_to_old(key in "\\PC{0,16}", low in 0..=10_000_u16, high in 0..=10_000_u16) {
        let at = |steps: u16| {
            let percent = Share::from_percent(f64::from(steps) / 100.0).unwrap();
            decide(&Policy { percent, ..split() }, &switches(Serve::Split, None), true, Some(&key))
        };
        let (before, after) = (at(low.min(high)), at(low.max(high)));
        prop_assert_eq!(before.bucket, after.bucket);
        prop_assert!(!(before.side == Side::New && after.side == Side::Old));
    }

    #[test]
    fn routes_of_one_salt_move_the_same_keys_together(key in "\\PC{0,16}", steps in 0..=10_000_u16) {
        let percent = Share::from_percent(f64::from(steps) / 100.0).unwrap();
        let one = Policy { percent, ..split() };
        let other = Policy { name: "content".into(), key: Some(Box::new(Template::parse("{query.c}").unwrap())), ..one.clone() };
        let switches = switches(Serve::Split, None);
        let (one, other) = (decide(&one, &switches, true, Some(&key)), decide(&other, &switches, true, Some(&key)));
        prop_assert_eq!(one, other);
    }
}
