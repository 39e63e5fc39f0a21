//! Ten million random paths: what a route keeps does not grow with its traffic.

use crossfade::compare::noise::{Noise, Settings};
use crossfade::compare::{Answer, Rules, Unlimited, compare};
use http::{HeaderMap, StatusCode};
use std::time::{Duration, Instant};

/// Ten million mismatches, each at a path that was never there before.
#[expect(clippy::print_stdout, reason = "the benchmark's figures")]
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn print() {
    let headers = HeaderMap::new();
    let answer = |body| Answer {
        status: StatusCode::OK,
        headers: &headers,
        body: Some(body),
    };
    let found = compare(
        &answer(b"1"),
        &answer(b"2"),
        &Rules::default(),
        &mut Unlimited,
    );
    let mut found = found.divergences;
    let mut noise = Noise::new(Settings::default(), [], Duration::ZERO);
    let mut rng = fastrand::Rng::with_seed(1);
    let start = Instant::now();
    for million in 1..=10_u64 {
        for key in 0..1_000_000 {
            found[0].path.truncate(1);
            for _ in 0..rng.usize(1..6) {
                found[0].path.push_str(&format!(".n{}", rng.u32(..)));
            }
            noise.pair(Duration::from_millis(key));
            noise.mismatch(key, &found, 6, Duration::from_millis(key));
        }
        if million == 1 || million == 10 {
            let fields = noise.reports(Duration::ZERO).len();
            println!(
                "{million:>3} million random paths: {} KiB, {fields} fields, {:.2?}",
                noise.size() / 1_024,
                start.elapsed()
            );
        }
    }
}
