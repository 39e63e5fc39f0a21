//! What a command says, and the status it ends with. Results go to stdout, everything about how they came to be to
//! stderr, so that `--output json` leaves nothing but JSON on stdout.
//!
//! Colours are anstream's to strip: off a terminal, and where NO_COLOR is set.

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It did what it was asked.
    Done,
    /// Something failed at run time, such as a port in use.
    Failed,
    /// A file or an argument can't be used.
    Unusable,
    /// Two documents differ.
    Different,
    /// No proxy did what it was asked.
    Unreached,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Done => 0,
            Status::Failed => 1,
            Status::Unusable => 2,
            Status::Different => 4,
            Status::Unreached => 5,
        })
    }
}

/// `--output`, of every command that reads.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputArg {
    /// Text for people, or JSON alone on stdout for scripts
    #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub(super) output: Output,
}

/// For whom a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// Emphasis of the word that matters in a line.
pub(super) const STRONG: Style = Style::new().bold();

/// Writes a result to stdout. A reader that has seen enough (`| head`) is no failure.
pub(super) fn print(text: impl Display) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a result to stdout as JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(serde_json::to_string_pretty(value)?)?)
}

/// Says on stderr what the user should know beside the result.
pub(super) fn note(text: impl Display) {
    complain_as("note", AnsiColor::Cyan.on_default().bold(), text);
}

/// Says on stderr what went wrong.
pub(super) fn complain(text: impl Display) {
    complain_as("error", AnsiColor::Red.on_default().bold(), text);
}

/// With nowhere left to write, the exit status still tells.
fn complain_as(label: &str, style: Style, text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{style}{label}{style:#}: {text}");
}

/// A table of lines without a frame.
pub(super) fn rows<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines of a name and a value, the values in one column.
pub(super) fn columns(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value)| format!("  {name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column() {
        let rows = [("key", "0ad".to_owned()), ("served by", "new".to_owned())];
        assert_eq!(columns(&rows), "  key        0ad\n  served by  new");
        assert_eq!(columns(&[]), "");
    }
}
