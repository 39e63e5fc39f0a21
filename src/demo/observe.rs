//! From the proxy's cells to the rows of the screen. It reads the same cells as the admin API: what it shows can be checked with curl.
//!
//! Rates and latencies are those of the last seconds, so that the screen follows an edit or a killed service; diff rates and counts are those since the start. Time comes in as an argument.

use crate::demo::view::{FieldRow, RouteRow};
use crate::side::Side;
use crate::telemetry::{LatencySnapshot, RouteMetrics, ServedBy};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What rates and latencies look back on.
const WINDOW: Duration = Duration::from_secs(10);
/// How often the cells are remembered, however often they are shown.
const STEP: Duration = Duration::from_secs(1);

/// Remembers what the cells held some seconds ago.
#[derive(Debug, Default)]
pub struct Observer {
    past: VecDeque<(Duration, HashMap<Arc<str>, Seen>)>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    served: [u64; 2],
    latency: [LatencySnapshot; 2],
}

impl Seen {
    fn of(route: &RouteMetrics) -> Self {
        Self {
            served: [route.requests(ServedBy::Old), route.requests(ServedBy::New)],
            latency: Side::BOTH.map(|side| route.latency(side)),
        }
    }
}

impl Observer {
    /// The routes' rows; `at` is the time since the start, and grows from call to call.
    pub fn routes(&mut self, at: Duration, routes: &[Arc<RouteMetrics>]) -> Vec<RouteRow> {
        while self
            .past
            .get(1)
            .is_some_and(|(then, _)| at.saturating_sub(*then) >= WINDOW)
        {
            self.past.pop_front();
        }
        let now: HashMap<_, _> = routes
            .iter()
            .map(|route| (Arc::clone(route.name()), Seen::of(route)))
            .collect();
        // At first there is nothing to look back on but the start, when every cell was 0.
        let then = self.past.front();
        let seconds = at
            .saturating_sub(then.map_or(Duration::ZERO, |(then, _)| *then))
            .as_secs_f64()
            .max(0.001);
        let row = |route: &Arc<RouteMetrics>| {
            let past = then.and_then(|(_, past)| past.get(route.name()));
            row(route, &now[route.name()], past, seconds)
        };
        let rows = routes.iter().map(row).collect();
        if self
            .past
            .back()
            .is_none_or(|(last, _)| at.saturating_sub(*last) >= STEP)
        {
            self.past.push_back((at, now));
        }
        rows
    }
}

fn row(route: &RouteMetrics, now: &Seen, past: Option<&Seen>, seconds: f64) -> RouteRow {
    let nothing = Seen::default();
    let past = past.unwrap_or(&nothing);
    let served = |side: Side| {
        let place = side.index();
        now.served[place].saturating_sub(past.served[place]) as f64 / seconds
    };
    let latency = |side: Side| {
        let recent = now.latency[side.index()].since(&past.latency[side.index()]);
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        Some((millis(recent.p50()?), millis(recent.p99()?)))
    };
    RouteRow {
        name: route.name().to_string(),
        share: route.share(),
        served: Side::BOTH.map(served),
        latency: Side::BOTH.map(latency),
        diff_rate: route.diff_rate(),
        trials: route.trials(),
    }
}

/// The divergences of all routes, most frequent first.
#[must_use]
pub fn fields(routes: &[Arc<RouteMetrics>]) -> Vec<FieldRow> {
    let of = |route: &Arc<RouteMetrics>| {
        let name = route.name().to_string();
        route.fields().into_iter().map(move |found| FieldRow {
            route: name.clone(),
            field: found.field.to_string(),
            kind: found.kind.name().to_owned(),
            count: found.count,
        })
    };
    let mut rows: Vec<FieldRow> = routes.iter().flat_map(of).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Kind, Verdict};
    use crate::telemetry::{CodeClass, Role, Telemetry};
    use http::Method;

    #[test]
    fn rates_and_latencies_are_of_the_window_and_the_rest_since_the_start() {
        let telemetry = Telemetry::new();
        let route = telemetry.route("content", None);
        let routes = [Arc::clone(&route)];
        let mut observer = Observer::default();
        let at = Duration::from_secs;
        let serve = |times: usize, by: ServedBy, side: Side, millis: u64| {
            for _ in 0..times {
                route.request(&Method::GET, by, CodeClass::Success, Duration::ZERO);
                route.upstream(side, Role::Serve, Duration::from_millis(millis));
            }
        };
        assert_eq!(
            observer.routes(at(0), &routes)[0],
            RouteRow {
                name: "content".to_owned(),
                ..RouteRow::default()
            }
        );
        serve(10, ServedBy::Old, Side::Old, 8);
        let row = &observer.routes(at(2), &routes)[0];
        assert_eq!((row.served, row.latency[1]), ([5.0, 0.0], None));
        let (p50, p99) = row.latency[0].unwrap();
        assert!(
            (p50 - 8.0).abs() < 0.2 && (p99 - 8.0).abs() < 0.2,
            "{p50} {p99}"
        );

        for second in 3..=20 {
            serve(3, ServedBy::New, Side::New, 2);
            route.verdict(if second % 2 == 0 {
                Verdict::Mismatch
            } else {
                Verdict::Match
            });
            observer.routes(at(second), &routes);
        }
        serve(3, ServedBy::New, Side::New, 2);
        route.divergence("$.tags[*]", Kind::Missing);
        route.divergence("$.tags[*]", Kind::Extra);
        route.divergence("$.tags[*]", Kind::Extra);
        let row = &observer.routes(at(21), &routes)[0];
        assert_eq!(
            (row.served, row.latency[0]),
            ([0.0, 3.0], None),
            "what is long ago is not shown"
        );
        assert_eq!((row.diff_rate, row.trials), (Some(0.5), 18));
        let field = |kind: &str, count| FieldRow {
            route: "content".to_owned(),
            field: "$.tags[*]".to_owned(),
            kind: kind.to_owned(),
            count,
        };
        assert_eq!(fields(&routes), [field("extra", 2), field("missing", 1)]);
    }

    #[test]
    fn a_new_route_starts_from_nothing() {
        let telemetry = Telemetry::new();
        let mut observer = Observer::default();
        observer.routes(Duration::ZERO, &[telemetry.route("a", None)]);
        let late = telemetry.route("b", None);
        late.request(
            &Method::GET,
            ServedBy::Old,
            CodeClass::Success,
            Duration::ZERO,
        );
        assert_eq!(
            observer.routes(Duration::from_secs(1), &[late])[0].served,
            [1.0, 0.0]
        );
    }
}
