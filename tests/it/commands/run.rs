//! `run`: which file it starts from, and how it ends.

use super::place::Place;
use crate::harness::wait_until;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

#[test]
fn run_tells_a_bad_file_from_a_port_in_use() {
    let place = Place::new();
    let good = place.text();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = good
        .lines()
        .find(|line| line.starts_with("listen"))
        .unwrap();
    place.write(
        "routes.toml",
        &good.replace(
            line,
            &format!("listen = \"{}\"", taken.local_addr().unwrap()),
        ),
    );
    assert!(place.run("run").ends_with(1).err.contains("server.listen"));

    place.write(
        "routes.toml",
        &good.replace("percent = 50 ", "percent = 500 "),
    );
    assert!(place.run("run").ends_with(2).err.contains("no good copy"));
}

#[test]
fn run_starts_from_the_last_good_copy_unless_strict() {
    let place = Place::new();
    let good = place.text();
    stop_once_it_runs(&place);
    assert_eq!(
        fs::read_to_string(place.folder.path().join("state/last-good.toml")).unwrap(),
        good
    );

    place.write("routes.toml", &format!("{good}broken\n"));
    place.run("run --strict").ends_with(2);
    let log = stop_once_it_runs(&place);
    assert!(log.contains("last good copy"), "{log}");
}

/// Runs the proxy until it says that it serves, stops it with SIGTERM, and expects a drained end; returns its log.
fn stop_once_it_runs(place: &Place) -> String {
    let mut proxy = place
        .command(&["run"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(proxy.stderr.take().unwrap()).lines();
    let mut log = String::new();
    while !log.contains("admin API and metrics on") {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("the proxy ended:\n{log}"))
            .unwrap();
        log.push_str(&line);
        log.push('\n');
    }
    let pid = rustix::process::Pid::from_child(&proxy);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut status = None;
    wait_until("the proxy stops", || {
        status = proxy.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0), "{log}");
    log
}
