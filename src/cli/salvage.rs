//! What a file says of a few keys even where it can't be used as a whole: a rollback must find the proxy, and a start the
//! last good copy, above all when the file is broken.

use crate::app;
use crate::config;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `server.admin` where a file doesn't say it.
pub(super) const DEFAULT_ADMIN: &str = "127.0.0.1:9900";
/// `server.state_dir` where a file doesn't say it.
const DEFAULT_STATE_DIR: &str = "state";

/// What could be made out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Salvage {
    /// `server.admin`; the default in a file of TOML without a mistake of syntax that doesn't say it.
    pub(super) admin: Option<SocketAddr>,
    /// `server.admin_token_file`.
    pub(super) token_file: Option<PathBuf>,
    /// `server.state_dir`, or the default.
    pub(super) state_dir: PathBuf,
}

impl Salvage {
    /// Reads a file; one that can't be read, or is no TOML, says nothing.
    pub(super) fn read(path: &Path) -> Self {
        let reading = app::read(path);
        if let Some(settings) = reading.settings {
            let server = settings.server;
            return Self {
                admin: Some(server.admin),
                token_file: server.admin_token_file,
                state_dir: server.state_dir,
            };
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        // Whatever stands on lines that are right counts, wherever the broken ones are.
        let whole = reading.text.parse::<toml::Table>().ok();
        let is_whole = whole.as_ref().is_some_and(|table| !table.is_empty());
        let table = whole.or_else(|| config::repaired(&reading.text)?.parse().ok());
        let value = |key: &str| table.as_ref()?.get("server")?.get(key)?.as_str();
        let admin = value("admin").or_else(|| is_whole.then_some(DEFAULT_ADMIN));
        let admin = admin.and_then(|admin| admin.parse().ok());
        Self {
            admin,
            token_file: value("admin_token_file").map(|token| folder.join(token)),
            state_dir: folder.join(value("state_dir").unwrap_or(DEFAULT_STATE_DIR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_broken_file_still_says_where_things_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.toml");
        let all = "[server]\nadmin = \"127.0.0.1:1234\"\nadmin_token_file = \"token\"\nstate_dir = \"kept\"\nbogus = 1";
        let rows = [
            (all, Some("127.0.0.1:1234"), Some("token"), "kept"),
            ("[server]\nbogus = 1", Some(DEFAULT_ADMIN), None, "state"),
            ("[server]\nadmin = \"nowhere\"", None, None, "state"),
            ("[server", None, None, "state"),
            ("[server]\nlisten = = 1", None, None, "state"),
            ("", None, None, "state"),
        ];
        let broken = [
            format!("broken\n{all}"),
            format!("[migration]\nname = = 1\n{all}"),
            format!("{all}\n[[route]\nname = \"a\""),
            format!("{all}\nlisten = \"127.0.0.1:80\nworkers = 1"),
        ];
        let broken = broken
            .iter()
            .map(|text| (&**text, Some("127.0.0.1:1234"), Some("token"), "kept"));
        for (text, admin, token_file, state_dir) in rows.into_iter().chain(broken) {
            fs::write(&path, text).unwrap();
            let expected = Salvage {
                admin: admin.map(|admin| admin.parse().unwrap()),
                token_file: token_file.map(|file| folder.path().join(file)),
                state_dir: folder.path().join(state_dir),
            };
            assert_eq!(Salvage::read(&path), expected, "{text}");
        }
        assert_eq!(
            Salvage::read(&folder.path().join("absent.toml")).admin,
            None
        );
    }
}
