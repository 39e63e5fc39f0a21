//! A route that is made up: what its two sides say is drawn by generators that know the truth, and the statistics only see the answers.

use super::*;
use crate::compare::change::Form;
use crate::compare::finding::{Divergence, Kind};
use crate::compare::recheck::{Again, Orientation, PathAgain};
use crate::compare::shape::{Seen, Shape};
use crate::json::{Document, Limits, Unlimited};
use fastrand::Rng;
use std::time::Duration;

mod alarms;
mod documents;
mod power;
mod route;

/// Checks of one mismatch, each with two requests.
const CHECKS: u32 = 3;

/// A text, by its number.
fn text(number: u64) -> Seen {
    Seen::text(Some(&format!("value {:06}", number % 1_000_000)))
}

const NULL: Seen = Seen {
    shape: Shape::NULL,
    value: 1,
};

/// What a field's sides do to themselves, in so many of the pairs.
#[derive(Clone, Copy, Debug)]
enum Chance {
    Never,
    /// Each answer is sometimes another value, whatever the other answers are.
    Flips(f64),
    /// Some requests have answers that are one or the other with equal chance, each time anew: a race between two replicas, an order.
    Wavers(f64),
    /// Each answer is sometimes a value that was never there before: a clock, a random identifier.
    Invents(f64),
    /// Some requests have sides that always differ, either way round: two replicas of which each answer is from the other one.
    Swaps(f64),
}

/// What new does wrong.
#[derive(Clone, Copy, Debug)]
enum Defect {
    /// It says what noise says too.
    AsNoise,
    /// It says nothing.
    Null,
}

const USUAL: u64 = 1;
const OTHER_VALUE: u64 = 2;

/// A request, as far as it decides what is answered.
#[derive(Clone, Copy, Debug)]
struct Request {
    key: u64,
    wavers: bool,
    swaps: bool,
    defective: bool,
}

/// One field of a route's answers, and who asks.
#[derive(Clone, Debug)]
struct World {
    rng: Rng,
    chance: Chance,
    defect: Option<(Defect, f64)>,
    /// A key is a power of these, so that the first are asked for most: the nth about as often as all from n to 2n together.
    keys: f64,
}

impl World {
    fn new(seed: u64, chance: Chance, defect: Option<(Defect, f64)>) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            chance,
            defect,
            keys: 50_000.0,
        }
    }

    fn request(&mut self) -> Request {
        let rng = &mut self.rng;
        let among = |rng: &mut Rng, share: f64| rng.f64() < share;
        Request {
            key: self.keys.powf(rng.f64()) as u64,
            wavers: matches!(self.chance, Chance::Wavers(share) if among(rng, 2.0 * share)),
            swaps: matches!(self.chance, Chance::Swaps(share) if among(rng, share)),
            defective: self.defect.is_some_and(|(_, share)| among(rng, share)),
        }
    }

    /// What both sides say when asked at the same moment.
    fn look(&mut self, request: Request) -> [Seen; 2] {
        let swapped = self.rng.bool();
        let mut answers = [0, 1].map(|side| self.answer(request, (side == 1) == swapped));
        if let (true, Some((defect, _))) = (request.defective, self.defect) {
            answers[1] = match defect {
                Defect::AsNoise => text(OTHER_VALUE),
                Defect::Null => NULL,
            };
        }
        answers
    }

    fn answer(&mut self, request: Request, swapped: bool) -> Seen {
        let rng = &mut self.rng;
        let other = match self.chance {
            Chance::Never => false,
            // Two of which each is the other value with this chance differ in `share` of all cases.
            Chance::Flips(share) => rng.f64() < (1.0 - (1.0 - 2.0 * share).sqrt()) / 2.0,
            Chance::Wavers(_) => request.wavers && rng.bool(),
            Chance::Invents(share) => {
                if rng.f64() < 1.0 - (1.0 - share).sqrt() {
                    return text(rng.u64(1_000..1_000_000_000));
                }
                false
            }
            Chance::Swaps(_) => request.swaps && swapped,
        };
        text(if other { OTHER_VALUE } else { USUAL })
    }
}

fn difference(path: &str, seen: [Seen; 2]) -> Vec<Divergence> {
    if seen[0] == seen[1] {
        return Vec::new();
    }
    vec![Divergence {
        path: path.to_owned(),
        at: path.to_owned(),
        kind: Kind::Changed,
        seen,
        change: Form::Length.into(),
    }]
}

