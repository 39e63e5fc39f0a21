//! The lab's work: pairs are taken from their queues in batches, and judged side by side. One thread does it all but for long comparisons.
//!
//! A worker that offers a pair wakes the lab only if it sleeps. Awake, it takes what is there, rests for [`PAUSE`] and looks again, and sleeps when
//! nothing has come meanwhile: under load it is woken once for many pairs, and a pair on its own is taken up at once.

use crate::shadow::judge::Lab;
use crate::shadow::offer::{Offer, Queues};
use crate::upstream::endpoint::SHADOWS_IN_FLIGHT;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// How long pairs that come while the lab is awake may gather.
const PAUSE: Duration = Duration::from_millis(2);

/// How long judgements that are under way may go on when the proxy stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The pairs to be asked of a side, and the places for those that are. Only the lab's thread locks it: a worker never waits for it.
#[derive(Debug)]
struct Line {
    queue: Mutex<Receiver<Offer>>,
    places: Arc<Semaphore>,
}

impl Line {
    fn new(queue: Receiver<Offer>) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(queue),
            places: Arc::new(Semaphore::new(SHADOWS_IN_FLIGHT)),
        })
    }

    /// Waits for a pair and a place for it; `None` when nobody offers any more.
    async fn next(&self) -> Option<(OwnedSemaphorePermit, Offer)> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let offer = poll_fn(|cx| self.queue().poll_recv(cx)).await?;
        Some((place, offer))
    }

    /// A pair and a place for it, if both are there.
    fn try_next(&self) -> Option<(OwnedSemaphorePermit, Offer)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let offer = self.queue().try_recv().ok()?;
        Some((place, offer))
    }

    /// The next pair for a place whose pair is done: only when all places are taken, else it is left to the next batch.
    fn another(&self) -> Option<Offer> {
        let full = self.places.available_permits() == 0;
        full.then(|| self.queue().try_recv().ok()).flatten()
    }

    /// Drops what waits.
    fn close(&self) {
        let mut queue = self.queue();
        queue.close();
        while queue.try_recv().is_ok() {}
    }

    /// Ends when no place is taken any more.
    async fn is_empty(&self) {
        // The places are never closed.
        let _ = self.places.acquire_many(SHADOWS_IN_FLIGHT as u32).await;
    }

    fn queue(&self) -> MutexGuard<'_, Receiver<Offer>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lab {
    /// Works until `stop` says so; what is queued then is dropped, and counted as that. What is still under way a second later ends, and is counted,
    /// with the runtime.
    pub async fn run(self: Arc<Self>, queues: Queues, mut stop: watch::Receiver<bool>) {
        let lines = queues.by_side.map(Line::new);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.work(&lines) => {}
        }
        lines.iter().for_each(|line| line.close());
        let [old, new] = &lines;
        // Out of time, they are counted as their accounts are dropped.
        let _ = timeout(LAST_WORDS, async {
            tokio::join!(old.is_empty(), new.is_empty())
        })
        .await;
    }

    async fn work(self: &Arc<Self>, lines: &[Arc<Line>; 2]) {
        let [old, new] = lines;
        loop {
            let (line, next) = tokio::select! {
                next = old.next() => (old, next),
                next = new.next() => (new, next),
            };
            // Both queues have the same senders.
            let Some((place, offer)) = next else {
                return;
            };
            self.begin(line, place, offer);
            sleep(PAUSE).await;
            while self.begin_all(lines) {
                sleep(PAUSE).await;
            }
        }
    }

    /// Takes up all that has come; whether anything had.
    fn begin_all(self: &Arc<Self>, lines: &[Arc<Line>; 2]) -> bool {
        let mut any = false;
        for line in lines {
            while let Some((place, offer)) = line.try_next() {
                self.begin(line, place, offer);
                any = true;
            }
        }
        any
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "judgements run on the lab's own runtime, and hold a place until they end"
    )]
    fn begin(self: &Arc<Self>, line: &Arc<Line>, place: OwnedSemaphorePermit, offer: Offer) {
        let (lab, line) = (Arc::clone(self), Arc::clone(line));
        tokio::spawn(async move {
            let _place = place;
            let mut next = Some(offer);
            while let Some(offer) = next {
                lab.judge(offer).await;
                next = line.another();
            }
        });
    }
}
