//! `crossfade check`: every problem of a file, with place and hint.

use crate::app::{self, Reading};
use crate::cli::file;
use crate::cli::output::{self, Output, OutputArg, STRONG, Status};
use crate::config::Report;
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

/// Every problem of a routes.toml, with its place and what to do
///
/// Errors make a file unusable: a running proxy would refuse it and go on with what it has. Warnings don't.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade check                              routes.toml of this folder
  crossfade check new.toml && mv new.toml routes.toml
  crossfade check --output json | jq '.problems[] | {line, message}'

Exit status:
  0  the file can be used (there may be warnings)
  2  it can't, or it can't be read")]
pub(super) struct Check {
    /// The file
    #[arg(default_value = "routes.toml")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArg,
}

impl Check {
    pub(super) fn run(self) -> Result<Status> {
        let reading = app::read(&self.file);
        let name = self.file.display().to_string();
        match self.output.output {
            Output::Table => output::print(text(&self.file, &reading))?,
            Output::Json => output::print_json(&Report::new(&name, &reading.problems))?,
        }
        Ok(if reading.settings.is_some() {
            Status::Done
        } else {
            Status::Unusable
        })
    }
}

fn text(path: &Path, reading: &Reading) -> String {
    match &reading.settings {
        Some(settings) if reading.problems.is_empty() => {
            let routes = settings.routes.len();
            let plural = if routes == 1 { "" } else { "s" };
            format!(
                "{STRONG}{}{STRONG:#} can be used: {routes} route{plural}, no problems",
                path.display()
            )
        }
        Some(_) | None => file::problems(path, reading),
    }
}
