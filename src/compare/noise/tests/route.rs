//! What the statistics of a route count, and that they stay small.

use super::*;
use crate::compare::trials::labels::LABELS;

fn noise() -> Noise {
    Noise::new(Settings::default(), [], Duration::ZERO)
}

fn earn(noise: &mut Noise, pairs: u64, now: Duration) {
    for _ in 0..pairs {
        if let Some(stands_for) = noise.pair(now) {
            count(noise, stands_for);
        }
    }
}

const AT: Duration = Duration::from_secs(1);

fn stands(path: &str) -> (Vec<Divergence>, Again) {
    let seen = [text(1), NULL];
    (difference(path, seen), again(path, seen, seen))
}

#[test]
fn a_key_counts_once_an_hour() {
    let mut noise = noise();
    let (found, again) = stands("$.a");
    let standing = |noise: &Noise, now| noise.reports(now)[0].standing;
    for nth in 0..50 {
        earn(&mut noise, 1_000, AT);
        noise.mismatch(7, &found, 6, AT);
        noise.asked(7, Some(&again), 0, AT);
        assert_eq!(standing(&noise, AT).aligned, 1, "{nth}");
    }
    let excess = standing(&noise, AT).excess;
    assert!(
        (excess - 0.001).abs() < 1e-9,
        "the excess counts pairs, not keys: {excess}"
    );
    let later = AT + Duration::from_secs(3_600);
    noise.mismatch(7, &found, 6, later);
    noise.asked(7, Some(&again), 0, later);
    assert_eq!(standing(&noise, later).aligned, 2);
    assert_eq!(noise.reports(later)[0].state, State::Undecided);
}

#[test]
fn thirty_keys_that_stand_are_a_suspicion_and_twenty_nine_are_none() {
    for (keys, expected) in [(29, State::Undecided), (30, State::Suspicious)] {
        let mut noise = noise();
        let (found, again) = stands("$.a");
        for key in 0..keys {
            earn(&mut noise, 1_000, AT);
            assert!(noise.mismatch(key, &found, 6, AT));
            noise.asked(key, Some(&again), 0, AT);
        }
        let report = &noise.reports(AT)[0];
        assert_eq!(report.state, expected, "{report:?}");
        assert!(!noise.explains(&found, AT));
    }
}

#[test]
fn what_is_rarer_than_the_floor_is_no_suspicion() {
    let mut noise = noise();
    let (found, again) = stands("$.a");
    for key in 0..60 {
        earn(&mut noise, 4_000, AT);
        noise.mismatch(key, &found, 6, AT);
        noise.asked(key, Some(&again), 0, AT);
    }
    let report = &noise.reports(AT)[0];
    assert!(report.standing.log_e > 30.0 && report.standing.excess < 0.0003);
    assert_eq!(report.state, State::Undecided);
}

/// A defect that begins in the tenth hour, in a path whose nine hours before would outweigh it.
#[test]
fn a_late_defect_is_found_by_its_hour() {
    let mut noise = noise();
    let seen = [text(1), text(2)];
    let found = difference("$.a", seen);
    let (stands, crosses) = (
        again("$.a", seen, seen),
        again("$.a", seen, [seen[1], seen[0]]),
    );
    let hour = |hour: u64| Duration::from_secs(hour * 3_600);
    let mut outcome = |key, again: &Again, now| {
        earn(&mut noise, 100, now);
        noise.mismatch(key, &found, 6, now);
        noise.asked(key, Some(again), 0, now);
        noise.reports(now)[0].clone()
    };
    for key in 0..2_000 {
        let again = if key % 2 == 0 { &stands } else { &crosses };
        outcome(key, again, hour(key / 250));
    }
    let mut last = None;
    for key in 0..50 {
        last = Some(outcome(key, &stands, hour(9)));
    }
    let last = last.unwrap();
    assert!(
        last.standing.log_e < 14.0,
        "all hours together say little: {last:?}"
    );
    assert_eq!(last.state, State::Suspicious);
}

