//! One address of a side, with the limits of the process: how many connections, how many idle, how many requests wait.
//!
//! Shadows have limits of their own, so that copies never take a connection away from requests.

use crate::config::settings::{HostRule, Pool, Upstream};
use crate::side::Side;
use crate::telemetry::{Role, SideMetrics, Telemetry, UpstreamError};
use crate::upstream::guard::Guard;
use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;

/// Shadows in flight for a side, and so the most connections that they can need.
pub const SHADOWS_IN_FLIGHT: usize = 128;

/// One address of a side.
#[derive(Debug)]
pub struct Endpoint {
    id: u64,
    side: Side,
    settings: Upstream,
    own_host: HeaderValue,
    telemetry: Arc<Telemetry>,
    serve: Limits,
    shadow: Limits,
    /// By role.
    guards: [Arc<Guard>; 2],
}

/// Whoever holds idle connections to an endpoint, and can let go of them.
pub(super) trait Keeper: fmt::Debug + Send + Sync {
    /// Closes the oldest idle connection of an endpoint; whether there was one.
    fn close_idle(&self, endpoint: &Endpoint) -> bool;
}

/// Limits of the process for one role at an endpoint.
#[derive(Debug)]
pub struct Limits {
    /// A permit for each connection that may be open.
    pub(super) permits: Arc<Semaphore>,
    pub(super) pool: Pool,
    pub(super) idle: AtomicUsize,
    pub(super) waiting: AtomicUsize,
    /// Every pool that may hold idle connections: a request that has to wait asks them to let go.
    pub(super) keepers: Mutex<Vec<Weak<dyn Keeper>>>,
}

impl Limits {
    fn new(pool: Pool) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(pool.max_connections)),
            pool,
            idle: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            keepers: Mutex::new(Vec::new()),
        }
    }

    /// Makes a pool known, once.
    pub(super) fn register(&self, keeper: Weak<dyn Keeper>) {
        let mut known = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&keeper));
        known.push(keeper);
    }

    pub(super) fn registered(&self) -> Vec<Arc<dyn Keeper>> {
        let known = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Endpoint {
    /// Process-wide number of this endpoint: pools are found by it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The side that it belongs to.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The side's settings.
    #[must_use]
    pub fn settings(&self) -> &Upstream {
        &self.settings
    }

    /// The side's cells.
    #[must_use]
    pub fn metrics(&self) -> &SideMetrics {
        self.telemetry.side(self.side)
    }

    /// The breaker of a role.
    #[must_use]
    pub fn guard(&self, role: Role) -> &Arc<Guard> {
        &self.guards[role as usize]
    }

    /// Whether that breaker may ever open. Requests that old serves have nobody to go to instead.
    #[must_use]
    pub fn has_breaker(&self, role: Role) -> bool {
        self.settings.breaker && (self.side, role) != (Side::Old, Role::Serve)
    }

    /// Counts a failure.
    pub fn failed(&self, role: Role, kind: UpstreamError) {
        self.metrics().error(role, kind);
        self.guard(role).failed();
    }

    /// Whether a request that was sent may be sent once more. It counts as a retry then.
    pub(super) fn may_retry(&self, role: Role) -> bool {
        let may = self.guard(role).may_retry();
        if may {
            self.metrics().retries.increment();
        }
        may
    }

    /// Puts in the Host that the side is to see, in place of the client's; an HTTP/1.0 client may have sent none.
    pub fn set_host(&self, headers: &mut HeaderMap) {
        let host = match &self.settings.host {
            HostRule::Preserve if headers.contains_key(HOST) => return,
            HostRule::Preserve | HostRule::Upstream => &self.own_host,
            HostRule::Name(name) => name,
        };
        headers.insert(HOST, host.clone());
    }

    pub(super) fn limits(&self, role: Role) -> &Limits {
        match role {
            Role::Serve => &self.serve,
            Role::Shadow => &self.shadow,
        }
    }
}

/// The endpoints of a process over all generations of its settings: an endpoint whose settings did not change keeps its
/// connections and counts.
#[derive(Debug)]
pub struct Endpoints {
    telemetry: Arc<Telemetry>,
    next: AtomicU64,
    current: Mutex<[Weak<Endpoint>; 2]>,
}

impl Endpoints {
    /// None yet.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            next: AtomicU64::new(0),
            current: Mutex::new([Weak::new(), Weak::new()]),
        }
    }

    /// The endpoint of a side with these settings: the one in use if they are the same, else a new one.
    pub fn endpoint(&self, side: Side, settings: &Upstream) -> Arc<Endpoint> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut current[side.index()];
        if let Some(known) = place.upgrade().filter(|known| known.settings == *settings) {
            return known;
        }
        let shadow_connections = settings.pool.max_connections.min(SHADOWS_IN_FLIGHT);
        let made = Arc::new(Endpoint {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            side,
            settings: settings.clone(),
            own_host: HeaderValue::from_str(settings.authority.as_str())
                .expect("an authority has only visible ASCII"),
            telemetry: Arc::clone(&self.telemetry),
            serve: Limits::new(settings.pool.clone()),
            shadow: Limits::new(Pool {
                max_connections: shadow_connections,
                ..settings.pool.clone()
            }),
            guards: [Guard::new(), Guard::new()],
        });
        *place = Arc::downgrade(&made);
        made
    }
}
