//! The settings file of the demo: the sample, written where there is none, and the file as the demo's parts read it.

use crate::app::{self, Reading};
use crate::config::{self, Colour, Settings};
use crate::demo::error::DemoError;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The sample that stands at the top of the repository.
pub const SAMPLE: &str = include_str!("../../routes.toml");

/// Writes the sample if there is no such file; never over one that is there.
pub fn write_sample_if_missing(file: &Path) -> Result<(), DemoError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut new| {
            new.write_all(SAMPLE.as_bytes())?;
            new.sync_all()
        });
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(DemoError::Write {
            file: file.to_owned(),
            source,
        }),
    }
}

/// A file that can be used.
#[derive(Debug)]
pub struct Usable {
    /// What it says.
    pub settings: Settings,
    /// Its text.
    pub text: String,
    /// Hash of its bytes, in hex.
    pub sha256: String,
}

/// Reads a file; the error of one that can't be used shows every problem with its place.
pub fn read(file: &Path) -> Result<Usable, DemoError> {
    let Reading {
        text,
        identity,
        settings,
        problems,
    } = app::read(file);
    match settings {
        Some(settings) => Ok(Usable {
            settings,
            text,
            sha256: identity,
        }),
        None => {
            let shown = config::render(&problems, &file.display().to_string(), &text, Colour::Off);
            Err(DemoError::Settings {
                file: file.to_owned(),
                problems: shown.trim_end().to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side::Side;
    use std::fs;

    #[test]
    fn the_sample_is_written_once_and_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        write_sample_if_missing(&file).unwrap();
        let settings = read(&file).unwrap().settings;
        let names: Vec<&str> = settings
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
        assert_eq!(names, ["content-tags", "content", "tags", "tag-contents"]);
        assert_eq!(
            settings.upstream(Side::New).urls[0].to_string(),
            "http://127.0.0.1:7002"
        );
        let loaded = config::load(SAMPLE, folder.path(), &|_| None);
        assert_eq!(loaded.problems, [], "not even a warning");

        fs::write(&file, "mine").unwrap();
        write_sample_if_missing(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        let told = |result: Result<Usable, DemoError>| {
            let error = result.unwrap_err();
            assert!(error.is_unusable(), "{error}");
            error.to_string()
        };
        assert!(told(read(&file)).contains("routes.toml"));
        fs::write(&file, "[migration]\nnaem = 'tags'\n").unwrap();
        let text = told(read(&file));
        assert!(
            text.contains("naem") && text.contains("routes.toml:2:1"),
            "{text}"
        );
        fs::write(&file, b"\xff").unwrap();
        assert!(told(read(&file)).contains("UTF-8"));
        let error = write_sample_if_missing(&folder.path().join("none/routes.toml")).unwrap_err();
        assert!(!error.is_unusable(), "{error}");
    }
}
