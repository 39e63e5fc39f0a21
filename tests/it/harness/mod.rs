//! What the topics share: backends over hyper, peers on raw sockets that misbehave, a client that sends and reads exact bytes, and the
//! proxy itself, all on ports of 127.0.0.1 that the system chooses.
//!
//! Tests are plain blocking code; whatever waits gives up with a message after [`PATIENCE`], and nothing waits for time to pass.
#![allow(
    dead_code,
    reason = "the harness is offered whole; a topic takes what it needs"
)]

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod door;
pub(crate) mod http2;
pub(crate) mod manager;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod reply;
pub(crate) mod side;
pub(crate) mod tls;
pub(crate) mod wire;

mod selftest;

pub(crate) use backend::Backend;
pub(crate) use client::{Answer, Client};
pub(crate) use manager::Manager;
pub(crate) use peer::{Peer, Step};
pub(crate) use program::Program;
pub(crate) use proxy::{Proxy, Setup};
pub(crate) use reply::Reply;
pub(crate) use side::Side;

/// Makes two tests of each function that takes the number of workers: with one, and with four.
macro_rules! with_one_worker_and_with_four {
    ($($name:ident),* $(,)?) => {
        mod one_worker {
            $(#[test] fn $name() { super::$name(1); })*
        }
        mod four_workers {
            $(#[test] fn $name() { super::$name(4); })*
        }
    };
}
pub(crate) use with_one_worker_and_with_four;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. It decides nothing but how a failure looks.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until an observable thing is so. Panics with `what` if it never is.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Tells threads to end, whatever becomes of their test.
#[derive(Debug)]
pub(crate) struct Finish<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A door that a test opens: replies and scripts wait before it. Clones are the same door.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<bool>,
    threads: Condvar,
    tasks: tokio::sync::Notify,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.inner.open.lock().unwrap() = true;
        self.inner.threads.notify_all();
        self.inner.tasks.notify_waiters();
    }

    /// Blocks a thread; gives up quietly, so that a peer's thread never outlives its test for long.
    pub(crate) fn wait(&self) {
        let open = self.inner.open.lock().unwrap();
        drop(
            self.inner
                .threads
                .wait_timeout_while(open, PATIENCE, |open| !*open)
                .unwrap(),
        );
    }

    /// Blocks a thread until the gate opens, whenever that is.
    pub(crate) fn wait_for_ever(&self) {
        let open = self.inner.open.lock().unwrap();
        drop(self.inner.threads.wait_while(open, |open| !*open).unwrap());
    }

    pub(crate) async fn wait_in_task(&self) {
        loop {
            let opened = self.inner.tasks.notified();
            if *self.inner.open.lock().unwrap() {
                return;
            }
            opened.await;
        }
    }
}

/// Where tests/run puts what it fetches.
pub(crate) fn tool_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-tools")
        .join(name)
}

/// A program of Debian that a test runs: where `tests/run` unpacked it, else on PATH.
#[track_caller]
pub(crate) fn tool(name: &str) -> PathBuf {
    let unpacked = tool_folder("usr/bin").join(name);
    let installed = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join(name));
    std::iter::once(unpacked)
        .chain(installed)
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run tests/run, which unpacks it from Debian"))
}
