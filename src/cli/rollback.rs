//! `crossfade rollback`: everything back to the old side. The running proxy is told first, since that acts at once; then
//! the file, so that it stays so.

use crate::cli::file::ConfigFile;
use crate::cli::output::{self, STRONG, Status};
use crate::cli::proxy::ProxyArg;
use crate::config::edit;
use crate::route::decide::Serve;
use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

/// Characters of a reason that the admin API takes.
const REASON_LIMIT: usize = 1_000;

/// Everything back to the old side: in the running proxy at once, then in the file
///
/// The running proxy gets an override, which acts in memory at once, beats the file and survives restarts. Then
/// `migration.serve = "old"` is written into the file, comments kept. One of the two is enough for status 0; what
/// happened is said. To go forward again, set `serve = "split"` in the file and `DELETE /api/override`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade rollback --reason 'wrong prices since 14:05'
  crossfade rollback --admin 10.0.0.7:9900          another proxy than the file's

Exit status:
  0  the running proxy, the file, or both are back on old
  5  neither
  2  the arguments can't be used")]
pub(super) struct Rollback {
    /// Why, for those who see the override later
    #[arg(long, value_name = "TEXT", default_value = "crossfade rollback")]
    reason: String,
    #[command(flatten)]
    proxy: ProxyArg,
}

impl Rollback {
    pub(super) fn run(self) -> Status {
        let overridden = self.override_proxy();
        let overridden = report("running proxy", overridden);
        let edited = report("file", edit_file(&self.proxy.file.config));
        if overridden || edited {
            Status::Done
        } else {
            Status::Unreached
        }
    }

    fn override_proxy(&self) -> Result<String> {
        let client = self.proxy.client()?;
        let answer = client.put(
            "/api/override",
            &json!({"serve": "old", "route": null, "reason": one_line(&self.reason)}),
        )?;
        let durable = match answer["durable"] {
            Value::Bool(false) => "; its state_dir can't be written, so a restart would forget it",
            _ => "",
        };
        Ok(format!(
            "the proxy at {} serves everything from old{durable}",
            client.address
        ))
    }
}

/// A reason as the admin API takes it: a rollback must not be refused for its words.
fn one_line(reason: &str) -> String {
    reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_LIMIT)
        .collect()
}

/// The total switch of a file. One that could not be used afterwards stays as it is: no proxy would take it up.
fn edit_file(path: &Path) -> Result<String> {
    let file = ConfigFile::read(path);
    if file.usable()?.migration.serve == Serve::Old {
        return Ok(format!("{} says serve = \"old\" already", path.display()));
    }
    file.replace(&edit::set_total(&file.reading.text, Serve::Old)?)?;
    Ok(format!("{} says serve = \"old\" now", path.display()))
}

/// Says how one of the two went; whether it went well.
fn report(what: &str, result: Result<String>) -> bool {
    match result {
        Ok(done) => {
            // A rollback that worked is one, also where nobody can be told.
            let _ = output::print(format!("{STRONG}{what}{STRONG:#}: {done}"));
            true
        }
        Err(error) => {
            output::complain(format!("{what}: {error:#}"));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const FILE: &str = "# ours\n[migration]\nname = \"t\" # salt\n[old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:2\"\n";

    #[test]
    fn the_file_is_switched_once_and_keeps_its_comments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.toml");
        fs::write(&path, FILE).unwrap();
        assert!(edit_file(&path).unwrap().ends_with("now"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("# ours") && text.contains("# salt") && text.contains("serve = \"old\""),
            "{text}"
        );
        assert!(edit_file(&path).unwrap().ends_with("already"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(one_line("wrong\nprices\u{1b}[2J"), "wrong prices [2J");
        assert_eq!(one_line(&"é".repeat(2_000)), "é".repeat(REASON_LIMIT));
    }

    #[test]
    fn a_file_that_no_proxy_would_take_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.toml");
        let broken = format!("{FILE}bogus = 1\n");
        fs::write(&path, &broken).unwrap();
        assert!(edit_file(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
    }
}
