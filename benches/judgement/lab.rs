//! What judging costs with all of it on, beside the bare comparison of the same pairs: both latencies, old asked twice for one pair in a hundred, the
//! places of pairs, what noise is, both sides asked again, causes, rows, samples and lessons; everything that the lab does with a pair whose answers are
//! there, in its order. What is counted is the CPU time of the process, so that the thread of the samples counts, too.
//!
//! A route of a thousand pairs a second after its first half minute: lessons and bursts of samples are over, and it is known what is noise; but for
//! the rows that say that it is not, whose route never asks old twice.

use crate::bodies::{Bodies, Case, KINDS, Kind};
use bytes::Bytes;
use crossfade::compare::cause::{CauseId, marks};
use crossfade::compare::docket::{Bench, Circumstances, Docket};
use crossfade::compare::recheck::{Again, Judgement, Look};
use crossfade::compare::{
    Answer, By, Comparison, Divergence, Ids, Memory, Unlimited, Verdict, compare,
};
use crossfade::config;
use crossfade::plan::{Live, RoutePlan};
use crossfade::route::bucket::BUCKETS;
use crossfade::side::Side;
use crossfade::store::samples::{Bounds, Group, Query, RawLook, RawSample, Samples, UNNAMED};
use crossfade::store::{Answered, Causes, FieldRow, KeyText, Mismatch, Mismatches, Redactor};
use crossfade::store::{StateDir, rfc3339};
use crossfade::telemetry::Telemetry;
use crossfade::telemetry::labels::VerdictLabel;
use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: u32 = 6;
/// Pairs of a second of the route.
const TURNS: usize = 1_000;
/// Seconds of a round: as often the proxy writes samples, if there are any.
const GATHER: usize = 5;
/// Seconds before the first round that counts: then more pairs have differed than lessons and bursts of samples take, and old was asked twice often enough.
const WARM: usize = 30;
/// The same where each pair differs.
const WARM_CLOCKS: usize = 6;

/// A route with all that is kept of it.
struct Lab {
    headers: HeaderMap,
    route: Arc<RoutePlan>,
    causes: Causes,
    mismatches: Mismatches,
    redactor: Arc<Redactor>,
    samples: Arc<Samples>,
    began: (Instant, Timestamp),
    pairs: u64,
    _state: tempfile::TempDir,
}

impl Lab {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    fn new(headers: &HeaderMap, kind: Kind) -> Self {
        let sample = usize::from(kind != Kind::Unknown);
        let text = format!(
            "[migration]\nname = \"a\"\n[old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:2\"\n[noise]\nsample = {sample}\n\
             [[route]]\nname = \"items\"\nmatch = \"GET /items/{{id}}\"\nkey = \"{{path.id}}\"\nshadow = 100\n"
        );
        let loaded = config::load(&text, Path::new("."), &|_| None);
        let settings = loaded.settings.expect("the settings are good");
        let live = Live::new(
            settings,
            String::new(),
            None,
            Telemetry::new(),
            Arc::new(Ids::unkeyed()),
        );
        let route = live.snapshot().routes().next().map(Arc::clone);
        let redactor = Arc::new(Redactor::new().expect("the machine has randomness"));
        let state = tempfile::tempdir().expect("a directory can be made");
        let bounds = Bounds {
            max_size: 256 << 20,
            max_age: Duration::from_secs(86_400),
        };
        let samples = Samples::start(
            Arc::new(StateDir::new(state.path())),
            Arc::clone(&redactor),
            bounds,
            Arc::new(|_, _| {}),
        );
        Self {
            headers: headers.clone(),
            route: route.expect("there is a route"),
            causes: Causes::default(),
            mismatches: Mismatches::new(),
            redactor,
            samples: samples.expect("a thread can be started"),
            began: (Instant::now(), Timestamp::now()),
            pairs: 0,
            _state: state,
        }
    }

    fn answer<'a>(&'a self, body: &'a [u8]) -> Answer<'a> {
        Answer {
            status: StatusCode::OK,
            headers: &self.headers,
            body: Some(body),
        }
    }

    fn compare(&self, bodies: [&[u8]; 2]) -> Comparison {
        let Look { old, new } = self.look(bodies);
        compare(&old, &new, self.route.by(), &mut Unlimited)
    }

