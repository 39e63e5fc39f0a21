//! The cells against a plain list of samples, and pages that are written while samples come.

use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn recorded(nanos: &[u64]) -> Latency {
    let latency = Latency::default();
    for value in nanos {
        latency.record(Duration::from_nanos(*value));
    }
    latency
}

/// Samples of all sizes, and those beside the bounds.
fn samples() -> impl Strategy<Value = Vec<u64>> {
    let beside = (0..RANGES, 0..3_u64).prop_map(|(place, more)| BOUNDS[place] + more - 1);
    let sized = (0..64_u32, any::<u64>()).prop_map(|(shift, value)| (value >> shift).min(1 << 50));
    prop::collection::vec(prop_oneof![beside, sized, 0..20_000_000_u64], 1..200)
}

/// What a list of samples says, by counting each bucket's samples one by one.
fn model(nanos: &[u64]) -> Buckets {
    let mut buckets = Buckets::default();
    for value in nanos {
        let place = BUCKETS.iter().filter(|(bound, _)| bound < value).count();
        buckets.counts[place] += 1;
        buckets.sum_nanos += value;
    }
    buckets
}

#[test]
fn ranges_rise_and_hold_the_bounds_of_the_page() {
    assert!(BOUNDS.is_sorted_by(|one, next| one < next && *next as f64 <= *one as f64 * 2.5));
    for (bound, text) in BUCKETS {
        assert!(BOUNDS.contains(&bound), "{text}");
    }
}

#[test]
fn cells_follow_each_other_without_gap() {
    assert_eq!((index(0), index(1)), (0, 0));
    assert_eq!(index(u64::MAX), CELLS - 1);
    let mut last = 0;
    for place in 0..RANGES {
        let (lower, upper) = range(place);
        assert_eq!(index(lower + 1), place * PARTS, "{lower}");
        assert_eq!(index(upper), place * PARTS + PARTS - 1, "{upper}");
        for step in 1..=1_000 {
            let cell = index(lower + (upper - lower) * step / 1_000);
            assert!((last..=last + 1).contains(&cell), "{lower} {step}");
            last = cell;
        }
    }
    assert_eq!(last, CELLS - 1);
}

#[test]
fn nothing_counted_has_no_quantile() {
    assert_eq!(LatencySnapshot::default().p50(), None);
    assert_eq!(recorded(&[]).snapshot().p99(), None);
    assert_eq!(recorded(&[]).buckets(), Buckets::default());
}

#[test]
fn longer_than_an_hour_counts_as_an_hour_and_adds_up_as_it_is() {
    let day = Duration::from_secs(24 * 3_600);
    let latency = Latency::default();
    latency.record(day);
    let median = latency.snapshot().p50().unwrap();
    assert!(
        median > Duration::from_secs(3_500) && median < Duration::from_secs(3_600),
        "{median:?}"
    );
    assert_eq!(u128::from(latency.buckets().sum_nanos), day.as_nanos());
}

#[test]
fn a_page_written_meanwhile_never_falls_behind_the_last() {
    const THREADS: u64 = 3;
    const SAMPLES: u64 = 20_000;
    let (histogram, latency) = (Histogram::default(), Latency::default());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (histogram, latency) = (&histogram, &latency);
                scope.spawn(move || {
                    for sample in 0..SAMPLES {
                        let elapsed = Duration::from_nanos((sample * THREADS + thread) * 600_000);
                        histogram.record(elapsed);
                        latency.record(elapsed);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut last = [Buckets::default(); 2];
            let mut pages = 0_u64;
            // One page more after the end: a reader that is late still sees something.
            while !done.load(Ordering::Acquire) || pages == 0 {
                let now = [histogram.buckets(), latency.buckets()];
                for (now, last) in now.iter().zip(&last) {
                    assert!(now.sum_nanos >= last.sum_nanos);
                    for (now, last) in now.counts.iter().zip(&last.counts) {
                        assert!(now >= last, "a bucket fell from {last} to {now}");
                    }
                }
                last = now;
                pages += 1;
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    let all: Vec<u64> = (0..THREADS * SAMPLES).map(|n| n * 600_000).collect();
    assert_eq!(histogram.buckets(), model(&all));
    assert_eq!(latency.buckets(), model(&all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn buckets_are_those_of_the_samples(nanos in samples()) {
        let expected = model(&nanos);
        prop_assert_eq!(recorded(&nanos).buckets(), expected);
        let histogram = Histogram::default();
        for value in &nanos {
            histogram.record(Duration::from_nanos(*value));
        }
        prop_assert_eq!(histogram.buckets(), expected);
    }

    #[test]
    fn a_quantile_is_near_the_true_sample(mut nanos in samples(), q in 0.0..=1.0_f64) {
        let found = recorded(&nanos).snapshot().quantile(q).unwrap().as_nanos() as f64;
        nanos.sort_unstable();
        let rank = ((q * nanos.len() as f64).ceil() as usize).clamp(1, nanos.len());
        let exact = nanos[rank - 1].min(BOUNDS[RANGES - 1]) as f64;
        prop_assert!((found - exact).abs() <= (exact / 20.0).max(320.0), "{found} for {exact}");
    }

    #[test]
    fn parts_add_up_to_the_whole(one in samples(), two in samples()) {
        let [first, second] = [&one, &two].map(|part| recorded(part).snapshot());
        let mut sum = first.clone();
        sum.merge(&second);
        let whole = recorded(&[one.clone(), two.clone()].concat()).snapshot();
        prop_assert_eq!(&sum, &whole);
        prop_assert_eq!(whole.count(), (one.len() + two.len()) as u64);
        prop_assert_eq!(whole.since(&first), second);
    }
}
