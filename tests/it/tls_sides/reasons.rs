//! What the log says of handshakes that fail, and whom a side is judged by without roots of its own.

use super::{TLS, ok, shows};
use crate::harness::client::get;
use crate::harness::program::crossfade;
use crate::harness::tls::{Authority, server};
use crate::harness::{Backend, Program};
use std::path::Path;

/// The program with old at this backend, as the system would start it.
fn run(folder: &Path, backend: &Backend, tls: &str, roots: &str) -> Program {
    let text = format!(
        "[migration]\nname = \"t\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [old]\nurl = \"https://{}\"\n{tls}\n[new]\nurl = \"http://127.0.0.1:1\"\n",
        backend.address()
    );
    std::fs::write(folder.join("routes.toml"), text).unwrap();
    let mut command = crossfade(folder, &["run"]);
    // Whom this machine believes.
    command.env("SSL_CERT_FILE", folder.join(roots));
    command.env_remove("SSL_CERT_DIR");
    Program::start(command)
}

#[test]
fn the_log_says_why_a_handshake_failed() {
    let (ca, other) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    let check = |backend: &Backend, expected: &str| {
        let mut program = run(folder.path(), backend, TLS, "ca.pem");
        let (address, _) = program.addresses();
        assert_eq!(get(address, "/").status, 502);
        let said = program.wait_for("connecting failed: ");
        assert!(said.contains(expected), "{expected}: {}", program.said());
    };
    let tls = |config| Backend::start_tls(config, ok);
    check(&tls(shows(&ca, &["b.test"])), "not valid for name");
    // The two have the same name, but not the same key.
    check(&tls(shows(&other, &["a.test"])), "BadSignature");
    let expired = server(&ca.sign_expired(&["a.test"]), None, &[]);
    check(&tls(expired), "certificate expired");
    check(&Backend::text("plain"), "does not speak TLS");
    let mutual = server(&ca.sign(&["a.test"]), Some(&ca), &[]);
    check(
        &tls(mutual),
        "refused our certificate, or that we have none",
    );
}

#[test]
fn without_roots_of_its_own_a_side_is_judged_by_those_of_the_machine() {
    let (ca, other) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    for (name, authority) in [("ca.pem", &ca), ("other.pem", &other)] {
        std::fs::write(folder.path().join(name), authority.pem()).unwrap();
    }
    let backend = Backend::start_tls(shows(&ca, &["127.0.0.1"]), ok);
    for (roots, status) in [("ca.pem", 200), ("other.pem", 502)] {
        let mut program = run(folder.path(), &backend, "", roots);
        let (address, _) = program.addresses();
        assert_eq!(get(address, "/").status, status, "{}", program.said());
    }
    let program = run(folder.path(), &backend, "", "none.pem");
    let (status, said) = program.wait();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("no roots to judge certificates by"), "{said}");
}
