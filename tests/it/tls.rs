//! TLS with clients: who is let in, with which certificate, and how certificates are renewed.

use crate::harness::client::Ending;
use crate::harness::program::crossfade;
use crate::harness::tls::{self, Authority, Identity};
use crate::harness::wire::Wire;
use crate::harness::{
    Backend, Client, Program, Proxy, Setup, wait_until, with_one_worker_and_with_four,
};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::path::Path;

with_one_worker_and_with_four!(
    requests_inside_tls_are_served_and_told_to_be,
    the_certificate_is_that_of_the_name,
    clients_without_a_certificate_stay_out_where_one_is_wanted,
    handshakes_that_do_not_end_hold_nobody_up,
    handshakes_that_take_too_long_are_ended,
    who_only_looks_whether_somebody_listens_has_not_failed,
    what_is_no_tls_is_closed_and_counted,
    certificates_are_renewed_while_connections_stand,
    who_signs_clients_is_renewed_too,
    new_certificates_that_cannot_be_used_leave_the_old_ones,
);

const ONE: &str =
    r#"{ address = "127.0.0.1:0", tls = { certificates = [{ cert = "a.pem", key = "a.key" }] } }"#;

/// A proxy with these listeners; the certificates lie beside its file.
fn start(backend: &Backend, workers: usize, listens: &str, place: impl FnOnce(&Path)) -> Proxy {
    let setup = Setup::both(backend).workers(workers).listens(listens);
    setup.start_beside(place)
}

/// What the server shows to a client that asks for this name.
fn shown(proxy: &Proxy, name: &str, config: ClientConfig) -> CertificateDer<'static> {
    let stream = tls::connect(proxy.address(), name, config).unwrap();
    stream.conn.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

fn failures(proxy: &Proxy) -> f64 {
    proxy.metric("crossfade_rejected_total", &[("reason", "tls")])
}

fn requests_inside_tls_are_served_and_told_to_be(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, ONE, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
    });
    for protocols in [&[][..], &["http/1.1"], &["spdy/3", "http/1.1"]] {
        let mut client = proxy.secured("a.test", ca.client(None, protocols));
        for length in [0, 100_000] {
            let answer = client.request("POST", "/x", &[], &vec![b'x'; length]);
            assert_eq!((answer.status, answer.text()), (200, "ok"));
        }
    }
    for seen in backend.requests() {
        assert_eq!(seen.header("x-forwarded-proto"), ["https"]);
        assert_eq!(
            seen.header("forwarded"),
            ["for=127.0.0.1;host=test.example;proto=https"]
        );
    }
    assert_eq!((backend.count(), failures(&proxy)), (6, 0.0));
    let strange = ca.client(None, &["spdy/3"]);
    tls::connect(proxy.address(), "a.test", strange).unwrap_err();
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 1.0);
}

fn the_certificate_is_that_of_the_name(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let (first, second) = (ca.sign(&["a.test"]), ca.sign(&["b.test", "*.c.test"]));
    let listens = r#"{ address = "127.0.0.1:0", tls = { certificates = [
        { cert = "a.pem", key = "a.key" }, { cert = "b.pem", key = "b.key" }] } }"#;
    let proxy = start(&backend, workers, &listens.replace('\n', ""), |folder| {
        first.place(folder, "a");
        second.place(folder, "b");
    });
    let check = |name: &str, expected: &Identity| {
        assert_eq!(
            shown(&proxy, name, ca.client(None, &[])),
            expected.der(),
            "{name}"
        );
    };
    check("a.test", &first);
    check("b.test", &second);
    check("x.c.test", &second);
    // The first is shown to others, who then judge for themselves.
    let stranger = tls::connect(proxy.address(), "d.test", ca.client(None, &[]));
    assert!(
        stranger
            .unwrap_err()
            .to_string()
            .contains("not valid for name")
    );
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 1.0);
}

fn clients_without_a_certificate_stay_out_where_one_is_wanted(workers: usize) {
    let (ca, other) = (Authority::new(), Authority::new());
    let backend = Backend::text("ok");
    let listens = ONE.replace("] } }", "], client_ca = \"ca.pem\" } }");
    let proxy = start(&backend, workers, &listens, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    });
    let known = ca.client(Some(&ca.sign(&["client"])), &[]);
    assert_eq!(proxy.secured("a.test", known).get("/").text(), "ok");
    let strangers = [None, Some(other.sign(&["client"]))];
    for (count, identity) in strangers.iter().enumerate() {
        // In TLS 1.3 a client learns of it when it reads.
        let config = ca.client(identity.as_ref(), &[]);
        if let Ok(stream) = tls::connect(proxy.address(), "a.test", config) {
            let mut client = Client::over(Wire::Tls(stream));
            client.try_send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").ok();
            client.try_answer("GET").unwrap_err();
        }
        let refused = (count + 1) as f64;
        proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], refused);
    }
    assert_eq!(backend.count(), 1);
}

fn handshakes_that_do_not_end_hold_nobody_up(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, ONE, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
    });
    let mut halves: Vec<_> = (0..20).map(|_| proxy.client()).collect();
    for half in &mut halves {
        // The beginning of a record of 512 bytes.
        half.send([22, 3, 1, 2, 0, 1]);
    }
    proxy.wait_for_connections(20);
    assert_eq!(
        proxy
            .secured("a.test", ca.client(None, &[]))
            .get("/")
            .text(),
        "ok"
    );
    assert_eq!(failures(&proxy), 0.0);
    drop(halves);
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 20.0);
    proxy.wait_for_connections(0);
}

