//! The files of TLS: read at the start, and again whenever they change. A new pair that can't be used leaves the old one in force.
//!
//! Folders are watched, not files, and a poll backs that up, as for routes.toml: who renews certificates replaces files or links.

use crate::app::watch::{POLL, QUIET, is_change, is_hidden_link};
use crate::config;
use crate::config::settings::{Listen, ListenTls};
use crate::plan::Live;
use crate::proxy::{Material, MaterialError, Pair, Terms, Tls};
use crate::store::present;
use crate::telemetry::Telemetry;
use crate::upstream;
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

/// Where what files hold is in force.
#[derive(Debug)]
enum Holder {
    Listener(ListenTls, Arc<Terms>),
    Side(Arc<upstream::Tls>),
}

/// Files that are followed.
#[derive(Debug)]
struct Watched {
    holder: Holder,
    /// What the files held when they were looked at last; empty before that, so that what was changed meanwhile is looked at once more.
    seen: String,
    /// Whether what they held then could be used.
    good: bool,
}

impl Watched {
    fn new(holder: Holder) -> Self {
        Self {
            holder,
            seen: String::new(),
            good: true,
        }
    }

    fn is_of(&self, side: &Arc<upstream::Tls>) -> bool {
        matches!(&self.holder, Holder::Side(tls) if Arc::ptr_eq(tls, side))
    }

    fn paths(&self) -> Vec<&PathBuf> {
        match &self.holder {
            Holder::Listener(files, _) => {
                let pairs = files.certificates.iter();
                let pairs = pairs.flat_map(|pair| [&pair.cert, &pair.key]);
                pairs.chain(&files.client_ca).collect()
            }
            Holder::Side(tls) => tls.paths().collect(),
        }
    }

    fn identity(&self) -> String {
        let contents = self.paths().into_iter().map(|path| match present(path) {
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
        let file = self.paths()[0].display();
        match result {
            Ok(()) if first => {}
            Ok(()) => tracing::info!(%file, "new certificates are in force"),
            Err(error) => tracing::error!(
                %file,
                error = &*error as &dyn Error,
                "new certificates can't be used; the old ones stay"
            ),
        }
    }

    fn replace(&self) -> Result<(), Box<dyn Error>> {
        match &self.holder {
            Holder::Listener(files, terms) => {
                if let Some(tls) = &terms.tls {
                    tls.replace(&material(files)?)
                        .map_err(|error| blame(files, error))?;
                }
            }
            Holder::Side(tls) => tls.reload()?,
        }
        Ok(())
    }
}

/// Follows the files of all listeners, and of the sides in force, until the proxy stops.
#[derive(Debug)]
pub(super) struct Renewal {
    watched: Vec<Watched>,
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
}

/// Hears of changes of files. Without a watcher its channel is closed, and the poll is all there is.
#[derive(Debug)]
struct Ear {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    events: UnboundedReceiver<()>,
}

impl Ear {
    fn new(paths: Vec<PathBuf>) -> Self {
        let (heard, events) = mpsc::unbounded_channel();
        let names = paths.iter().flat_map(|path| names_of(path)).collect();
        Self {
            watcher: listen(heard, names),
            paths,
            events,
        }
    }

    /// Watches the folders of the files, and those that links lead to; again each time, since a folder may be replaced.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut folders = BTreeSet::new();
        for path in &self.paths {
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

    /// Waits until it has been quiet for a while: a chain and its key are two files.
    async fn settle(&mut self) {
        for _ in 0..MOST_WAITS {
            if timeout(QUIET, self.events.recv()).await.is_err() {
                break;
            }
        }
    }
}

impl Renewal {
    /// Of listeners that have started: what they need could be read.
    pub(super) fn new(live: Arc<Live>, telemetry: Arc<Telemetry>) -> Self {
        telemetry.process().certificates_good.set(1);
        Self {
            watched: Vec::new(),
            live,
            telemetry,
        }
    }

    /// Follows a listener's files, if it has any.
    pub(super) fn follow(&mut self, listen: &Listen, terms: &Arc<Terms>) {
        if let Some(files) = &listen.tls {
            let holder = Holder::Listener(files.clone(), Arc::clone(terms));
            self.watched.push(Watched::new(holder));
        }
    }

    pub(super) async fn run(mut self) {
        let mut changes = self.live.changes();
        let mut ear: Option<Ear> = None;
        loop {
            self.take_sides();
            let paths = self.watched.iter().flat_map(Watched::paths);
            let paths: Vec<_> = paths.cloned().collect();
            if paths.is_empty() {
                ear = None;
                self.show();
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            }
            let ear = match &mut ear {
                Some(ear) if ear.paths == paths => ear,
                other => other.insert(Ear::new(paths)),
            };
            ear.watch_folders();
            ear.settle().await;
            self.look();
            tokio::select! {
                Some(()) = ear.events.recv() => {}
                Ok(()) = changes.changed() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Follows the files of the sides in force, and no others.
    fn take_sides(&mut self) {
        let plan = self.live.snapshot();
        let sides = plan.asked().filter_map(|group| group.common().tls());
        // One that believes whom this machine believes has none.
        let sides: Vec<_> = sides.filter(|tls| tls.paths().next().is_some()).collect();
        self.watched.retain(|watched| match &watched.holder {
            Holder::Listener(..) => true,
            Holder::Side(tls) => sides.iter().any(|side| Arc::ptr_eq(side, tls)),
        });
        for side in sides {
            if !self.watched.iter().any(|watched| watched.is_of(side)) {
                let holder = Holder::Side(Arc::clone(side));
                self.watched.push(Watched::new(holder));
            }
        }
    }

    /// Takes what has changed.
    fn look(&mut self) {
        for watched in &mut self.watched {
            watched.look();
        }
        self.show();
    }

    fn show(&self) {
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
