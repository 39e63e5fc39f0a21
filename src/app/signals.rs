//! SIGTERM and SIGINT drain, a SIGINT after that ends at once, SIGHUP reads the file again.

use crate::app::running::Running;
use crate::app::supervisor::Supervisor;
use std::future::pending;
use std::io;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Exit status after a second SIGINT: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

impl Running {
    /// Serves until a signal says stop, then drains and returns. What happens is told to the supervisor.
    ///
    /// # Errors
    /// Where signals can't be received; the proxy has then stopped.
    pub fn run_until_signal(self, supervisor: &Supervisor) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let watch = self.watch(supervisor);
            tokio::select! {
                () = watch => Ok(()),
                ended = self.follow_signals(supervisor) => ended,
            }
        })
    }

    async fn follow_signals(self, supervisor: &Supervisor) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        // Told only now: who reads this may send a signal, which would have killed the process before.
        self.announce();
        supervisor.ready();
        let mut reload = Reload::default();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    supervisor.reloading();
                    reload.told = Some(self.reload());
                }
                () = reload.done() => supervisor.ready(),
            }
        }
        self.leave();
        supervisor.stopping();
        let impatient = async {
            interrupt.recv().await;
            tracing::warn!("a SIGINT while stopping: ending at once");
            std::process::exit(INTERRUPTED)
        };
        tokio::select! {
            () = impatient => {}
            () = self.drain() => {}
        }
        Ok(())
    }

    fn announce(&self) {
        for served in self.served() {
            tracing::info!("serving on {served}");
        }
        tracing::info!("admin API and metrics on http://{}", self.admin());
    }

    /// Stops as the file says.
    async fn drain(self) {
        let server = &self.live().snapshot().settings.server;
        let (delay, timeout) = (server.drain_delay, server.drain_timeout);
        if !delay.is_zero() {
            tracing::info!("stopping: not ready any more, accepting for {delay:?}");
            sleep(delay).await;
        }
        tracing::info!(
            "stopping: no new connections; each ends with its next answer, or in {timeout:?}"
        );
        // A panic while threads are joined was logged by itself.
        let _ = spawn_blocking(move || self.stop_within(timeout)).await;
    }
}

/// A reading of the file that was asked for, if one is under way.
#[derive(Debug, Default)]
struct Reload {
    told: Option<oneshot::Receiver<()>>,
}

impl Reload {
    /// Ends when it is done, once.
    async fn done(&mut self) {
        match &mut self.told {
            // One that nobody follows up is over too.
            Some(told) => drop(told.await),
            None => pending().await,
        }
        self.told = None;
    }
}
