//! The control thread: admin API, following files. What writes to `state_dir` pauses while another process is to take over.

use crate::admin::{self, Admin};
use crate::app::certificates::Renewal;
use crate::app::failure::StartError;
use crate::app::handover::Pause;
use crate::app::running::Shared;
use crate::app::samples;
use crate::app::sides;
use crate::app::threads::Runtimes;
#[cfg(feature = "otel")]
use crate::app::traces;
use crate::app::watch::Follower;
use crate::plan::Live;
use crate::store::ids::Keeper;
use crate::store::samples::Samples;
use crate::store::{SavedOverride, StateDir};
use axum::Router;
use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

/// What the control thread does beside the admin API.
#[derive(Debug)]
pub(super) struct Duties {
    /// Follows routes.toml.
    pub(super) follower: Option<Follower>,
    /// Follows certificates.
    pub(super) renewal: Renewal,
    /// To read the file.
    pub(super) reloads: UnboundedReceiver<oneshot::Sender<()>>,
    /// To leave alone what another process is to have.
    pub(super) pauses: UnboundedReceiver<Pause>,
}

/// Starts the control thread.
pub(super) fn begin(
    runtimes: &mut Runtimes,
    listener: TcpListener,
    duties: Duties,
    shared: &Shared,
) -> Result<(), StartError> {
    let router = admin::router(Admin {
        live: Arc::clone(&shared.live),
        telemetry: Arc::clone(&shared.telemetry),
        mismatches: Arc::clone(&shared.mismatches),
        samples: Arc::clone(&shared.samples),
        causes: Arc::clone(&shared.causes),
        state: Arc::clone(&shared.state),
        readiness: shared.readiness.clone(),
        address: listener.local_addr()?,
    });
    let Duties {
        follower,
        renewal,
        reloads,
        pauses,
    } = duties;
    let control = Control {
        listener,
        router,
        follower,
        reloads,
        pauses,
        live: Arc::clone(&shared.live),
        state: Arc::clone(&shared.state),
        samples: Arc::clone(&shared.samples),
        keeper: Arc::clone(&shared.keeper),
    };
    let samples = Arc::clone(&shared.samples);
    let (live, telemetry) = (Arc::clone(&shared.live), Arc::clone(&shared.telemetry));
    #[cfg(feature = "otel")]
    let (plans, spans) = (Arc::clone(&live), Arc::clone(&telemetry));
    runtimes.control(move |stop| async move {
        #[cfg(feature = "otel")]
        let sending = traces::export(plans, spans, stop.clone());
        #[cfg(not(feature = "otel"))]
        let sending = async {};
        let run = async { tokio::join!(control.run(stop), sending) };
        tokio::select! {
            _ = run => {}
            () = samples::follow(Arc::clone(&live), samples) => {}
            () = sides::tend(live, telemetry) => {}
            () = renewal.run() => {}
        }
    })?;
    Ok(())
}

struct Control {
    listener: TcpListener,
    router: Router,
    follower: Option<Follower>,
    reloads: UnboundedReceiver<oneshot::Sender<()>>,
    pauses: UnboundedReceiver<Pause>,
    live: Arc<Live>,
    state: Arc<StateDir>,
    samples: Arc<Samples>,
    keeper: Arc<Keeper>,
}

impl Control {
    async fn run(mut self, stop: watch::Receiver<bool>) {
        while let Some(pause) = self.until_pause(stop.clone()).await {
            let before = self.leave_state().await;
            // Whoever asked may have given up.
            let _ = pause.paused.send(());
            let mut stopped = stop.clone();
            let for_good = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                over = pause.over => over.is_ok(),
            };
            if for_good {
                let _ = stopped.wait_for(|stop| *stop).await;
                return;
            }
            self.take_state_back(before.as_ref());
        }
    }

    /// Serves and follows until a pause is asked for, and what runs has ended; `None` at the end of the proxy.
    async fn until_pause(&mut self, stop: watch::Receiver<bool>) -> Option<Pause> {
        let (halt, mut halted) = watch::channel(false);
        let mut stopped = stop.clone();
        let admin = serve(&self.listener, self.router.clone(), async move {
            // An error says that whoever could stop us is gone.
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                _ = halted.wait_for(|halt| *halt) => {}
            }
        });
        let mut admin = pin!(admin);
        let follow = async {
            match &mut self.follower {
                Some(follower) => follower.run(&mut self.reloads, stop).await,
                None => {
                    self.reloads.close();
                    pending().await
                }
            }
        };
        // The follower is dropped where it waits, which is never between a new Plan and the copy of its file.
        let pause = tokio::select! {
            () = &mut admin => None,
            () = follow => None,
            pause = self.pauses.recv() => pause,
        }?;
        let _ = halt.send(true);
        admin.await;
        Some(pause)
    }

    /// From here on this process changes nothing in `state_dir`. Returns the override that is kept there.
    async fn leave_state(&self) -> Option<SavedOverride> {
        let (state, samples) = (Arc::clone(&self.state), Arc::clone(&self.samples));
        let keeper = Arc::clone(&self.keeper);
        // It waits for what is being written, on a disk that may hang.
        let left = spawn_blocking(move || {
            state.give_up();
            samples.give_up();
            keeper.give_up();
            state.load_override().ok().flatten()
        });
        left.await.ok().flatten()
    }

    /// The process that was to take over is gone. What it has changed was asked of it by somebody who was told that it acts.
    fn take_state_back(&self, before: Option<&SavedOverride>) {
        self.state.take_back();
        self.samples.take_back();
        self.keeper.take_back();
        match self.state.load_override() {
            Ok(after) if after.as_ref() == before => {}
            Ok(after) => self.live.set_override(after),
            Err(error) => tracing::error!(%error, "the override can't be read again"),
        }
    }
}

async fn serve(listener: &TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let served = async {
        // The original stays for the time after a pause.
        let listener = listener.try_clone()?;
        admin::serve(listener, router, admin::Limits::default(), stop).await
    };
    if let Err(error) = served.await as io::Result<()> {
        tracing::error!(%error, "the admin API has ended");
    }
}
