//! `crossfade judge`: pairs that others recorded, judged as the proxy would judge them.

mod answered;
mod lines;
mod report;
mod session;

use crate::cli::file::ConfigFile;
use crate::cli::output::{self, Output, OutputArg, Status};
use anyhow::{Context, Result};
use clap::Args;
use report::Report;
use session::Session;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Judge recorded pairs of answers by the rules of routes.toml
///
/// A line is a JSON object: {"route": "tags", "key": "7", "at": "2026-01-01T00:00:00Z", "old": DOCUMENT, "new": DOCUMENT}, with
/// "old2" and "new2" where both sides were asked again, at one moment, and "own" where old alone was asked twice. `at` may be seconds since 1970; it and
/// `key` may be left out, and so may "written", how many seconds before the key was written. Where an answer is more than a document, "old_head" (and so
/// on) says what it is: {"status": 200, "headers": [["content-type", "text/plain"]], "body": FORM}, of which each may be left out. FORM is "json" where
/// the document is the body, "text" or "base64" where a text holds it, and "none" for the answer to HEAD.
/// Routes that the file lacks, or all of them without a file, are judged without rules.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade judge --pairs pairs.ndjson
  crossfade judge --pairs pairs.ndjson --config next.toml      try rules before they are live
  zcat pairs.ndjson.gz | crossfade judge --pairs - --output json | jq .causes

Exit status:
  0  every line was judged
  2  the pairs, a line of them, or routes.toml can't be used; what could be read is judged all the same")]
pub(super) struct Judge {
    /// The pairs, a line each; - for stdin
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// The file with the routes [default: routes.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArg,
}

impl Judge {
    pub(super) fn run(self) -> Result<Status> {
        let default = Path::new("routes.toml");
        let path = match &self.config {
            Some(path) => Some(path.as_path()),
            None => Some(default).filter(|path| path.exists()),
        };
        let file = path.map(ConfigFile::read);
        let settings = file.as_ref().map(ConfigFile::usable).transpose()?;
        let mut session = Session::new(settings);
        if self.pairs == Path::new("-") {
            session.read(io::stdin().lock())
        } else {
            let open = File::open(&self.pairs);
            let open = open.with_context(|| format!("{} can't be read", self.pairs.display()))?;
            session.read(BufReader::with_capacity(1 << 20, open))
        }
        .with_context(|| format!("{} can't be read", self.pairs.display()))?;
        let report = Report::of(&session);
        match self.output.output {
            Output::Table => output::print(report.text())?,
            Output::Json => output::print_json(&report)?,
        }
        Ok(session.conclude())
    }
}