#[test]
fn several_places_of_a_path_are_one_trial() {
    let mut noise = noise();
    earn(&mut noise, 1_000, AT);
    let seen = [text(1), text(2)];
    let mut found = difference("$[*].a", seen);
    found.extend(difference("$[*].b", seen));
    found.extend(difference("$[*].a", [text(1), NULL]));
    noise.mismatch(1, &found, 6, AT);
    let counts: Vec<_> = noise
        .reports(AT)
        .iter()
        .map(|report| (report.path.clone(), report.pairs))
        .collect();
    assert_eq!(counts, [("$[*].a".to_owned(), 1), ("$[*].b".to_owned(), 1)]);
}

#[test]
fn rates_are_of_the_pairs_that_have_the_path() {
    let mut noise = noise();
    let read = |text: &'static str| {
        Document::read(text.as_bytes(), Limits::default(), &mut Unlimited).unwrap()
    };
    let (with, without) = (read(r#"{"a":1}"#), read(r#"{"b":1}"#));
    let found = difference("$.a", [text(1), text(2)]);
    for nth in 0..10_000 {
        if let Some(stands_for) = noise.pair(AT) {
            noise.count(&[if nth % 5 == 0 { &with } else { &without }], stands_for);
        }
        if nth % 100 == 0 {
            noise.mismatch(nth, &found, 6, AT);
        }
    }
    let report = &noise.reports(AT)[0];
    assert_eq!(report.pairs, 100);
    // A hundred of two thousand; the pairs are sampled.
    assert!((report.differs.rate - 0.05).abs() < 0.01, "{report:?}");
    assert!(report.differs.low < report.differs.rate && report.differs.rate < report.differs.high);
    assert!((report.differs.trials - 2_000.0).abs() < 400.0);
}

#[test]
fn a_rare_stratum_is_asked_about_though_another_is_frequent() {
    let mut noise = noise();
    let often = difference("$.often", [text(1), text(2)]);
    let rare = difference("$.rare", [text(1), NULL]);
    let mut granted = [0; 2];
    for key in 0..100_000 {
        earn(&mut noise, 1, AT);
        for (which, found) in [&often, &rare].into_iter().enumerate() {
            if which == 1 && key % 1_000 != 999 {
                continue;
            }
            if noise.mismatch(key, found, 6, AT) {
                granted[which] += 1;
                let path = found[0].path.as_str();
                noise.asked(key, Some(&again(path, found[0].seen, found[0].seen)), 0, AT);
            }
        }
    }
    assert_eq!(granted[1], 100, "each one");
    assert!(
        (1_300..=1_400).contains(&granted[0]),
        "{granted:?}: what is left of 9 %"
    );
}

#[test]
fn what_differs_most_is_known_also_without_a_row_of_its_own() {
    let mut noise = noise();
    for key in 0..2_000_u64 {
        let path = match key % 4 {
            0 => "$.z.late".to_owned(),
            rest => format!("$.a{}.b{}", key % 30, key / 30 % 30 + rest),
        };
        noise.mismatch(key, &difference(&path, [text(1), text(2)]), 6, AT);
    }
    assert!(
        noise
            .reports(AT)
            .iter()
            .any(|report| report.path == "other")
    );
    let (path, count) = noise.most_frequent()[0];
    assert_eq!(
        (path, count.count - count.error <= 500, count.count >= 500),
        ("$.z.late", true, true)
    );
    assert!(noise.most_frequent().len() <= 64);
}

/// Ten million of them are in benches/judgement.
#[test]
fn random_paths_need_no_more_room_than_a_few() {
    let mut noise = noise();
    let mut rng = Rng::with_seed(1);
    let seen = [text(1), text(2)];
    for key in 0..30_000 {
        let depth = rng.usize(1..6);
        let path: String = (0..depth).map(|_| format!(".n{}", rng.u32(..))).collect();
        let found = difference(&format!("${path}"), seen);
        noise.pair(AT);
        noise.mismatch(key, &found, 6, AT);
        noise.own(&found, AT);
    }
    let reports = noise.reports(AT);
    assert!(reports.len() <= LABELS + 1);
    let whole: u64 = reports.iter().map(|report| report.pairs).sum();
    assert_eq!(whole, 30_000, "each difference is counted somewhere");
    assert!(noise.size() < 400_000, "{} bytes", noise.size());
}
