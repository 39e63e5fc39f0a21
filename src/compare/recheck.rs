//! A mismatch that was asked again: did it stay, and on which side; and what was it?
//!
//! A first look gave (old1, new1), which differ; the last one (old2, new2) came from asking both sides again at the same moment, in random order.
//! [`look_again`] says what the last look has shown, and [`verdict`] what the pair is.
//!
//! Invariant: everything here is a function of the answers. Which way round old2 and new2 stand is used for nothing but [`Orientation`]: were the two
//! sides exchangeable, [`Orientation::Aligned`] and [`Orientation::Crossed`] would be equally likely, whatever the first look was, and the looks between
//! them. The test of `noise` rests on that.

use crate::compare::diff::MAX_DIVERGENCES;
use crate::compare::finding::{Divergence, Incomparable, Kind, Verdict};
use crate::compare::rules::By;
use crate::compare::shape::Seen;
use crate::compare::verdict::{Answer, Memory, compare, judge};
use crate::json::Document;
use absent::{Possible, is_telling, rule_out};
use std::time::Duration;

mod absent;

/// Both sides' answers to one request, asked at one time.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Old's answer.
    pub old: Answer<'a>,
    /// New's answer.
    pub new: Answer<'a>,
}

/// How the last look stands to the first one, at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Orientation {
    /// Each side says what it said before, and the two differ: old1 = old2, new1 = new2.
    Aligned,
    /// Each side says what the other one said before: old1 = new2, new1 = old2.
    Crossed,
    /// Anything else.
    Neither,
}

/// One path at which the first look differed, and what the last look says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAgain {
    /// Generalised path, as in [`Divergence::path`]; each stands once.
    pub path: String,
    /// What was at that path in old1 and in new1: at the first place where the shapes differ, else at the first place.
    pub seen: [Seen; 2],
    /// By values where the two shapes are the same; else by shapes, so that an always new value of the same shape does not hide that the side stayed.
    pub orientation: Orientation,
}

/// What asking both sides again has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// old2 = new2.
    pub equal: bool,
    /// old1 = old2: old says what it said. Looked at where that matters, if the sides are equal now.
    pub old_stayed: bool,
    /// new1 = new2: new says what it said. The same holds.
    pub new_stayed: bool,
    /// A trial for each path of the first look, in its order.
    pub paths: Vec<PathAgain>,
}

impl Again {
    /// What this look says after an earlier one of the same pair, which came after its first: a path stands this way round now, or neither if the
    /// sides had not stood by their answers each time before. So a side that stands by its answer always counts, and chance seldom does, either way
    /// round as often: what kept the sides where they were for a moment (a replica that a request sticks to) has decided anew by now.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        for path in &mut self.paths {
            let before = earlier.paths.iter().find(|other| other.path == path.path);
            if before.is_some_and(|before| before.orientation != Orientation::Aligned) {
                path.orientation = Orientation::Neither;
            }
        }
        self
    }

    /// Whether a look that follows may say which way round some path stands.
    #[must_use]
    pub fn may_stand(&self) -> bool {
        self.paths
            .iter()
            .any(|path| path.orientation == Orientation::Aligned)
    }

    /// What is known if no look follows though more were to: nothing stands either way round.
    #[must_use]
    pub fn given_up(mut self) -> Self {
        for path in &mut self.paths {
            path.orientation = Orientation::Neither;
        }
        self
    }
}

