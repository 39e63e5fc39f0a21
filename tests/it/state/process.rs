//! The program itself: which file it starts from, what a crash leaves, and how signals end it.

use super::all_new;
use crate::harness::client::{Ending, admin, get};
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade, output};
use crate::harness::proxy::nobody;
use crate::harness::{Backend, Client, Gate, Reply, Setup, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a routes.toml, and sides that answer with their names.
struct Place {
    folder: TempDir,
    _sides: [Backend; 2],
}

/// `crossfade run` in it.
struct Run {
    program: Program,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Place {
    fn new(setup: impl FnOnce(Setup) -> Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sides = [Backend::text("old"), Backend::text("new")];
        let text = setup(all_new(&sides[0], &sides[1])).text();
        fs::write(folder.path().join("routes.toml"), text).unwrap();
        Self {
            folder,
            _sides: sides,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("routes.toml")
    }

    #[track_caller]
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(from));
        let draft = self.path().join("draft");
        fs::write(&draft, text.replacen(from, to, 1)).unwrap();
        fs::rename(draft, self.file()).unwrap();
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Run {
        let mut program = Program::start(crossfade(self.path(), &[&["run"], arguments].concat()));
        let (address, admin) = program.addresses();
        Run {
            program,
            address,
            admin,
        }
    }

    /// Runs it, and expects that it ends by itself; returns what it said.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], status: i32) -> String {
        let ended = output(crossfade(self.path(), &[&["run"], arguments].concat()));
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(status), "{said}");
        assert!(ended.stdout.is_empty());
        said
    }
}

impl Run {
    fn config(&self) -> Value {
        let answer = admin(self.admin, "GET", "/api/config", None);
        assert_eq!(answer.status, 200);
        answer.json()
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        Page::parse(admin(self.admin, "GET", "/metrics", None).text()).sum(name, labels)
    }

    #[track_caller]
    fn served(&self) -> (String, String) {
        let answer = get(self.address, "/all/1");
        assert_eq!(answer.status, 200);
        let why = answer.header("x-crossfade-why").unwrap();
        (answer.text().to_owned(), why.to_owned())
    }

    /// Ends it as a crash does.
    fn crash(self) {
        self.program.signal(Signal::KILL);
        self.program.wait();
    }
}

fn words(side: &str, why: &str) -> (String, String) {
    (side.to_owned(), why.to_owned())
}

#[test]
fn a_broken_file_is_replaced_by_what_was_in_force_last() {
    let place = Place::new(|setup| setup);
    let run = place.run(&[]);
    assert_eq!(run.served(), words("new", "bucket"));
    place.edit("percent = 100", "percent = 0");
    wait_until("the edit is in force", || run.config()["generation"] == 2);
    let last_good = fs::read_to_string(place.file()).unwrap();
    wait_until("the copy is kept", || {
        let copy = fs::read_to_string(place.path().join("state/last-good.toml"));
        copy.is_ok_and(|text| text == last_good)
    });
    place.edit("percent = 0", "percent = 140");
    wait_until("the edit is refused", || {
        !run.config()["last_error"].is_null()
    });
    run.crash();

    let said = place.refuses(&["--strict"], 2);
    assert!(
        said.contains("140") && said.contains("routes.toml"),
        "{said}"
    );
    let run = place.run(&[]);
    assert!(run.program.said().contains("last good copy"));
    assert_eq!(run.served(), words("old", "bucket"));
    let config = run.config();
    assert_eq!(config["generation"], 1);
    assert_eq!(
        config["sha256"],
        crossfade::config::sha256(last_good.as_bytes())
    );
    assert_eq!(
        config["last_error"]["problems"][0]["path"],
        "route[0].percent"
    );
    let name = "crossfade_config_last_reload_successful";
    assert_eq!(run.metric(name, &[]), 0.0);

    place.edit("percent = 140", "percent = 100");
    wait_until("the edit is in force", || run.config()["generation"] == 2);
    assert_eq!(run.served(), words("new", "bucket"));
    assert_eq!(run.metric(name, &[]), 1.0);
    assert!(run.config()["last_error"].is_null());
}

