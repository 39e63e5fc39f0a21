//! SIGTERM and SIGINT drain, a SIGINT after that ends at once, SIGHUP reads the file again, SIGUSR2 lets another process take over.

use crate::app::handover::{Handed, HandoverError, Program, Successor};
use crate::app::running::Running;
use crate::app::supervisor::Supervisor;
use std::error::Error;
use std::future::pending;
use std::io;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// Exit status after a second SIGINT: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

impl Running {
    /// Serves until a signal says stop, or another process has taken over, then drains and returns. What happens is told to the supervisor.
    /// `program` is what takes over when a signal asks for it.
    ///
    /// # Errors
    /// Where signals can't be received; the proxy has then stopped.
    pub fn run_until_signal(self, supervisor: &Supervisor, program: &Program) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let watch = self.watch(supervisor);
            tokio::select! {
                () = watch => Ok(()),
                ended = self.follow_signals(supervisor, program) => ended,
            }
        })
    }

    async fn follow_signals(self, supervisor: &Supervisor, program: &Program) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut succeed = signal(SignalKind::user_defined2())?;
        // Told only now: who reads this may send a signal, which would have killed the process before.
        self.announce();
        supervisor.ready();
        let mut reload = Reload::default();
        let mut handover = Handover::default();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    supervisor.reloading();
                    reload.told = Some(self.reload());
                }
                () = reload.done() => supervisor.ready(),
                _ = succeed.recv() => handover.begin(&self, program),
                outcome = handover.outcome() => match outcome {
                    Ok(handed) => {
                        unless(&mut interrupt, self.follow(handed, supervisor)).await;
                        return Ok(());
                    }
                    Err(error) => self.goes_on(&error),
                },
            }
        }
        handover.end();
        self.leave();
        supervisor.stopping();
        unless(&mut interrupt, self.drain()).await;
        Ok(())
    }

    fn announce(&self) {
        for served in self.served() {
            tracing::info!("serving on {served}");
        }
        tracing::info!("admin API and metrics on http://{}", self.admin());
    }

    /// No other process has taken over.
    fn goes_on(&self, error: &HandoverError) {
        let cause = error.source().map(ToString::to_string);
        tracing::error!(%error, cause, "the hand-over has failed; this process goes on");
        self.telemetry().process().handover_failures.increment();
    }

    /// Another process serves: this one ends what it has begun.
    async fn follow(mut self, handed: Handed, supervisor: &Supervisor) {
        let pid = handed.pid;
        supervisor.succeeded_by(pid);
        self.give_away();
        let timeout = self.live().snapshot().settings.server.drain_timeout;
        tracing::info!(
            "process {pid} has taken over; connections end with their next answer, or in {timeout:?}"
        );
        // What it says to its supervisor from now on is not contradicted.
        handed.release();
        let _ = spawn_blocking(move || self.stop_within(timeout)).await;
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

/// Waits for a stop, unless a SIGINT says that there is no time for it.
async fn unless(interrupt: &mut Signal, stop: impl Future<Output = ()>) {
    tokio::select! {
        _ = interrupt.recv() => {
            tracing::warn!("a SIGINT while stopping: ending at once");
            std::process::exit(INTERRUPTED)
        }
        () = stop => {}
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

/// Another process that is to take over, if there is one.
#[derive(Debug, Default)]
struct Handover {
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    successor: Successor,
    outcome: JoinHandle<Result<Handed, HandoverError>>,
}

impl Handover {
    /// Starts it, one at a time.
    fn begin(&mut self, running: &Running, program: &Program) {
        if self.under_way.is_some() {
            return tracing::warn!("another process is about to take over already");
        }
        tracing::info!("starting another process, which is to take over");
        let successor = match running.begin_handover(program) {
            Ok(successor) => successor,
            Err(error) => return running.goes_on(&error),
        };
        let (talking, control) = (successor.clone(), running.shared.pause.clone());
        self.under_way = Some(UnderWay {
            successor,
            outcome: spawn_blocking(move || talking.take_over(&control)),
        });
    }

    /// Ends when it has taken over, or failed to.
    async fn outcome(&mut self) -> Result<Handed, HandoverError> {
        let outcome = match &mut self.under_way {
            Some(under_way) => (&mut under_way.outcome).await,
            None => pending().await,
        };
        self.under_way = None;
        // A panic was logged by itself.
        outcome.unwrap_or(Err(HandoverError::Ended))
    }

    /// Calls it off.
    fn end(self) {
        if let Some(under_way) = self.under_way {
            under_way.successor.end();
        }
    }
}