/// Compares the answers of two looks by a route's rules. `found` is what the first look's comparison found. Fails if answers can't be compared any
/// more: then nothing is known that was not known before.
pub fn look_again<'r>(
    first: Look<'_>,
    last: Look<'_>,
    found: &[Divergence],
    by: impl Into<By<'r>>,
    memory: &mut dyn Memory,
) -> Result<Again, Incomparable> {
    let by = by.into();
    let mut equal =
        |[one, other]: [&Answer<'_>; 2], by, see: &mut dyn FnMut([&Document<'_>; 2])| match judge(
            one, other, by, memory, see,
        ) {
            Verdict::Incomparable(reason) => Err(reason),
            Verdict::Match => Ok(true),
            Verdict::Mismatch => Ok(false),
        };
    let nobody = &mut |_: [&Document<'_>; 2]| {};
    let paths: Vec<_> = leading(found).collect();
    let say = |orientation: &dyn Fn(usize) -> Orientation| {
        let told = paths.iter().enumerate();
        told.map(|(index, divergence)| PathAgain {
            path: divergence.path.clone(),
            seen: divergence.seen,
            orientation: orientation(index),
        })
        .collect()
    };
    // Sides that say to the byte what they said differ as they did. That is what a defect mostly looks like, and costs next to nothing.
    let (olds, news) = ([&first.old, &last.old], [&first.new, &last.new]);
    let same_bodies = first.old.body == last.old.body && first.new.body == last.new.body;
    if same_bodies && equal(olds, by.itself(), nobody)? && equal(news, by.itself(), nobody)? {
        return Ok(Again {
            equal: false,
            old_stayed: true,
            new_stayed: true,
            paths: say(&|_| Orientation::Aligned),
        });
    }
    let mut possible = vec![Possible::BOTH; paths.len()];
    let answers = [first.old, first.new, last.old, last.new];
    let is_telling = is_telling(&answers, by);
    let mut see = |documents: [&Document<'_>; 2]| {
        if is_telling {
            rule_out(&paths, &mut possible, documents);
        }
    };
    if equal([&last.old, &last.new], by, &mut see)? {
        return Ok(Again {
            equal: true,
            old_stayed: equal(olds, by.itself(), nobody)?,
            new_stayed: equal(news, by.itself(), nobody)?,
            paths: say(&|_| Orientation::Neither),
        });
    }
    // Mostly no path has stayed on one side, and then nobody has to look at the other one.
    let mut stayed = |may: fn(&Possible) -> bool, pairs: [[&Answer<'_>; 2]; 2], by: By<'_>| {
        let mut stayed: Vec<_> = possible.iter().map(may).collect();
        for [one, other] in pairs {
            if stayed.contains(&true) {
                let differs = compare(one, other, by, memory);
                if let Verdict::Incomparable(reason) = differs.verdict {
                    return Err(reason);
                }
                for (stayed, divergence) in stayed.iter_mut().zip(&paths) {
                    *stayed &= is_same(divergence, &differs.divergences);
                }
            }
        }
        Ok(stayed)
    };
    let aligned = stayed(|path| path.aligned, [olds, news], by.itself())?;
    let crosswise = [[&first.old, &last.new], [&last.old, &first.new]];
    let crossed = stayed(|path| path.crossed, crosswise, by)?;
    let orientation = |index: usize| match (aligned[index], crossed[index]) {
        (true, false) => Orientation::Aligned,
        (false, true) => Orientation::Crossed,
        // Within a tolerance both may hold, which says nothing.
        (true, true) | (false, false) => Orientation::Neither,
    };
    Ok(Again {
        equal: false,
        old_stayed: false,
        new_stayed: false,
        paths: say(&orientation),
    })
}

/// One divergence for each path: the first that is out of shape, else the first.
pub(crate) fn leading(found: &[Divergence]) -> impl Iterator<Item = &Divergence> {
    let is_first = |index: usize| {
        let path = &found[index].path;
        found[..index].iter().all(|other| other.path != *path)
    };
    (0..found.len())
        .filter(move |&index| is_first(index))
        .map(|index| {
            let mut same_path = found[index..]
                .iter()
                .filter(|other| other.path == found[index].path);
            same_path
                .find(|other| other.is_out_of_shape())
                .unwrap_or(&found[index])
        })
}

/// Whether two answers that differ in `found` say the same at the path of a divergence: by value, or where that was out of shape, by shape.
fn is_same(divergence: &Divergence, found: &[Divergence]) -> bool {
    let by_shape = divergence.is_out_of_shape();
    found.len() < MAX_DIVERGENCES
        && found.iter().all(|other| {
            !is_related(&divergence.path, &other.path)
                || by_shape
                    && other.path == divergence.path
                    && other.kind == Kind::Changed
                    && !other.is_out_of_shape()
        })
}

/// Whether a difference at one of two generalised paths says something about the other: one is the other or above it. A status that differs hides
/// all else, and so does a body for its fields.
fn is_related(one: &str, other: &str) -> bool {
    let within = |path: &str, above: &str| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let in_body = |path: &str| path == "body" || path.starts_with('$');
    one == "status"
        || other == "status"
        || within(one, other)
        || within(other, one)
        || (one == "body" && in_body(other))
        || (other == "body" && in_body(one))
}

/// What is known when a mismatch is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Every differing path of the first look is noisy or blind at this moment, and in shape.
    pub noise: bool,
    /// What the last look has shown; none if both sides were not asked again, or did not both answer.
    pub again: Option<&'a Again>,
    /// How long before the first look the key was last written through crossfade; none where no write is known.
    pub written: Option<Duration>,
    /// `compare.lag`: how long after a write new may be behind.
    pub lag: Duration,
}

/// What a mismatch of the first look was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// What the sides do to themselves.
    Noise,
    /// One side, or both, moved on meanwhile; now they are equal.
    Transient,
    /// New was behind a write that is known, and has caught up.
    Lag,
    /// A difference.
    Mismatch {
        /// New was alone with its first answer, and has taken it back: one bad replica behind it looks like this.
        flaky: bool,
        /// Both sides were asked again.
        rechecked: bool,
    },
}

/// What a mismatch was, by the first row that applies: noise; transient or lag, if the sides are equal now; else a mismatch.
#[must_use]
pub fn verdict(evidence: &Evidence<'_>) -> Judgement {
    if evidence.noise {
        return Judgement::Noise;
    }
    let Some(again) = evidence.again else {
        return Judgement::Mismatch {
            flaky: false,
            rechecked: false,
        };
    };
    let mismatch = |flaky| Judgement::Mismatch {
        flaky,
        rechecked: true,
    };
    if !again.equal {
        return mismatch(false);
    }
    // Within a tolerance old2 may be near both: then nobody has moved, and what differed still stands.
    match (again.old_stayed, again.new_stayed) {
        (false, _) => Judgement::Transient,
        (true, true) => mismatch(false),
        (true, false) if evidence.written.is_some_and(|age| age < evidence.lag) => Judgement::Lag,
        (true, false) => mismatch(true),
    }
}

#[cfg(test)]
mod tests;
