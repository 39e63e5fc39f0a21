//! How sure a verdict has to be: `[noise]`, and the part of a route's `compare` that says when a difference is looked at again.

use crate::config::problem::Fault;
use crate::config::scalar;
use crate::config::section::Section;
use crate::config::walk::{Item, Sink};
use crate::route::bucket::Share;
use std::time::Duration;

/// More looks at one difference than this tell nothing new.
const MOST_CHECKS: usize = 8;

/// A difference that is looked at later than this has waited in memory for nothing.
const LATEST: Duration = Duration::from_secs(60);

/// When a difference is looked at again, and what a write explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// How long after a mismatch was found both sides are asked again, rising; none: never.
    pub recheck: Vec<Duration>,
    /// How long new may lag behind a write.
    pub lag: Duration,
    /// How long after a write of its key nothing is judged.
    pub settle: Duration,
}

impl Default for Again {
    fn default() -> Self {
        Self {
            recheck: [50, 500, 5_000].map(Duration::from_millis).to_vec(),
            lag: Duration::from_secs(5),
            settle: Duration::from_secs(2),
        }
    }
}

/// `[noise]`: how old is asked what it does to itself, and what is too rare to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// A share of the pairs: fields that differ in fewer, beyond what chance does, are not suspicious.
    pub floor: f64,
    /// The share of pairs for which old is asked a second time.
    pub sample: Share,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            floor: 0.0003,
            sample: Share::from_percent(1.0).unwrap_or_default(),
        }
    }
}

/// Reads `[noise]`.
pub(super) fn noise(section: &Section<'_>, sink: &mut Sink<'_>) -> Noise {
    let floor = section.read(sink, "floor", floor);
    let sample = section.read(sink, "sample", sample);
    let default = Noise::default();
    Noise {
        floor: floor.good().unwrap_or(default.floor),
        sample: sample.good().unwrap_or(default.sample),
    }
}

/// Both kinds of asking again may take a tenth together.
fn sample(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Share> {
    let share = scalar::percent(item, sink)?;
    if share.percent() <= 10.0 {
        return Some(share);
    }
    let message = format!("`sample` can't be {}", share.percent());
    let fault = Fault::error("out-of-range", message);
    item.report(sink, fault.hint("it is a percent of pairs, from 0 to 10"));
    None
}

fn floor(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<f64> {
    let number = scalar::number(item, sink)?;
    if (0.0..=1.0).contains(&number) {
        return Some(number);
    }
    let fault = Fault::error("out-of-range", format!("`floor` can't be {number}"));
    item.report(
        sink,
        fault.hint("it is a share of pairs, from 0 to 1, as in 0.0003"),
    );
    None
}

/// Reads those keys of `compare`.
pub(super) fn again(section: &Section<'_>, sink: &mut Sink<'_>) -> Again {
    let recheck = section.read(sink, "recheck", recheck);
    let lag = section.read(sink, "lag", scalar::delay);
    let settle = section.read(sink, "settle", scalar::delay);
    let default = Again::default();
    Again {
        recheck: recheck.good().unwrap_or(default.recheck),
        lag: lag.good().unwrap_or(default.lag),
        settle: settle.good().unwrap_or(default.settle),
    }
}

fn recheck(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Vec<Duration>> {
    let items = item.array(sink, "durations, as in [\"50ms\", \"5s\"]")?;
    if items.len() > MOST_CHECKS {
        let message = format!("`recheck` can't have {} durations", items.len());
        let fault = Fault::error("out-of-range", message);
        item.report(sink, fault.hint(format!("it has at most {MOST_CHECKS}")));
        return None;
    }
    let mut delays: Vec<Duration> = Vec::new();
    let mut complete = true;
    for item in &items {
        let fault = match scalar::duration(item, sink) {
            None => None,
            Some(delay) if delay > LATEST => Some(("it is too late", "write at most \"60s\"")),
            Some(delay) if delays.last().is_some_and(|last| *last >= delay) => Some((
                "it does not come after the one before",
                "write rising durations, each from the moment when the mismatch was found",
            )),
            Some(delay) => {
                delays.push(delay);
                continue;
            }
        };
        complete = false;
        if let Some((message, hint)) = fault {
            item.report(sink, Fault::error("out-of-range", message).hint(hint));
        }
    }
    complete.then_some(delays)
}
