//! More connections than there may be, and more than the process has descriptors for.

use super::wait_for_rejected;
use crate::harness::client::Ending;
use crate::harness::metrics::Page;
use crate::harness::program::crossfade;
use crate::harness::{
    Backend, Client, Gate, Program, Reply, Setup, client, wait_until, with_one_worker_and_with_four,
};
use std::net::SocketAddr;
use std::process::Command;

with_one_worker_and_with_four!(
    a_connection_too_many_is_closed_at_once,
    the_limit_on_connections_is_live,
);

fn a_connection_too_many_is_closed_at_once(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "connections = 2")
        .start();
    let mut clients = [proxy.client(), proxy.client()];
    proxy.wait_for_connections(2);
    assert_eq!(proxy.client().rest(), (Vec::new(), Ending::Closed));
    wait_for_rejected(&proxy, "connections", 1.0);
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok", "who is in stays in");
    }
    drop(clients);
    proxy.wait_for_connections(0);
    assert_eq!(proxy.get("/").text(), "ok", "there is room again");
    wait_for_rejected(&proxy, "connections", 1.0);
}

fn the_limit_on_connections_is_live(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .workers(workers)
        .set("limits", "connections = 1")
        .start();
    let _first = proxy.client();
    proxy.wait_for_connections(1);
    proxy.edit("connections = 1", "connections = 2");
    wait_until("the edit is in force", || proxy.generation() == 2);
    assert_eq!(proxy.get("/").text(), "ok");
}

/// `crossfade run` that may open so many descriptors; where it serves, and its admin API.
fn run_with_descriptors(
    setup: &Setup,
    limit: usize,
) -> (tempfile::TempDir, Program, [SocketAddr; 2]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), setup.text()).unwrap();
    let run = crossfade(folder.path(), &["run"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" run")])
        .arg(run.get_program())
        .current_dir(folder.path())
        .env("NO_COLOR", "1");
    let mut program = Program::start(limited);
    let (serving, admin) = program.addresses();
    (folder, program, [serving, admin])
}

#[test]
fn clients_have_less_than_half_of_the_descriptors() {
    let backend = Backend::text("ok");
    let setup = Setup::both(&backend).workers(1);
    let (_folder, _program, [serving, admin]) = run_with_descriptors(&setup, 100);
    let mut clients: Vec<_> = (0..45).map(|_| Client::connect(serving)).collect();
    let open = || Page::parse(client::get(admin, "/metrics").text());
    wait_until("45 connections", || {
        open().sum("crossfade_connections", &[]) == 45.0
    });
    assert_eq!(Client::connect(serving).rest().1, Ending::Closed);
    let reason = [("reason", "connections")];
    assert_eq!(open().sum("crossfade_rejected_total", &reason), 1.0);
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
}

/// With no descriptor left nothing is accepted, and the acceptor waits; when there is one again, everybody is served.
#[test]
fn an_acceptor_without_descriptors_waits() {
    let backend = Backend::text("ok");
    let setup = Setup::both(&backend).workers(1);
    let (_folder, mut program, [serving, admin]) = run_with_descriptors(&setup, 48);
    let spare = 48 - descriptors(&program);
    assert!(
        spare < 48 * 45 / 100,
        "the share of clients ends first: {spare} descriptors are free"
    );
    let mut clients: Vec<_> = (0..spare + 4).map(|_| Client::connect(serving)).collect();
    program.wait_for("no connection can be accepted; trying again in 400ms");
    let said = program.said();
    let pauses = said
        .lines()
        .filter_map(|line| line.split_once("trying again in ")?.1.split(' ').next());
    let grows = ["50ms", "100ms", "200ms", "400ms", "800ms", "1s", "1s", "1s"];
    let spins = pauses.zip(grows).find(|(said, expected)| said != expected);
    assert!(spins.is_none(), "{said}");
    let waiting = clients.split_off(spare);
    drop(clients);
    for mut client in waiting {
        assert_eq!(client.get("/").text(), "ok", "who waited is served");
    }
    let page = Page::parse(client::get(admin, "/metrics").text());
    let answered = page.sum("crossfade_requests_total", &[("code_class", "2xx")]);
    assert_eq!((answered, backend.count()), (4.0, 4));
    assert_eq!(page.sum("crossfade_rejected_total", &[]), 0.0);
}

/// With no descriptor left for a side, requests are told so, and are not asked; those that are under way go on, and all is well after them.
#[test]
fn requests_without_a_descriptor_for_their_side_are_told_so() {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::text("ok").after(&opened));
    let setup = Setup::both(&backend).workers(1);
    let (_folder, program, [serving, admin]) = run_with_descriptors(&setup, 80);
    // Who looks at the end has a connection before there is none to be had.
    let mut admin = Client::connect(admin);
    assert_eq!(admin.get("/livez").status, 200);
    let free = 80 - descriptors(&program);
    // As many clients as may be: there are not as many descriptors for their sides.
    let all = 80 * 45 / 100;
    assert!(free < 2 * all, "there is no lack of descriptors: {free}");
    let mut clients: Vec<_> = (0..all).map(|_| Client::connect(serving)).collect();
    let mut open = || {
        let page = Page::parse(admin.get("/metrics").text());
        page.sum("crossfade_connections", &[])
    };
    // Else the sides' connections would take what clients are accepted with, and those would wait for the gate.
    wait_until("all are accepted", || open() == all as f64);
    for client in &mut clients {
        client.send_request("GET", "/", &[], b"");
    }
    let mut told = 0;
    wait_until("each is asked, or told so", || {
        let answered = clients.iter_mut().map(|client| client.has_news());
        told = answered.filter(|answered| *answered).count();
        told + backend.count() == all
    });
    assert!(
        told > 0 && backend.count() > 0,
        "{told} of {all} were told so"
    );
    gate.open();
    let statuses: Vec<_> = clients
        .iter_mut()
        .map(|client| client.answer("GET").status)
        .collect();
    let of = |status: u16| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((of(502), of(200)), (told, all - told), "{statuses:?}");
    assert_eq!(clients[0].get("/").text(), "ok", "all is well");
    drop(clients);
    // Else one more would be one too many.
    wait_until("all are gone", || open() == 0.0);
    assert_eq!(client::get(serving, "/").text(), "ok");
    let page = Page::parse(admin.get("/metrics").text());
    let failed = [("kind", "connect"), ("role", "serve"), ("side", "old")];
    assert_eq!(
        (
            page.sum("crossfade_upstream_errors_total", &failed),
            page.sum("crossfade_upstream_errors_total", &[]),
            page.sum(
                "crossfade_requests_total",
                &[("code_class", "5xx"), ("side", "none")]
            ),
            page.sum("crossfade_requests_total", &[("code_class", "2xx")]),
        ),
        (
            told as f64,
            told as f64,
            told as f64,
            (all - told + 2) as f64
        )
    );
    assert_eq!(backend.count(), all - told + 2);
}

fn descriptors(program: &Program) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.id()));
    open.unwrap().count()
}
