//! The commands, one file each, and what they share. Here is only which command is meant: parse, dispatch, exit status.
//!
//! A command returns its `Status`, or an error that is printed whole and ends with status 2; one that can fail in
//! another way says so itself.

mod bucket;
mod cause_rows;
mod causes;
mod check;
mod client;
mod demo;
mod diff;
mod explain;
mod file;
mod judge;
mod learn;
mod mismatches;
mod output;
mod proxy;
mod replay;
mod reset;
mod rollback;
mod run;
mod salvage;
mod set;
mod surroundings;
mod words;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use output::Status;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "crossfade", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
/// Moves a live HTTP service from an old backend to a new one while nobody notices
///
/// crossfade stands in front of both sides. It serves each key (a user, a product) from one of them, gives the other a
/// copy, compares the answers, and lets you move the share of the new side in routes.toml while it runs.
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  crossfade demo                               see all of it at work, on your machine
  crossfade run                                the proxy, with routes.toml of this folder
  crossfade check                              is routes.toml fit to be used?
  crossfade explain GET /contents/0ad/tags     who would serve this request, and why?
  crossfade set content-tags percent=25        move a quarter of the keys to the new side
  crossfade mismatches --route content-tags    where do the two sides differ?
  crossfade causes                             how many defects are all those mismatches?
  crossfade rollback --reason 'wrong prices'   everything back to the old side, at once

Exit status:
  0  done                     2  a file or an argument can't be used
  1  the proxy failed         4  two documents differ
                              5  no running proxy did what it was asked";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Explain(explain::Explain),
    Bucket(bucket::Bucket),
    Demo(demo::Demo),
    Diff(diff::Diff),
    Set(set::Set),
    Rollback(rollback::Rollback),
    Mismatches(mismatches::Mismatches),
    Judge(judge::Judge),
    Replay(replay::ReplayCommand),
    Causes(causes::Causes),
    Reset(reset::Reset),
    Learn(learn::Learn),
}

/// Does what the arguments (the program's name first) ask; returns the exit status.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(usage) => {
            // Help and version go to stdout, usage errors to stderr; where neither can be written nothing can be said.
            let _ = usage.print();
            return match usage.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Status::Done.into(),
                _ => Status::Unusable.into(),
            };
        }
    };
    let result = match command {
        Command::Run(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Bucket(command) => command.run(),
        Command::Demo(command) => Ok(command.run()),
        Command::Diff(command) => command.run(),
        Command::Set(command) => command.run(),
        Command::Rollback(command) => Ok(command.run()),
        Command::Mismatches(command) => command.run(),
        Command::Judge(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Causes(command) => command.run(),
        Command::Reset(command) => command.run(),
        Command::Learn(command) => command.run(),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            output::complain(format!("{error:#}"));
            Status::Unusable.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_fit_together_and_every_help_teaches() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        for command in cli
            .get_subcommands_mut()
            .filter(|command| command.get_name() != "help")
        {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            for part in ["Examples:", "Exit status:"] {
                assert!(help.contains(part), "{part} in the help of {name}:\n{help}");
            }
        }
    }
}
