//! The Plan in force, and the only ways to change it: settings are applied, the override is set.
//!
//! Readers take a snapshot and never wait; writers take turns. An override survives every change of settings.

use crate::compare::Ids;
use crate::config::{Problem, Settings, restart_required};
use crate::plan::build::{Lasting, Plan, Stamp};
use crate::route::decide::share_in_force;
use crate::store::SavedOverride;
use crate::telemetry::{self, ReloadResult, Telemetry};
use crate::upstream::Endpoints;
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// An edit that was refused, until one is good again.
#[derive(Clone, Debug)]
pub struct LastError {
    /// When it was read.
    pub at: Timestamp,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// The Plan in force.
#[derive(Debug)]
pub struct Live {
    plan: Arc<ArcSwap<Plan>>,
    /// What the process was started with: some keys of it stay in force until the next start.
    started_with: Settings,
    last_error: ArcSwapOption<LastError>,
    changed: watch::Sender<u64>,
    turn: Mutex<()>,
    endpoints: Endpoints,
    telemetry: Arc<Telemetry>,
    ids: Arc<Ids>,
}

impl Live {
    /// The first Plan of a process, generation 1.
    #[must_use]
    pub fn new(
        settings: Settings,
        sha256: String,
        overrule: Option<SavedOverride>,
        telemetry: Arc<Telemetry>,
        ids: Arc<Ids>,
    ) -> Self {
        let endpoints = Endpoints::new(Arc::clone(&telemetry));
        let started_with = settings.clone();
        let stamp = Stamp {
            generation: 1,
            sha256,
            at: now(),
        };
        let lasting = Lasting {
            endpoints: &endpoints,
            telemetry: &telemetry,
            ids: &ids,
            before: None,
        };
        let plan = Plan::build(settings, stamp, overrule, lasting);
        let live = Self {
            plan: Arc::new(ArcSwap::from_pointee(plan)),
            started_with,
            last_error: ArcSwapOption::empty(),
            changed: watch::Sender::new(1),
            turn: Mutex::new(()),
            endpoints,
            telemetry,
            ids,
        };
        live.publish(&live.snapshot());
        live.telemetry.process().reload(ReloadResult::Applied);
        live
    }

    /// What is known of identities.
    #[must_use]
    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// The Plan in force now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// The cell that holds the Plan, for a worker's `arc_swap::Cache`.
    #[must_use]
    pub fn cell(&self) -> Arc<ArcSwap<Plan>> {
        Arc::clone(&self.plan)
    }

    /// Tells of each change, of settings or override.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Puts settings in force; returns their generation.
    pub fn apply(&self, settings: Settings, sha256: String) -> u64 {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let stamp = Stamp {
            generation: before.generation + 1,
            sha256,
            at: now(),
        };
        let lasting = Lasting {
            endpoints: &self.endpoints,
            telemetry: &self.telemetry,
            ids: &self.ids,
            before: Some(&before),
        };
        let plan = Plan::build(settings, stamp, before.overrule.clone(), lasting);
        let generation = plan.generation;
        self.swap(plan);
        self.accepted(ReloadResult::Applied);
        generation
    }

    /// The file says again what is in force.
    pub fn unchanged(&self) {
        self.accepted(ReloadResult::Unchanged);
    }

    /// The file can't be used; what is in force stays so.
    pub fn rejected(&self, problems: Vec<Problem>) {
        self.last_error.store(Some(Arc::new(LastError {
            at: now(),
            problems,
        })));
        self.telemetry.process().reload(ReloadResult::Rejected);
    }

    /// The edit that was refused, if the file is still unusable.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<LastError>> {
        self.last_error.load_full()
    }

    /// Keys that differ from what the process was started with and take effect with the next start.
    #[must_use]
    pub fn restart_required(&self) -> Vec<&'static str> {
        restart_required(&self.started_with, &self.snapshot().settings)
    }

    /// Puts an override in force, or takes it away, at once.
    pub fn set_override(&self, overrule: Option<SavedOverride>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap(self.snapshot().with_override(overrule));
    }

    fn accepted(&self, result: ReloadResult) {
        self.last_error.store(None);
        self.telemetry.process().reload(result);
    }

    fn swap(&self, plan: Plan) {
        let plan = Arc::new(plan);
        self.plan.store(Arc::clone(&plan));
        self.publish(&plan);
        self.changed.send_modify(|changes| *changes += 1);
    }

    fn publish(&self, plan: &Plan) {
        for route in plan.routes() {
            route
                .metrics
                .set_share(share_in_force(&route.policy, &plan.switches));
        }
        let log = &plan.settings.log;
        telemetry::log::set(log.level, log.format);
        let process = self.telemetry.process();
        process.generation.set(plan.generation);
        process
            .override_active
            .set(u64::from(plan.overrule.is_some()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "edits show when they were applied or refused"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
