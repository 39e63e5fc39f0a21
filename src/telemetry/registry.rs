//! One proxy's telemetry: whose cells there are, and the page that shows them.

use crate::side::Side;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::process::ProcessMetrics;
use crate::telemetry::route::RouteMetrics;
use crate::telemetry::side::SideMetrics;
use http::Method;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One proxy's telemetry.
#[derive(Debug)]
pub struct Telemetry {
    exporter: Exporter,
    process: ProcessMetrics,
    sides: [SideMetrics; 2],
    /// Taken when settings are applied and when cells are published, never for a request.
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteMetrics>>>,
}

impl Telemetry {
    /// Telemetry of a proxy that has done nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let exporter = Exporter::new();
        Arc::new(Self {
            process: ProcessMetrics::new(&exporter),
            sides: Side::BOTH.map(|side| SideMetrics::new(side, &exporter)),
            routes: Mutex::default(),
            exporter,
        })
    }

    /// The cells of a route: the same ones for the same name, for ever. The series of the methods named (`None`: of all) exist from
    /// now on, at 0 if nothing was counted.
    pub fn route(&self, name: &str, methods: Option<&[Method]>) -> Arc<RouteMetrics> {
        let mut routes = self.lock();
        let route = match routes.get(name) {
            Some(route) => route.clone(),
            None => {
                let name: Arc<str> = name.into();
                let route = Arc::new(RouteMetrics::new(name.clone(), &self.exporter));
                routes.insert(name, route.clone());
                route
            }
        };
        route.register_methods(methods, &self.exporter);
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

    /// The metrics page, in the text format of Prometheus, up to date.
    #[must_use]
    pub fn render(&self) -> String {
        self.publish();
        self.exporter.render()
    }

    /// Publishes cells and frees histogram samples. To be called every second: the exporter keeps 16 bytes a sample until then.
    pub fn upkeep(&self) {
        self.publish();
        self.exporter.upkeep();
    }

    fn publish(&self) {
        self.process.publish(&self.exporter);
        for side in &self.sides {
            side.publish(&self.exporter);
        }
        for route in self.routes() {
            route.publish(&self.exporter);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<RouteMetrics>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
