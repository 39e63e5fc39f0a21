//! Several listeners, and Unix sockets among them.

use crate::harness::client::Ending;
use crate::harness::program::crossfade;
use crate::harness::{Backend, Client, Program, Setup, with_one_worker_and_with_four};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

with_one_worker_and_with_four!(
    every_listener_serves,
    a_client_at_a_unix_socket_counts_as_one_of_this_machine,
    a_stop_removes_the_file_and_lets_what_runs_finish,
);

const BOTH: &str = r#"["127.0.0.1:0", { address = "unix:cf.sock", mode = "0600" }, "127.0.0.1:0"]"#;

fn every_listener_serves(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend).listens(BOTH).workers(workers).start();
    let addresses = proxy.running().addresses();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        assert_eq!(Client::connect(address).get("/").text(), "ok");
    }
    let path = proxy.folder().join("cf.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut client = Client::connect_unix(&path);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(backend.count(), 5);
}

fn a_client_at_a_unix_socket_counts_as_one_of_this_machine(workers: usize) {
    let backend = Backend::text("ok");
    let check = |trusted: &str, expected: &str| {
        let proxy = Setup::both(&backend)
            .listens(BOTH)
            .workers(workers)
            .set("server", &format!("trusted_proxies = [{trusted}]"))
            .start();
        backend.forget();
        let mut client = Client::connect_unix(&proxy.folder().join("cf.sock"));
        let claim = [("x-forwarded-for", "192.0.2.7")];
        assert_eq!(client.request("GET", "/", &claim, b"").status, 200);
        let seen = backend.only_request();
        assert_eq!(seen.header("x-forwarded-for"), [expected]);
    };
    check("", "127.0.0.1");
    check("\"127.0.0.1\"", "192.0.2.7, 127.0.0.1");
}

fn a_stop_removes_the_file_and_lets_what_runs_finish(workers: usize) {
    let backend = Backend::text("ok");
    let mut proxy = Setup::both(&backend)
        .listens(BOTH)
        .workers(workers)
        .set("server", "drain_timeout = \"10ms\"")
        .start();
    let path = proxy.folder().join("cf.sock");
    let mut client = Client::connect_unix(&path);
    assert_eq!(client.get("/").text(), "ok");
    proxy.stop();
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    assert!(!path.exists());
}

/// A routes.toml with one Unix socket; nobody is behind it.
fn place(folder: &Path) {
    let text = "[migration]\nname = \"t\"\n[server]\nlisten = \"unix:cf.sock\"\nadmin = \"127.0.0.1:0\"\n\
                [old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:1\"\n";
    std::fs::write(folder.join("routes.toml"), text).unwrap();
}

#[test]
fn a_killed_process_leaves_a_file_that_the_next_one_replaces_and_a_live_one_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    place(folder.path());
    let path = folder.path().join("cf.sock");
    let mut first = Program::start(crossfade(folder.path(), &["run"]));
    assert_eq!(first.wait_for("serving on unix:"), "cf.sock");
    let second = Program::start(crossfade(folder.path(), &["run"]));
    let (status, said) = second.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("can't listen on unix:cf.sock") && said.contains("listens there already"),
        "{said}"
    );
    UnixStream::connect(&path).unwrap();
    first.signal(Signal::KILL);
    first.wait();
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    let mut third = Program::start(crossfade(folder.path(), &["run"]));
    third.wait_for("serving on unix:");
    let mut client = Client::connect_unix(&path);
    assert_eq!(client.get("/").status, 502);
    drop(client);
    third.signal(Signal::TERM);
    let (status, said) = third.wait();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!path.exists());
}