/// The copy is found however broken the file is, and wherever the file says that it is.
#[test]
fn the_copy_is_found_beside_every_kind_of_break() {
    let keep = |setup: Setup| Setup::text(&setup).replace("\"state\"", "\"kept/here\"");
    let place = Place::new(|setup| setup);
    let good = {
        let [old, new] = &place._sides;
        keep(all_new(old, new))
    };
    fs::write(place.file(), &good).unwrap();
    place.run(&[]).crash();
    assert!(place.path().join("kept/here/last-good.toml").exists());
    for broken in [
        good.replace("percent = 100", "percent = 140"),
        good.replace("percent = 100", "percent = = 100"),
        good.replace("[[route]]", "[[route]"),
        format!("{good}\nbroken\n"),
    ] {
        assert_ne!(broken, good);
        fs::write(place.file(), &broken).unwrap();
        let run = place.run(&[]);
        assert_eq!(run.served(), words("new", "bucket"), "{broken}");
        run.crash();
    }
}

#[test]
fn without_a_copy_a_broken_file_is_the_end() {
    let place = Place::new(|setup| setup);
    place.edit("percent = 100", "percent = 140");
    for arguments in [&[][..], &["--strict"]] {
        let said = place.refuses(arguments, 2);
        assert!(
            said.contains("140") && said.contains("routes.toml:"),
            "{said}"
        );
    }
    let said = place.refuses(&["--config", "absent.toml"], 2);
    assert!(said.contains("absent.toml"), "{said}");
    // A copy that is broken too helps nobody.
    fs::create_dir(place.path().join("state")).unwrap();
    fs::write(place.path().join("state/last-good.toml"), "broken").unwrap();
    let said = place.refuses(&[], 2);
    assert!(said.contains("last-good.toml"), "{said}");
}

#[test]
fn a_port_in_use_is_a_failure_at_run_time() {
    for key in ["listen", "admin"] {
        let place = Place::new(|setup| setup);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = (taken.local_addr().unwrap(), taken);
        place.edit(
            &format!("{key} = \"127.0.0.1:0\""),
            &format!("{key} = \"{}\"", taken.0),
        );
        let said = place.refuses(&[], 1);
        for part in [format!("server.{key}"), taken.0.to_string()] {
            assert!(said.contains(&part), "{part}: {said}");
        }
        assert!(!place.path().join("state").exists(), "nothing was applied");
    }
}

#[test]
fn an_override_outlives_a_crash() {
    let place = Place::new(|setup| setup);
    let run = place.run(&[]);
    let body = json!({"serve": "old", "route": "all", "reason": "wrong prices"});
    let set = admin(run.admin, "PUT", "/api/override", Some(&body));
    assert_eq!(set.status, 200);
    run.crash();
    let run = place.run(&[]);
    assert_eq!(run.served(), words("old", "override"));
    assert_eq!(run.config()["override"], set.json()["override"]);
    assert_eq!(
        admin(run.admin, "DELETE", "/api/override", None).status,
        204
    );
    run.crash();
    assert_eq!(place.run(&[]).served(), words("new", "bucket"));
}

#[test]
fn sighup_reads_the_file_at_once() {
    let place = Place::new(|setup| setup);
    let run = place.run(&[]);
    run.program.signal(Signal::HUP);
    wait_until("the file is read again", || {
        run.metric("crossfade_config_reloads_total", &[("result", "unchanged")]) == 1.0
    });
    // The program was given no folder with its file; the watch is on the right one all the same.
    fs::write(place.file(), fs::read(place.file()).unwrap()).unwrap();
    wait_until("the watch tells of the same text", || {
        run.metric("crossfade_config_reloads_total", &[("result", "unchanged")]) == 2.0
    });
    assert_eq!(run.served(), words("new", "bucket"));
}

