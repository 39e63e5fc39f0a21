//! The proxy under test: a routes.toml in a folder of its own, started on ports that the system chooses.

use super::client;
use super::metrics::Page;
use super::tls;
use super::{Answer, Backend, Client, PATIENCE, Peer, wait_until};
use crossfade::app::{self, ConfigFile, Listeners, Running, Start};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// Something at an address.
pub(crate) trait Listens {
    fn address(&self) -> SocketAddr;
}

impl Listens for Backend {
    fn address(&self) -> SocketAddr {
        self.address()
    }
}

impl Listens for Peer {
    fn address(&self) -> SocketAddr {
        self.address()
    }
}

impl Listens for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

/// An address at which nothing listens: its port is taken for as long as the tests run, so that nobody else gets it.
pub(crate) fn nobody() -> SocketAddr {
    static TAKEN: OnceLock<TcpSocket> = OnceLock::new();
    let taken = TAKEN.get_or_init(|| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    });
    taken.local_addr().unwrap()
}

/// An address where somebody listens who accepts nobody: its queue is full for as long as the tests run.
pub(crate) fn full() -> SocketAddr {
    static FULL: OnceLock<(TcpSocket, SocketAddr, Vec<std::net::TcpStream>)> = OnceLock::new();
    let full = FULL.get_or_init(|| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let address = socket.local_addr().unwrap();
        let wait = std::time::Duration::from_millis(200);
        let queue =
            std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, wait).ok());
        let queue = queue.collect();
        (socket, address, queue)
    });
    full.1
}

/// Port 0 of a loopback address that nobody else uses: when its listener has closed, no other test can get its port.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::from(([127, 1, high, low], 0))
}

/// A routes.toml in the making.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    sections: BTreeMap<String, Vec<String>>,
    routes: Vec<String>,
}

impl Setup {
    /// Old and new at these addresses, two workers, and no route: everything is "unmatched", and old serves it.
    pub(crate) fn new(old: &impl Listens, new: &impl Listens) -> Self {
        let setup = Self {
            sections: BTreeMap::new(),
            routes: Vec::new(),
        };
        setup
            .set("migration", "name = \"test\"")
            .set(
                "server",
                "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_dir = \"state\"",
            )
            // A test that counts requests can't have one more now and then.
            .set("noise", "sample = 0")
            .set("old", &format!("url = \"http://{}\"", old.address()))
            .set("new", &format!("url = \"http://{}\"", new.address()))
    }

    /// One backend for both sides.
    pub(crate) fn both(backend: &impl Listens) -> Self {
        Self::new(backend, backend)
    }

    /// More lines of a section.
    pub(crate) fn set(mut self, section: &str, lines: &str) -> Self {
        self.sections
            .entry(section.to_owned())
            .or_default()
            .push(lines.to_owned());
        self
    }

    /// These lines of a section in place of those before.
    pub(crate) fn instead(mut self, section: &str, lines: &str) -> Self {
        self.sections.remove(section);
        self.set(section, lines)
    }

    /// Clients are served at this address instead of a port of 127.0.0.1.
    pub(crate) fn listen(self, address: SocketAddr) -> Self {
        self.listens(&format!("\"{address}\""))
    }

    /// What stands behind `listen =` instead.
    pub(crate) fn listens(mut self, value: &str) -> Self {
        for lines in self.sections.get_mut("server").into_iter().flatten() {
            let value = format!("listen = {value}");
            *lines = lines.replace("listen = \"127.0.0.1:0\"", &value);
        }
        self
    }

    /// Threads that serve.
    pub(crate) fn workers(self, workers: usize) -> Self {
        self.set("server", &format!("workers = {workers}"))
    }

    /// The lines of one more `[[route]]`.
    pub(crate) fn route(mut self, lines: &str) -> Self {
        self.routes.push(lines.to_owned());
        self
    }

