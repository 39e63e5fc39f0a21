//! One address of a side, and what all addresses of a side have in common: limits of the process, breakers, and how each of them is.
//!
//! Shadows have limits of their own, so that copies never take a connection away from requests.

use crate::config::settings::{HostRule, Pool, Upstream, Url};
use crate::side::Side;
use crate::telemetry::{EndpointState, Role, SideMetrics, Telemetry, UpstreamError};
use crate::upstream::failure::Fault;
use crate::upstream::flight::{Bounds, Flights};
use crate::upstream::guard::Guard;
use crate::upstream::outliers::{Outliers, Standing};
use crate::upstream::place::Place;
use crate::upstream::tls::Tls;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Shadows in flight for a side.
pub const SHADOWS_IN_FLIGHT: usize = 128;

/// Requests in flight for a side by which pairs are looked at again. They have connections of their own, so that no shadow waits for them.
pub const CHECKS_IN_FLIGHT: usize = 16;

/// Requests in flight for old, or its twin, by which it is asked what it does to itself; like those.
pub const TWICE_IN_FLIGHT: usize = 4;

/// The most connections that all of them can need.
const SHADOW_CONNECTIONS: usize = SHADOWS_IN_FLIGHT + CHECKS_IN_FLIGHT + TWICE_IN_FLIGHT;

/// One address of a side.
#[derive(Debug)]
pub struct Endpoint {
    id: u64,
    /// Its place among the endpoints of its side.
    index: usize,
    own_host: HeaderValue,
    place: Place,
    common: Arc<Common>,
}

/// What the endpoints of a side have in common.
#[derive(Debug)]
pub struct Common {
    side: Side,
    settings: Upstream,
    telemetry: Arc<Telemetry>,
    /// Requests in flight, by any settings of the side.
    flights: Arc<Flights>,
    serve: Limits,
    shadow: Limits,
    /// By role.
    guards: [Arc<Guard>; 2],
    /// For urls of https.
    tls: Option<Arc<Tls>>,
    started: Instant,
    outliers: Mutex<Outliers>,
    each: Box<[Shared]>,
}

/// What requests need to know of an endpoint; only of several.
#[derive(Debug, Default)]
struct Shared {
    /// A [`Standing`].
    standing: AtomicU8,
    /// Failures are remembered, until it does well.
    troubled: AtomicBool,
    in_flight: AtomicUsize,
}

/// Whoever holds idle connections to an endpoint, and can let go of them.
pub(super) trait Keeper: fmt::Debug + Send + Sync {
    /// Closes the oldest idle connection to an endpoint of the same side; whether there was one.
    fn close_idle(&self, endpoint: &Endpoint) -> bool;
}

/// Limits of the process for one role at a side.
#[derive(Debug)]
pub struct Limits {
    /// A permit for each connection that may be open.
    pub(super) permits: Arc<Semaphore>,
    /// Requests that wait for a connection to be free, where connections are shared.
    pub(super) starved: AtomicUsize,
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
            starved: AtomicUsize::new(0),
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
    pub(super) fn new(id: u64, index: usize, url: &Url, common: Arc<Common>) -> Self {
        Self {
            id,
            index,
            own_host: own_host(url),
            place: Place::new(url, common.tls()),
            common,
        }
    }

    /// Process-wide number of this endpoint: pools are found by it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its url.
    #[must_use]
    pub fn url(&self) -> String {
        self.settings().urls[self.index].to_string()
    }

    /// What a request to it names as its scheme, over HTTP/2.
    pub(super) fn scheme(&self) -> Scheme {
        match &self.settings().urls[self.index] {
            Url::Https(_) => Scheme::HTTPS,
            Url::Http(_) | Url::Unix(_) => Scheme::HTTP,
        }
    }

    /// The side that it belongs to.
    #[must_use]
    pub fn side(&self) -> Side {
        self.common.side
    }

    /// The side's settings.
    #[must_use]
    pub fn settings(&self) -> &Upstream {
        &self.common.settings
    }

