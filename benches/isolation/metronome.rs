//! When requests are due: a thread of its own, since the runtime's clock ticks in milliseconds and a request is due every half of one.

use std::thread;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Duration, Instant};

/// A schedule that nothing can delay: the nth request is due n periods after the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) start: Instant,
    pub(crate) rate: f64,
    pub(crate) requests: u64,
}

impl Schedule {
    pub(crate) fn due(&self, number: u64) -> Instant {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a run has thousands of requests, not 2^52"
        )]
        let periods = number as f64;
        self.start + Duration::from_secs_f64(periods / self.rate)
    }

    /// Tells each number when it is due, or as soon after that as this thread gets to run.
    pub(crate) fn beats(self) -> std::io::Result<UnboundedReceiver<u64>> {
        let (sender, receiver) = unbounded_channel();
        thread::Builder::new()
            .name("metronome".to_owned())
            .spawn(move || {
                for number in 0..self.requests {
                    // The system lets a thread sleep for 50 us longer than it asked, each time.
                    thread::sleep(self.due(number).saturating_duration_since(Instant::now()));
                    if sender.send(number).is_err() {
                        return;
                    }
                }
            })?;
        Ok(receiver)
    }
}