/// The rule of recheck, by hand.
fn again(path: &str, first: [Seen; 2], last: [Seen; 2]) -> Again {
    let by_shape = first[0].shape != first[1].shape;
    let same = |one: Seen, other: Seen| one == other || by_shape && one.shape == other.shape;
    let aligned = same(first[0], last[0]) && same(first[1], last[1]);
    let crossed = same(first[0], last[1]) && same(first[1], last[0]);
    let equal = last[0] == last[1];
    let orientation = match (aligned, crossed) {
        _ if equal => Orientation::Neither,
        (true, false) => Orientation::Aligned,
        (false, true) => Orientation::Crossed,
        (true, true) | (false, false) => Orientation::Neither,
    };
    Again {
        equal,
        old_stayed: first[0] == last[0],
        new_stayed: first[1] == last[1],
        paths: vec![PathAgain {
            path: path.to_owned(),
            seen: first,
            orientation,
        }],
    }
}

/// Counts a pair that has the field.
fn count(noise: &mut Noise, stands_for: u64) {
    let document = Document::read(br#"{"field":1,"a":1}"#, Limits::default(), &mut Unlimited);
    noise.count(&[&document.unwrap()], stands_for);
}

/// A route under the eyes of the statistics: a hundred pairs a second.
struct Watched {
    world: World,
    noise: Noise,
    path: &'static str,
    pairs: u64,
    /// Requests beyond those of the pairs.
    extra: u64,
    /// Mismatches, and those of them that were called noise.
    mismatches: u64,
    explained: u64,
}

impl Watched {
    fn new(world: World) -> Self {
        Self {
            world,
            noise: Noise::new(Settings::default(), [], Duration::ZERO),
            path: "$.field",
            pairs: 0,
            extra: 0,
            mismatches: 0,
            explained: 0,
        }
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.pairs * 10)
    }

    /// A pair, from the first look to the last.
    fn pair(&mut self) {
        self.pairs += 1;
        let now = self.now();
        let request = self.world.request();
        if let Some(stands_for) = self.noise.pair(now) {
            count(&mut self.noise, stands_for);
        }
        if self.pairs.is_multiple_of(100) {
            let twice = [0; 2].map(|_| self.world.answer(request, false));
            self.extra += 1;
            self.noise.own(&difference(self.path, twice), now);
        }
        let first = self.world.look(request);
        let found = difference(self.path, first);
        if found.is_empty() {
            return;
        }
        self.mismatches += 1;
        self.explained += u64::from(self.noise.explains(&found, now));
        if !self.noise.mismatch(request.key, &found, 2 * CHECKS, now) {
            return;
        }
        let mut seen: Option<Again> = None;
        let mut checks = 0;
        while checks < CHECKS && seen.as_ref().is_none_or(|again| !again.equal) {
            let last = self.world.look(request);
            let now = again(self.path, first, last);
            seen = Some(match &seen {
                Some(earlier) => now.after(earlier),
                None => now,
            });
            checks += 1;
            // What is noise whatever comes, and tells the sides apart no more, is let go as in the lab.
            let is_over = seen
                .as_ref()
                .is_some_and(|again| !again.equal && !again.may_stand());
            if is_over && checks < CHECKS && self.noise.explains(&found, self.now()) {
                seen = seen.map(Again::given_up);
                break;
            }
        }
        self.extra += u64::from(2 * checks);
        let unused = 2 * (CHECKS - checks);
        self.noise.asked(request.key, seen.as_ref(), unused, now);
    }

    fn state(&self) -> State {
        let reports = self.noise.reports(self.now());
        reports
            .first()
            .map_or(State::Undecided, |report| report.state)
    }

    /// Goes on until the path is suspicious or so many pairs were seen; looks every so often. The states on the way.
    fn run(&mut self, pairs: u64) -> Vec<State> {
        let mut states = Vec::new();
        while self.pairs < pairs && states.last() != Some(&State::Suspicious) {
            for _ in 0..500 {
                self.pair();
            }
            states.push(self.state());
        }
        assert!(
            self.extra as f64 <= 0.1 * self.pairs as f64,
            "{} requests more for {} pairs",
            self.extra,
            self.pairs
        );
        states
    }
}