    fn look<'a>(&'a self, [old, new]: [&'a [u8]; 2]) -> Look<'a> {
        Look {
            old: self.answer(old),
            new: self.answer(new),
        }
    }

    /// A pair as the lab judges it.
    fn judge(&mut self, case: &Case<'_>) {
        self.pairs += 1;
        let now = self.began.0 + Duration::from_millis(self.pairs);
        let (route, measure) = (&self.route, Measure { lab: self, now });
        let served = Duration::from_micros(300);
        route.metrics.pair([served, served * 2]);
        let drawn = route.noise.sample.contains(fastrand::u16(..BUCKETS));
        let (entered, twice) = route.judging.pair(drawn, now);
        if twice {
            let copies = [case.first[0], case.twice].map(Bytes::copy_from_slice);
            let [first, second] = copies.each_ref().map(|body| self.answer(body));
            measure.hear_old(&first, &second);
        }
        if !entered.is_counted() && case.first[0] == case.first[1] {
            return route.metrics.verdict(Verdict::Match);
        }
        let comparison = measure.first_sight(&entered, &self.look(case.first));
        if comparison.verdict != Verdict::Mismatch {
            return route.metrics.verdict(comparison.verdict);
        }
        measure.differs(case, comparison);
    }

    fn sample(
        &self,
        first: &[Bytes; 2],
        last: Option<&[Bytes; 2]>,
        (found, judgement, cause): (&[Divergence], Judgement, Option<CauseId>),
        key: &str,
    ) {
        let (name, at) = (self.route.name(), self.at());
        let verdict = VerdictLabel::from(judgement).name();
        let group = match (judgement, cause) {
            (Judgement::Mismatch { .. }, Some(cause)) => Group::new(name, cause),
            (Judgement::Mismatch { .. }, None) => Group::new(name, UNNAMED),
            (Judgement::Noise | Judgement::Transient | Judgement::Lag, _) => {
                Group::new(name, verdict)
            }
        };
        let Some(group) = self.samples.wants(group, at) else {
            return;
        };
        let look = |body: &Bytes| RawLook {
            status: StatusCode::OK,
            headers: self.headers.clone(),
            body: Some(body.clone()),
        };
        let sample = RawSample {
            at,
            route: Arc::clone(name),
            method: Method::GET,
            target: format!("/items/{key}"),
            key: Some(key.to_owned()),
            served: Side::Old,
            generation: 1,
            rules: self.route.rules.fingerprint(),
            verdict,
            found: found.into(),
            compared: self.route.rules.headers.clone(),
            hiding: Arc::clone(&self.route.hiding),
            old: look(&first[0]),
            new: look(&first[1]),
            old2: last.map(|last| look(&last[0])),
            new2: last.map(|last| look(&last[1])),
        };
        self.samples.offer(group, Box::new(sample));
    }

    fn row(&self, comparison: &Comparison, key: &str, at: Timestamp) -> Mismatch {
        let (route, redactor) = (&self.route, &self.redactor);
        let answered = Answered::new(StatusCode::OK, Duration::from_micros(300));
        Mismatch {
            id: 0,
            at: rfc3339(at),
            route: route.name().to_string(),
            method: Method::GET.to_string(),
            target: route.hiding.target(&format!("/items/{key}"), redactor),
            key: Some(KeyText::Redacted(redactor.hash_text(key))),
            bucket: Some(7),
            served: Side::Old,
            generation: 1,
            rechecked: false,
            flaky: false,
            old: answered,
            new: answered,
            fields: comparison.divergences.iter().map(FieldRow::from).collect(),
            fields_truncated: false,
            patch: comparison
                .patch
                .as_ref()
                .map(|patch| redactor.redact_patch(patch)),
            patch_exact: comparison.patch_exact,
            patch_truncated: comparison.patch_truncated,
            redacted: true,
            marks: marks(&comparison.divergences),
        }
    }

    fn at(&self) -> Timestamp {
        self.began.1 + SignedDuration::from_millis(i64::try_from(self.pairs).unwrap_or(i64::MAX))
    }

    /// Until nothing waits to be written.
    fn flush(&self) {
        let nothing = Query {
            route: Some(String::new()),
            cause: None,
            before: None,
            limit: 1,
        };
        let _ = self.samples.page(nothing);
    }
}

/// The lab at the moment of a pair.
#[derive(Clone, Copy)]
struct Measure<'l> {
    lab: &'l Lab,
    now: Instant,
}

impl Bench for Measure<'_> {
    fn by(&self) -> By<'_> {
        self.lab.route.by()
    }

    fn read<T>(&self, work: impl FnOnce(&mut dyn Memory) -> T) -> T {
        work(&mut Unlimited)
    }

    fn recall<T>(&self, act: impl FnOnce(&mut Docket, Duration) -> T) -> T {
        self.lab.route.judging.recall(self.now, act)
    }
}

