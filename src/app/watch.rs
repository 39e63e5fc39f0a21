//! Follows routes.toml: the directory is watched, changes settle, and the content decides. A poll and SIGHUP back it up.
//!
//! The directory is watched, not the file: an editor that renames over it, or Kubernetes' `..data` link, replaces the file.

use crate::app::files;
use crate::config::{self, Problem, Settings, Severity};
use crate::plan::Live;
use crate::store::{StateDir, bytes, present};
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// A file must have been quiet this long before it is read: a half-written one is then finished.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// How often the file is looked at even if nothing was heard of it.
pub(super) const POLL: Duration = Duration::from_secs(5);

/// The file that is followed.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// [`Reading::identity`] of what was read of it at the start.
    pub seen: String,
}

/// What a file says.
#[derive(Debug)]
pub struct Reading {
    /// Its text, as far as it could be read.
    pub text: String,
    /// Hash of its bytes, in hex; what went wrong, if it could not be read.
    pub identity: String,
    /// The settings, if no problem is an error.
    pub settings: Option<Settings>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// Reads and checks a file. What can't even be read is a problem like any other.
#[must_use]
pub fn read(path: &Path) -> Reading {
    check(path, bytes(path))
}

/// Checks content as if it stood in this file.
#[must_use]
pub fn check(path: &Path, content: io::Result<Vec<u8>>) -> Reading {
    let bytes = match content {
        Ok(bytes) => bytes,
        Err(error) => {
            let problem = unreadable(&error);
            return Reading {
                text: String::new(),
                identity: error.to_string(),
                settings: None,
                problems: vec![problem],
            };
        }
    };
    let identity = config::sha256(&bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match config::decode(&bytes) {
        Ok(decoded) => {
            let folder = path.parent().unwrap_or_else(|| Path::new(""));
            let config::Loaded {
                settings,
                mut problems,
            } = config::load(decoded, folder, &environment);
            let found = settings.as_ref().map(|good| files::problems(good, decoded));
            problems.extend(found.into_iter().flatten());
            Reading {
                text,
                identity,
                settings: settings.filter(|_| config::is_valid(&problems)),
                problems,
            }
        }
        Err(problem) => Reading {
            text,
            identity,
            settings: None,
            problems: vec![*problem],
        },
    }
}

fn unreadable(error: &io::Error) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "unreadable",
        message: format!("the file can't be read: {error}"),
        hint: Some("check the path, and that this user may read it".to_owned()),
        path: String::new(),
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "urls of the file may name variables: ${NAME}"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why the file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Event,
    Poll,
    Asked,
}

/// Follows a file until the proxy stops.
#[derive(Debug)]
pub(super) struct Follower {
    file: ConfigFile,
    live: Arc<Live>,
    state: Arc<StateDir>,
    /// What the file said when it was looked at last.
    seen: String,
    watcher: Option<RecommendedWatcher>,
}

impl Follower {
    /// Follows a file.
    pub(super) fn new(file: ConfigFile, live: Arc<Live>, state: Arc<StateDir>) -> Self {
        Self {
            seen: file.seen.clone(),
            file,
            live,
            state,
            watcher: None,
        }
    }

    pub(super) async fn run(
        &mut self,
        asked: &mut UnboundedReceiver<oneshot::Sender<()>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let (heard, mut events) = mpsc::unbounded_channel();
        self.watcher = self.listen(heard);
        // What was edited while the proxy started has made no event.
        let mut cause = Cause::Poll;
        let mut asker = None;
        loop {
            self.watch_folders();
            self.look(cause, &mut events).await;
            if let Some(asker) = asker.take() {
                // Few wait to hear it.
                let _ = oneshot::Sender::send(asker, ());
            }
            cause = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Some(()) = events.recv() => Cause::Event,
                Some(told) = asked.recv() => {
                    asker = Some(told);
                    Cause::Asked
                }
                () = sleep(POLL) => Cause::Poll,
            };
        }
    }

