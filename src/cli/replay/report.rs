//! What other rules would change, for people and for scripts.

use super::again::{After, Replay, Replayed};
use crate::cli::output::rows;
use crate::cli::words::printable;
use crate::compare::cause::Cause;
use serde::Serialize;
use std::collections::BTreeMap;

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
    id: String,
    route: String,
    paths: Vec<String>,
    kinds: Vec<&'static str>,
    shape: String,
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
                .flat_map(|(route, replayed)| causes(route, replayed))
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
                [
                    cause.id.clone(),
                    printable(&cause.route),
                    printable(&cause.paths.join(" ")),
                    cause.kinds.join(" "),
                    printable(&cause.shape),
                    format!("{} -> {}", cause.before, cause.after),
                    cause.change.to_owned(),
                ]
            });
            let head = ["CAUSE", "ROUTE", "PATHS", "KINDS", "CHANGE", "SAMPLES", ""];
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
fn causes(route: &str, replayed: &Replayed) -> Vec<CauseRow> {
    let before = replayed.before.causes(replayed.samples);
    let mut after = replayed.after.causes(replayed.samples);
    let mut causes = Vec::new();
    for cause in before {
        let same = |other: &Cause<()>| other.is(cause.id) || cause.is(other.id);
        let now = after.iter().position(same).map(|place| after.remove(place));
        let pairs = now.map_or(0, |cause| cause.pairs);
        let change = if pairs == 0 { "vanishes" } else { "stays" };
        causes.push(row(route, &cause, [cause.pairs, pairs], change));
    }
    causes.extend(
        after
            .iter()
            .map(|cause| row(route, cause, [0, cause.pairs], "appears")),
    );
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.before.max(cause.after)));
    causes
}

fn row(
    route: &str,
    cause: &Cause<()>,
    [before, after]: [u64; 2],
    change: &'static str,
) -> CauseRow {
    CauseRow {
        id: cause.id.to_string(),
        route: route.to_owned(),
        paths: cause.paths.clone(),
        kinds: cause.kinds.iter().map(|kind| kind.name()).collect(),
        shape: cause.shape.clone(),
        before,
        after,
        change,
    }
}
