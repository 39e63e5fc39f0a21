//! The lab's work: pairs are taken from their queues in batches, and judged side by side. One thread does it all but for long comparisons.
//!
//! A worker that offers a pair wakes the lab only if it sleeps. Awake, it takes what is there, and rests until a batch has come or a pause of 6 ms is over;
//! it sleeps when nothing has come meanwhile. So under load it is woken once for many pairs, while a pair on its own is taken up at once. To wake a
//! thread costs several times what a pair does.

use crate::shadow::hands::Line;
use crate::shadow::judge::Lab;
use crate::shadow::offer::Queues;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long pairs that come after another one may gather.
const PAUSE: Duration = Duration::from_millis(6);

/// How long judgements that are under way may go on when the proxy stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Lab {
    /// Works until `stop` says so; what is queued then is dropped, and counted as that. What waits for another look is what it seemed. What is still under way a second later ends, and is counted,
    /// with the runtime.
    pub async fn run(self: Arc<Self>, queues: Queues, mut stop: watch::Receiver<bool>) {
        let Queues { by_side, bell } = queues;
        let lines = by_side.map(Line::new);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.work(&lines, bell) => {}
        }
        let [old, new] = &lines;
        old.close();
        new.close();
        self.doubts.stop();
        // Those that do not end in time are counted as their accounts are dropped.
        let _ = timeout(LAST_WORDS, async {
            tokio::join!(old.is_done(), new.is_done(), self.doubts.is_done())
        })
        .await;
    }

    async fn work(self: &Arc<Self>, lines: &[Arc<Line>; 2], mut bell: Receiver<()>) {
        let [old, new] = lines;
        loop {
            let (line, next) = tokio::select! {
                next = old.next() => (old, next),
                next = new.next() => (new, next),
            };
            // Both queues have the same senders.
            let Some(offer) = next else {
                return;
            };
            line.begin(self, offer);
            loop {
                // Either way it is time to look; a bell that nobody can ring any more is as one that rings.
                let _ = timeout(PAUSE, bell.recv()).await;
                if !self.begin_all(lines) {
                    break;
                }
            }
        }
    }

    /// Takes up all that has come and there are hands for; whether there was anything.
    fn begin_all(self: &Arc<Self>, lines: &[Arc<Line>; 2]) -> bool {
        let mut any = false;
        for line in lines {
            while let Some(offer) = line.try_next() {
                line.begin(self, offer);
                any = true;
            }
        }
        any
    }
}
