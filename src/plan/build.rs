//! Settings -> Plan: everything that a request needs, looked up and allocated beforehand.
//!
//! A Plan never changes. A request takes one and decides once; a body that outlives the decision keeps only its route's part.

use crate::compare::ids::Pairing;
use crate::compare::{By, Ids, Rules};
use crate::config::Settings;
use crate::config::settings::{Again, Fallback, Noise, Route, Shadow};
use crate::json::FieldPath;
use crate::plan::judging::Judging;
use crate::redact;
use crate::route::bucket::{Salt, Share};
use crate::route::decide::{Override, Policy, Serve, Switches};
use crate::route::key::lone_place;
use crate::route::table::{Entry, Table};
use crate::side::Side;
use crate::store::SavedOverride;
use crate::store::samples::Hiding;
use crate::telemetry::access::Sink;
use crate::telemetry::trace::Tracer;
use crate::telemetry::{RouteMetrics, Telemetry};
use crate::template::{Source, Template};
use crate::upstream::{Endpoint, Endpoints, Group};
use jiff::Timestamp;
use std::collections::HashMap;
use std::mem::offset_of;
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
    /// Where each request leaves a line, if any does.
    pub access: Option<Arc<Sink>>,
}

/// A route's part of a Plan. What every request needs of it comes first: in an `Arc` it fills one cache line with the counts.
#[derive(Debug)]
#[repr(C)]
pub struct RoutePlan {
    /// The route's cells.
    pub metrics: Arc<RouteMetrics>,
    /// Where each side is; the same for all routes.
    pub groups: Arc<[Arc<Group>; 2]>,
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
    /// When a difference is looked at again.
    pub again: Again,
    /// Who is asked what old does to itself: old's twin, or old.
    pub old_again: Arc<Group>,
    /// The share of pairs for which that is asked.
    pub noise: Noise,
    /// What judgements remember.
    pub judging: Arc<Judging>,
    /// Where spans are told, if somebody wants them; the same for all routes.
    pub tracer: Option<Arc<Tracer>>,
    /// What of its mismatches and samples is shown.
    pub hiding: Arc<Hiding>,
    /// What is known of values that have other names on the other side; the same for all routes.
    pub ids: Arc<Ids>,
}

const _: () = {
    let counts = 2 * size_of::<usize>();
    let needed = offset_of!(RoutePlan, policy) + offset_of!(Policy, name);
    assert!(
        counts + needed <= 64,
        "a request needs more than a line of its route"
    );
};

impl RoutePlan {
    /// Where a side is.
    #[must_use]
    pub fn group(&self, side: Side) -> &Arc<Group> {
        &self.groups[side.index()]
    }

    /// By what old is compared with new.
    #[must_use]
    pub fn by(&self) -> By<'_> {
        By::new(&self.rules, &self.ids)
    }

    /// Learns which values stand for each other, as a pair has shown in which nothing was wrong; what it is about tells it from others of the route.
    pub fn learn(&self, pairings: &[Pairing], record: impl FnOnce() -> String) {
        if !pairings.is_empty() {
            self.by().learn(pairings, [self.name(), &record()]);
        }
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

/// What lasts from one Plan to the next.
#[derive(Clone, Copy, Debug)]
pub struct Lasting<'a> {
    /// The endpoints of the process.
    pub endpoints: &'a Endpoints,
    /// Its cells.
    pub telemetry: &'a Telemetry,
    /// What it knows of identities.
    pub ids: &'a Arc<Ids>,
    /// The Plan in whose place the new one comes.
    pub before: Option<&'a Plan>,
}

