//! How the sides are: breakers and ejections are judged a few times a second, told to the log once for each change, and shown; names are
//! resolved again, and endpoints checked. All of it beside the requests.

use crate::plan::Live;
use crate::side::Side;
use crate::telemetry::{EndpointState, Role, Telemetry};
use crate::upstream::check::check;
use crate::upstream::endpoint::Common;
use crate::upstream::guard::GuardState;
use crate::upstream::{Change, Endpoint, Group};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How often breakers and ejections are judged.
const PACE: Duration = Duration::from_millis(200);

/// How often an endpoint is checked: this long after its last check.
const CHECK: Duration = Duration::from_secs(1);

/// How often names are resolved again.
const RESOLVE: Duration = Duration::from_secs(5);

/// Tends the sides, for ever.
pub(super) async fn tend(live: Arc<Live>, telemetry: Arc<Telemetry>) {
    tokio::join!(judge(&live, &telemetry), resolve(&live), check_all(&live));
}

async fn judge(live: &Live, telemetry: &Telemetry) {
    let started = Instant::now();
    loop {
        let plan = live.snapshot();
        for side in Side::BOTH {
            let group = plan.unmatched.group(side);
            group.common().take_back();
            for role in Role::ALL {
                look(group.common(), *role, started.elapsed());
            }
            show(group, telemetry);
        }
        sleep(PACE).await;
    }
}

fn show(group: &Group, telemetry: &Telemetry) {
    let common = group.common();
    let cells = telemetry.side(common.side());
    for role in Role::ALL {
        let open = common.guard(*role).state() != GuardState::Closed;
        cells.breaker_open(*role).set(u64::from(open));
    }
    for state in EndpointState::ALL {
        let endpoints = group.endpoints().iter();
        let count = endpoints.filter(|endpoint| endpoint.state() == *state);
        cells.endpoints(*state).set(count.count() as u64);
    }
}

fn look(common: &Common, role: Role, now: Duration) {
    if !common.has_breaker(role) {
        return;
    }
    let (side, role_name) = (common.side(), role.name());
    match common.guard(role).judge(now) {
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

async fn resolve(live: &Live) {
    loop {
        sleep(RESOLVE).await;
        for endpoint in endpoints(live) {
            // A resolver that hangs must not keep the other names from being resolved.
            let _ = timeout(RESOLVE, endpoint.place().refresh()).await;
        }
    }
}

async fn check_all(live: &Live) {
    loop {
        let mut checks = JoinSet::new();
        for endpoint in endpoints(live) {
            if let Some(health) = endpoint.settings().health.clone() {
                checks.spawn(async move {
                    let healthy = check(&endpoint, &health).await;
                    endpoint.checked(healthy);
                });
            }
        }
        while checks.join_next().await.is_some() {}
        sleep(CHECK).await;
    }
}

fn endpoints(live: &Live) -> Vec<Arc<Endpoint>> {
    live.snapshot().endpoints().cloned().collect()
}
