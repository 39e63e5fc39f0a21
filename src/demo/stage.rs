//! What runs during a demo, and what there is to tell of it.
//!
//! It watches one thing more: an edit that names a side elsewhere ends the load, for it is not the demo's to load what it has not started.

use crate::app::Running;
use crate::config::Severity;
use crate::demo::children::{Children, Role};
use crate::demo::error::DemoError;
use crate::demo::observe::{self, Observer};
use crate::demo::sides::Sides;
use crate::demo::view::View;
use crate::plan::Plan;
use std::sync::Arc;
use std::time::Duration;

/// For connections to the proxy to end when the demo does.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The proxy and the children of a demo.
#[derive(Debug)]
pub struct Stage {
    proxy: Running,
    children: Children,
    observer: Observer,
    file: String,
    program: String,
    /// Generation of the settings whose sides were looked at last.
    checked: u64,
    sides: Result<Sides, String>,
    /// Why a restart that was asked for did not happen.
    refused: Option<String>,
}

impl Stage {
    /// A proxy with its services, and the load that starts now.
    pub fn new(
        proxy: Running,
        mut children: Children,
        file: String,
        program: String,
    ) -> Result<Self, DemoError> {
        let plan = proxy.live().snapshot();
        let sides = sides(&proxy, &plan)?;
        children.start(Role::Load, &sides)?;
        Ok(Self {
            proxy,
            children,
            observer: Observer::default(),
            file,
            program,
            checked: plan.generation,
            sides: Ok(sides),
            refused: None,
        })
    }

    /// Everything that there is to show; `at` is the time since the start.
    pub fn view(&mut self, at: Duration) -> View {
        let plan = self.proxy.live().snapshot();
        self.check_sides(&plan);
        self.children.look();
        let routes: Vec<_> = plan
            .table
            .policies()
            .iter()
            .map(|route| Arc::clone(&route.metrics))
            .collect();
        View {
            uptime: at,
            listen: self
                .proxy
                .addresses()
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            admin: self.proxy.admin().to_string(),
            file: self.file.clone(),
            program: self.program.clone(),
            routes: self.observer.routes(at, &routes),
            fields: observe::fields(&routes),
            children: self.children.rows(),
            generation: plan.generation,
            rejected: self.rejected(),
            notice: self.notice(&plan),
        }
    }

    /// Starts the children again that are down, at the addresses in force.
    pub fn restart(&mut self) {
        // Sides that can't be used are shown already.
        if let Ok(sides) = &self.sides {
            let restarted = self.children.restart(sides);
            self.refused = restarted.err().map(|error| error.told());
        }
    }

    /// Ends everything in order.
    pub fn end(mut self) {
        self.children.halt(Role::Load, "the demo ends");
        // The load is gone. A browser that keeps a connection is no reason to wait.
        self.proxy.stop_within(LAST_ANSWERS);
        drop(self.children);
    }

    fn check_sides(&mut self, plan: &Plan) {
        if self.checked == plan.generation {
            return;
        }
        self.checked = plan.generation;
        self.refused = None;
        self.sides = sides(&self.proxy, plan).map_err(|error| error.to_string());
        if self.sides.is_err() {
            self.children.halt(Role::Load, "a side is not loopback");
        }
    }

    fn rejected(&self) -> Option<String> {
        let error = self.proxy.live().last_error()?;
        let problems: Vec<_> = error
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        let first = problems.first()?;
        let more = match problems.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more: `{} check` tells all)", self.program),
        };
        Some(format!(
            "line {}, column {}: {}{more}",
            first.line, first.column, first.message
        ))
    }

    fn notice(&self, plan: &Plan) -> Option<String> {
        let overrule = plan.overrule.as_ref().map(|saved| {
            let what = saved.route.as_deref().unwrap_or("everything");
            format!("override: {} serves {what} ({})", saved.serve, saved.reason)
        });
        let restart = self.proxy.live().restart_required();
        let restart = (!restart.is_empty())
            .then(|| format!("takes effect with the next start: {}", restart.join(", ")));
        let told = [
            self.refused.clone(),
            self.sides.clone().err(),
            overrule,
            restart,
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The services where the settings name them, and the proxy where it listens in truth.
fn sides(proxy: &Running, plan: &Plan) -> Result<Sides, DemoError> {
    let sides = Sides::of(&plan.settings)?;
    Ok(match proxy.addresses().first() {
        Some(&address) => sides.with_proxy(address),
        None => sides,
    })
}
