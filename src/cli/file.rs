//! routes.toml as the commands meet it: read whole, checked, its problems shown, replaced at once or not at all.

use crate::app::{self, Reading};
use crate::config::{self, Colour, Settings};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// `--config`.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArg {
    /// The file with the routes
    #[arg(long, value_name = "FILE", default_value = "routes.toml")]
    pub(super) config: PathBuf,
}

/// A file and what it says, usable or not.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) reading: Reading,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            reading: app::read(path),
        }
    }

    /// The settings, or every problem on stderr and one error. Warnings are `check`'s to show.
    pub(super) fn usable(&self) -> Result<&Settings> {
        let Some(settings) = &self.reading.settings else {
            eprint_problems(&self.path, &self.reading);
            bail!("{} can't be used", self.path.display());
        };
        Ok(settings)
    }

    /// The text, if it is the file's to the last byte; else why it isn't, on stderr and as an error. What is no text can't be
    /// edited: writing it again would change bytes that nobody named.
    pub(super) fn text(&self) -> Result<&str> {
        let text = &self.reading.text;
        if config::sha256(text.as_bytes()) != self.reading.identity {
            eprint_problems(&self.path, &self.reading);
            bail!("{} was not changed", self.path.display());
        }
        Ok(text)
    }

    /// Puts an edited text in its place, if it is one that can be used; says so if not.
    pub(super) fn replace(&self, text: &str) -> Result<()> {
        let path = &self.path;
        let edited = app::check(path, Ok(text.as_bytes().to_vec()));
        if edited.settings.is_none() {
            eprint_problems(path, &edited);
            bail!(
                "{} was not changed: the edited file could not be used",
                path.display()
            );
        }
        replace(path, text)
            .with_context(|| format!("{} was not changed: it can't be written", path.display()))
    }
}

/// Every problem of a reading, on stderr.
pub(super) fn eprint_problems(path: &Path, reading: &Reading) {
    // Without a terminal the colours are anstream's to strip; with nowhere to write there is nobody to tell.
    let _ = writeln!(anstream::stderr().lock(), "{}\n", problems(path, reading));
}

/// Every problem of a reading, coloured, with a last line that sums them up; empty if there is none.
pub(super) fn problems(path: &Path, reading: &Reading) -> String {
    let shown = config::render(
        &reading.problems,
        &path.display().to_string(),
        &reading.text,
        Colour::On,
    );
    shown.trim_end().to_owned()
}

/// The bytes of a file, or of stdin for `-`, with an error that says which file and what to do.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .context("stdin can't be read")?;
        return Ok(bytes);
    }
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(anyhow!("there is no file {}", path.display()))
        }
        read => read.with_context(|| format!("{} can't be read", path.display())),
    }
}

/// Puts a text in the place of a file: whole or not at all, with the mode that the file had. A link is followed, so that
/// it still is one afterwards.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    let permissions = fs::metadata(&target)?.permissions();
    let name = target
        .file_name()
        .expect("a path that was resolved and is a file has a name")
        .to_string_lossy();
    let fresh = target.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = write_new(&fresh, text, permissions).and_then(|()| fs::rename(&fresh, &target));
    if written.is_err() {
        // The file itself is untouched; what could not be finished should not stay beside it.
        let _ = fs::remove_file(&fresh);
    }
    written?;
    // The new name is durable once the folder is; a file system that can't sync folders has still renamed.
    let _ =
        File::open(target.parent().unwrap_or(Path::new("/"))).and_then(|folder| folder.sync_all());
    Ok(())
}

fn write_new(path: &Path, text: &str, permissions: fs::Permissions) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (
            folder.path().join("real.toml"),
            folder.path().join("routes.toml"),
        );
        fs::write(&real, "before").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real.toml", &link).unwrap();

        replace(&link, "after").unwrap();

        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "after");
        assert_eq!(
            fs::metadata(&real).unwrap().permissions().mode() & 0o7777,
            0o640
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing else is left behind"
        );
    }

    #[test]
    fn what_can_not_be_replaced_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.toml");
        fs::write(&path, "before").unwrap();
        let blocker = folder
            .path()
            .join(format!(".routes.toml.{}.new", std::process::id()));
        fs::create_dir(&blocker).unwrap();
        assert!(replace(&path, "after").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert!(replace(&folder.path().join("absent.toml"), "after").is_err());
    }
}
