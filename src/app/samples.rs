//! The samples of a running proxy: kept as the file says that is in force, and counted where they are lost.

use crate::plan::{Live, Plan};
use crate::store::samples::{self, Bounds, Samples};
use crate::store::{Redactor, StateDir};
use crate::telemetry::{LostSample, Telemetry};
use std::io;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Starts the thread of the samples.
pub(super) fn start(
    live: &Live,
    state: &Arc<StateDir>,
    redactor: &Arc<Redactor>,
    telemetry: &Arc<Telemetry>,
) -> io::Result<Arc<Samples>> {
    let telemetry = Arc::clone(telemetry);
    let count = move |why, lost| {
        let why = match why {
            samples::LostSample::Queue => LostSample::Queue,
            samples::LostSample::Size => LostSample::Size,
            samples::LostSample::Write => LostSample::Write,
        };
        telemetry.process().samples_lost(why, lost);
    };
    Samples::start(
        Arc::clone(state),
        Arc::clone(redactor),
        bounds(&live.snapshot()),
        Arc::new(count),
    )
}

/// Tells the samples of each edit of their bounds, for ever.
pub(super) async fn follow(live: Arc<Live>, samples: Arc<Samples>) {
    let mut changes = live.changes();
    let mut told = bounds(&live.snapshot());
    // The sender lives as long as `live`.
    while changes.changed().await.is_ok() {
        let now = bounds(&live.snapshot());
        if now != told {
            told = now;
            let samples = Arc::clone(&samples);
            // It waits while the queue is full, for a disk that may hang.
            let _ = spawn_blocking(move || samples.bound(now)).await;
        }
    }
}

fn bounds(plan: &Plan) -> Bounds {
    let samples = &plan.settings.samples;
    Bounds {
        max_size: samples.max_size,
        max_age: samples.max_age,
    }
}