fn who_only_looks_whether_somebody_listens_has_not_failed(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, ONE, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
    });
    for _ in 0..4 {
        let mut looks = proxy.client();
        looks.finish_sending();
        assert!(looks.rest().0.is_empty());
        proxy.client().reset();
    }
    proxy.wait_for_connections(0);
    let mut half = proxy.client();
    half.send([22]);
    half.finish_sending();
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 1.0);
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), 1.0);
}

fn what_is_no_tls_is_closed_and_counted(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = start(&backend, workers, ONE, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
    });
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (rest, _) = client.rest();
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 1.0);
    assert_eq!(backend.count(), 0);
}

fn certificates_are_renewed_while_connections_stand(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let first = ca.sign(&["a.test"]);
    let proxy = start(&backend, workers, ONE, |folder| first.place(folder, "a"));
    let config = || ca.client(None, &[]);
    let mut standing = proxy.secured("a.test", config());
    assert_eq!(standing.get("/").text(), "ok");
    let mut now = first;
    for _ in 0..3 {
        let next = ca.sign(&["a.test"]);
        assert_eq!(shown(&proxy, "a.test", config()), now.der());
        next.place(proxy.folder(), "a");
        wait_until("the new certificate is shown", || {
            shown(&proxy, "a.test", config()) == next.der()
        });
        now = next;
    }
    assert_eq!(standing.get("/").text(), "ok");
    assert_eq!(failures(&proxy), 0.0);
}

fn new_certificates_that_cannot_be_used_leave_the_old_ones(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let first = ca.sign(&["a.test"]);
    let proxy = start(&backend, workers, ONE, |folder| first.place(folder, "a"));
    let good = "crossfade_certificates_last_reload_successful";
    assert_eq!(proxy.metric(good, &[]), 1.0);
    let next = ca.sign(&["a.test"]);
    let config = || ca.client(None, &[]);
    // A key that belongs to another certificate, a torn chain, no file at all.
    std::fs::write(proxy.folder().join("a.key"), &next.key).unwrap();
    proxy.wait_for_metric(good, &[], 0.0);
    assert_eq!(shown(&proxy, "a.test", config()), first.der());
    first.place(proxy.folder(), "a");
    proxy.wait_for_metric(good, &[], 1.0);
    std::fs::write(proxy.folder().join("a.pem"), &next.cert[..100]).unwrap();
    proxy.wait_for_metric(good, &[], 0.0);
    assert_eq!(shown(&proxy, "a.test", config()), first.der());
    next.place(proxy.folder(), "a");
    proxy.wait_for_metric(good, &[], 1.0);
    std::fs::remove_file(proxy.folder().join("a.key")).unwrap();
    proxy.wait_for_metric(good, &[], 0.0);
    assert_eq!(shown(&proxy, "a.test", config()), next.der());
}

#[test]
fn the_end_of_a_connection_is_told() {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = start(&backend, 1, ONE, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
    });
    let mut client = proxy.secured("a.test", ca.client(None, &[]));
    let last = [("connection", "close")];
    assert_eq!(client.request("GET", "/", &last, b"").text(), "ok");
    // Without close_notify the end would be an error of kind UnexpectedEof: somebody may have cut the answer.
    assert_eq!(client.ending().unwrap(), Ending::Closed);
}

#[test]
fn a_start_without_certificates_says_which_file_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[migration]\nname = \"t\"\n[server]\nlisten = {ONE}\nadmin = \"127.0.0.1:0\"\n\
         [old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:1\"\n"
    );
    std::fs::write(folder.path().join("routes.toml"), text).unwrap();
    let ca = Authority::new();
    let check = |expected: &str| {
        let program = Program::start(crossfade(folder.path(), &["run"]));
        let (status, said) = program.wait();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check("a.pem can't be read");
    ca.sign(&["a.test"]).place(folder.path(), "a");
    std::fs::write(folder.path().join("a.key"), "text").unwrap();
    check("a.key: the key of certificate 0 is no private key");
}

fn handshakes_that_take_too_long_are_ended(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::text("ok");
    let proxy = Setup::both(&backend)
        .listens(ONE)
        .set("limits", "tls_timeout = \"200ms\"")
        .workers(workers)
        .start_beside(|folder| ca.sign(&["a.test"]).place(folder, "a"));
    let mut silent = proxy.client();
    let mut half = proxy.client();
    half.send([22, 3, 1, 2, 0, 1]);
    assert_eq!(silent.rest().0, b"");
    assert_eq!(half.rest().0, b"");
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", "tls")], 2.0);
}

/// Who was let in before has a ticket, which is worth nothing once another authority signs clients.
fn who_signs_clients_is_renewed_too(workers: usize) {
    let (ca, next) = (Authority::new(), Authority::new());
    let backend = Backend::text("ok");
    let listens = ONE.replace("] } }", "], client_ca = \"ca.pem\" } }");
    let proxy = start(&backend, workers, &listens, |folder| {
        ca.sign(&["a.test"]).place(folder, "a");
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    });
    let is_let_in = |config: &ClientConfig| {
        let stream = tls::connect(proxy.address(), "a.test", config.clone());
        stream.is_ok_and(|stream| {
            let mut client = Client::over(Wire::Tls(stream));
            client.try_send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").ok();
            client.try_answer("GET").is_ok()
        })
    };
    let mut clients = [&ca, &next].map(|authority| {
        let identity = authority.sign(&["client"]);
        (authority, ca.client(Some(&identity), &[]))
    });
    // Once may have been before the files were looked at for the first time.
    for _ in 0..3 {
        let [(_, known), (next, stranger)] = &clients;
        assert!(is_let_in(known) && !is_let_in(stranger));
        std::fs::write(proxy.folder().join("ca.pem"), next.pem()).unwrap();
        wait_until("the other authority counts", || is_let_in(stranger));
        assert!(!is_let_in(known));
        clients.reverse();
    }
}