    /// The side's cells.
    #[must_use]
    pub fn metrics(&self) -> &SideMetrics {
        self.common.metrics()
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it shares with the other endpoints of its side.
    #[must_use]
    pub fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> EndpointState {
        match self.common.standing(self.index) {
            Standing::Up => EndpointState::Up,
            Standing::Ejected => EndpointState::Ejected,
            Standing::Unhealthy => EndpointState::Unhealthy,
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&self, role: Role, kind: UpstreamError) {
        self.common.failed(role, kind);
        // That the process is out of connections says nothing about one of them.
        if kind != UpstreamError::Queue {
            self.common.endpoint_failed(self.index);
        }
    }

    /// Counts the head of an answer.
    pub(super) fn answered(&self, role: Role, status: StatusCode) {
        if status.is_server_error() {
            self.common.guard(role).failed();
            if is_gateway_error(status) {
                self.common.endpoint_failed(self.index);
            }
        } else if self.common.each[self.index]
            .troubled
            .load(Ordering::Relaxed)
        {
            self.common.judge(|outliers| outliers.went_well(self.index));
        }
    }

    /// What an active check has found.
    pub fn checked(&self, healthy: bool) {
        let changed = self
            .common
            .judge(|outliers| outliers.checked(self.index, healthy));
        if changed {
            let endpoint = &self.settings().urls[self.index];
            tracing::warn!(side = %self.side(), %endpoint, healthy, "the health of an endpoint has changed");
        }
    }

    /// Puts in the Host that the side is to see, in place of the client's; an HTTP/1.0 client may have sent none.
    pub fn set_host(&self, headers: &mut HeaderMap) {
        let host = match &self.settings().host {
            HostRule::Preserve if headers.contains_key(HOST) => return,
            HostRule::Preserve | HostRule::Upstream => &self.own_host,
            HostRule::Name(name) => name,
        };
        headers.insert(HOST, host.clone());
    }

    pub(super) fn limits(&self, role: Role) -> &Limits {
        match role {
            Role::Serve => &self.common.serve,
            Role::Shadow => &self.common.shadow,
        }
    }

    fn count(&self) -> &AtomicUsize {
        &self.common.each[self.index].in_flight
    }
}

/// A request in flight at an endpoint, until dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    endpoint: Arc<Endpoint>,
    /// Counted at the endpoint, which is only of interest where there are several.
    counted: bool,
    /// The pool by which it has one of the side's places, as all but copies have.
    place: Option<usize>,
}

impl InFlight {
    /// At an endpoint of a side that has a place for it, which is the request's from here on.
    pub(super) fn begin(endpoint: &Arc<Endpoint>, role: Role, pool: usize) -> Self {
        let place = match role {
            Role::Serve => Some(pool),
            Role::Shadow => None,
        };
        Self::count_at(endpoint, place)
    }

    /// The same request at another endpoint of the side.
    pub(super) fn move_to(mut self, endpoint: &Arc<Endpoint>) -> Self {
        Self::count_at(endpoint, self.place.take())
    }

    /// What the answer leads to, which lasts longer.
    pub(super) fn go_on(&mut self) -> Self {
        let more = Self::count_at(&self.endpoint, self.place.take());
        self.end();
        more
    }

    /// The endpoint that is asked.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// It is in flight no more.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.endpoint.count().fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(pool) = self.place.take() {
            self.endpoint.common.flights.leave(pool);
        }
    }

    fn count_at(endpoint: &Arc<Endpoint>, place: Option<usize>) -> Self {
        let counted = endpoint.common.each.len() > 1;
        if counted {
            endpoint.count().fetch_add(1, Ordering::Relaxed);
        }
        Self {
            endpoint: Arc::clone(endpoint),
            counted,
            place,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end();
    }
}

impl Common {
    pub(super) fn new(
        side: Side,
        settings: &Upstream,
        flights: Arc<Flights>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let shadow_connections = settings.pool.max_connections.min(SHADOW_CONNECTIONS);
        Self {
            side,
            settings: settings.clone(),
            telemetry,
            flights,
            serve: Limits::new(settings.pool.clone()),
            shadow: Limits::new(Pool {
                max_connections: shadow_connections,
                ..settings.pool.clone()
            }),
            guards: [Guard::new(), Guard::new()],
            tls: settings
                .tls
                .as_ref()
                .map(|files| Arc::new(Tls::new(files, settings.protocol.is_http_2()))),
            started: Instant::now(),
            outliers: Mutex::new(Outliers::new(settings.urls.len())),
            each: settings.urls.iter().map(|_| Shared::default()).collect(),
        }
    }

