//! What is known outlives the process, and a disk that can't be used costs nothing but that.

use super::*;
use crate::compare::ids::Counts;
use crate::compare::{By, Ids, Rules, Verdict, compare_documents};
use crate::json::FieldPath;
use crate::store::StateDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is known under the name `a`, and who keeps it in this folder.
struct Rig {
    ids: Arc<Ids>,
    keeper: Arc<Keeper>,
}

impl Rig {
    fn start(folder: &Path) -> Self {
        Self::with(folder, 100)
    }

    fn with(folder: &Path, most: usize) -> Self {
        let state = Arc::new(StateDir::new(folder.join("state")));
        let (ids, keeper) = Keeper::start(state, [("a", most)].into_iter()).unwrap();
        Self { ids, keeper }
    }

    /// What a record shows by a name, and learns from it.
    fn see_by(&self, name: &str, record: &str, [old, new]: [u32; 2]) -> &'static str {
        let rules = Rules {
            ids: vec![(FieldPath::parse("$").unwrap(), name.to_owned())],
            ..Rules::default()
        };
        let by = By::new(&rules, &self.ids);
        let [old, new] = [old, new].map(|value| value.to_string());
        let found = compare_documents(old.as_bytes(), new.as_bytes(), by);
        if found.verdict != Verdict::Mismatch {
            by.learn(&found.pairings, ["", record]);
        }
        found.verdict.name()
    }

    fn see(&self, record: &str, pair: [u32; 2]) -> &'static str {
        self.see_by("a", record, pair)
    }

    fn counts(&self) -> Counts {
        self.ids.counts()[0].1
    }

    fn stop(self) {
        self.keeper.finish(Duration::from_secs(20));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test that waits for nothing gives up"
)]
fn wait(what: &dyn Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "never happened");
        std::thread::yield_now();
    }
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("state").join(FILE)
}

#[test]
fn what_is_known_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path());
    assert!(!file(folder.path()).exists(), "nothing is known yet");
    for record in ["x", "y"] {
        assert_eq!(rig.see(record, [1, 11]), "match");
    }
    rig.see("x", [2, 12]);
    rig.see("x", [3, 13]);
    // One that is gone again.
    assert_eq!(rig.see("y", [3, 14]), "incomparable");
    let counts = rig.counts();
    assert_eq!((counts.confirmed, counts.candidates), (1, 2));
    rig.stop();
    let mode = fs::metadata(file(folder.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let rig = Rig::start(folder.path());
    assert_eq!(rig.counts(), counts);
    assert_eq!(rig.see("z", [1, 12]), "mismatch");
    assert_eq!(rig.see("x", [2, 12]), "match");
    assert_eq!(rig.counts().confirmed, 1, "the record is the same one");
    rig.see("y", [2, 12]);
    assert_eq!(rig.see("z", [3, 13]), "incomparable");
    rig.stop();
    let rig = Rig::start(folder.path());
    assert_eq!(rig.see("z", [2, 11]), "mismatch");
    assert_eq!(rig.see("z", [3, 13]), "match");
    assert_eq!(rig.counts().confirmed, 2);
}

#[test]
fn what_was_evicted_stays_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(folder.path(), 2);
    for value in 1..=3 {
        rig.see("x", [value, 10 + value]);
    }
    rig.stop();
    let rig = Rig::with(folder.path(), 2);
    assert_eq!(
        rig.counts(),
        Counts {
            candidates: 2,
            confirmed: 0,
            evicted: 1
        }
    );
    assert_eq!(rig.see("x", [9, 19]), "incomparable");
    rig.stop();
    // A lower bound counts for what is read, too.
    let rig = Rig::with(folder.path(), 1);
    assert_eq!(
        rig.counts(),
        Counts {
            candidates: 1,
            confirmed: 0,
            evicted: 3
        }
    );
}

#[test]
fn names_are_read_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path());
    rig.ids.bound([("a", 9), ("b", 9)].into_iter());
    let is_known = |rig: &Rig, name: &str| rig.see_by(name, "x", [1, 11]) == "match";
    wait(&|| is_known(&rig, "b"));
    rig.see_by("b", "y", [1, 11]);
    rig.see("x", [1, 12]);
    rig.stop();
    // Who does not ask for it does not lose it.
    let rig = Rig::start(folder.path());
    rig.see("y", [1, 12]);
    rig.stop();
    let rig = Rig::start(folder.path());
    rig.ids.bound([("b", 9)].into_iter());
    wait(&|| is_known(&rig, "b"));
    assert_eq!(rig.see_by("b", "z", [1, 12]), "mismatch");
}

#[test]
fn a_damaged_file_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(file(folder.path()), vec![7; 10_000]).unwrap();
    let rig = Rig::start(folder.path());
    rig.see("x", [1, 11]);
    rig.see("y", [1, 11]);
    rig.stop();
    let aside = file(folder.path()).with_extension("redb.damaged");
    assert_eq!(fs::read(aside).unwrap(), vec![7; 10_000]);
    assert_eq!(Rig::start(folder.path()).see("z", [1, 12]), "mismatch");
}

#[test]
fn a_place_that_can_not_be_written_is_written_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::write(&state, "no directory").unwrap();
    let rig = Rig::start(folder.path());
    for record in ["x", "y"] {
        assert_eq!(rig.see(record, [1, 11]), "match");
    }
    // It tries, and fails.
    rig.keeper.give_up();
    assert_eq!(rig.see("z", [1, 12]), "mismatch");
    fs::remove_file(&state).unwrap();
    rig.keeper.take_back();
    rig.see("x", [2, 12]);
    rig.stop();
    let rig = Rig::start(folder.path());
    assert_eq!(rig.see("z", [1, 12]), "mismatch");
    assert_eq!(rig.counts().candidates, 1);
}

#[test]
fn a_file_that_can_not_be_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path());
    for record in ["x", "y"] {
        rig.see(record, [1, 11]);
    }
    rig.stop();
    let other = disk::Disk::open(&file(folder.path()), [0; 32]).unwrap();
    let rig = Rig::start(folder.path());
    for record in ["x", "y"] {
        assert_eq!(rig.see(record, [1, 12]), "match", "it is known in memory");
    }
    drop(other);
    rig.stop();
    assert_eq!(Rig::start(folder.path()).see("z", [1, 12]), "mismatch");
}

#[test]
fn another_process_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let before = Rig::start(folder.path());
    for record in ["x", "y"] {
        before.see(record, [1, 11]);
    }
    before.keeper.give_up();
    let after = Rig::start(folder.path());
    assert_eq!(after.see("z", [1, 12]), "mismatch");
    after.see("x", [2, 12]);
    after.stop();
    // It is gone again: what is known is what is known here.
    before.keeper.take_back();
    before.see("x", [3, 13]);
    before.stop();
    let last = Rig::start(folder.path());
    assert_eq!(last.see("z", [1, 12]), "mismatch");
    assert_eq!(last.see("y", [3, 13]), "match");
    assert_eq!(
        last.counts(),
        Counts {
            candidates: 0,
            confirmed: 2,
            evicted: 0
        }
    );
}
