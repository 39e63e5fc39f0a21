//! SIGUSR2: another process takes over the listening sockets and the state, and nobody notices.

mod failures;
mod load;

use crate::harness::client::{admin, get};
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Manager, Reply, Setup, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A folder with a routes.toml, and sides that answer with their names.
struct Place {
    folder: TempDir,
    sides: [Backend; 2],
}

impl Place {
    fn new(setup: impl FnOnce(Setup) -> Setup) -> Self {
        let sides = [Backend::text("old"), Backend::text("new")];
        let text = setup(Setup::new(&sides[0], &sides[1])).text();
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            sides,
        };
        place.write(&text);
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path().join("routes.toml")).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.path().join("draft"), text).unwrap();
        fs::rename(self.path().join("draft"), self.path().join("routes.toml")).unwrap();
    }
}

/// Processes of which each takes over from the one before.
struct Line {
    program: Program,
    address: SocketAddr,
    admin: SocketAddr,
    /// The one that serves.
    pid: Pid,
    /// How many have begun to serve.
    begun: usize,
}

impl Line {
    #[track_caller]
    fn start(place: &Path) -> Self {
        Self::of(crossfade(place, &["run"]))
    }

    #[track_caller]
    fn of(command: Command) -> Self {
        let mut program = Program::start_group(command);
        let (address, admin) = program.addresses();
        Self {
            pid: program.pid(),
            program,
            address,
            admin,
            begun: 1,
        }
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// How often a line with these words was said.
    fn said(&self, words: &str) -> usize {
        self.program.said().matches(words).count()
    }

    /// Lets the next process take over, and waits until it serves and can be told the same.
    #[track_caller]
    fn hand_over(&mut self) {
        self.signal(Signal::USR2);
        self.follow();
    }

    /// Waits until the next process serves.
    #[track_caller]
    fn follow(&mut self) {
        self.begun += 1;
        wait_until("the next process serves", || {
            self.said("admin API and metrics on") == self.begun
                && self.said("has taken over") == self.begun - 1
        });
        let said = self.program.said();
        let line = said.lines().rfind(|line| line.contains("has taken over"));
        let (_, rest) = line.unwrap().split_once("process ").unwrap();
        let pid = rest.split(' ').next().unwrap().parse().unwrap();
        self.pid = Pid::from_raw(pid).unwrap();
    }

    fn config(&self) -> Value {
        admin(self.admin, "GET", "/api/config", None).json()
    }

    fn failures(&self) -> f64 {
        let page = admin(self.admin, "GET", "/metrics", None);
        Page::parse(page.text()).sum("crossfade_handover_failures_total", &[])
    }

    /// Stops the one that serves, and waits until all are gone; returns what they said.
    #[track_caller]
    fn end(self) -> String {
        self.signal(Signal::TERM);
        self.program.wait().1
    }
}

/// Whether a process has ended; whoever started it may not have asked yet how.
fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

fn set(line: &Line, serve: &str) {
    let body = json!({"serve": serve, "route": null, "reason": "a test"});
    let answer = admin(line.admin, "PUT", "/api/override", Some(&body));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json().get("durable"), None);
}

#[test]
fn the_next_process_has_the_addresses_and_the_override() {
    let place = Place::new(|setup| setup);
    let mut line = Line::start(place.path());
    assert_eq!(get(line.address, "/").text(), "old");
    set(&line, "new");
    line.hand_over();
    assert_eq!(get(line.address, "/").text(), "new");
    assert_eq!(line.config()["override"]["reason"], "a test");
    let gone = admin(line.admin, "DELETE", "/api/override", None);
    assert_eq!(gone.status, 204);
    line.hand_over();
    assert_eq!(get(line.address, "/").text(), "old");
    assert!(line.config()["override"].is_null());
    let said = line.end();
    assert!(!said.contains("ERROR"), "{said}");
}

/// The file of identities changes hands before the next process opens it.
#[test]
fn the_next_process_knows_what_was_known() {
    let place = Place::new(|setup| {
        let route = "name = \"tags\"\nmatch = \"GET /tags/{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { map = { \"$.id\" = \"tag-id\" } }";
        setup.set("ids.tag-id", "").route(route)
    });
    let [old, new] = &place.sides;
    old.answer_with(|_| Reply::json(&json!({"id": 1})));
    new.answer_with(|_| Reply::json(&json!({"id": "one"})));
    let mut line = Line::start(place.path());
    let count = |line: &Line, metric: &str, labels: &[(&str, &str)]| {
        let page = admin(line.admin, "GET", "/metrics", None);
        Page::parse(page.text()).sum(metric, labels)
    };
    for tag in ["a", "b"] {
        get(line.address, &format!("/tags/{tag}"));
    }
    wait_until("it is known", || {
        count(&line, "crossfade_ids", &[("state", "confirmed")]) == 1.0
    });
    line.hand_over();
    new.answer_with(|_| Reply::json(&json!({"id": "two"})));
    get(line.address, "/tags/c");
    wait_until("the other name is noticed", || {
        count(
            &line,
            "crossfade_divergences_total",
            &[("kind", "identity")],
        ) == 1.0
    });
    let said = line.end();
    assert!(!said.contains("ERROR"), "{said}");
}

#[test]
fn keys_that_need_a_restart_act_after_it() {
    let place = Place::new(|setup| setup);
    let mut line = Line::start(place.path());
    let (before, admin_before) = (line.address, line.admin);
    let text = place.text();
    let changed = text.replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.2:0\"");
    place.write(&changed);
    wait_until("the edit is seen", || {
        line.config()["restart_required"] == json!(["server.listen"])
    });
    line.hand_over();
    let said = line.program.said();
    let serving = said.lines().rfind(|line| line.contains("serving on"));
    let address: SocketAddr = serving
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(address.ip().to_string(), "127.0.0.2");
    assert_eq!(get(address, "/").text(), "old");
    assert_eq!(line.admin, admin_before);
    assert_eq!(line.config()["restart_required"], json!([]));
    wait_until("the old address is closed", || {
        TcpStream::connect(before).is_err()
    });
    line.end();
}

/// The file of a Unix socket is removed by the last process of the line alone.
#[test]
fn a_unix_socket_is_handed_over_with_its_file() {
    let place = Place::new(|setup| setup);
    place.write(&place.text().replace(
        "listen = \"127.0.0.1:0\"",
        "listen = [\"127.0.0.1:0\", \"unix:cf.sock\"]",
    ));
    let path = place.path().join("cf.sock");
    let mut line = Line::start(place.path());
    for _ in 0..2 {
        let before = line.pid;
        line.hand_over();
        wait_until("the one before is gone", || is_gone(before));
        assert_eq!(Client::connect_unix(&path).get("/").text(), "old");
    }
    line.end();
    assert!(!path.exists());
}

#[test]
fn a_service_manager_is_told_who_serves() {
    let place = Place::new(|setup| setup);
    let manager = Manager::at(place.path());
    let mut command = crossfade(place.path(), &["run"]);
    manager.name_to(&mut command);
    let mut line = Line::of(command);
    assert_eq!(manager.told(), "READY=1");
    line.hand_over();
    // The manager believes only the process that it takes for the main one: first it hears who that is.
    assert_eq!(
        manager.told(),
        format!("MAINPID={}", line.pid.as_raw_nonzero())
    );
    assert_eq!(manager.told(), "READY=1");
    line.end();
    assert_eq!(manager.told(), "STOPPING=1");
    assert!(!manager.hears_more(), "only one of them stops");
}