impl Measure<'_> {
    /// A pair that differs: a row, both sides asked again, a cause and perhaps a sample.
    fn differs(self, case: &Case<'_>, comparison: Comparison) {
        let (lab, route, at) = (self.lab, &self.lab.route, self.lab.at());
        let number = lab.pairs % 50_000;
        let key = number.to_string();
        let kept = case.first.map(Bytes::copy_from_slice);
        let requests = 2 * route.again.recheck.len();
        let leave = self.doubt(number, &comparison.divergences, requests);
        let circumstances = Circumstances {
            written: None,
            settle: route.again.settle,
            lag: route.again.lag,
            noise: None,
        };
        // Without leave it is judged now, and noise leaves no row.
        let settle = |found: &[_]| self.settle(found, None, None, &circumstances);
        let judged = (!leave.is_granted()).then(|| settle(&comparison.divergences));
        if judged == Some(Judgement::Noise) {
            let noise = (&*comparison.divergences, Judgement::Noise, None);
            lab.sample(&kept, None, noise, &key);
            return route.metrics.verdict(Judgement::Noise);
        }
        let row = lab.row(&comparison, &key, at);
        let found = comparison.divergences;
        let (looked, asked) = if leave.is_granted() {
            let (looked, unused) = self.ask_again(case, &found);
            (looked, Some((leave, unused)))
        } else {
            (None, None)
        };
        let again = looked.as_ref().map(|(again, _)| again);
        let judgement = judged.unwrap_or_else(|| self.settle(&found, asked, again, &circumstances));
        let mut cause = None;
        if let Judgement::Mismatch { flaky, rechecked } = judgement {
            route.metrics.divergences(&found);
            let row = lab.mismatches.push(Mismatch {
                rechecked,
                flaky,
                ..row
            });
            let trials = || route.metrics.trials();
            cause = lab.causes.add(&row, (at, Some(&key)), &found, trials);
        }
        let last = looked.as_ref().map(|(_, last)| last);
        lab.sample(&kept, last, (&found, judgement, cause), &key);
        route.metrics.verdict(judgement);
    }

    /// Both sides are asked again, until they agree or more would show nothing: what that shows with the last answers, and requests that were not made.
    fn ask_again(
        self,
        case: &Case<'_>,
        found: &[Divergence],
    ) -> (Option<(Again, [Bytes; 2])>, usize) {
        let first = self.lab.look(case.first);
        let checks = case.again.len();
        let mut earlier: Option<Again> = None;
        for (number, bodies) in case.again.iter().enumerate() {
            let last = bodies.map(Bytes::copy_from_slice);
            let look = self.lab.look([&last[0], &last[1]]);
            let Some(again) = self.look_again([first, look], found, earlier.as_ref()) else {
                continue;
            };
            let unused = 2 * (checks - number - 1);
            if again.equal || unused == 0 {
                return (Some((again, last)), unused);
            }
            if !again.may_stand() && self.recall(|docket, now| docket.explains(found, now)) {
                return (Some((again.given_up(), last)), unused);
            }
            earlier = Some(again);
        }
        (None, 0)
    }
}

/// Prints what one is of the other, for each size and kind of pair.
#[expect(clippy::print_stdout, reason = "the benchmark's figures")]
pub(crate) fn print(bodies: impl Fn(usize) -> Bodies, headers: &HeaderMap) {
    println!("with all of judging / bare comparison, means of {ROUNDS} rounds in turns, CPU time");
    for size in SIZES {
        let mut bodies = bodies(size);
        for (kind, name) in KINDS {
            let mut lab = Lab::new(headers, kind);
            let warm = if kind == Kind::Clocks {
                WARM_CLOCKS
            } else {
                WARM
            };
            for _ in 0..warm {
                (0..TURNS).for_each(|turn| lab.judge(&bodies.case(kind, turn)));
                lab.flush();
            }
            let mut times = [Duration::ZERO; 2];
            for _ in 0..ROUNDS {
                times[0] += cpu_time(|| {
                    for turn in 0..TURNS * GATHER {
                        lab.judge(&bodies.case(kind, turn));
                    }
                    lab.flush();
                });
                times[1] += cpu_time(|| {
                    for turn in 0..TURNS * GATHER {
                        std::hint::black_box(lab.compare(bodies.case(kind, turn).first));
                    }
                });
            }
            // No medians: samples do not fall into each round.
            let turns = u32::try_from(TURNS * GATHER).expect("a few thousand turns");
            let [with, bare] = times.map(|time| time / ROUNDS / turns);
            let ratio = with.as_secs_f64() / bare.as_secs_f64();
            println!("{size:>7} B  {name:<30} {with:>10.2?} / {bare:>10.2?}  = {ratio:.3}");
        }
    }
}

/// CPU time of all threads.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    };
    let before = now();
    work();
    now() - before
}
