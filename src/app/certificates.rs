//! The files of TLS: read at the start, and again whenever they change. A new pair that can't be used leaves the old one in force.
//!
//! Folders are watched, not files, and a poll backs that up, as for routes.toml: who renews certificates replaces files or links.

use crate::app::watch::{POLL, QUIET, is_change, is_hidden_link, present};
use crate::config;
use crate::config::settings::{Listen, ListenTls};
use crate::proxy::{Material, MaterialError, Pair, Terms, Tls};
use crate::telemetry::Telemetry;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{sleep, timeout};

/// How often files may change before they are looked at although they change still.
const MOST_WAITS: usize = 20;

/// Why a listener's TLS can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What the files hold is wrong.
    #[error("{}", path.display())]
    Material {
        /// The file that is wrong, or the first of them.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: MaterialError,
    },
}

/// Reads a listener's files.
pub(super) fn load(files: &ListenTls) -> Result<Tls, TlsError> {
    Tls::new(&material(files)?).map_err(|error| blame(files, error))
}

fn material(files: &ListenTls) -> Result<Material, TlsError> {
    let pairs = files.certificates.iter().map(|pair| {
        Ok(Pair {
            chain: read(&pair.cert)?,
            key: read(&pair.key)?,
        })
    });
    Ok(Material {
        pairs: pairs.collect::<Result<_, _>>()?,
        client_ca: files.client_ca.as_deref().map(read).transpose()?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    present(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Names the file that an error is about.
fn blame(files: &ListenTls, source: MaterialError) -> TlsError {
    let pair = |number: usize| files.certificates.get(number);
    let path = match &source {
        MaterialError::Chain(number, _) | MaterialError::Pair(number, _) => {
            pair(*number).map(|pair| &pair.cert)
        }
        MaterialError::Key(number, _) => pair(*number).map(|pair| &pair.key),
        MaterialError::ClientCa(_) | MaterialError::Verifier(_) | MaterialError::Root(_) => {
            files.client_ca.as_ref()
        }
        MaterialError::Library(_) => pair(0).map(|pair| &pair.cert),
    };
    TlsError::Material {
        path: path.cloned().unwrap_or_default(),
        source,
    }
}

/// One listener's files, and where what they hold is in force.
#[derive(Debug)]
struct Watched {
    files: ListenTls,
    terms: Arc<Terms>,
    /// What the files held when they were looked at last; empty before that.
    seen: String,
    /// Whether what they held then could be used.
    good: bool,
}

impl Watched {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.files.certificates.iter();
        pairs
            .flat_map(|pair| [&pair.cert, &pair.key])
            .chain(&self.files.client_ca)
    }

    fn identity(&self) -> String {
        let contents = self.paths().map(|path| match present(path) {
            Ok(bytes) => config::sha256(&bytes),
            Err(error) => error.to_string(),
        });
        contents.collect::<Vec<_>>().join(" ")
    }

    fn look(&mut self) {
        let identity = self.identity();
        if identity == self.seen {
            return;
        }
        let first = std::mem::replace(&mut self.seen, identity).is_empty();
        let result = self.replace();
        self.good = result.is_ok();
        let file = self.files.certificates[0].cert.display();
        match result {
            Ok(()) if first => {}
            Ok(()) => tracing::info!(%file, "new certificates are in force"),
            Err(error) => tracing::error!(
                %file,
                error = &error as &dyn Error,
                "new certificates can't be used; the old ones stay"
            ),
        }
    }

    fn replace(&self) -> Result<(), TlsError> {
        let Some(tls) = &self.terms.tls else {
            return Ok(());
        };
        tls.replace(&material(&self.files)?)
            .map_err(|error| blame(&self.files, error))
    }
}

/// Follows the files of all listeners until the proxy stops.
#[derive(Debug)]
pub(super) struct Renewal {
    watched: Vec<Watched>,
    telemetry: Arc<Telemetry>,
}

impl Renewal {
    /// Of listeners that have started: what they need could be read.
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        telemetry.process().certificates_good.set(1);
        Self {
            watched: Vec::new(),
            telemetry,
        }
    }

    /// Follows a listener's files, if it has any.
    pub(super) fn follow(&mut self, listen: &Listen, terms: &Arc<Terms>) {
        if let Some(files) = &listen.tls {
            self.watched.push(Watched {
                files: files.clone(),
                terms: Arc::clone(terms),
                // What was changed while the proxy started is looked at once more.
                seen: String::new(),
                good: true,
            });
        }
    }

    pub(super) async fn run(mut self) {
        if self.watched.is_empty() {
            return std::future::pending().await;
        }
        let (heard, mut events) = mpsc::unbounded_channel();
        let names = self.watched.iter().flat_map(Watched::paths);
        let mut watcher = listen(heard, names.flat_map(|path| names_of(path)).collect());
        loop {
            if let Some(watcher) = &mut watcher {
                self.watch_folders(watcher);
            }
            self.look(&mut events).await;
            // Without a watch the channel is closed, and the poll is all there is.
            tokio::select! {
                Some(()) = events.recv() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Watches the folders of the files, and those that links lead to; again each time, since a folder may be replaced.
    fn watch_folders(&self, watcher: &mut RecommendedWatcher) {
        let mut folders = BTreeSet::new();
        for path in self.watched.iter().flat_map(Watched::paths) {
            for path in [Some(path.clone()), fs::canonicalize(path).ok()]
                .into_iter()
                .flatten()
            {
                folders.insert(match path.parent() {
                    Some(folder) if folder != Path::new("") => folder.to_owned(),
                    _ => PathBuf::from("."),
                });
            }
        }
        for folder in folders {
            // The poll covers what can't be watched.
            let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
        }
    }

    /// Takes what has changed, once it has been quiet for a while: a chain and its key are two files.
    async fn look(&mut self, events: &mut UnboundedReceiver<()>) {
        for _ in 0..MOST_WAITS {
            if timeout(QUIET, events.recv()).await.is_err() {
                break;
            }
        }
        for watched in &mut self.watched {
            watched.look();
        }
        let good = self.watched.iter().all(|watched| watched.good);
        let process = self.telemetry.process();
        process.certificates_good.set(u64::from(good));
    }
}

/// The names that a change of a file may come under: its own, and that of what it is a link to.
fn names_of(path: &Path) -> Vec<OsString> {
    let real = fs::canonicalize(path).ok();
    let paths = [Some(path), real.as_deref()].into_iter().flatten();
    paths
        .filter_map(|path| path.file_name().map(ToOwned::to_owned))
        .collect()
}

fn listen(
    heard: mpsc::UnboundedSender<()>,
    names: BTreeSet<OsString>,
) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error may have swallowed any event.
        let relevant = event.map_or(true, |event| {
            let mut paths = event.paths.iter();
            let ours = |path: &PathBuf| {
                path.file_name().is_some_and(|name| names.contains(name)) || is_hidden_link(path)
            };
            is_change(event.kind) && paths.any(ours)
        });
        if relevant {
            let _ = heard.send(());
        }
    });
    watcher
        .inspect_err(|error| tracing::warn!(%error, "the folders of certificates can't be watched; they are read every {POLL:?}"))
        .ok()
}
