//! `crossfade set`: edit a route in the file, comments kept. The result is checked before it is written.

use crate::cli::file::{ConfigArg, ConfigFile};
use crate::cli::output::{self, STRONG, Status};
use crate::config::edit::{self, EditError};
use anyhow::{Result, anyhow};
use clap::Args;
use std::fmt::Write;
use std::str::FromStr;

/// Edit a route in routes.toml; comments and layout are kept
///
/// A running proxy takes the edit up by itself within a second. The file is replaced whole, and only by one that can be
/// used. Any key of a route can be set; a number for `shadow` leaves the rest of its table as it is.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade set content-tags percent=25             a quarter of the keys to new; raising it never moves one back
  crossfade set content-tags serve=old              the whole route back to old
  crossfade set content-tags percent=100 shadow=10  all to new, a tenth of the keys still compared

Exit status:
  0  the file says so now
  2  it was not changed: no such route, a bad value, or it can't be read or written")]
pub(super) struct Set {
    /// The route's name
    route: String,
    /// What to set: percent=0..100 in steps of 0.01, serve=old|split|new, shadow=0..100, ..
    #[arg(required = true, value_name = "KEY=VALUE")]
    changes: Vec<Change>,
    #[command(flatten)]
    file: ConfigArg,
}

/// One `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    key: String,
    value: String,
}

impl FromStr for Change {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("write KEY=VALUE, as in percent=25"))?;
        Ok(Self {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

impl Set {
    pub(super) fn run(self) -> Result<Status> {
        if let Some(key) = twice(&self.changes) {
            return Err(anyhow!("{key} is set twice"));
        }
        let file = ConfigFile::read(&self.file.config);
        let before = file.text()?;
        let (text, report) = edited(before, &self.route, &self.changes)?;
        if text == before {
            output::print(format!("{} says so already", file.path.display()))?;
            return Ok(Status::Done);
        }
        file.replace(&text)?;
        output::print(format!(
            "{STRONG}{}{STRONG:#}\n{}",
            file.path.display(),
            report.trim_end()
        ))?;
        Ok(Status::Done)
    }
}

/// A key that two changes name.
fn twice(changes: &[Change]) -> Option<&str> {
    let again = |(index, change): &(usize, &Change)| {
        changes[..*index]
            .iter()
            .any(|other| other.key == change.key)
    };
    changes
        .iter()
        .enumerate()
        .find(again)
        .map(|(_, change)| change.key.as_str())
}

/// The text with every change made, and the lines that each of them touched.
fn edited(text: &str, route: &str, changes: &[Change]) -> Result<(String, String), EditError> {
    let mut text = text.to_owned();
    let mut report = String::new();
    for change in changes {
        let next = edit::set_route(&text, route, &[(&change.key, &change.value)])?;
        report_lines(&mut report, &text, &next);
        text = next;
    }
    Ok((text, report))
}

/// The lines between what two texts begin and end with alike.
fn report_lines(report: &mut String, before: &str, after: &str) {
    let [before, after] = [before, after].map(|text| text.lines().collect::<Vec<_>>());
    let start = before
        .iter()
        .zip(&after)
        .take_while(|(one, other)| one == other)
        .count();
    let (removed, added) = (&before[start..], &after[start..]);
    let alike = removed
        .iter()
        .rev()
        .zip(added.iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    for (sign, lines) in [
        ('-', &removed[..removed.len() - alike]),
        ('+', &added[..added.len() - alike]),
    ] {
        for (index, line) in lines.iter().enumerate() {
            writeln!(report, "{:>5} {sign} {}", start + index + 1, line.trim())
                .expect("a string takes every text");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[route]]\nname = \"a\"\npercent = 5 # soon more\n\n[[route]]\nname = \"b\"\npercent = 5\n";

    fn changes(texts: &[&str]) -> Vec<Change> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_lines_that_changed_are_shown() {
        let (text, report) = edited(FILE, "b", &changes(&["percent=25.5"])).unwrap();
        assert_eq!(text, FILE.replace("percent = 5\n", "percent = 25.5\n"));
        assert_eq!(report, "    7 - percent = 5\n    7 + percent = 25.5\n");

        let (text, report) = edited(FILE, "a", &changes(&["percent=7", "serve=old"])).unwrap();
        assert!(
            text.contains("percent = 7 # soon more\n") && text.contains("serve = \"old\"\n"),
            "{text}"
        );
        assert!(
            report.contains("3 - percent = 5 # soon more\n    3 + percent = 7 # soon more\n"),
            "{report}"
        );
        assert!(report.contains("+ serve = \"old\"\n"), "{report}");

        assert_eq!(
            edited(FILE, "a", &changes(&["percent=5"])).unwrap(),
            (FILE.to_owned(), String::new())
        );
        assert!(edited(FILE, "c", &changes(&["percent=5"])).is_err());
    }

    #[test]
    fn changes_are_read() {
        assert!("percent".parse::<Change>().is_err());
        let change = Change {
            key: "key".to_owned(),
            value: "{path.a}=".to_owned(),
        };
        assert_eq!("key = {path.a}=".parse::<Change>().unwrap(), change);
        assert_eq!(
            twice(&changes(&["percent=1", "serve=old", "percent=2"])),
            Some("percent")
        );
        assert_eq!(twice(&changes(&["percent=1", "serve=old"])), None);
    }
}
