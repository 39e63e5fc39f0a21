//! The files of a side's TLS: looked at before settings act, and followed while they do.

use super::{TLS, failures, ok, setup, shows, start, unreachable};
use crate::harness::program::crossfade;
use crate::harness::tls::{Authority, server};
use crate::harness::{Backend, Program, Proxy, wait_until, with_one_worker_and_with_four};

with_one_worker_and_with_four!(
    roots_are_renewed_while_connections_stand,
    our_own_certificate_is_renewed,
    an_edit_with_files_that_cannot_be_used_is_refused,
);

const GOOD: &str = "crossfade_certificates_last_reload_successful";

/// A proxy with no connection to use again.
fn alone(setup: &crate::harness::Setup, ca: &Authority) -> Proxy {
    start(
        &setup.clone().set("old", "pool = { max_idle = 0 }"),
        ca,
        |_| (),
    )
}

fn roots_are_renewed_while_connections_stand(workers: usize) {
    let (ca, next) = (Authority::new(), Authority::new());
    let backend = Backend::start_tls(shows(&ca, &["a.test"]), ok);
    let kept = start(&setup(&backend, workers), &ca, |_| ());
    let proxy = alone(&setup(&backend, workers), &ca);
    assert_eq!((kept.get("/").text(), proxy.get("/").text()), ("ok", "ok"));
    backend.tls().shake_hands_with(shows(&next, &["a.test"]));
    unreachable(&proxy, 502);
    for renewed in [&proxy, &kept] {
        let draft = renewed.folder().join("draft.pem");
        std::fs::write(&draft, next.pem()).unwrap();
        std::fs::rename(draft, renewed.folder().join("ca.pem")).unwrap();
    }
    wait_until("the new roots are in force", || {
        proxy.get("/").status == 200
    });
    assert_eq!(kept.get("/").text(), "ok");
    // What can't be used changes nothing, and is told.
    std::fs::write(proxy.folder().join("ca.pem"), "nothing").unwrap();
    proxy.wait_for_metric(GOOD, &[], 0.0);
    assert_eq!(proxy.get("/").text(), "ok");
    std::fs::write(proxy.folder().join("ca.pem"), next.pem()).unwrap();
    proxy.wait_for_metric(GOOD, &[], 1.0);
}

fn our_own_certificate_is_renewed(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::start_tls(server(&ca.sign(&["a.test"]), Some(&ca), &[]), ok);
    let first = ca.sign(&["proxy"]);
    let with = TLS.replace(" }", ", cert = \"c.pem\", key = \"c.key\" }");
    let setup = setup(&backend, workers).instead(
        "old",
        &format!(
            "url = \"https://{}\"\n{with}\npool = {{ max_idle = 0 }}",
            backend.address()
        ),
    );
    let proxy = start(&setup, &ca, |folder| first.place(folder, "c"));
    assert_eq!(proxy.get("/").text(), "ok");
    let next = ca.sign(&["proxy"]);
    next.place(proxy.folder(), "c");
    let last = || backend.tls().handshakes().last().unwrap().client.clone();
    wait_until("the new one is shown", || {
        assert_eq!(proxy.get("/").text(), "ok");
        last() == Some(next.der())
    });
    // A key that belongs to another certificate.
    std::fs::write(proxy.folder().join("c.key"), &first.key).unwrap();
    proxy.wait_for_metric(GOOD, &[], 0.0);
    assert_eq!(proxy.get("/").text(), "ok");
    assert_eq!(last(), Some(next.der()));
}

fn an_edit_with_files_that_cannot_be_used_is_refused(workers: usize) {
    let ca = Authority::new();
    let backend = Backend::start_tls(shows(&ca, &["a.test"]), ok);
    let proxy = start(&setup(&backend, workers), &ca, |_| ());
    let generation = proxy.generation();
    proxy.edit("\"ca.pem\"", "\"no.pem\"");
    let refused = || proxy.admin_json("/api/config")["last_error"].clone();
    wait_until("it is refused", || !refused().is_null());
    let problem = &refused()["problems"][0];
    assert_eq!(
        (&problem["code"], &problem["path"]),
        (&"bad-tls".into(), &"old.tls.ca".into())
    );
    assert_eq!(
        (proxy.generation(), proxy.get("/").text()),
        (generation, "ok")
    );
    // The file is there, and another edit of routes.toml finds it.
    std::fs::write(proxy.folder().join("no.pem"), ca.pem()).unwrap();
    proxy.edit("[migration]", "# again\n[migration]");
    wait_until("it acts", || proxy.generation() > generation);
    // The files of what is in force are followed, and no others.
    std::fs::write(proxy.folder().join("ca.pem"), "nothing").unwrap();
    std::fs::write(proxy.folder().join("no.pem"), "nothing").unwrap();
    proxy.wait_for_metric(GOOD, &[], 0.0);
    std::fs::write(proxy.folder().join("no.pem"), ca.pem()).unwrap();
    proxy.wait_for_metric(GOOD, &[], 1.0);
    // A side without TLS needs none.
    std::fs::write(proxy.folder().join("no.pem"), "nothing").unwrap();
    proxy.wait_for_metric(GOOD, &[], 0.0);
    let plain = Backend::text("plain");
    let text = proxy.text().replace(&TLS.replace("ca.pem", "no.pem"), "");
    proxy.write(&text.replace(
        &format!("https://{}", backend.address()),
        &format!("http://{}", plain.address()),
    ));
    wait_until("the side is another", || proxy.get("/").text() == "plain");
    proxy.wait_for_metric(GOOD, &[], 1.0);
    assert_eq!(failures(&proxy, "connect"), 0.0);
}

#[test]
fn what_is_wrong_with_files_is_told_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new();
    let text = "[migration]\nname = \"t\"\n[old]\nurl = \"https://a.test\"\n\
                tls = { ca = \"ca.pem\", cert = \"c.pem\", key = \"c.key\" }\n\
                [new]\nurl = \"http://127.0.0.1:1\"\n";
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("routes.toml"), text).unwrap();
    let check = |place: &str, message: &str| {
        let program = Program::start(crossfade(folder.path(), &["check"]));
        let (status, said) = program.wait();
        let code = if message.is_empty() { 0 } else { 2 };
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains(place) && said.contains(message), "{said}");
    };
    check(
        "routes.toml:5:14",
        "`ca` can't be used: ca.pem: the file can't be read",
    );
    std::fs::write(file("ca.pem"), "text").unwrap();
    check(
        "routes.toml:5:14",
        "ca.pem: the file holds no certificates in PEM",
    );
    std::fs::write(file("ca.pem"), ca.pem()).unwrap();
    check("routes.toml:5:31", "c.pem: the file can't be read");
    let (one, two) = (ca.sign(&["a"]), ca.sign(&["b"]));
    one.place(folder.path(), "c");
    check("can be used", "");
    std::fs::write(file("c.key"), "text").unwrap();
    check(
        "routes.toml:5:46",
        "c.key: the file holds no private key in PEM",
    );
    std::fs::write(file("c.key"), &two.key).unwrap();
    check(
        "routes.toml:5:31",
        "the certificate and its key can't be used together",
    );
    let program = Program::start(crossfade(folder.path(), &["run"]));
    let (status, said) = program.wait();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("bad-tls"), "{said}");
}
