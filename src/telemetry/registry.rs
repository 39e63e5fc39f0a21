//! One proxy's telemetry: whose cells there are, and the page that shows them.

use crate::side::Side;
use crate::telemetry::access::AccessLog;
use crate::telemetry::labels::{EndpointState, LostLine, Role, UpstreamError};
use crate::telemetry::page::{self, Page};
use crate::telemetry::process::ProcessMetrics;
use crate::telemetry::route::RouteMetrics;
use crate::telemetry::side::SideMetrics;
use crate::telemetry::trace::Traces;
use http::Method;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One proxy's telemetry.
#[derive(Debug, Default)]
pub struct Telemetry {
    process: ProcessMetrics,
    access: AccessLog,
    traces: Traces,
    sides: [SideMetrics; 2],
    /// Taken when settings are applied and when a page is written, never for a request.
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteMetrics>>>,
}

impl Telemetry {
    /// Telemetry of a proxy that has done nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The cells of a route: the same ones for the same name, for ever. The series of the methods named (`None`: of all) exist from
    /// now on, at 0 if nothing was counted.
    pub fn route(&self, name: &str, methods: Option<&[Method]>) -> Arc<RouteMetrics> {
        let mut routes = self.lock();
        let route = match routes.get(name) {
            Some(route) => route.clone(),
            None => {
                let name: Arc<str> = name.into();
                let route = Arc::new(RouteMetrics::new(name.clone()));
                routes.insert(name, route.clone());
                route
            }
        };
        route.show_methods(methods);
        route
    }

    /// Every route that ever had cells, by name.
    #[must_use]
    pub fn routes(&self) -> Vec<Arc<RouteMetrics>> {
        self.lock().values().cloned().collect()
    }

    /// The cells of a side.
    #[must_use]
    pub fn side(&self, side: Side) -> &SideMetrics {
        &self.sides[side.index()]
    }

    /// The cells of the proxy.
    #[must_use]
    pub fn process(&self) -> &ProcessMetrics {
        &self.process
    }

    /// The access log.
    #[must_use]
    pub fn access(&self) -> &AccessLog {
        &self.access
    }

    /// The spans.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// The metrics page, in the text format of Prometheus, up to date.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        RouteMetrics::write(&self.routes(), &mut page);
        page.metric(page::UPSTREAM_ERRORS, |series| {
            for side in Side::BOTH {
                for role in Role::ALL {
                    for kind in UpstreamError::ALL {
                        let labels = [
                            ("side", side.name()),
                            ("role", role.name()),
                            ("kind", kind.name()),
                        ];
                        series.value(&labels, self.side(side).errors(*role, *kind));
                    }
                }
            }
        });
        page.metric(page::UPSTREAM_CONNECTIONS, |series| {
            for side in Side::BOTH {
                let connections = self.side(side).connections.value();
                series.value(&[("side", side.name())], connections);
            }
        });
        page.metric(page::UPSTREAM_WAITING, |series| {
            for side in Side::BOTH {
                series.value(&[("side", side.name())], self.side(side).waiting.value());
            }
        });
        page.metric(page::ENDPOINTS, |series| {
            for side in Side::BOTH {
                for state in EndpointState::ALL {
                    let labels = [("side", side.name()), ("state", state.name())];
                    series.value(&labels, self.side(side).endpoints(*state).value());
                }
            }
        });
        page.metric(page::RETRIES, |series| {
            for side in Side::BOTH {
                series.value(&[("side", side.name())], self.side(side).retries.value());
            }
        });
        page.metric(page::BREAKER_OPEN, |series| {
            for side in Side::BOTH {
                for role in Role::ALL {
                    let labels = [("side", side.name()), ("role", role.name())];
                    series.value(&labels, self.side(side).breaker_open(*role).value());
                }
            }
        });
        page.metric(page::LOG_LINES_DROPPED, |series| {
            for reason in LostLine::ALL {
                series.value(&[("reason", reason.name())], self.access.lost(*reason));
            }
        });
        page.metric(page::SPANS_LOST, |series| {
            if let Some(lost) = self.traces.lost() {
                series.value(&[], lost);
            }
        });
        self.process.write(&mut page);
        page.into_text()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<RouteMetrics>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
