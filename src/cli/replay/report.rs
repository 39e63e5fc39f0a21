//! What other rules would change, for people and for scripts.

use super::again::{After, Replay, Replayed};
use crate::cli::cause_rows::{self, CauseName};
use crate::cli::output::rows;
use crate::cli::words::printable;
use crate::compare::cause::{Cause, CauseId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// As `--output json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    samples: u64,
    routes: Vec<RouteRow>,
    causes: Vec<CauseRow>,
}

#[derive(Debug, Serialize)]
struct RouteRow {
    route: String,
    samples: u64,
    /// Pairs that the samples stand for.
    before: Counts,
    after: Counts,
    rate: Rate,
}

/// Pairs by verdict.
#[derive(Debug)]
struct Counts([f64; After::ALL.len()]);

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = After::ALL.iter().zip(self.0);
        serializer
            .collect_map(counts.map(|(verdict, pairs)| (verdict.name(), pairs.round() as u64)))
    }
}

/// The diff rate of the proxy since its start, and what it would be: between the first, where all that is unknown would match, and the second, where it would not.
#[derive(Debug, Serialize)]
struct Rate {
    before: Option<f64>,
    after: Option<[f64; 2]>,
}

#[derive(Debug, Serialize)]
struct CauseRow {
    #[serde(flatten)]
    name: CauseName,
    /// Samples that have it.
    before: u64,
    after: u64,
    change: &'static str,
}

impl Report {
    pub(super) fn of(replay: &Replay<'_>, rates: &BTreeMap<String, f64>) -> Self {
        let routes = &replay.routes;
        Self {
            samples: routes.values().map(|replayed| replayed.samples).sum(),
            routes: routes
                .iter()
                .map(|(route, replayed)| RouteRow::of(route, replayed, rates.get(route).copied()))
                .collect(),
            causes: routes
                .iter()
                .flat_map(|(route, replayed)| causes(route, replayed, rates.get(route).copied()))
                .collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        if self.samples == 0 {
            return "no samples".to_owned();
        }
        let shown = |counts: &Counts| {
            let counts = After::ALL.iter().zip(counts.0);
            let some = counts.filter(|(_, pairs)| *pairs >= 0.5);
            let some = some.map(|(verdict, pairs)| format!("{pairs:.0} {}", verdict.name()));
            some.collect::<Vec<_>>().join(", ")
        };
        let percent = |rate: f64| format!("{:.3} %", rate * 100.0);
        let routes = self.routes.iter().map(|row| {
            let after = row.rate.after.map(|[low, high]| match low == high {
                true => percent(low),
                false => format!("{} .. {}", percent(low), percent(high)),
            });
            [
                printable(&row.route),
                row.samples.to_string(),
                shown(&row.before),
                shown(&row.after),
                row.rate.before.map_or_else(|| "-".to_owned(), percent),
                after.unwrap_or_else(|| "-".to_owned()),
            ]
        });
        let head = [
            "ROUTE",
            "SAMPLES",
            "PAIRS WERE",
            "WOULD BE",
            "DIFF RATE",
            "WOULD BE",
        ];
        let mut text = rows(head, routes);
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|cause| {
                let [id, route, paths, kinds, shape] = cause.name.cells();
                let samples = format!("{} -> {}", cause.before, cause.after);
                [
                    id,
                    route,
                    paths,
                    kinds,
                    shape,
                    samples,
                    cause.change.to_owned(),
                ]
            });
            let [id, route, paths, kinds, shape] = cause_rows::HEAD;
            let head = [id, route, paths, kinds, shape, "SAMPLES", ""];
            text.push_str("\n\n");
            text.push_str(&rows(head, causes));
        }
        let unknown: f64 = self
            .routes
            .iter()
            .map(|row| row.after.0[After::Unknown as usize])
            .sum();
        if unknown > 0.0 {
            text.push_str(
                "\n\nunknown: the samples do not hold what these rules ask for (values that are redacted, a field that was not kept, a route that the file lacks)",
            );
        }
        text
    }
}

impl RouteRow {
    fn of(route: &str, replayed: &Replayed, rate: Option<f64>) -> Self {
        let was = replayed.was(After::Mismatch);
        let is = replayed.is(After::Mismatch);
        let after = rate.filter(|_| was > 0.0).map(|rate| {
            let share = |pairs: f64| (rate * pairs / was).min(1.0);
            [share(is), share(is + replayed.is(After::Unknown))]
        });
        Self {
            route: route.to_owned(),
            samples: replayed.samples,
            before: Counts(After::ALL.map(|verdict| replayed.was(verdict))),
            after: Counts(After::ALL.map(|verdict| replayed.is(verdict))),
            rate: Rate {
                before: rate,
                after,
            },
        }
    }
}

/// The causes of before and after, side by side: those of most samples first.
fn causes(route: &str, replayed: &Replayed, rate: Option<f64>) -> Vec<CauseRow> {
    // Causes are told apart by what chance would make of all pairs, of which the samples are a part.
    let rate = rate.filter(|rate| *rate > 0.0).unwrap_or(1.0);
    let trials = (replayed.before.mismatches() as f64 / rate).round() as u64;
    let before = replayed.before.causes(trials);
    let mut after = replayed.after.causes(trials);
    let mut causes = Vec::new();
    let mut taken = BTreeSet::new();
    for cause in &before {
        let same = |other: &Cause<()>| other.is(cause.id) || cause.is(other.id);
        let now = after.iter().position(same).map(|place| after.remove(place));
        let pairs = now.map_or(0, |cause| cause.pairs);
        let change = if pairs == 0 { "vanishes" } else { "stays" };
        let id = known(cause, &before, replayed, &mut taken);
        causes.push(row(route, cause, id, [cause.pairs, pairs], change));
    }
    for cause in &after {
        let (id, pairs) = (cause.id.to_string(), [0, cause.pairs]);
        causes.push(row(route, cause, id, pairs, "appears"));
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.before.max(cause.after)));
    causes
}

/// The id that the proxy gave a cause: the one that it goes by here, too, or else the one that most of its samples have and no other cause.
fn known(
    cause: &Cause<()>,
    all: &[Cause<()>],
    replayed: &Replayed,
    taken: &mut BTreeSet<String>,
) -> String {
    let known = replayed.known.iter().filter(|(_, (_, marks))| {
        let mut marks = marks.iter();
        marks.any(|mark| cause.explains(*mark, all))
    });
    let is_it = |id: &str| CauseId::parse(id).is_some_and(|id| cause.is(id));
    let known = known.filter(|(id, _)| is_it(id) || !taken.contains(*id));
    let best = known.max_by_key(|(id, (samples, _))| (is_it(id), *samples));
    let id = best.map_or_else(|| cause.id.to_string(), |(id, _)| id.clone());
    taken.insert(id.clone());
    id
}

fn row(
    route: &str,
    cause: &Cause<()>,
    id: String,
    [before, after]: [u64; 2],
    change: &'static str,
) -> CauseRow {
    CauseRow {
        name: CauseName::of(route, cause, id),
        before,
        after,
        change,
    }
}
