//! A folder with a routes.toml, and commands that are run in it.

use crate::harness::proxy::own_address;
use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const ROUTES: &str = r#"
[[route]]
name = "content-tags"   # the first to move
match = "* /contents/{content}/tags"
key = "{path.content}"
percent = 50            # half
shadow = { percent = 70, timeout = "2s" }
compare = { unordered = ["$.tags"] }

[[route]]
name = "search"
match = "POST /search"
read = true
key = "{body./id|header.x-user}"
percent = 50
"#;

/// A folder with a routes.toml in which commands are run.
pub(super) struct Place {
    pub(super) folder: TempDir,
}

impl Place {
    /// A file whose proxy listens on ports that the system chooses; nobody is there.
    pub(super) fn new() -> Self {
        Self::with_admin(closed_port())
    }

    pub(super) fn with_admin(admin: SocketAddr) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let listen = closed_port();
        let head = format!(
            "[migration]\nname = \"tags\"   # ours\n[server]\nlisten = \"{listen}\"\nadmin = \"{admin}\"\nworkers = 1\n\
             [old]\nurl = \"http://127.0.0.1:7001\"\n[new]\nurl = \"http://127.0.0.1:7002\"\n"
        );
        fs::write(place.file(), head + ROUTES).unwrap();
        place
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("routes.toml")
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command line whose words have no spaces.
    #[track_caller]
    pub(super) fn run(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        Ran::new(line, self.command(&words).output().unwrap())
    }
}

/// How a command ended.
pub(super) struct Ran {
    pub(super) line: String,
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    pub(super) fn new(line: &str, output: Output) -> Self {
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self {
            line: line.to_owned(),
            status: output.status.code().unwrap(),
            out,
            err,
        }
    }

    #[track_caller]
    pub(super) fn ends_with(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "{}\n{}{}",
            self.line, self.out, self.err
        );
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.line, self.out))
    }
}

/// Where nobody listens. It is at an address of its own, since a port of 127.0.0.1 may be another test's by the time that it is asked.
pub(super) fn closed_port() -> SocketAddr {
    TcpListener::bind(own_address())
        .unwrap()
        .local_addr()
        .unwrap()
}
