//! Files of `state_dir`: the last good routes.toml, the override, and what was said of causes, so that all survive a restart.
//!
//! A file is written beside its place, synced, moved into place, and the directory is synced: after a crash or a loss of power it
//! is the old text or the new one, never half of one. Files are readable by their owner alone (0600), and a directory that is
//! made here too (0700): a routes.toml may hold secrets.

use crate::side::Side;
use crate::store::causes::Ack;
use crate::store::side_text;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const LAST_GOOD: &str = "last-good.toml";
const OVERRIDE: &str = "override.json";
const ACKS: &str = "acks.json";

/// The directory of durable state.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// One writer at a time: two would share the file beside the place.
    writing: Mutex<Owner>,
}

/// Who may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owner {
    #[default]
    Us,
    /// The process that takes over.
    Another,
}

/// The right to write.
type Turn<'a> = MutexGuard<'a, Owner>;

/// The override of the admin API, as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedOverride {
    /// The side that serves.
    #[serde(with = "side_text")]
    pub serve: Side,
    /// A route's name; `None` for everything.
    pub route: Option<String>,
    /// Why, in the words of whoever set it.
    pub reason: String,
    /// When it was set, RFC 3339.
    pub at: String,
}

/// Why durable state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refuses.
    #[error("can't {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The state is another process's by now.
    #[error("{} belongs to the process that has taken over", _0.display())]
    GivenUp(PathBuf),
    /// The file does not hold what was written there.
    #[error("{} does not hold what was written there", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl StateDir {
    /// State in a directory, which is made when something is first written.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            writing: Mutex::default(),
        }
    }

    /// Leaves the state to another process: once what is being written is written, nothing is written any more.
    pub fn give_up(&self) {
        *self.lock() = Owner::Another;
    }

    /// The other process is gone.
    pub fn take_back(&self) {
        *self.lock() = Owner::Us;
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the text of a file that was applied.
    pub fn save_last_good(&self, text: &str) -> Result<(), StateError> {
        self.write(&self.turn()?, LAST_GOOD, text.as_bytes())
    }

    /// The text of the file that was applied last, if one was kept.
    pub fn last_good(&self) -> Result<Option<String>, StateError> {
        self.read(LAST_GOOD)
    }

    /// Where the text of the file that was applied last is kept.
    #[must_use]
    pub fn last_good_path(&self) -> PathBuf {
        self.path.join(LAST_GOOD)
    }

    /// Keeps an override.
    pub fn save_override(&self, saved: &SavedOverride) -> Result<(), StateError> {
        self.keep_override(|| Some(saved.clone()))
    }

    /// Forgets the override. That there is none is no error.
    pub fn clear_override(&self) -> Result<(), StateError> {
        self.keep_override(|| None)
    }

    /// Makes the file say what `current` says when the file's turn comes: callers that overtake each other leave it right.
    pub fn keep_override(
        &self,
        current: impl FnOnce() -> Option<SavedOverride>,
    ) -> Result<(), StateError> {
        let turn = self.turn()?;
        match current() {
            Some(saved) => self.write(
                &turn,
                OVERRIDE,
                &serde_json::to_vec(&saved).expect("texts always serialise"),
            ),
            None => self.remove(&turn, OVERRIDE),
        }
    }

    /// The override in force when the process ended, if there was one.
    pub fn load_override(&self) -> Result<Option<SavedOverride>, StateError> {
        let Some(text) = self.read(OVERRIDE)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| StateError::Malformed {
                path: self.path.join(OVERRIDE),
                source,
            })
    }

    /// Makes the file say what was said of causes when the file's turn comes.
    pub fn keep_acks(&self, current: impl FnOnce() -> Vec<Ack>) -> Result<(), StateError> {
        let turn = self.turn()?;
        let text = serde_json::to_vec(&current()).expect("texts always serialise");
        self.write(&turn, ACKS, &text)
    }

    /// What was said of causes before the process ended.
    pub fn load_acks(&self) -> Result<Vec<Ack>, StateError> {
        let Some(text) = self.read(ACKS)? else {
            return Ok(Vec::new());
        };
        serde_json::from_str(&text).map_err(|source| StateError::Malformed {
            path: self.path.join(ACKS),
            source,
        })
    }

    fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io {
                doing: "read",
                path,
                source,
            }),
        }
    }

    fn remove(&self, _turn: &Turn<'_>, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_directory(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(StateError::Io {
                doing: "remove",
                path,
                source,
            }),
        }
    }

    fn write(&self, _turn: &Turn<'_>, name: &str, content: &[u8]) -> Result<(), StateError> {
        self.make()?;
        let path = self.path.join(name);
        // The process id keeps two processes apart that share a directory by mistake.
        let beside = self
            .path
            .join(format!(".{name}.{}.tmp", std::process::id()));
        let written = write_synced(&beside, content).and_then(|()| fs::rename(&beside, &path));
        if let Err(source) = written {
            // Nothing depends on its removal: the next write begins by emptying it.
            let _ = fs::remove_file(&beside);
            return Err(StateError::Io {
                doing: "write",
                path,
                source,
            });
        }
        self.sync_directory()
    }

    /// Makes the directory, unless it is there.
    pub fn make(&self) -> Result<(), StateError> {
        if self.path.is_dir() {
            return Ok(());
        }
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path);
        made.map_err(|source| StateError::Io {
            doing: "make the directory",
            path: self.path.clone(),
            source,
        })?;
        match self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => sync(parent),
            None => sync(Path::new(".")),
        }
    }

    fn sync_directory(&self) -> Result<(), StateError> {
        sync(&self.path)
    }

    fn turn(&self) -> Result<Turn<'_>, StateError> {
        let turn = self.lock();
        match *turn {
            Owner::Us => Ok(turn),
            Owner::Another => Err(StateError::GivenUp(self.path.clone())),
        }
    }

    fn lock(&self) -> Turn<'_> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file that only its owner can read, and returns once it is on the disk.
fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // The mode above counts only for a file that is new; one left by a crash keeps its own.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes renames and removals in a directory last.
fn sync(directory: &Path) -> Result<(), StateError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| StateError::Io {
            doing: "sync",
            path: directory.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn saved(reason: &str) -> SavedOverride {
        SavedOverride {
            serve: Side::Old,
            route: Some("tags".to_owned()),
            reason: reason.to_owned(),
            at: "2024-01-01T00:00:00.000Z".to_owned(),
        }
    }

    #[test]
    fn what_is_saved_is_loaded_and_replaced_and_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("deep/state"));
        assert_eq!(state.last_good().unwrap(), None);
        assert_eq!(state.load_override().unwrap(), None);
        state.clear_override().unwrap();
        state.save_last_good("a = 1").unwrap();
        state.save_last_good("b = 2").unwrap();
        state.save_override(&saved("one")).unwrap();
        state.save_override(&saved("two")).unwrap();
        let again = StateDir::new(state.path());
        assert_eq!(again.last_good().unwrap().as_deref(), Some("b = 2"));
        assert_eq!(again.load_override().unwrap(), Some(saved("two")));
        again.clear_override().unwrap();
        assert_eq!(state.load_override().unwrap(), None);
        let mut left: Vec<_> = fs::read_dir(state.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [LAST_GOOD], "nothing else is left behind");
    }

    #[test]
    fn what_was_given_up_is_not_written_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        state.save_override(&saved("before")).unwrap();
        state.give_up();
        for refused in [
            state.save_override(&saved("after")),
            state.clear_override(),
            state.save_last_good("after"),
        ] {
            assert!(matches!(refused, Err(StateError::GivenUp(_))));
        }
        assert_eq!(state.load_override().unwrap(), Some(saved("before")));
        assert_eq!(state.last_good().unwrap(), None);
        state.take_back();
        state.clear_override().unwrap();
        assert_eq!(state.load_override().unwrap(), None);
    }

    #[test]
    fn only_the_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path().join("state"));
        state.save_last_good("secret").unwrap();
        assert_eq!(mode(state.path()), 0o700);
        assert_eq!(mode(&state.last_good_path()), 0o600);
        // A file left by a crash, readable by all, under the name that is written first.
        let beside = state
            .path()
            .join(format!(".{OVERRIDE}.{}.tmp", std::process::id()));
        fs::write(
            &beside,
            "a longer text than the one that replaces it ".repeat(9),
        )
        .unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        state.save_override(&saved("short")).unwrap();
        assert_eq!(mode(&state.path().join(OVERRIDE)), 0o600);
        assert_eq!(state.load_override().unwrap(), Some(saved("short")));
    }

    #[test]
    fn errors_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "not a directory").unwrap();
        let state = StateDir::new(file.join("state"));
        for error in [
            state.save_last_good("x").unwrap_err(),
            state.save_override(&saved("x")).unwrap_err(),
        ] {
            assert!(
                error.to_string().contains(&*file.to_string_lossy()),
                "{error}"
            );
        }
        let state = StateDir::new(dir.path().join("state"));
        state.save_override(&saved("x")).unwrap();
        for broken in ["{}", "{\"serve\": \"both\"}", "nonsense", ""] {
            fs::write(state.path().join(OVERRIDE), broken).unwrap();
            let error = state.load_override().unwrap_err();
            assert!(matches!(error, StateError::Malformed { .. }), "{broken}");
            assert!(error.to_string().contains("override.json"), "{error}");
        }
        fs::remove_file(state.path().join(OVERRIDE)).unwrap();
        fs::create_dir(state.path().join(OVERRIDE)).unwrap();
        assert!(state.save_override(&saved("x")).is_err());
        assert!(state.load_override().is_err());
        let left: Vec<_> = fs::read_dir(state.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [OVERRIDE], "a failed write leaves nothing behind");
    }

    #[test]
    fn what_was_said_of_causes_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        assert_eq!(state.load_acks().unwrap(), []);
        let ack = Ack {
            id: "0123456789ab".to_owned(),
            note: "known \"so\"".to_owned(),
            until: "2024-02-01T00:00:00Z".to_owned(),
            at: "2024-01-01T00:00:00Z".to_owned(),
            pairs: 7,
        };
        state.keep_acks(|| vec![ack.clone()]).unwrap();
        assert_eq!(StateDir::new(dir.path()).load_acks().unwrap(), [ack]);
        fs::write(dir.path().join(ACKS), "{}").unwrap();
        let error = state.load_acks().unwrap_err();
        assert!(error.to_string().contains("acks.json"), "{error}");
    }

    #[test]
    fn an_override_reads_as_the_admin_api_shows_it() {
        assert_eq!(
            serde_json::to_string(&SavedOverride {
                route: None,
                ..saved("why")
            })
            .unwrap(),
            r#"{"serve":"old","route":null,"reason":"why","at":"2024-01-01T00:00:00.000Z"}"#
        );
    }
}
