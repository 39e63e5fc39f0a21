//! A disk that is full while the program runs, or when it starts: it goes on serving and judging, says so once, counts what is lost, and keeps everything
//! again when there is room.
//!
//! What is full is the process's own allowance for the size of files (`RLIMIT_FSIZE`), which can be changed while it runs: nothing is written beyond it.

use crate::harness::backend::Seen;
use crate::harness::client::admin;
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Reply, Setup, wait_until};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

/// Two sides that call things by different names, and differ in what they say of every second one.
struct Place {
    folder: TempDir,
    _sides: [Backend; 2],
}

/// The program in it.
struct Run {
    program: Program,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Place {
    fn new() -> Self {
        let side = |is_new: bool| {
            Backend::start(move |seen: &Seen| {
                let id: u32 = seen.target.rsplit_once('/').unwrap().1.parse().unwrap();
                let name = if is_new {
                    json!(format!("t-{id}"))
                } else {
                    json!(id)
                };
                Reply::json(&json!({"id": name, "n": u32::from(is_new) * (id % 2)}))
            })
        };
        let sides = [side(false), side(true)];
        let route = |name: &str| {
            format!(
                "name = \"{name}\"\nmatch = \"GET /{name}/{{id}}\"\nkey = \"{{path.id}}\"\nshadow = 100\n\
                 compare = {{ map = {{ \"$.id\" = \"tag-id\" }}, recheck = [] }}"
            )
        };
        let setup = Setup::new(&sides[0], &sides[1])
            .set("ids.tag-id", "max_pairs = 10000")
            .route(&route("tags"))
            .route(&route("more"));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), setup.text()).unwrap();
        Self {
            folder,
            _sides: sides,
        }
    }

    /// Starts it where a file may have so many KiB (512 bytes are a block).
    fn run(&self, kib: Option<u64>) -> Run {
        let limit = kib.map_or("unlimited".to_owned(), |kib| (2 * kib).to_string());
        // The system would end who writes more, unless that signal is ignored.
        let script = format!("trap '' XFSZ; ulimit -S -f {limit}; exec \"$0\" \"$@\"");
        let program = crossfade(self.folder.path(), &["run"]);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(program.get_program());
        command.args(program.get_args()).env("NO_COLOR", "1");
        command.current_dir(self.folder.path());
        let mut program = Program::start(command);
        let (address, admin) = program.addresses();
        Run {
            program,
            address,
            admin,
        }
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join("routes.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text.replacen(from, to, 1)).unwrap();
        fs::rename(draft, file).unwrap();
    }
}

impl Run {
    /// A file may have so many bytes from now on.
    fn limit(&self, bytes: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let current = bytes.or(maximum);
        let limit = Rlimit { current, maximum };
        prlimit(Some(self.program.pid()), Resource::Fsize, limit).unwrap();
    }

    fn page(&self) -> Page {
        Page::parse(admin(self.admin, "GET", "/metrics", None).text())
    }

    fn json(&self, target: &str) -> Value {
        let answer = admin(self.admin, "GET", target, None);
        assert_eq!(answer.status, 200, "{target}: {:?}", answer.body);
        answer.json()
    }

    fn lost(&self) -> f64 {
        let write = [("reason", "write")];
        self.page().sum("crossfade_samples_lost_total", &write)
    }

    fn confirmed(&self) -> f64 {
        let confirmed = [("state", "confirmed")];
        self.page().sum("crossfade_ids", &confirmed)
    }

    fn samples(&self) -> Vec<Value> {
        let page = self.json("/api/samples?limit=1000");
        page["samples"].as_array().unwrap().clone()
    }

    /// How often it was said of samples, and of identities, that they can't be kept, and that they are again.
    fn told(&self) -> [(usize, usize); 2] {
        let said = self.program.said();
        let count = |words: &str| said.matches(words).count();
        ["samples", "identities"].map(|what| {
            let (lost, kept) = ("can't be kept", "are kept again");
            (
                count(&format!("{what} {lost}")),
                count(&format!("{what} {kept}")),
            )
        })
    }

    /// Sets an override with this reason; whether it will outlive a restart.
    fn overrule(&self, reason: &str) -> bool {
        let body = json!({"serve": "old", "route": null, "reason": reason});
        let answer = admin(self.admin, "PUT", "/api/override", Some(&body));
        assert_eq!((answer.status, self.reason()), (200, json!(reason)));
        answer.json().get("durable") != Some(&json!(false))
    }

    fn reason(&self) -> Value {
        self.json("/api/config")["override"]["reason"].clone()
    }

    /// Waits until all is judged that was asked in so many turns.
    fn settle(&self, turns: u32) {
        wait_until("all is judged", || {
            let page = self.page();
            let judged = |verdict| {
                let verdict = [("verdict", verdict)];
                page.sum("crossfade_comparisons_total", &verdict) as u32
            };
            (judged("match"), judged("mismatch")) == (2 * turns, turns)
        });
        assert_eq!(self.confirmed(), f64::from(turns));
    }

