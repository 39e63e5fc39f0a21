//! How many connections of clients may be open, and how long to wait where there is no descriptor for another one.

use crate::plan::Live;
use crate::telemetry::{Rejected, Telemetry};
use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use std::time::Duration;

/// Clients may have this share of the descriptors, in percent: each request in flight needs one more for its side, and the rest of the process has its own.
const SHARE: u64 = 45;

/// The limit on connections of clients.
#[derive(Clone, Debug)]
pub struct Doorkeeper {
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    /// What the descriptors of the process allow.
    most: usize,
}

impl Doorkeeper {
    /// A doorkeeper that goes by the settings in force, and by the limit on descriptors as it is now.
    #[must_use]
    pub fn new(live: Arc<Live>, telemetry: Arc<Telemetry>) -> Self {
        Self {
            live,
            telemetry,
            most: share(getrlimit(Resource::Nofile).current),
        }
    }

    /// Whether there may be one more than these. One that may not is counted.
    pub(super) fn admits(&self, open: usize) -> bool {
        let limit = self.live.snapshot().settings.limits.connections;
        let admitted = open < limit.min(self.most);
        if !admitted {
            self.telemetry.process().rejected(Rejected::Connections);
        }
        admitted
    }
}

fn share(descriptors: Option<u64>) -> usize {
    descriptors.map_or(usize::MAX, |all| {
        usize::try_from(all / 100 * SHARE + all % 100 * SHARE / 100).unwrap_or(usize::MAX)
    })
}

/// The pause after so many accepts in a row that failed for lack of descriptors or memory: 50 ms, doubled each time, at most a second.
pub(super) fn pause(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(5)).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_less_than_half_of_the_descriptors() {
        for (all, expected) in [
            (Some(1024), 460),
            (Some(20_000), 9_000),
            (Some(0), 0),
            (None, usize::MAX),
        ] {
            assert_eq!(share(all), expected, "{all:?}");
        }
        assert!(share(Some(u64::MAX)) > 1 << 60);
    }

    #[test]
    fn pauses_grow_up_to_a_second() {
        let millis: Vec<_> = (0..7).map(|n| pause(n).as_millis()).collect();
        assert_eq!(millis, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause(u32::MAX), Duration::from_secs(1));
    }
}