impl Plan {
    /// Makes a Plan. Endpoints and cells that an earlier Plan had are kept, and what is remembered of judgements where nothing changes of what is
    /// compared.
    #[must_use]
    pub fn build(
        settings: Settings,
        stamp: Stamp,
        overrule: Option<SavedOverride>,
        lasting: Lasting<'_>,
    ) -> Self {
        let Lasting {
            endpoints,
            telemetry,
            ids,
            before,
        } = lasting;
        ids.bound(settings.id_bounds());
        let before = before.into_iter().flat_map(Self::routes);
        let groups = Side::BOTH.map(|side| endpoints.group(side, settings.upstream(side)));
        let twin = settings.twin.as_ref().map(|twin| endpoints.twin(twin));
        let shared = Shared {
            old_again: twin.unwrap_or_else(|| Arc::clone(&groups[Side::Old.index()])),
            groups: Arc::new(groups),
            salt: Arc::new(Salt::new(&settings.migration.name)),
            ids: Arc::clone(ids),
            tracer: settings
                .log
                .traces
                .as_ref()
                .and_then(|_| telemetry.traces().tracer()),
            before: before.map(|route| (&**route.name(), &**route)).collect(),
        };
        let table = settings.routes.iter().map(|route| Entry {
            pattern: route.pattern.clone(),
            host: route.host.clone(),
            policy: Arc::new(RoutePlan::new(route, &settings, &shared, telemetry)),
        });
        let access = &settings.log.access;
        let mut plan = Self {
            table: Arc::new(Table::new(table.collect())),
            unmatched: Arc::new(RoutePlan::unmatched(&settings, &shared, telemetry)),
            switches: Switches {
                serve: settings.migration.serve,
                shadow: settings.migration.shadow,
                overrule: None,
            },
            overrule: None,
            access: access
                .as_ref()
                .and_then(|access| telemetry.access().open(access)),
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

    /// Every address that is asked, old's twin included.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.asked().flat_map(|group| group.endpoints())
    }

    /// Both sides, and old's twin if there is one.
    pub fn asked(&self) -> impl Iterator<Item = &Arc<Group>> {
        let RoutePlan {
            groups, old_again, ..
        } = &*self.unmatched;
        let is_side = groups.iter().any(|group| Arc::ptr_eq(group, old_again));
        groups.iter().chain((!is_side).then_some(old_again))
    }

    /// The numbers of the endpoints that it names.
    #[must_use]
    pub fn endpoint_ids(&self) -> Vec<u64> {
        self.endpoints().map(|endpoint| endpoint.id()).collect()
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
    fn new(route: &Route, settings: &Settings, shared: &Shared<'_>, telemetry: &Telemetry) -> Self {
        let key = route.key.as_ref();
        let own_salt = route.salt.as_deref().map(|salt| Arc::new(Salt::new(salt)));
        let policy = Policy {
            name: route.name.as_str().into(),
            serve: route.serve,
            percent: route.percent,
            lone: key.and_then(|key| lone_place(key, &route.pattern)),
            key: key.map(|key| Box::new(key.clone())),
            salt: own_salt.unwrap_or_else(|| Arc::clone(&shared.salt)),
            pins: route.pins.or_none(),
            shadow: route.shadow.percent,
            read: route.read,
        };
        let metrics = telemetry.route(&route.name, route.pattern.methods());
        metrics.name_fields(route.compare.named().map(FieldPath::as_str));
        Self {
            judging: shared.judging(&route.name, &route.compare, settings),
            again: route.again.clone(),
            hiding: Arc::new(Hiding {
                values: settings.samples.values,
                show: Arc::clone(&settings.samples.show),
                pattern: route.pattern.as_str().to_owned(),
                key_placeholders: key.into_iter().flat_map(path_placeholders).collect(),
                key_is_secret: key.is_some_and(reads_secret),
            }),
            old_again: Arc::clone(&shared.old_again),
            noise: settings.noise,
            policy,
            pattern: route.pattern.as_str().to_owned(),
            rules: route.compare.clone(),
            fallback: route.fallback,
            shadow: route.shadow,
            tracer: shared.tracer.clone(),
            ids: Arc::clone(&shared.ids),
            metrics,
            groups: Arc::clone(&shared.groups),
        }
    }

    fn unmatched(settings: &Settings, shared: &Shared<'_>, telemetry: &Telemetry) -> Self {
        let (metrics, rules) = (telemetry.route(UNMATCHED, None), Rules::default());
        Self {
            judging: shared.judging(UNMATCHED, &rules, settings),
            again: Again::default(),
            old_again: Arc::clone(&shared.old_again),
            noise: settings.noise,
            policy: Policy {
                name: UNMATCHED.into(),
                serve: Serve::Split,
                percent: Share::NONE,
                lone: None,
                key: None,
                salt: Arc::clone(&shared.salt),
                pins: None,
                shadow: Share::NONE,
                read: false,
            },
            hiding: Arc::new(Hiding {
                values: settings.samples.values,
                show: Arc::clone(&settings.samples.show),
                pattern: "*".to_owned(),
                key_placeholders: Vec::new(),
                key_is_secret: false,
            }),
            pattern: "*".to_owned(),
            rules,
            fallback: Fallback::Off,
            shadow: Shadow::default(),
            tracer: shared.tracer.clone(),
            ids: Arc::clone(&shared.ids),
            metrics,
            groups: Arc::clone(&shared.groups),
        }
    }
}

/// What all routes of a Plan have in common: once in memory, it is once in a cache.
struct Shared<'a> {
    groups: Arc<[Arc<Group>; 2]>,
    old_again: Arc<Group>,
    salt: Arc<Salt>,
    ids: Arc<Ids>,
    tracer: Option<Arc<Tracer>>,
    /// The routes of the Plan before, by name.
    before: HashMap<&'a str, &'a RoutePlan>,
}

impl Shared<'_> {
    /// What judgements remember of a route: nothing any more, if other things are compared now.
    fn judging(&self, name: &str, rules: &Rules, settings: &Settings) -> Arc<Judging> {
        let is_same = |before: &&RoutePlan| {
            let mut sides = before.groups.iter().zip(&*self.groups);
            before.rules == *rules
                && before.noise == settings.noise
                && sides.all(|(before, now)| Arc::ptr_eq(before, now))
                && Arc::ptr_eq(&before.old_again, &self.old_again)
        };
        match self.before.get(name).copied().filter(is_same) {
            Some(before) => Arc::clone(&before.judging),
            None => Arc::new(Judging::new(rules, settings.noise)),
        }
    }
}

fn reads_secret(key: &Template) -> bool {
    key.sources().any(|source| match source {
        Source::Path(name) | Source::Query(name) | Source::Body(name) => redact::is_secret(name),
        Source::Header(name) => redact::is_secret(name.as_str()),
        Source::Cookie(_) => true,
        Source::ClientIp => false,
    })
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
