//! What crossfade promises for a request beside passing it on, by the functions of its own that keep it.

use arc_swap::{ArcSwap, Cache};
use crossfade::compare::Ids;
use crossfade::config::Settings;
use crossfade::message::forwarded::{self, Address, Peer, ProcessId, Stamp};
use crossfade::message::hop;
use crossfade::message::request_id::{Names, RequestId};
use crossfade::message::survey::Survey;
use crossfade::plan::{Live, Plan, RoutePlan};
use crossfade::route::decide::{self, Decision};
use crossfade::route::key::Sources;
use crossfade::route::table::{Captures, Target, is_ambiguous};
use crossfade::side::Side;
use crossfade::telemetry::{CodeClass, Held, Role, Telemetry};
use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// The settings in force and the cells, as a worker of crossfade has them.
pub(crate) struct Promises {
    telemetry: Arc<Telemetry>,
    process: ProcessId,
    names: Names,
    plan: Mutex<Cache<Arc<ArcSwap<Plan>>, Arc<Plan>>>,
    /// For rungs on which no route is looked up.
    first: Arc<Plan>,
}

impl Promises {
    pub(crate) fn new(settings: Settings) -> Self {
        let telemetry = Telemetry::new();
        let ids = Arc::new(Ids::unkeyed());
        let live = Live::new(settings, String::new(), None, Arc::clone(&telemetry), ids);
        Self {
            process: ProcessId::new(0),
            names: Names::new(1),
            plan: Mutex::new(Cache::new(live.cell())),
            first: live.snapshot(),
            telemetry,
        }
    }

    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// The route of requests when none is looked up.
    pub(crate) fn any_route(&self) -> &Arc<RoutePlan> {
        &self.first.unmatched
    }

    fn peer(&self, address: Arc<Address>) -> Peer<'_> {
        Peer {
            address,
            trusted_proxies: &self.first.settings.server.trusted_proxies,
        }
    }

    /// Headers: what can't be forwarded is refused.
    pub(crate) fn admit(
        &self,
        head: &mut Parts,
        survey: Survey,
    ) -> Result<Option<HeaderValue>, StatusCode> {
        let target = head.uri.path_and_query();
        let good = !matches!(head.method, Method::CONNECT | Method::TRACE)
            && hop::is_target(&head.method, &head.uri)
            && target
                .is_none_or(|target| target.as_str().len() <= self.first.settings.limits.uri_size)
            && hop::is_only_chunked(&head.headers, survey)
            && !forwarded::is_loop(&head.headers, survey, &self.process);
        let host = hop::settle_host(head.version, &head.uri, &mut head.headers, survey);
        host.ok().filter(|_| good).ok_or(StatusCode::BAD_REQUEST)
    }

    /// Headers: the request as a side may see it.
    pub(crate) fn prepare(
        &self,
        head: &mut Parts,
        survey: Survey,
        (address, host): (&Arc<Address>, Option<&HeaderValue>),
        route: &RoutePlan,
    ) {
        let trailers = hop::accepts_trailers(&head.headers, survey);
        hop::remove_hop_by_hop(&mut head.headers, survey);
        let stamp = Stamp {
            peer: &self.peer(Arc::clone(address)),
            host,
            version: head.version,
            process: &self.process,
            id: &RequestId::of(&head.headers, survey, &self.names),
        };
        stamp.put(&mut head.headers, survey);
        if trailers {
            hop::ask_for_trailers(&mut head.headers);
        }
        route.group(Side::Old).endpoints()[0].set_host(&mut head.headers);
    }

    /// Decision: the route, who serves, and whether the other side gets a copy.
    pub(crate) fn decide(
        &self,
        head: &Parts,
        address: &Arc<Address>,
    ) -> Result<Decided, StatusCode> {
        let plan = Arc::clone(
            self.plan
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .load(),
        );
        let target = Target {
            method: &head.method,
            host: head.headers.get(HOST).and_then(|host| host.to_str().ok()),
            path: head.uri.path(),
        };
        let (route, captures) = match plan.table.lookup(target) {
            Some(found) => (Arc::clone(found.policy), found.captures),
            None => (Arc::clone(&plan.unmatched), Captures::default()),
        };
        if route.policy.key.is_some() && is_ambiguous(head.uri.path()) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let peer = self.peer(Arc::clone(address));
        let read = decide::is_read(&route.policy, &head.method);
        let sources = Sources {
            captures: &captures,
            query: head.uri.query(),
            headers: &head.headers,
            body: None,
            client_ip: Some(peer.client_ip(&head.headers)),
        };
        let key = route.policy.key_of(&sources);
        let decision = decide::decide(&route.policy, &plan.switches, read, key.as_deref());
        let mirrored = decide::is_mirrored(&route.policy, &plan.switches, read);
        Ok(Decided {
            route,
            decision,
            mirrored,
        })
    }

    /// Metrics: a request has begun.
    pub(crate) fn begin(&self, started: Instant, method: Method) -> Meter {
        Meter {
            started,
            method,
            sent: started,
            _inflight: self.telemetry.process().inflight.hold(),
        }
    }
}

/// What was decided of a request.
pub(crate) struct Decided {
    pub(crate) route: Arc<RoutePlan>,
    pub(crate) decision: Decision,
    pub(crate) mirrored: bool,
}

/// A request that is counted.
pub(crate) struct Meter {
    started: Instant,
    method: Method,
    sent: Instant,
    _inflight: Held,
}

impl Meter {
    /// The request goes to its side.
    pub(crate) fn sent(&mut self) {
        self.sent = Instant::now();
    }

    /// The head of its answer is there.
    pub(crate) fn answered(&self, route: &RoutePlan) {
        let elapsed = self.sent.elapsed();
        route.metrics.upstream(Side::Old, Role::Serve, elapsed);
    }

    /// Its answer was handed to the client's connection.
    pub(crate) fn complete(self, route: &RoutePlan, status: StatusCode) {
        let class = CodeClass::from(status);
        let elapsed = self.started.elapsed();
        route
            .metrics
            .request(&self.method, Side::Old.into(), class, elapsed);
    }
}