/// A request whose answer has begun and waits at a gate, in a program that then gets a signal.
struct Slow {
    run: Run,
    client: Client,
    gate: Gate,
    _place: Place,
    _backend: Backend,
}

impl Slow {
    fn start() -> Self {
        let gate = Gate::default();
        let opened = gate.clone();
        let backend = Backend::start(move |_| Reply::halting_at(&opened));
        let place = Place::new(|_| Setup::both(&backend));
        let run = place.run(&[]);
        let mut client = Client::connect(run.address);
        client.send_request("GET", "/slow", &[], b"");
        assert_eq!(client.head().status, 200);
        Self {
            run,
            client,
            gate,
            _place: place,
            _backend: backend,
        }
    }

    fn wait_until_nobody_can_connect(&self) {
        wait_until("new connections are refused", || {
            TcpStream::connect(self.run.address).is_err()
        });
    }
}

#[test]
fn sigterm_and_sigint_let_what_runs_finish() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut slow = Slow::start();
        slow.run.program.signal(signal);
        slow.wait_until_nobody_can_connect();
        if signal == Signal::TERM {
            // Only a second SIGINT is impatient.
            slow.run.program.signal(signal);
        }
        slow.gate.open();
        let rest = "7\r\nbegun, \r\n8\r\nand done\r\n0\r\n\r\n";
        assert_eq!(slow.client.read_exactly(rest.len()), rest.as_bytes());
        // What began before the signal said nothing of an end; the next answer does.
        let next = slow.client.get("/next");
        assert_eq!(next.header("connection"), Some("close"));
        assert_eq!(slow.client.rest(), (Vec::new(), Ending::Closed));
        let (status, said) = slow.run.program.wait();
        assert_eq!(status.code(), Some(0), "{said}");
    }
}

/// Whoever balances over several proxies sees that this one goes, and has `drain_delay` to turn away; clients notice nothing.
#[test]
fn not_ready_comes_before_the_listener_closes() {
    let place = Place::new(|setup| setup.set("server", "drain_delay = \"720h\""));
    let run = place.run(&[]);
    let ready = || admin(run.admin, "GET", "/readyz", None).status;
    assert_eq!(ready(), 200);
    run.program.signal(Signal::TERM);
    wait_until("it says that it is not ready", || ready() == 503);
    let answer = get(run.address, "/all/1");
    assert_eq!((answer.text(), answer.header("connection")), ("new", None));
    assert_eq!(admin(run.admin, "GET", "/livez", None).status, 200);
    run.program.signal(Signal::INT);
    assert_eq!(run.program.wait().0.code(), Some(130));

    place.edit("\"720h\"", "\"10ms\"");
    let run = place.run(&[]);
    run.program.signal(Signal::TERM);
    let (status, said) = run.program.wait();
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Ready is a proxy that can answer, if only that a side is gone: behind every other proxy it would be the same.
#[test]
fn readiness_does_not_ask_the_sides() {
    let place = Place::new(|_| Setup::new(&nobody(), &nobody()));
    let run = place.run(&[]);
    assert_eq!(admin(run.admin, "GET", "/readyz", None).status, 200);
    assert_eq!(get(run.address, "/").status, 502);
    assert_eq!(admin(run.admin, "GET", "/readyz", None).status, 200);
    // A file that went bad is not a reason either: what was in force serves on.
    place.edit("[migration]", "[migrations]");
    wait_until("the edit is refused", || {
        !run.config()["last_error"].is_null()
    });
    assert_eq!(admin(run.admin, "GET", "/readyz", None).status, 200);
}

#[test]
fn a_second_sigint_ends_at_once() {
    let mut slow = Slow::start();
    slow.run.program.signal(Signal::INT);
    slow.wait_until_nobody_can_connect();
    slow.run.program.signal(Signal::INT);
    let (status, said) = slow.run.program.wait();
    assert_eq!(status.code(), Some(130), "{said}");
    let (rest, _) = slow.client.rest();
    assert!(!String::from_utf8(rest).unwrap().contains("done"));
}
