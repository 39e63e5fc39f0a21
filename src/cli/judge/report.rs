//! What came out of recorded pairs, for people and for scripts.

use crate::cli::cause_rows::{self, CauseName};
use crate::cli::judge::session::{Session, Verdicts};
use crate::cli::output::rows;
use crate::cli::words::printable;
use serde::Serialize;
use std::fmt::Write;

/// As `--output json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pairs: u64,
    verdicts: Verdicts,
    fields: Vec<FieldRow>,
    causes: Vec<CauseRow>,
}

#[derive(Debug, Serialize)]
struct FieldRow {
    route: String,
    path: String,
    state: &'static str,
    kinds: Vec<&'static str>,
    aligned: u64,
    crossed: u64,
    e: f64,
    rate: f64,
    low: f64,
    high: f64,
    trials: f64,
}

#[derive(Debug, Serialize)]
struct CauseRow {
    #[serde(flatten)]
    name: CauseName,
    pairs: u64,
    keys: Option<u64>,
    /// Of the route's mismatches.
    share: f64,
}

impl Report {
    pub(super) fn of(session: &Session<'_>) -> Self {
        let verdicts = session.verdicts;
        let mut report = Self {
            pairs: verdicts.all().iter().map(|(_, pairs)| pairs).sum(),
            verdicts,
            fields: Vec::new(),
            causes: Vec::new(),
        };
        for (route, docket) in &session.dockets {
            for (field, kinds) in docket.pairs.fields() {
                report.fields.push(FieldRow {
                    route: route.clone(),
                    path: field.path,
                    state: field.state.name(),
                    kinds: kinds.iter().map(|kind| kind.name()).collect(),
                    aligned: field.standing.aligned,
                    crossed: field.standing.crossed,
                    // JSON has no infinity.
                    e: field.standing.log_e.exp().min(f64::MAX),
                    rate: field.differs.rate,
                    low: field.differs.low,
                    high: field.differs.high,
                    trials: field.differs.trials,
                });
            }
            let mismatches = docket.pairs.mismatches().max(1) as f64;
            for cause in docket.pairs.causes() {
                report.causes.push(CauseRow {
                    name: CauseName::of(route, &cause, cause.id.to_string()),
                    pairs: cause.pairs,
                    keys: cause.keys,
                    share: cause.pairs as f64 / mismatches,
                });
            }
        }
        report
            .causes
            .sort_by_key(|cause| std::cmp::Reverse(cause.pairs));
        report
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{} pairs", self.pairs);
        for (verdict, pairs) in self.verdicts.all() {
            if pairs > 0 {
                write!(text, ", {pairs} {verdict}").expect("a String takes all text");
            }
        }
        if !self.fields.is_empty() {
            let fields = self.fields.iter().map(|field| {
                [
                    printable(&field.route),
                    printable(&field.path),
                    field.state.to_owned(),
                    field.kinds.join(" "),
                    format!("{} : {}", field.aligned, field.crossed),
                    format!("{:.1e}", field.e),
                    format!("{:.3} %", field.rate * 100.0),
                    format!("{:.3} .. {:.3} %", field.low * 100.0, field.high * 100.0),
                    format!("{:.0}", field.trials),
                ]
            });
            let head = [
                "ROUTE",
                "PATH",
                "STATE",
                "KINDS",
                "STAYED : CROSSED",
                "E",
                "RATE",
                "95 %",
                "OF",
            ];
            text.push_str("\n\n");
            text.push_str(&rows(head, fields));
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|cause| {
                let [id, route, paths, kinds, shape] = cause.name.cells();
                let keys = cause.keys.map(|keys| keys.to_string());
                let (pairs, keys) = (cause.pairs.to_string(), keys.unwrap_or_else(|| "-".into()));
                let share = format!("{:.1} %", cause.share * 100.0);
                [id, route, paths, kinds, shape, pairs, keys, share]
            });
            let [id, route, paths, kinds, shape] = cause_rows::HEAD;
            let head = [id, route, paths, kinds, shape, "PAIRS", "KEYS", "SHARE"];
            text.push_str("\n\n");
            text.push_str(&rows(head, causes));
        }
        text
    }
}
