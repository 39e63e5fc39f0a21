//! The breakers of the sides in force: judged a few times a second, told to the log once for each change, and shown.

use crate::plan::Live;
use crate::side::Side;
use crate::telemetry::{Role, Telemetry};
use crate::upstream::guard::GuardState;
use crate::upstream::{Change, Endpoint};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often breakers are judged.
const PACE: Duration = Duration::from_millis(200);

/// Judges, for ever.
pub(super) async fn judge(live: Arc<Live>, telemetry: Arc<Telemetry>) {
    let started = Instant::now();
    loop {
        sleep(PACE).await;
        let plan = live.snapshot();
        for side in Side::BOTH {
            let endpoint = plan.unmatched.endpoint(side);
            for role in Role::ALL {
                look(endpoint, *role, started.elapsed());
                let open = endpoint.guard(*role).state() != GuardState::Closed;
                let shown = telemetry.side(side).breaker_open(*role);
                shown.set(u64::from(open));
            }
        }
    }
}

fn look(endpoint: &Endpoint, role: Role, now: Duration) {
    if !endpoint.has_breaker(role) {
        return;
    }
    let (side, role_name) = (endpoint.side(), role.name());
    match endpoint.guard(role).judge(now) {
        Some(Change::Opened {
            pause,
            requests,
            failed,
        }) => {
            tracing::warn!(%side, role = role_name, requests, failed, ?pause, "the breaker is open: too much failed");
        }
        Some(Change::Reopened { pause }) => {
            tracing::warn!(%side, role = role_name, ?pause, "the breaker stays open: a probe failed");
        }
        Some(Change::Probing) => {
            tracing::info!(%side, role = role_name, "the breaker lets probes through");
        }
        Some(Change::Closed) => {
            tracing::warn!(%side, role = role_name, "the breaker is closed: the side does well");
        }
        None => {}
    }
}
