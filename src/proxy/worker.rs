//! What one worker has for itself: its view of the Plan, its connections, its way to the lab.

use crate::message::forwarded::ProcessId;
use crate::message::request_id::Names;
use crate::plan::{Live, Plan};
use crate::proxy::memory::BodyMemory;
use crate::proxy::upload::Upload;
use crate::shadow::Offers;
use crate::telemetry::{Role, Telemetry};
use crate::upstream::Pools;
use arc_swap::{ArcSwap, Cache};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// What all workers share.
#[derive(Clone, Debug)]
pub struct WorkerParts {
    /// The Plan in force.
    pub live: Arc<Live>,
    /// The process's cells.
    pub telemetry: Arc<Telemetry>,
    /// The way to the lab.
    pub offers: Offers,
    /// This process's name in `via`.
    pub process: ProcessId,
    /// What the bodies of all requests take.
    pub bodies: BodyMemory,
    /// How the names begin that this worker gives requests.
    pub prefix: u64,
}

/// One worker.
pub struct Worker {
    parts: WorkerParts,
    pools: Arc<Pools>,
    names: Names,
    /// The Plan as this worker saw it last: a look at it shares no counter with other workers. Never contended.
    plan: Mutex<Cache<Arc<ArcSwap<Plan>>, Arc<Plan>>>,
    /// Held by each task that must end before the worker may.
    alive: mpsc::Sender<()>,
    /// The proxy stops: every answer is the last one of its connection.
    leaving: AtomicBool,
    /// Wakes who waits for that.
    left: Notify,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("pools", &self.pools)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker, and what ends when all its tasks have ended and the worker itself was dropped.
    #[must_use]
    pub fn new(parts: WorkerParts) -> (Arc<Self>, mpsc::Receiver<()>) {
        let (alive, ended) = mpsc::channel(1);
        let names = Names::new(parts.prefix);
        let plan = Mutex::new(Cache::new(parts.live.cell()));
        (
            Arc::new(Self {
                parts,
                pools: Pools::new(Role::Serve),
                names,
                plan,
                alive,
                leaving: AtomicBool::new(false),
                left: Notify::new(),
            }),
            ended,
        )
    }

    /// The Plan in force: taken once for a request.
    pub(super) fn plan(&self) -> Arc<Plan> {
        let mut cache = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cache.load())
    }

    pub(super) fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    pub(super) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.parts.telemetry
    }

    pub(super) fn offers(&self) -> &Offers {
        &self.parts.offers
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn process(&self) -> &ProcessId {
        &self.parts.process
    }

    /// From now on every answer says that its connection closes.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
        self.left.notify_waiters();
    }

    /// Ends when the proxy begins to stop.
    pub(super) async fn left(&self) {
        let mut told = pin!(self.left.notified());
        // Who is told between the look and the first poll must hear of it too.
        told.as_mut().enable();
        if !self.is_leaving() {
            told.await;
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    pub(super) fn bodies(&self) -> &BodyMemory {
        &self.parts.bodies
    }

    /// Runs a task to its end, whoever waits for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of the request path that starts tasks; a stop waits for them"
    )]
    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let alive = self.alive.clone();
        tokio::spawn(async move {
            let _until_done = alive;
            task.await
        })
    }

    /// Reads what a client still sends after it was answered.
    pub(super) fn drain(&self, upload: Arc<Upload>) {
        self.spawn(upload.drain());
    }

    /// Closes connections whose time is over, and those of endpoints that no Plan names any more, for ever.
    pub(super) fn tend(&self) -> impl Future<Output = ()> + use<> {
        let pools = Arc::clone(&self.pools);
        let live = Arc::clone(&self.parts.live);
        let mut changes = live.changes();
        async move {
            let follow = async {
                while changes.changed().await.is_ok() {
                    pools.retain(&live.snapshot().endpoint_ids());
                }
            };
            tokio::join!(Arc::clone(&pools).tend(), follow);
        }
    }
}