    pub(crate) fn text(&self) -> String {
        let sections = self
            .sections
            .iter()
            .map(|(name, lines)| format!("[{name}]\n{}\n\n", lines.join("\n")));
        let routes = self
            .routes
            .iter()
            .map(|lines| format!("[[route]]\n{lines}\n\n"));
        sections.chain(routes).collect()
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Proxy {
        Proxy::start(&self.text())
    }

    /// The same with a file that `place` puts somewhere below the proxy's folder.
    #[track_caller]
    pub(crate) fn start_with(&self, place: impl FnOnce(&Path, &str) -> PathBuf) -> Proxy {
        Proxy::start_with(&self.text(), place)
    }

    /// With other files beside its own.
    #[track_caller]
    pub(crate) fn start_beside(&self, place: impl FnOnce(&Path)) -> Proxy {
        self.start_with(|folder, text| {
            place(folder);
            let file = folder.join("routes.toml");
            std::fs::write(&file, text).unwrap();
            file
        })
    }
}

/// The one place that knows how the proxy is started.
#[track_caller]
fn boot(file: &Path) -> Running {
    let read = app::read(file);
    let settings = read
        .settings
        .unwrap_or_else(|| panic!("{:#?}\n{}", read.problems, read.text));
    let listeners = Listeners::bind(&settings).unwrap();
    let seen = read.identity.clone();
    let file = Some(ConfigFile {
        path: file.to_owned(),
        seen,
    });
    app::start(Start {
        settings,
        sha256: read.identity,
        listeners,
        file,
        rejected: Vec::new(),
    })
    .unwrap()
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Proxy {
    running: Option<Running>,
    address: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
    file: PathBuf,
}

impl Proxy {
    /// A client inside TLS at the first address.
    #[track_caller]
    pub(crate) fn secured(&self, name: &str, config: rustls::ClientConfig) -> Client {
        tls::client(self.address, name, config)
    }

    /// A proxy with this routes.toml.
    #[track_caller]
    pub(crate) fn start(text: &str) -> Self {
        Self::start_with(text, |folder, text| {
            let file = folder.join("routes.toml");
            std::fs::write(&file, text).unwrap();
            file
        })
    }

    #[track_caller]
    fn start_with(text: &str, place: impl FnOnce(&Path, &str) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = place(folder.path(), text);
        let running = boot(&file);
        let (address, admin) = (running.addresses()[0], running.admin());
        Self {
            running: Some(running),
            address,
            admin,
            folder,
            file,
        }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin API listens.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The proxy's own folder, with routes.toml and `state`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.file.clone()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running
            .as_ref()
            .expect("the proxy runs until it is stopped")
    }

    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.client().get(target)
    }

    /// A request to the admin API; a body is sent as JSON.
    #[track_caller]
    pub(crate) fn admin(
        &self,
        method: &str,
        target: &str,
        body: Option<&serde_json::Value>,
    ) -> Answer {
        client::admin(self.admin, method, target, body)
    }

    #[track_caller]
    pub(crate) fn admin_json(&self, target: &str) -> serde_json::Value {
        let answer = self.admin("GET", target, None);
        assert_eq!(answer.status, 200, "{target}: {:?}", answer.body);
        answer.json()
    }

    /// The page of `/metrics`.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Page {
        Page::parse(self.admin("GET", "/metrics", None).text())
    }

    /// The sum of the series of this name that have these labels among theirs.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Waits until a metric has a value.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let start = Instant::now();
        loop {
            let page = self.metrics();
            if page.sum(name, labels) == value {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{name} {labels:?} never was {value}: {:#?}",
                page.series(name, &[])
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// Replaces routes.toml by renaming a new file over it.
    pub(crate) fn write(&self, text: &str) {
        let draft = self.folder.path().join(".routes.toml.draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.file()).unwrap();
    }

    /// Replaces a part of routes.toml, which must be there.
    #[track_caller]
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "routes.toml has no {from:?}");
        self.write(&text.replacen(from, to, 1));
    }

    pub(crate) fn generation(&self) -> u64 {
        self.admin_json("/api/config")["generation"]
            .as_u64()
            .unwrap()
    }

    /// Waits until every shadow is done, and checks what is always true then: sampled = shadow requests + dropped, and shadow
    /// requests = the sum of comparisons, for each route.
    #[track_caller]
    pub(crate) fn settle(&self) -> Page {
        self.wait_for_metric("crossfade_inflight_requests", &[], 0.0);
        let sums = |page: &Page| {
            let routes = page.values("crossfade_shadow_sampled_total", "route");
            let sum = |name: &str, route: &str| page.sum(name, &[("route", route)]);
            let row = |route: String| {
                let sampled = sum("crossfade_shadow_sampled_total", &route);
                let sent = sum("crossfade_shadow_requests_total", &route);
                let dropped = sum("crossfade_shadow_dropped_total", &route);
                let compared = sum("crossfade_comparisons_total", &route);
                (route, sampled, sent, dropped, compared)
            };
            routes.into_iter().map(row).collect::<Vec<_>>()
        };
        let start = Instant::now();
        loop {
            let page = self.metrics();
            let rows = sums(&page);
            assert!(!rows.is_empty(), "no route counts samples");
            if rows.iter().all(|(_, sampled, sent, dropped, compared)| {
                *sampled == sent + dropped && sent == compared
            }) {
                return page;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "(route, sampled, sent, dropped, compared) never agreed: {rows:#?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Stops, and starts again from the same file, on other ports.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        let running = boot(&self.file);
        (self.address, self.admin) = (running.addresses()[0], running.admin());
        self.running = Some(running);
    }

    /// Stops accepting, lets what runs finish, and returns when all has ended.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    /// Waits until the proxy holds this many client connections.
    #[track_caller]
    pub(crate) fn wait_for_connections(&self, connections: usize) {
        wait_until("the number of client connections", || {
            self.metric("crossfade_connections", &[]) == connections as f64
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not a stop: that would wait for connections that the test still holds.
        drop(self.running.take());
    }
}
