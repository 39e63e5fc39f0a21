//! Many processes, each of which takes over under load: every request is answered, and rightly.

use super::{Line, set};
use crate::harness::{Backend, Client, Finish, Reply, Setup, http2};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

const HANDOVERS: usize = 100;
const CLIENTS: usize = 4;

/// What is wrong with a client that keeps its connection until it is told to leave, and never asks twice? Nothing may be.
fn ask_until(done: &AtomicBool, address: SocketAddr, client: usize) -> usize {
    let mut connection = Client::connect(address);
    for number in 0.. {
        if done.load(Ordering::Relaxed) {
            return number;
        }
        let target = format!("/{client}/{number}");
        let body = vec![b'x'; number * 37 % 3000];
        let method = if body.is_empty() { "GET" } else { "POST" };
        let answer = connection.request(method, &target, &[], &body);
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("{target} {}", body.len()).as_str())
        );
        // Every third client comes anew each time: it may find itself in the queue of a process that has just stopped accepting.
        if answer.header("connection") == Some("close") || client.is_multiple_of(3) {
            connection = Client::connect(address);
        }
    }
    unreachable!("numbers do not end")
}

/// Somebody changes the override all the time; each change acts and lasts, whoever was asked.
fn overrule_until(done: &AtomicBool, line: &Line) -> usize {
    let mut changes = 0;
    while !done.load(Ordering::Relaxed) {
        set(line, if changes % 2 == 0 { "new" } else { "old" });
        changes += 1;
    }
    changes
}

/// So many processes take over while clients ask; what they did.
fn hand_over_under_load(
    line: &mut Line,
    handovers: usize,
    ask: impl Fn(&AtomicBool, usize) -> usize + Sync,
) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let finish = Finish(&done);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (done, ask) = (&done, &ask);
                scope.spawn(move || ask(done, client))
            })
            .collect();
        for _ in 0..handovers {
            line.hand_over();
            assert!(
                !clients.iter().any(|client| client.is_finished()),
                "a client has failed"
            );
        }
        drop(finish);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    })
}

/// Stops the last one, which has nothing to complain of, like all before it.
fn end_content(line: Line) {
    let said = line.end();
    for word in ["ERROR", "WARN", "panicked"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn a_hundred_processes_take_over_and_no_request_is_lost() {
    let backend =
        Backend::start(|seen| Reply::text(format!("{} {}", seen.target, seen.body.len())));
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("routes.toml"),
        Setup::both(&backend).workers(2).text(),
    )
    .unwrap();
    let mut line = Line::start(folder.path());
    let address = line.address;
    let asked = hand_over_under_load(&mut line, HANDOVERS, |done, client| {
        ask_until(done, address, client)
    });
    assert_eq!(backend.count(), asked);
    end_content(line);
}

/// A connection hears GOAWAY, and has its answers; what was asked after it is asked again, of the next process.
#[test]
fn processes_take_over_and_no_request_over_http_2_is_lost() {
    let backend = Backend::start(|seen| Reply::text(seen.target.clone()));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::both(&backend).workers(2);
    let listens = "{ address = \"127.0.0.1:0\", h2c = true }";
    fs::write(
        folder.path().join("routes.toml"),
        setup.listens(listens).text(),
    )
    .unwrap();
    let mut line = Line::start(folder.path());
    let address = line.address;
    let asked = hand_over_under_load(&mut line, HANDOVERS / 4, |done, _| {
        http2::ask_until(done, address)
    });
    assert_eq!(backend.count(), asked);
    end_content(line);
}

#[test]
fn no_change_of_the_override_is_lost() {
    let backend = Backend::text("ok");
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("routes.toml"),
        Setup::both(&backend).text(),
    )
    .unwrap();
    let mut line = Line::start(folder.path());
    for _ in 0..10 {
        let done = AtomicBool::new(false);
        let pid = line.pid;
        let changes = std::thread::scope(|scope| {
            let finish = Finish(&done);
            let changing = scope.spawn(|| overrule_until(&done, &line));
            line.signal(rustix::process::Signal::USR2);
            crate::harness::wait_until("the next process serves", || {
                line.said("admin API and metrics on") == line.begun + 1 || changing.is_finished()
            });
            drop(finish);
            changing.join().unwrap()
        });
        line.follow();
        assert_ne!(line.pid, pid);
        let last = if changes % 2 == 0 { "old" } else { "new" };
        assert_eq!(line.config()["override"]["serve"], last);
    }
    line.end();
}
