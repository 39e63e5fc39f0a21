//! A proxy that runs: what can be asked of it, and how it is stopped.

use crate::admin::Readiness;
use crate::app::given::Held;
use crate::app::handover::{HandoverError, Pause, Program, Successor};
use crate::app::listeners::Served;
use crate::app::supervisor::Supervisor;
use crate::app::threads::Runtimes;
use crate::config::settings::ListenAddress;
use crate::message::capture::Budget;
use crate::plan::Live;
use crate::proxy::accept::Stop;
use crate::store::ids::Keeper;
use crate::store::samples::Samples;
use crate::store::{Causes, Mismatches, StateDir};
use crate::telemetry::Telemetry;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

/// What the threads of a proxy share with whoever started it.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) live: Arc<Live>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) mismatches: Arc<Mismatches>,
    pub(super) samples: Arc<Samples>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) causes: Arc<Causes>,
    pub(super) shadow_memory: Arc<Budget>,
    pub(super) state: Arc<StateDir>,
    pub(super) readiness: Readiness,
    pub(super) stop: watch::Sender<Stop>,
    pub(super) reload: mpsc::UnboundedSender<oneshot::Sender<()>>,
    pub(super) pause: mpsc::UnboundedSender<Pause>,
}

/// How long a stop waits for the access log, for the samples, and for what is known of identities: their disk may hang.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A proxy that runs. Dropped, it stops without draining.
#[derive(Debug)]
pub struct Running {
    pub(super) shared: Shared,
    runtimes: Runtimes,
    places: Places,
}

/// Where a proxy listens.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) clients: Vec<Served>,
    pub(super) admin: SocketAddr,
    /// The sockets themselves, for the next process.
    pub(super) held: Vec<Held>,
}

impl Running {
    pub(super) fn new(shared: Shared, runtimes: Runtimes, places: Places) -> Self {
        Self {
            shared,
            runtimes,
            places,
        }
    }

    /// Where clients are served, in the order of the file.
    #[must_use]
    pub fn served(&self) -> &[Served] {
        &self.places.clients
    }

    /// The addresses among them that have a port.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = |served: &Served| match served.address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        };
        self.places.clients.iter().filter_map(tcp).collect()
    }

    /// Where the admin API is.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.places.admin
    }

    /// The Plan in force.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.shared.live
    }

    /// The process's cells.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    /// The mismatches that are kept.
    #[must_use]
    pub fn mismatches(&self) -> &Arc<Mismatches> {
        &self.shared.mismatches
    }

    /// The samples on disk.
    #[must_use]
    pub fn samples(&self) -> &Arc<Samples> {
        &self.shared.samples
    }

    /// The memory of all pairs: nothing of it is taken when no shadow is queued or under way.
    #[must_use]
    pub fn shadow_memory(&self) -> &Arc<Budget> {
        &self.shared.shadow_memory
    }

    /// The runtime of the lab: what blocks it must not touch a request.
    #[must_use]
    pub fn lab_runtime(&self) -> Option<&runtime::Handle> {
        self.runtimes.lab_runtime()
    }

    /// Reads the file again, and opens the access log anew, as SIGHUP does. What is returned is told, or fails, when that is done.
    pub fn reload(&self) -> oneshot::Receiver<()> {
        self.shared.telemetry.access().reopen();
        let (done, told) = oneshot::channel();
        // Without a file to follow nobody listens, and it fails at once.
        let _ = self.shared.reload.send(done);
        told
    }

    /// Ends never; tells a supervisor that wants it that all threads are well, for as long as they are.
    pub(super) fn watch(&self, supervisor: &Supervisor) -> impl Future<Output = ()> + use<> {
        let (supervisor, threads) = (supervisor.clone(), self.runtimes.lively());
        let stop = self.shared.stop.subscribe();
        async move {
            while let Some(pause) = supervisor.pulse() {
                for thread in &threads {
                    // A thread that hangs never answers. One that has ended does so at once, which is well only while the proxy stops.
                    let ended = thread.spawn(async {}).await.is_err();
                    if ended && *stop.borrow() == Stop::Running {
                        return pending().await;
                    }
                }
                supervisor.alive();
                sleep(pause).await;
            }
            pending().await
        }
    }

    /// Stops: no new connections, and at most `server.drain_timeout` for those that are open to end: each does after its next answer.
    /// Blocks until every thread has ended.
    pub fn stop(self) {
        let timeout = self.shared.live.snapshot().settings.server.drain_timeout;
        self.stop_within(timeout);
    }

    /// The same with another time.
    pub fn stop_within(mut self, timeout: Duration) {
        self.end(timeout);
    }

    /// Starts the next process, and gives it the sockets.
    pub(super) fn begin_handover(&self, program: &Program) -> Result<Successor, HandoverError> {
        Successor::start(program, &self.places.held)
    }

    /// The process before has let go of what it gave.
    pub fn take_up(&self) {
        self.places.held.iter().for_each(Held::take_up);
    }

    /// The next process has the files of the sockets too.
    pub(super) fn give_away(&mut self) {
        for held in self.places.held.drain(..) {
            held.give_away();
        }
    }

    /// Says that the proxy is about to stop, and serves on.
    pub(super) fn leave(&self) {
        self.shared.readiness.close();
    }

    fn end(&mut self, drain: Duration) {
        self.leave();
        // Nothing listens any more once the acceptor has ended.
        self.places.held.clear();
        self.shared.stop.send_replace(Stop::Draining(now() + drain));
        self.runtimes.join();
        self.shared.telemetry.access().finish(LAST_LINES);
        self.shared.samples.finish(LAST_LINES);
        self.shared.keeper.finish(LAST_LINES);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

#[expect(clippy::disallowed_methods, reason = "a stop has a deadline")]
fn now() -> Instant {
    Instant::from_std(std::time::Instant::now())
}
