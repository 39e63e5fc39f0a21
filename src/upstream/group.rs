//! The endpoints of a side, and which of them is asked next.

use crate::config::settings::Upstream;
use crate::side::Side;
use crate::telemetry::{Role, Telemetry};
use crate::upstream::endpoint::{Common, Endpoint, InFlight};
use crate::upstream::failure::Fault;
use crate::upstream::flight::Flights;
use crate::upstream::outliers::{Standing, choose};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The endpoints of a side; at least one.
#[derive(Debug)]
pub struct Group {
    common: Arc<Common>,
    endpoints: Box<[Arc<Endpoint>]>,
}

impl Group {
    /// Every endpoint, in the order of the file.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// What the endpoints have in common.
    #[must_use]
    pub fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// The endpoint for a request of a pool, which is in flight from here on; `None` if too many are.
    pub(super) fn begin(&self, role: Role, pool: usize) -> Option<(&Arc<Endpoint>, InFlight)> {
        self.common
            .enter(role)
            .then(|| self.at_endpoint(role, pool))
    }

    /// The same, when it is the request's turn.
    pub(super) async fn begin_late(
        &self,
        role: Role,
        pool: usize,
    ) -> Result<(&Arc<Endpoint>, InFlight), Fault> {
        self.common.wait(pool).await?;
        Ok(self.at_endpoint(role, pool))
    }

    fn at_endpoint(&self, role: Role, pool: usize) -> (&Arc<Endpoint>, InFlight) {
        let endpoint = self.pick();
        (endpoint, InFlight::begin(endpoint, role, pool))
    }

    fn pick(&self) -> &Arc<Endpoint> {
        match &*self.endpoints {
            [only] => only,
            several => &several[self.choose(|_| true)],
        }
    }

    /// An endpoint for a request that `failed` did not answer: another one, if there is one.
    pub(super) fn pick_after(&self, failed: &Arc<Endpoint>) -> &Arc<Endpoint> {
        match &*self.endpoints {
            [only] => only,
            several => &several[self.choose(|index| !Arc::ptr_eq(&several[index], failed))],
        }
    }

    /// Whether there is another endpoint than a first one.
    pub(super) fn is_several(&self) -> bool {
        self.endpoints.len() > 1
    }

    fn choose(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let common = &self.common;
        choose(
            self.endpoints.len(),
            |index| wanted(index) && common.standing(index) == Standing::Up,
            |index| common.in_flight(index),
            fastrand::u64(..),
        )
    }
}

/// The endpoints of a process over all generations of its settings: those of a side whose settings did not change keep their connections
/// and counts.
#[derive(Debug)]
pub struct Endpoints {
    telemetry: Arc<Telemetry>,
    next: AtomicU64,
    /// By side, and old's twin.
    current: Mutex<[Weak<Group>; 3]>,
    flights: [Arc<Flights>; 2],
}

impl Endpoints {
    /// None yet.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            next: AtomicU64::new(0),
            current: Mutex::default(),
            flights: Default::default(),
        }
    }

    /// The endpoints of a side with these settings: those in use if they are the same, else new ones.
    pub fn group(&self, side: Side, settings: &Upstream) -> Arc<Group> {
        self.kept(side.index(), side, settings)
    }

    /// The same of another old, which gets copies alone.
    pub fn twin(&self, settings: &Upstream) -> Arc<Group> {
        self.kept(Side::BOTH.len(), Side::Old, settings)
    }

    fn kept(&self, place: usize, side: Side, settings: &Upstream) -> Arc<Group> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut current[place];
        if let Some(known) = place
            .upgrade()
            .filter(|known| known.common.settings() == settings)
        {
            return known;
        }
        let flights = Arc::clone(&self.flights[side.index()]);
        let telemetry = Arc::clone(&self.telemetry);
        let common = Arc::new(Common::new(side, settings, flights, telemetry));
        let endpoints = settings.urls.iter().enumerate().map(|(index, url)| {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            Arc::new(Endpoint::new(id, index, url, Arc::clone(&common)))
        });
        let made = Arc::new(Group {
            endpoints: endpoints.collect(),
            common,
        });
        *place = Arc::downgrade(&made);
        made
    }
}
