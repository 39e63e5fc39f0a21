//! `GET /api/config`: what is in force.

use crate::admin::api::Admin;
use crate::config::Problem;
use crate::plan::Live;
use crate::store::{SavedOverride, rfc3339};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

/// The answer of `GET /api/config` and `PUT /api/override`.
#[derive(Debug, Serialize)]
pub(super) struct ConfigView {
    generation: u64,
    sha256: String,
    applied_at: String,
    restart_required: Vec<&'static str>,
    r#override: Option<SavedOverride>,
    last_error: Option<LastErrorView>,
    /// Only after a change that could not be kept in `state_dir`: it acts until the process ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    durable: Option<bool>,
}

#[derive(Debug, Serialize)]
struct LastErrorView {
    at: String,
    problems: Vec<Problem>,
}

impl ConfigView {
    /// What is in force now.
    pub(super) fn of(live: &Live) -> Self {
        let plan = live.snapshot();
        Self {
            generation: plan.generation,
            sha256: plan.sha256.clone(),
            applied_at: rfc3339(plan.applied_at),
            restart_required: live.restart_required(),
            r#override: plan.overrule.clone(),
            last_error: live.last_error().map(|error| LastErrorView {
                at: rfc3339(error.at),
                problems: error.problems.clone(),
            }),
            durable: None,
        }
    }

    /// The same, saying that the change will not survive the process.
    pub(super) fn not_durable(self) -> Self {
        Self {
            durable: Some(false),
            ..self
        }
    }
}

/// `GET /api/config`.
pub(super) async fn config(State(admin): State<Admin>) -> Json<ConfigView> {
    Json(ConfigView::of(&admin.live))
}