    /// The side.
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

    /// Takes a place in flight, if there is one.
    pub(super) fn enter(&self, role: Role) -> bool {
        match role {
            Role::Serve => self.flights.enter(self.settings.in_flight),
            Role::Shadow => true,
        }
    }

    /// Takes a place in flight when one is free.
    pub(super) async fn wait(&self, pool: usize) -> Result<(), Fault> {
        let bounds = Bounds {
            in_flight: self.settings.in_flight,
            queue: self.settings.pool.queue,
            patience: self.settings.timeout,
        };
        let waiting = &self.metrics().waiting;
        self.flights.wait(bounds, pool, waiting).await
    }

    /// TLS with the side, if it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// The breaker of a role.
    #[must_use]
    pub fn guard(&self, role: Role) -> &Arc<Guard> {
        &self.guards[role as usize]
    }

    /// Counts a failure of which nobody knows whose it is among the endpoints.
    pub fn failed(&self, role: Role, kind: UpstreamError) {
        self.metrics().error(role, kind);
        self.guard(role).failed();
    }

    /// Whether that breaker may ever open. Requests that old serves have nobody to go to instead.
    #[must_use]
    pub fn has_breaker(&self, role: Role) -> bool {
        self.settings.breaker && (self.side, role) != (Side::Old, Role::Serve)
    }

    /// Whether a request that was sent may be sent once more. It counts as a retry then.
    pub(super) fn may_retry(&self, role: Role) -> bool {
        let may = self.guard(role).may_retry();
        if may {
            self.metrics().retries.increment();
        }
        may
    }

    /// Takes back the endpoints whose time is over.
    pub fn take_back(&self) {
        if self.each.len() > 1 {
            let now = self.started.elapsed();
            self.judge(|outliers| outliers.take_back(now));
        }
    }

    /// How an endpoint is.
    pub(super) fn standing(&self, index: usize) -> Standing {
        match self.each[index].standing.load(Ordering::Relaxed) {
            UP => Standing::Up,
            EJECTED => Standing::Ejected,
            _ => Standing::Unhealthy,
        }
    }

    /// Requests that an endpoint has to answer.
    pub(super) fn in_flight(&self, index: usize) -> usize {
        self.each[index].in_flight.load(Ordering::Relaxed)
    }

    #[cold]
    fn endpoint_failed(&self, index: usize) {
        if self.each.len() == 1 {
            return;
        }
        let now = self.started.elapsed();
        if let Some(pause) = self.judge(|outliers| outliers.failed(index, now)) {
            let endpoint = &self.settings.urls[index];
            tracing::warn!(side = %self.side, %endpoint, ?pause, "an endpoint is ejected: it failed time after time");
        }
    }

    /// Changes what is known of the endpoints, and tells the requests.
    #[cold]
    fn judge<T>(&self, change: impl FnOnce(&mut Outliers) -> T) -> T {
        let mut outliers = self.outliers.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut outliers);
        for (index, shared) in self.each.iter().enumerate() {
            let standing = match outliers.standing(index) {
                Standing::Up => UP,
                Standing::Ejected => EJECTED,
                Standing::Unhealthy => UNHEALTHY,
            };
            shared.standing.store(standing, Ordering::Relaxed);
            let troubled = outliers.remembers(index);
            shared.troubled.store(troubled, Ordering::Relaxed);
        }
        changed
    }
}

const UP: u8 = 0;
const EJECTED: u8 = 1;
const UNHEALTHY: u8 = 2;

/// What a side sees as its Host where it is to be the url's. A path is none: such a side is on this machine.
fn own_host(url: &Url) -> HeaderValue {
    match url.authority() {
        Some(authority) => {
            HeaderValue::from_str(authority.as_str()).expect("an authority has only visible ASCII")
        }
        None => HeaderValue::from_static("localhost"),
    }
}

/// An answer by which a gateway says that what is behind it failed.
fn is_gateway_error(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
