//! The endpoints of a side, and which of them is asked next.

use crate::config::settings::Upstream;
use crate::side::Side;
use crate::telemetry::Telemetry;
use crate::upstream::endpoint::{Common, Endpoint};
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

    /// The endpoint for the next request.
    pub(super) fn pick(&self) -> &Arc<Endpoint> {
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
    current: Mutex<[Weak<Group>; 2]>,
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

    /// The endpoints of a side with these settings: those in use if they are the same, else new ones.
    pub fn group(&self, side: Side, settings: &Upstream) -> Arc<Group> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut current[side.index()];
        if let Some(known) = place
            .upgrade()
            .filter(|known| known.common.settings() == settings)
        {
            return known;
        }
        let common = Arc::new(Common::new(side, settings, Arc::clone(&self.telemetry)));
        let endpoints = settings.urls.iter().enumerate().map(|(index, authority)| {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            Arc::new(Endpoint::new(id, index, authority, Arc::clone(&common)))
        });
        let made = Arc::new(Group {
            endpoints: endpoints.collect(),
            common,
        });
        *place = Arc::downgrade(&made);
        made
    }
}
