//! Settings -> Plan: everything that a request needs, looked up and allocated beforehand.
//!
//! A Plan never changes. A request takes one and decides once; a body that outlives the decision keeps only its route's part.

use crate::compare::Rules;
use crate::config::Settings;
use crate::config::settings::{Fallback, Route, Shadow, Values};
use crate::route::bucket::Share;
use crate::route::decide::{Override, Pins, Policy, Serve, Switches};
use crate::route::table::{Entry, Table};
use crate::side::Side;
use crate::store::SavedOverride;
use crate::telemetry::{RouteMetrics, Telemetry};
use crate::template::{Source, Template};
use crate::upstream::{Endpoints, Group};
use jiff::Timestamp;
use std::sync::Arc;

/// Name of the route of requests that match none.
pub const UNMATCHED: &str = "unmatched";

/// Everything in force at one time.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings that it was made from.
    pub settings: Arc<Settings>,
    /// 1 for the first settings of the process, one more with each that is applied.
    pub generation: u64,
    /// Hash of the file's text, in hex.
    pub sha256: String,
    /// When it was swapped in.
    pub applied_at: Timestamp,
    /// The routes in the order of the file.
    pub table: Arc<Table<Arc<RoutePlan>>>,
    /// The route of requests that match none: old, unshadowed.
    pub unmatched: Arc<RoutePlan>,
    /// The switches above all routes.
    pub switches: Switches,
    /// The override in force, with its reason.
    pub overrule: Option<SavedOverride>,
}

/// A route's part of a Plan.
#[derive(Debug)]
pub struct RoutePlan {
    /// Who serves.
    pub policy: Policy,
    /// Methods and path as the file has them; `*` for requests that match no route.
    pub pattern: String,
    /// How answers are compared.
    pub rules: Rules,
    /// What happens when new fails.
    pub fallback: Fallback,
    /// What is mirrored, and within which bounds.
    pub shadow: Shadow,
    /// Whether its mismatches are kept with their values.
    pub values: Values,
    /// Names of the path's placeholders that the key reads.
    pub key_placeholders: Vec<String>,
    /// The route's cells.
    pub metrics: Arc<RouteMetrics>,
    /// Where each side is.
    pub groups: [Arc<Group>; 2],
}

impl RoutePlan {
    /// Where a side is.
    #[must_use]
    pub fn group(&self, side: Side) -> &Arc<Group> {
        &self.groups[side.index()]
    }

    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.policy.name
    }
}

/// What is told of settings beside what they say.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The Plan's number.
    pub generation: u64,
    /// Hash of the file's text, in hex.
    pub sha256: String,
    /// When it takes effect.
    pub at: Timestamp,
}

impl Plan {
    /// Makes a Plan. Endpoints and cells that an earlier Plan had are kept.
    #[must_use]
    pub fn build(
        settings: Settings,
        stamp: Stamp,
        overrule: Option<SavedOverride>,
        endpoints: &Endpoints,
        telemetry: &Telemetry,
    ) -> Self {
        let sides = Side::BOTH.map(|side| endpoints.group(side, settings.upstream(side)));
        let table = settings.routes.iter().map(|route| Entry {
            pattern: route.pattern.clone(),
            host: route.host.clone(),
            policy: Arc::new(RoutePlan::new(route, &settings, sides.clone(), telemetry)),
        });
        let mut plan = Self {
            table: Arc::new(Table::new(table.collect())),
            unmatched: Arc::new(RoutePlan::unmatched(&settings, sides, telemetry)),
            switches: Switches {
                serve: settings.migration.serve,
                shadow: settings.migration.shadow,
                overrule: None,
            },
            overrule: None,
            generation: stamp.generation,
            sha256: stamp.sha256,
            applied_at: stamp.at,
            settings: Arc::new(settings),
        };
        plan.overrule(overrule);
        plan
    }

    /// The same Plan under another override, or none.
    #[must_use]
    pub fn with_override(&self, overrule: Option<SavedOverride>) -> Self {
        let mut plan = self.clone();
        plan.overrule(overrule);
        plan
    }

    /// Every route in the order of the file, and last the one of requests that match none.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<RoutePlan>> {
        self.table.policies().iter().chain([&self.unmatched])
    }

    /// The numbers of the endpoints that it names.
    #[must_use]
    pub fn endpoint_ids(&self) -> Vec<u64> {
        self.unmatched
            .groups
            .iter()
            .flat_map(|group| group.endpoints())
            .map(|endpoint| endpoint.id())
            .collect()
    }

    fn overrule(&mut self, overrule: Option<SavedOverride>) {
        self.switches.overrule = overrule.as_ref().map(|saved| Override {
            serve: saved.serve,
            route: saved.route.as_deref().map(Arc::from),
        });
        self.overrule = overrule;
    }
}

impl RoutePlan {
    fn new(
        route: &Route,
        settings: &Settings,
        groups: [Arc<Group>; 2],
        telemetry: &Telemetry,
    ) -> Self {
        let policy = Policy {
            name: route.name.as_str().into(),
            serve: route.serve,
            percent: route.percent,
            key: route.key.clone(),
            salt: route
                .salt
                .clone()
                .unwrap_or_else(|| settings.migration.name.clone()),
            pins: route.pins.clone(),
            shadow: route.shadow.percent,
            read: route.read,
        };
        Self {
            key_placeholders: policy.key.iter().flat_map(path_placeholders).collect(),
            policy,
            pattern: route.pattern.as_str().to_owned(),
            rules: route.compare.clone(),
            values: settings.samples.values,
            fallback: route.fallback,
            shadow: route.shadow,
            metrics: telemetry.route(&route.name, route.pattern.methods()),
            groups,
        }
    }

    fn unmatched(settings: &Settings, groups: [Arc<Group>; 2], telemetry: &Telemetry) -> Self {
        Self {
            policy: Policy {
                name: UNMATCHED.into(),
                serve: Serve::Split,
                percent: Share::NONE,
                key: None,
                salt: settings.migration.name.clone(),
                pins: Pins::default(),
                shadow: Share::NONE,
                read: false,
            },
            key_placeholders: Vec::new(),
            pattern: "*".to_owned(),
            rules: Rules::default(),
            values: settings.samples.values,
            fallback: Fallback::Off,
            shadow: Shadow::default(),
            metrics: telemetry.route(UNMATCHED, None),
            groups,
        }
    }
}

fn path_placeholders(key: &Template) -> Vec<String> {
    let names = key.sources().filter_map(|source| match source {
        Source::Path(name) => Some(name.clone()),
        Source::Query(_)
        | Source::Header(_)
        | Source::Cookie(_)
        | Source::Body(_)
        | Source::ClientIp => None,
    });
    names.collect()
}
