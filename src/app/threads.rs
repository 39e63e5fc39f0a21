//! The threads of a proxy, and how they end: acceptor and workers drain, then the lab stops, control last.

use crate::app::listeners::Listener;
use crate::proxy::accept::{Stop, WorkerInlet, WorkerOutlet, accept, work};
use crate::proxy::{Doorkeeper, WorkerParts};
use crate::shadow::offer::Queues;
use crate::shadow::{Lab, THREADS};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How much the lab gives way to everybody else: the difference of `nice`.
const LAB_NICENESS: i32 = 10;

/// The threads of a proxy.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    serving: Vec<JoinHandle<()>>,
    lab: Option<Stoppable>,
    control: Option<Stoppable>,
    lab_runtime: Option<runtime::Handle>,
    /// Of the threads that must never wait for anything but their tasks: all but the lab's.
    lively: Vec<runtime::Handle>,
}

/// A thread that ends when it is told to.
#[derive(Debug)]
struct Stoppable {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Runtimes {
    pub(super) fn worker(
        &mut self,
        index: usize,
        parts: WorkerParts,
        outlet: WorkerOutlet,
        stop: watch::Receiver<Stop>,
    ) -> io::Result<()> {
        let thread = self.single(format!("cf-worker-{index}"), move || {
            work(parts, outlet, stop)
        })?;
        self.serving.push(thread);
        Ok(())
    }

    pub(super) fn lab(&mut self, lab: Arc<Lab>, queues: Queues) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .thread_name("cf-lab-more")
            .max_blocking_threads(THREADS)
            .enable_all()
            .build()?;
        self.lab_runtime = Some(runtime.handle().clone());
        let (stop, stopped) = watch::channel(false);
        let thread = Builder::new().name("cf-lab".to_owned()).spawn(move || {
            // On Linux niceness belongs to the thread, and to those that it starts for long comparisons. Where it can't be had the lab runs like
            // any other thread.
            let _ = rustix::process::nice(LAB_NICENESS);
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = Arc::clone(&lab.pools).tend() => {}
                    () = Arc::clone(&lab).run(queues, stopped) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        self.lab = Some(Stoppable { stop, thread });
        Ok(())
    }

    pub(super) fn control<F>(
        &mut self,
        begin: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()>,
    {
        let (stop, stopped) = watch::channel(false);
        let thread = self.single("cf-control".to_owned(), move || begin(stopped))?;
        self.control = Some(Stoppable { stop, thread });
        Ok(())
    }

    /// The runtimes whose tasks must get their turn at any time.
    pub(super) fn lively(&self) -> Vec<runtime::Handle> {
        self.lively.clone()
    }

    /// The lab's runtime.
    pub(super) fn lab_runtime(&self) -> Option<&runtime::Handle> {
        self.lab_runtime.as_ref()
    }

    /// A thread with a current-thread runtime, on which everything runs that `begin` starts.
    fn single<F>(
        &mut self,
        name: String,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<JoinHandle<()>>
    where
        F: Future<Output = ()>,
    {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        self.lively.push(runtime.handle().clone());
        Builder::new()
            .name(name)
            .spawn(move || runtime.block_on(async { begin().await }))
    }

    /// Waits until every thread has ended. Acceptor and workers must have been told to stop.
    pub(super) fn join(&mut self) {
        for thread in self.serving.drain(..) {
            end(thread);
        }
        for stoppable in [self.lab.take(), self.control.take()].into_iter().flatten() {
            // Nobody listens any more if the thread has ended by itself.
            let _ = stoppable.stop.send(true);
            end(stoppable.thread);
        }
    }
}

/// One acceptor for all listeners.
pub(super) fn acceptor(
    runtimes: &mut Runtimes,
    listeners: Vec<Listener>,
    workers: Vec<WorkerInlet>,
    doorkeeper: Doorkeeper,
    stop: watch::Receiver<Stop>,
) -> io::Result<()> {
    let thread = runtimes.single("cf-accept".to_owned(), move || async move {
        let mut accepting = JoinSet::new();
        for Listener { door, terms, file } in listeners {
            match door.open() {
                Ok(door) => {
                    let (workers, doorkeeper) = (workers.clone(), doorkeeper.clone());
                    let stop = stop.clone();
                    accepting.spawn(async move {
                        let _until_stopped = file;
                        accept(door, terms, workers, doorkeeper, stop).await;
                    });
                }
                Err(error) => tracing::error!(%error, "a listener can't be used"),
            }
        }
        while accepting.join_next().await.is_some() {}
    })?;
    runtimes.serving.push(thread);
    Ok(())
}

fn end(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "a thread ended by a panic");
    }
}
