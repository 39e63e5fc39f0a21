//! Whole documents: read, compared and asked again as a flow does it, with order noise, clock noise and races.

use super::*;
use crate::compare::recheck::{Look, look_again};
use crate::compare::{Answer, Comparison, Rules, Unlimited, Verdict, compare};
use http::{HeaderMap, StatusCode};

/// A service with a state that moves: what it answers depends on the moment, on who finished first, and on which replica was asked.
struct Service {
    rng: Rng,
    /// A counter that somebody else moves now and then.
    version: u64,
    now: u64,
}

/// What is planted in new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A price is lost, for one key in so many.
    NoPrice(u64),
}

impl Service {
    fn answer(&mut self, key: u64, planted: Planted, new: bool) -> String {
        let rng = &mut self.rng;
        // Two workers, of which either may finish first, for one key in ten.
        let tags = match key % 10 == 3 && rng.bool() {
            true => r#""b","a""#,
            false => r#""a","b""#,
        };
        // A clock in a fifth of the answers.
        let at = match key % 5 {
            0 => format!(
                r#","at":"2026-01-02T03:04:{:02}.{:06}Z""#,
                self.now / 100 % 60,
                rng.u32(..1_000_000)
            ),
            _ => String::new(),
        };
        let price = match planted {
            Planted::NoPrice(among)
                if new && (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % among == 13 =>
            {
                "null".to_owned()
            }
            Planted::NoPrice(_) | Planted::Nothing => (key % 90 + 10).to_string(),
        };
        let stock = self.version / 7 + key % 3;
        format!(r#"{{"id":{key},"price":{price},"stock":{stock},"tags":[{tags}]{at}}}"#)
    }

    /// Both sides, the second a moment later: somebody may have written meanwhile.
    fn look(&mut self, key: u64, planted: Planted, at_once: bool) -> [String; 2] {
        self.now += 1;
        let old_first = !at_once || self.rng.bool();
        let first = self.answer(key, planted, !old_first);
        self.version += u64::from(!at_once && self.rng.f64() < 0.02);
        let second = self.answer(key, planted, old_first);
        if old_first {
            [first, second]
        } else {
            [second, first]
        }
    }
}

/// Pairs of each seed.
const PAIRS: u64 = 200_000;

struct Told {
    reports: Vec<Report>,
    mismatches: u64,
    found_after: Option<u64>,
}

fn run(seed: u64, pairs: u64, planted: Planted) -> Told {
    let mut service = Service {
        rng: Rng::with_seed(seed),
        version: 0,
        now: 0,
    };
    let mut noise = Noise::new(Settings::default(), [], Duration::ZERO);
    let headers = HeaderMap::new();
    let rules = Rules::default();
    let judge = |old: &[u8], new: &[u8]| -> Comparison {
        let [old, new] = [old, new].map(|body| Answer {
            status: StatusCode::OK,
            headers: &headers,
            body: Some(body),
        });
        compare(&old, &new, &rules, &mut Unlimited)
    };
    let mut told = Told {
        reports: Vec::new(),
        mismatches: 0,
        found_after: None,
    };
    for pair in 1..=pairs {
        let now = Duration::from_millis(pair * 10);
        let key = 100_000_f64.powf(service.rng.f64()) as u64;
        if pair % 100 == 0 {
            let twice = [0; 2].map(|_| service.answer(key, Planted::Nothing, false));
            noise.own(
                &judge(twice[0].as_bytes(), twice[1].as_bytes()).divergences,
                now,
            );
        }
        let first = service.look(key, planted, false);
        if let Some(stands_for) = noise.pair(now) {
            let documents = [0, 1].map(|side| {
                Document::read(first[side].as_bytes(), Limits::default(), &mut Unlimited).unwrap()
            });
            noise.count(&[&documents[0], &documents[1]], stands_for);
        }
        if first[0] == first[1] {
            continue;
        }
        let found = judge(first[0].as_bytes(), first[1].as_bytes());
        if found.verdict != Verdict::Mismatch {
            continue;
        }
        told.mismatches += 1;
        if !noise.mismatch(key, &found.divergences, 2, now) {
            continue;
        }
        let last = service.look(key, planted, true);
        let whole = |body| Answer {
            status: StatusCode::OK,
            headers: &headers,
            body: Some(body),
        };
        let first = Look {
            old: whole(first[0].as_bytes()),
            new: whole(first[1].as_bytes()),
        };
        let last = Look {
            old: whole(last[0].as_bytes()),
            new: whole(last[1].as_bytes()),
        };
        let again = look_again(first, last, &found.divergences, &rules, &mut Unlimited).ok();
        noise.asked(key, again.as_ref(), 0, now);
        let suspicious = |report: &Report| report.state == State::Suspicious;
        if told.found_after.is_none() && noise.reports(now).iter().any(suspicious) {
            told.found_after = Some(pair);
        }
    }
    told.reports = noise.reports(Duration::from_millis(pairs * 10));
    told
}

/// Old against old, whatever differs: in two halves, since it takes a while.
#[test]
fn documents_that_differ_by_noise_alone_are_never_called_defective() {
    nothing_is_called_defective(0..10);
}

#[test]
fn ten_more_worlds_of_documents_that_differ_by_noise_alone() {
    nothing_is_called_defective(10..20);
}

fn nothing_is_called_defective(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let told = run(seed, PAIRS, Planted::Nothing);
        assert!(told.mismatches > PAIRS / 5, "{}", told.mismatches);
        let paths: Vec<_> = told
            .reports
            .iter()
            .map(|report| report.path.as_str())
            .collect();
        assert!(
            ["$.at", "$.tags", "$.stock"]
                .iter()
                .all(|path| paths.contains(path)),
            "{paths:?}"
        );
        for report in told.reports {
            assert_ne!(report.state, State::Suspicious, "seed {seed}: {report:?}");
        }
    }
}

#[test]
fn a_defect_in_documents_is_found_among_the_noise() {
    for seed in 0..4 {
        let told = run(seed, 40_000, Planted::NoPrice(150));
        assert!(
            told.found_after.is_some(),
            "seed {seed}: {:?}",
            told.reports
        );
        let suspicious: Vec<_> = told
            .reports
            .iter()
            .filter(|report| report.state == State::Suspicious)
            .map(|report| report.path.as_str())
            .collect();
        assert_eq!(suspicious, ["$.price"], "seed {seed}");
    }
}
