//! What it costs to know noise: pairs compared with all of it on, beside the bare comparison; and ten million random paths.

use crossfade::compare::noise::{Noise, Settings};
use crossfade::compare::recheck::{Look, look_again};
use crossfade::compare::{Answer, Comparison, Rules, Unlimited, Verdict, compare};
use crossfade::json::{Document, Limits};
use http::{HeaderMap, StatusCode};
use std::time::{Duration, Instant};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 15;
/// Of so many pairs one differs.
const MISMATCH: usize = 20;

/// Bodies that say the same, and some that do not.
struct Bodies {
    old: Vec<u8>,
    same: Vec<u8>,
    reordered: Vec<u8>,
    other: Vec<u8>,
    headers: HeaderMap,
}

impl Bodies {
    fn compare(&self, new: &[u8]) -> Comparison {
        let [old, new] = [self.answer(&self.old), self.answer(new)];
        compare(&old, &new, &Rules::default(), &mut Unlimited)
    }

    fn answer<'a>(&'a self, body: &'a [u8]) -> Answer<'a> {
        Answer {
            status: StatusCode::OK,
            headers: &self.headers,
            body: Some(body),
        }
    }

    /// A pair as a flow judges it: counted, asked again if need be, explained.
    fn watched(&self, noise: &mut Noise, new: &[u8], key: u64, now: Duration) -> Verdict {
        let comparison = self.compare(new);
        if let Some(stands_for) = noise.pair(now) {
            let read = |body| Document::read(body, Limits::default(), &mut Unlimited).ok();
            let old = read(&self.old);
            noise.count(old.as_ref().as_slice(), stands_for);
        }
        if comparison.verdict == Verdict::Mismatch {
            let found = &comparison.divergences;
            let explained = noise.explains(found, now);
            if noise.mismatch(key, found, 6, now) {
                // Three checks, as if nothing ever changed.
                let look = Look {
                    old: self.answer(&self.old),
                    new: self.answer(new),
                };
                let again = [(); 3]
                    .map(|()| look_again(look, look, found, &Rules::default(), &mut Unlimited));
                let last = again.into_iter().flatten().last();
                noise.asked(key, last.as_ref(), 0, now);
            }
            assert!(!explained);
        }
        comparison.verdict
    }
}

/// Prints what one is of the other, for pairs of equal bytes, of names in another order, and with one mismatch in twenty.
#[expect(clippy::print_stdout, reason = "the benchmark's figures")]
pub(crate) fn print(bodies: impl Fn(usize) -> [Vec<u8>; 3], headers: &HeaderMap) {
    println!("with noise known / bare comparison, medians of {ROUNDS} rounds in turns");
    for size in SIZES {
        let [old, reordered, other] = bodies(size);
        let bodies = Bodies {
            same: old.clone(),
            old,
            reordered,
            other,
            headers: headers.clone(),
        };
        let kinds: [(&str, &[u8], bool); 3] = [
            ("equal bytes", &bodies.same, false),
            ("reordered", &bodies.reordered, false),
            ("reordered, 1 in 20 differs", &bodies.reordered, true),
        ];
        for (name, new, differs) in kinds {
            let turns = if new == bodies.same {
                20_000
            } else {
                8_000_000 / size
            };
            let mut noise = Noise::new(Settings::default(), [], Duration::ZERO);
            // A busy route after its first minutes: an idle one may count the places of each pair.
            let mut pairs = 0_u64;
            while pairs < 100_000 {
                pairs += 1;
                let _ = noise.pair(Duration::from_millis(pairs));
            }
            let mut times = [Vec::new(), Vec::new()];
            let pick = |turn: usize| {
                if differs && turn.is_multiple_of(MISMATCH) {
                    bodies.other.as_slice()
                } else {
                    new
                }
            };
            for _ in 0..ROUNDS {
                times[0].push(time(turns, |turn| {
                    pairs += 1;
                    let now = Duration::from_millis(pairs);
                    bodies.watched(&mut noise, pick(turn), pairs, now);
                }));
                times[1].push(time(turns, |turn| {
                    std::hint::black_box(bodies.compare(pick(turn)));
                }));
            }
            let [with, bare] = times.map(|mut times| {
                times.sort_unstable();
                times[ROUNDS / 2] / u32::try_from(turns).expect("a few thousand turns")
            });
            let ratio = with.as_secs_f64() / bare.as_secs_f64();
            println!("{size:>7} B  {name:<28} {with:>10.2?} / {bare:>10.2?}  = {ratio:.3}");
        }
    }
    random_paths();
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time(turns: usize, mut judge: impl FnMut(usize)) -> Duration {
    let start = Instant::now();
    (0..turns).for_each(&mut judge);
    start.elapsed()
}

/// Ten million mismatches, each at a path that was never there before.
#[expect(clippy::print_stdout, reason = "the benchmark's figures")]
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn random_paths() {
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
