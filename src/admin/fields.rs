//! `fields` of a route in `GET /api/routes`: how often each differed, and what is known of it.

use crate::compare::noise::rate::Interval;
use crate::compare::noise::{Report, State};
use crate::plan::RoutePlan;
use serde::Serialize;
use tokio::time::Instant;

/// A field and how it differed; of one that never made a mismatch no kind.
#[derive(Debug, Serialize)]
pub(super) struct FieldView {
    field: String,
    kind: Option<&'static str>,
    count: u64,
    /// The rest is null where nothing is known yet, or not any more.
    state: Option<&'static str>,
    /// The share of pairs that differ here, of those of the last minutes that have the field.
    differs: Option<RateView>,
    /// The same of old asked twice.
    own: Option<RateView>,
    test: Option<TestView>,
}

/// A share with its interval of 95 %.
#[derive(Clone, Copy, Debug, Serialize)]
struct RateView {
    rate: f64,
    low: f64,
    high: f64,
    trials: f64,
}

/// How often both sides stood by their answers when they were asked again, and how often they had changed places.
#[derive(Clone, Copy, Debug, Serialize)]
struct TestView {
    aligned: u64,
    crossed: u64,
    /// The natural logarithm of what speaks against chance.
    log_e: f64,
    excess: f64,
}

impl From<Interval> for RateView {
    fn from(interval: Interval) -> Self {
        let Interval {
            rate,
            low,
            high,
            trials,
        } = interval;
        Self {
            rate,
            low,
            high,
            trials,
        }
    }
}

impl FieldView {
    fn new(
        field: &str,
        (kind, count): (Option<&'static str>, u64),
        report: Option<&Report>,
    ) -> Self {
        Self {
            field: field.to_owned(),
            kind,
            count,
            state: report.map(|report| State::name(report.state)),
            differs: report.map(|report| report.differs.into()),
            own: report.map(|report| report.own.into()),
            test: report.map(|report| TestView {
                aligned: report.standing.aligned,
                crossed: report.standing.crossed,
                log_e: report.standing.log_e,
                excess: report.standing.excess,
            }),
        }
    }
}

/// Every field that has differed, most frequent first; then those of which no mismatch came.
pub(super) fn fields(route: &RoutePlan, now: Instant) -> Vec<FieldView> {
    let reports = route.judging.reports(now);
    let counts = route.metrics.fields();
    let counted = counts.iter().map(|row| {
        let report = reports.iter().find(|report| *report.path == *row.field);
        FieldView::new(&row.field, (Some(row.kind.name()), row.count), report)
    });
    let is_counted = |report: &&Report| counts.iter().any(|row| *row.field == *report.path);
    let others = reports.iter().filter(|report| !is_counted(report));
    let others = others.map(|report| FieldView::new(&report.path, (None, 0), Some(report)));
    counted.chain(others).collect()
}
