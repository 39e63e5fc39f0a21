//! `crossfade demo` as a process: it serves on when a service is killed, and leaves nothing behind, however it ends.

use super::sample;
use crate::harness::{Client, PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver};
use tempfile::TempDir;

/// Four addresses that were free a moment ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) old: SocketAddr,
    pub(super) new: SocketAddr,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Addresses {
    pub(super) fn free() -> Self {
        Self {
            old: free(),
            new: free(),
            listen: free(),
            admin: free(),
        }
    }

    pub(super) fn text(self) -> String {
        sample(
            self.old,
            self.new,
            &self.listen.to_string(),
            &self.admin.to_string(),
        )
    }

    /// That nothing is left of a demo.
    pub(super) fn wait_until_closed(self) {
        for address in [self.old, self.new, self.listen, self.admin] {
            wait_until("the address is closed", || {
                TcpStream::connect(address).is_err()
            });
        }
    }
}

/// An address below the ports that the system gives to connections and to port 0: between the look and the demo's start
/// no other test can get it, and nobody who connects to it when it is closed meets himself.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 100).unwrap() * 200;
    loop {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// A folder with this routes.toml.
pub(super) fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), text).unwrap();
    folder
}

pub(super) fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn runs(pid: u32) -> bool {
    test_kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()).is_ok()
}

/// A demo without a terminal.
struct Demo {
    process: Child,
    lines: Receiver<String>,
    folder: TempDir,
}

impl Demo {
    /// Starts one and waits until its load runs.
    fn start(addresses: Addresses) -> Self {
        let folder = folder(&addresses.text());
        let mut process = command(folder.path(), &["demo"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let demo = Self {
            process,
            lines,
            folder,
        };
        demo.line("crossfade demo on http://");
        demo
    }

    /// The next line that contains a text.
    #[track_caller]
    fn line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {text:?} came, but {seen:#?}"),
            }
        }
    }

    /// The children's process ids as the next line tells them.
    fn pids(&self) -> [u32; 3] {
        let line = self.line("| old pid ");
        ["old", "new", "load"].map(|child| {
            let after = line.split(&format!("| {child} pid ")).nth(1).unwrap();
            after
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
    }

    fn wait(mut self) -> ExitStatus {
        wait_until("the demo has ended", || {
            self.process.try_wait().unwrap().is_some()
        });
        self.process.wait().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn output(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(folder, arguments)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_killed_service_stays_down_and_every_read_is_answered() {
    let addresses = Addresses::free();
    let demo = Demo::start(addresses);
    let edited = addresses.text().replace("percent = 5 ", "percent = 100 ");
    fs::write(demo.folder.path().join("routes.toml"), edited).unwrap();
    let mut client = Client::connect(addresses.listen);
    let served_by = |client: &mut Client| {
        let answer = client.get("/contents/0ad/tags");
        assert_eq!(answer.status, 200);
        answer.header("x-crossfade-side").unwrap().to_owned()
    };
    wait_until("the edit is live", || served_by(&mut client) == "new");

    let [_, pid, _] = demo.pids();
    kill(pid, Signal::KILL);
    demo.line("\"new\"");
    for _ in 0..200 {
        assert_eq!(served_by(&mut client), "old");
    }
    assert!(
        demo.line("| new pid ")
            .contains(&format!("| new pid {pid} is down (signal 9)"))
    );
    assert!(
        TcpStream::connect(addresses.new).is_err(),
        "nobody has started it again"
    );
}

#[test]
fn an_edit_that_names_a_side_elsewhere_ends_the_load() {
    let addresses = Addresses::free();
    let demo = Demo::start(addresses);
    // An address that is not loopback, and yet leads nowhere but to this machine.
    let edited = addresses.text().replace(
        &format!("http://{}", addresses.new),
        &format!("http://0.0.0.0:{}", addresses.new.port()),
    );
    fs::write(demo.folder.path().join("routes.toml"), edited).unwrap();
    demo.line("\"load\"");
    let line = demo.line("| load pid ");
    assert!(line.contains("is down (a side is not loopback)"), "{line}");
    assert!(line.contains("[new] url names http://0.0.0.0:"), "{line}");
}

#[test]
fn nothing_is_left_however_the_demo_ends() {
    for (signal, code) in [
        (Signal::KILL, None),
        (Signal::TERM, Some(0)),
        (Signal::INT, Some(0)),
    ] {
        let addresses = Addresses::free();
        let demo = Demo::start(addresses);
        let pids = demo.pids();
        assert!(pids.into_iter().all(runs));
        kill(demo.process.id(), signal);
        assert_eq!(demo.wait().code(), code, "{signal:?}");
        addresses.wait_until_closed();
        // Children of a demo that was killed are reaped by whoever adopts them.
        wait_until("the children have ended", || {
            pids.into_iter().all(|pid| !runs(pid) || is_zombie(pid))
        });
    }
}

fn is_zombie(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

#[test]
fn what_cannot_be_started_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = Addresses::free();
    for (addresses, key) in [
        (
            Addresses {
                listen: address,
                ..free
            },
            "server.listen",
        ),
        (
            Addresses {
                admin: address,
                ..free
            },
            "server.admin",
        ),
        (
            Addresses {
                new: address,
                ..free
            },
            "the url of [new]",
        ),
    ] {
        let (code, told) = output(folder(&addresses.text()).path(), &["demo"]);
        assert_eq!(code, Some(1), "{told}");
        for part in [
            format!("{address} is in use"),
            format!("change {key} in routes.toml"),
        ] {
            assert!(told.contains(&part), "{part:?} in {told}");
        }
    }
    let away = free
        .text()
        .replace(&format!("http://{}", free.old), "http://192.0.2.1:7001");
    let broken = free.text().replace("percent = 5 ", "percent = 5000 ");
    for (text, arguments, part) in [
        (
            &away,
            &["demo"][..],
            "[old] url names http://192.0.2.1:7001, which is not loopback",
        ),
        (&away, &["demo", "backend", "new"], "which is not loopback"),
        (&away, &["demo", "load"], "which is not loopback"),
        (&broken, &["demo"], "percent = 5000"),
        (&broken, &["demo", "backend", "old"], "routes.toml:"),
    ] {
        let (code, told) = output(folder(text).path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {told}");
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let (code, told) = output(
        folder(&away).path(),
        &["demo", "load", "--config", "none.toml"],
    );
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("none.toml"), "{told}");
    free.wait_until_closed();
}

#[test]
fn a_service_runs_alone() {
    let addresses = Addresses::free();
    let folder = folder(&addresses.text());
    let mut process = command(folder.path(), &["demo", "backend", "new"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(
        line,
        format!("29792 contents and 597 tags on http://{}\n", addresses.new)
    );
    let body = Client::connect(addresses.new).get("/tags?limit=1").json();
    assert!(body["tags"][0]["count"].is_string(), "{body}");
    kill(process.id(), Signal::TERM);
    assert_eq!(process.wait().unwrap().code(), Some(0));
}
