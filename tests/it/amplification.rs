//! What hostile inputs may cost of memory: 100 times their own size, of a process that has done the like before.

use crate::harness::client::admin;
use crate::harness::http2::{
    END_HEADERS, END_STREAM, HEADERS, Http2, PING, SETTINGS, fields, frame, preface,
};
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Gate, Reply, Setup, wait_until};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use tempfile::TempDir;

/// A process, its folder, and where it listens: for clients that speak HTTP/2 too, and for its admin API.
struct Started {
    program: Program,
    folder: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Started {
    fn before(backend: &Backend) -> Self {
        Self::with(&Setup::both(backend).listens("{ address = \"127.0.0.1:0\", h2c = true }"))
    }

    fn with(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), setup.text()).unwrap();
        let mut program = Program::start(crossfade(folder.path(), &["run"]));
        let (address, admin) = program.addresses();
        Self {
            program,
            folder,
            address,
            admin,
        }
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let page = admin(self.admin, "GET", "/metrics", None);
        Page::parse(page.text()).sum(name, labels)
    }

    /// Connections that misused HTTP/2.
    fn refused(&self) -> f64 {
        self.sum("crossfade_rejected_total", &[("reason", "http2")])
    }

    /// Checks what something costs.
    #[track_caller]
    fn costs(&self, most: usize, input: impl FnOnce()) {
        let before = {
            self.program.begin_peak();
            self.program.peak()
        };
        input();
        let more = self.program.peak().saturating_sub(before);
        assert!(more < most, "{more} bytes, where {most} are allowed");
    }
}

#[test]
fn lines_that_are_no_toml() {
    let backend = Backend::text("ok");
    let started = Started::before(&backend);
    let file = started.folder.path().join("routes.toml");
    let good = fs::read_to_string(&file).unwrap();
    let write = |text: &str, seen: &dyn Fn(&Value) -> bool| {
        fs::write(started.folder.path().join("draft"), text).unwrap();
        fs::rename(started.folder.path().join("draft"), &file).unwrap();
        wait_until("it is read", || {
            let config = admin(started.admin, "GET", "/api/config", None).json();
            seen(&config["last_error"])
        });
    };
    let broken = |lines: usize| format!("{good}\n{}", "= 1\n".repeat(lines));
    write(&broken(50), &|error| !error.is_null());
    write(&good, &Value::is_null);
    let large = broken(100_000);
    started.costs(100 * large.len(), || {
        write(&large, &|error| !error.is_null());
    });
}

/// Within the bounds of each head; none of the requests is answered.
#[test]
fn fields_that_are_named_by_a_byte() {
    const CLIENTS: usize = 16;
    let backend = Backend::start(|_| Reply::text("never").after(&Gate::default()));
    let started = Started::before(&backend);
    let pseudo = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "test.example"),
    ]);
    let kept = [&[0x40], &fields(&[("x-a", "b")])[1..]].concat();
    let head =
        |number: u32, block: &[u8]| frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, block);
    let first = head(0, &[&pseudo, &kept, &[0xbe; 90][..]].concat());
    let more = (1..100).flat_map(|number| head(number, &[&pseudo, &[0xbe; 90][..]].concat()));
    let bytes: Vec<u8> = preface(&[]).into_iter().chain(first).chain(more).collect();
    started.costs(100 * CLIENTS * bytes.len(), || {
        for mut client in [(); CLIENTS].map(|()| Client::connect(started.address)) {
            let _ = client.try_send(&bytes);
            client.rest();
        }
    });
    assert_eq!(started.refused(), CLIENTS as f64);
}

/// What can't be written is not gathered, however much is asked.
#[test]
fn pings_whose_answers_nobody_reads() {
    const MOST: usize = 8 << 20;
    const CLIENTS: usize = 8;
    let backend = Backend::text("ok");
    let started = Started::before(&backend);
    let both = [frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0, &[])].concat();
    let flood = both.repeat(1_000);
    let honest = Http2::connect(started.address);
    started.costs(MOST, || {
        for mut client in [(); CLIENTS].map(|()| Client::connect(started.address)) {
            client.send(preface(&[]));
            while client.try_send(&flood).is_ok() {
                assert_eq!(honest.get("/").status, 200);
            }
        }
    });
    // It is not for a write that took too long that a client has ended.
    assert_eq!(started.refused(), CLIENTS as f64);
}

/// A thread takes more memory than most pairs that it compares, and keeps it for a while.
#[test]
fn pairs_that_take_long_share_a_few_threads() {
    const CLIENTS: usize = 100;
    const THREADS: usize = 4;
    // What is coded may take long, and seldom does.
    let side = |body: &'static str| {
        Backend::start(move |_| {
            let reply = Reply::text(body).header("content-type", "application/json");
            reply.header("content-encoding", "identity")
        })
    };
    let (old, new) = (side("[1]"), side("[2]"));
    let route = "name = \"all\"\nmatch = \"GET /{id}\"\nkey = \"{path.id}\"\npercent = 0\nshadow = 100\ncompare = { recheck = [] }";
    let started = Started::with(&Setup::new(&old, &new).route(route));
    let mut clients = [(); CLIENTS].map(|()| Client::connect(started.address));
    for _ in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"));
        }
        for client in &mut clients {
            assert_eq!(client.answer("GET").status, 200);
        }
    }
    // What comes faster than the lab takes it is dropped.
    wait_until("all are judged or dropped", || {
        let judged = started.sum("crossfade_comparisons_total", &[("verdict", "mismatch")]);
        judged + started.sum("crossfade_shadow_dropped_total", &[]) == 3.0 * CLIENTS as f64
    });
    let threads = fs::read_dir(format!("/proc/{}/task", started.program.id())).unwrap();
    let long = threads.filter(|thread| {
        let name = thread.as_ref().unwrap().path().join("comm");
        fs::read_to_string(name).is_ok_and(|name| name.trim() == "cf-lab-more")
    });
    let long = long.count();
    assert!((1..=THREADS).contains(&long), "{long} threads");
}