    /// Ends it, when nobody asks any more.
    fn end(self, asking: Asking) -> String {
        drop(asking);
        self.program.signal(Signal::TERM);
        let (status, said) = self.program.wait();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}

/// Asks for new things each time.
struct Asking {
    client: Client,
    asked: u32,
}

impl Asking {
    fn of(run: &Run) -> Self {
        Self {
            client: Client::connect(run.address),
            asked: 0,
        }
    }

    /// Two pairs from which a name is learnt, and one that differs; all are judged then.
    fn ask(&mut self, run: &Run) {
        let id = 2 * self.asked;
        self.asked += 1;
        for (route, id) in [("tags", id), ("more", id), ("tags", id + 1)] {
            assert_eq!(self.client.get(&format!("/{route}/{id}")).status, 200);
        }
        run.settle(self.asked);
    }
}

/// Runs where files may have so many bytes until more was lost several times, and then until all is kept again.
fn fill_and_make_room(run: &Run, asking: &mut Asking, bytes: u64) {
    wait_until("both are told", || {
        asking.ask(run);
        run.told().iter().all(|(lost, _)| *lost > 0)
    });
    for _ in 0..4 {
        let before = run.lost();
        wait_until("more is lost", || {
            asking.ask(run);
            run.lost() > before
        });
    }
    for (lost, kept) in run.told() {
        // Now and then what there is to be written may fit.
        assert!(lost == kept + 1 || lost == kept && bytes > 0);
        assert!(lost == 1 || bytes > 0, "told once");
    }
    run.limit(None);
    wait_until("both are told", || {
        asking.ask(run);
        run.told().iter().all(|(lost, kept)| lost == kept)
    });
}

/// A full disk while it runs.
fn while_it_runs(bytes: u64) {
    let place = Place::new();
    let run = place.run(None);
    let mut asking = Asking::of(&run);
    (0..5).for_each(|_| asking.ask(&run));
    wait_until("they are kept", || run.samples().len() == 5);
    let kept = run.samples();
    assert!(run.overrule("before"));

    run.limit(Some(bytes));
    assert_eq!(run.overrule("while it is full"), bytes > 0);
    place.edit("max_pairs = 10000", "max_pairs = 20000");
    wait_until("the edit is in force", || {
        run.json("/api/config")["generation"] == 2
    });
    fill_and_make_room(&run, &mut asking, bytes);
    assert!(run.overrule("after"));
    let lost = run.lost();
    let all = run.samples();
    assert!(all.ends_with(&kept), "what was kept is kept");
    assert!(all.len() > kept.len());
    // What was asked at last is written with the end.
    asking.ask(&run);
    assert_eq!(run.lost(), lost);
    let confirmed = run.confirmed();
    let said = run.end(asking);
    assert!(!said.contains("damaged"), "{said}");

    let run = place.run(None);
    assert_eq!(run.confirmed(), confirmed);
    assert!(run.samples().ends_with(&all));
    assert_eq!(run.reason(), "after");
}

#[test]
fn while_nothing_can_be_written_nothing_else_is_lost() {
    while_it_runs(0);
}

#[test]
fn while_a_part_can_be_written_nothing_else_is_lost() {
    while_it_runs(10_000);
}

#[test]
fn while_most_can_be_written_nothing_else_is_lost() {
    while_it_runs(100_000);
}

#[test]
fn a_start_without_room_serves_and_keeps_what_comes_when_there_is_some() {
    for kib in [0, 5, 50] {
        let place = Place::new();
        let run = place.run(Some(kib));
        let mut asking = Asking::of(&run);
        fill_and_make_room(&run, &mut asking, 1024 * kib);
        let (all, confirmed) = (run.samples(), run.confirmed());
        assert!(!all.is_empty());
        let said = run.end(asking);
        assert!(!said.contains("damaged"), "{said}");
        let run = place.run(None);
        assert_eq!(run.confirmed(), confirmed);
        assert_eq!(run.samples(), all);
    }
}

/// A file takes its length before its first page is written, and where that finds no room it stays so.
#[test]
fn files_that_were_never_finished_are_begun_anew_without_a_word() {
    let place = Place::new();
    let state = place.folder.path().join("state");
    fs::create_dir(&state).unwrap();
    for name in ["samples.redb", "ids.redb"] {
        let file = fs::File::create(state.join(name)).unwrap();
        file.set_len(1 << 20).unwrap();
    }
    let run = place.run(None);
    let mut asking = Asking::of(&run);
    asking.ask(&run);
    wait_until("it is kept", || run.samples().len() == 1);
    let said = run.end(asking);
    assert!(!said.contains("ERROR"), "{said}");
    let run = place.run(None);
    assert_eq!((run.confirmed(), run.samples().len()), (1.0, 1));
    let names = fs::read_dir(&state).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name());
    assert!(!names.any(|name| name.to_string_lossy().contains("damaged")));
}