    fn listen(&self, heard: mpsc::UnboundedSender<()>) -> Option<RecommendedWatcher> {
        let name = self.file.path.file_name().map(ToOwned::to_owned);
        let target = fs::canonicalize(&self.file.path)
            .ok()
            .and_then(|path| path.file_name().map(ToOwned::to_owned));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error may have swallowed any event.
            let relevant = event.map_or(true, |event| {
                let ours = event.paths.iter().any(|path| {
                    let changed = path.file_name().map(ToOwned::to_owned);
                    changed == name || changed == target || is_hidden_link(path)
                });
                ours && is_change(event.kind)
            });
            if relevant {
                let _ = heard.send(());
            }
        });
        watcher
            .inspect_err(|error| tracing::warn!(%error, "the folder of the file can't be watched; it is read every {POLL:?}"))
            .ok()
    }

    /// Watches the folder of the file, and the one that a link leads to; again each time, since a folder may be replaced.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let real = fs::canonicalize(&self.file.path).ok();
        for path in [Some(self.file.path.clone()), real].into_iter().flatten() {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            // The poll covers what can't be watched.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
    }

    async fn look(&mut self, cause: Cause, events: &mut UnboundedReceiver<()>) {
        if cause == Cause::Poll && self.identity() == self.seen {
            return;
        }
        let reading = self.settled(events).await;
        let news = reading.identity != self.seen;
        self.seen.clone_from(&reading.identity);
        let in_force = self.live.snapshot();
        let same = reading.identity == in_force.sha256
            && reading.settings.as_ref() == Some(&*in_force.settings);
        match reading.settings {
            Some(_) if same => self.live.unchanged(),
            Some(settings) => {
                for problem in &reading.problems {
                    tracing::warn!(
                        "{}",
                        self.rendered(std::slice::from_ref(problem), &reading.text)
                    );
                }
                let generation = self.live.apply(settings, reading.identity);
                tracing::info!(generation, file = %self.file.path.display(), "applied");
                if let Err(error) = self.state.save_last_good(&reading.text) {
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "the copy of the last good file can't be kept"
                    );
                }
            }
            None if news || cause == Cause::Asked => {
                tracing::error!(
                    "{} can't be used; what was in force stays so\n{}",
                    self.file.path.display(),
                    self.rendered(&reading.problems, &reading.text)
                );
                self.live.rejected(reading.problems);
            }
            None => {}
        }
    }

    /// Reads the file once nothing was heard of it for a while and two reads agree. The reads themselves are that far apart:
    /// of a folder that isn't watched nothing is heard.
    async fn settled(&self, events: &mut UnboundedReceiver<()>) -> Reading {
        loop {
            while events.try_recv().is_ok() {}
            let first = self.identity();
            match timeout(QUIET, events.recv()).await {
                Ok(Some(())) => continue,
                // There is no watch at all.
                Ok(None) => sleep(QUIET).await,
                Err(_) => {}
            }
            // Checking a large file takes long, and this thread answers the admin API too.
            let path = self.file.path.clone();
            let reading = spawn_blocking(move || check(&path, present(&path))).await;
            let Ok(reading) = reading else {
                // A panic of the check is logged by itself; the same text would only make it again.
                sleep(POLL).await;
                continue;
            };
            if reading.identity == first && events.is_empty() {
                return reading;
            }
        }
    }

    fn identity(&self) -> String {
        match present(&self.file.path) {
            Ok(bytes) => config::sha256(&bytes),
            Err(error) => error.to_string(),
        }
    }

    fn rendered(&self, problems: &[Problem], text: &str) -> String {
        config::render(
            problems,
            &self.file.path.display().to_string(),
            text,
            config::Colour::Off,
        )
    }
}

/// `..data` and its like: Kubernetes swaps a link beside the file, which leads to the folder with the file itself.
pub(super) fn is_hidden_link(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(".."))
}

pub(super) fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}
