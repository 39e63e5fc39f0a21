//! `crossfade diff`: compare two JSON files by a route's rules, as the proxy would compare two answers.

use crate::cli::file::{self, ConfigArg, ConfigFile};
use crate::cli::output::{self, Output, OutputArg, STRONG, Status};
use crate::compare::{By, Comparison, Ids, Rules, Verdict, compare_documents};
use crate::config::Settings;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Compare two JSON files by a route's rules
///
/// The same comparison as between two answers: numbers by value, object keys in any order, arrays in order unless a rule
/// says otherwise. Without --route no rules apply and no routes.toml is read.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade diff old.json new.json
  crossfade diff old.json new.json --route content-tags     try a rule before it is live
  curl -s new.example.org/contents/0ad | crossfade diff old.json -
  crossfade diff old.json new.json --output json | jq .patch

Exit status:
  0  equal under the rules
  4  different
  2  a file, the route or an argument can't be used, or the documents can't be compared")]
pub(super) struct Diff {
    /// The old side's document; - for stdin
    #[arg(value_name = "OLD.json")]
    old: PathBuf,
    /// The new side's document; - for stdin
    #[arg(value_name = "NEW.json")]
    new: PathBuf,
    /// The route whose rules apply
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    file: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
}

impl Diff {
    pub(super) fn run(self) -> Result<Status> {
        let (rules, ids) = self.rules()?;
        let stdin = Path::new("-");
        if self.old == stdin && self.new == stdin {
            bail!("only one of the two documents can come from stdin");
        }
        let [old, new] = [&self.old, &self.new].map(|path| file::read_bytes(path));
        let comparison = compare_documents(&old?, &new?, By::new(&rules, &ids));
        match self.output.output {
            Output::Table => output::print(text(&comparison)?)?,
            Output::Json => output::print_json(&row(&comparison))?,
        }
        Ok(match comparison.verdict {
            Verdict::Match => Status::Done,
            Verdict::Mismatch => Status::Different,
            Verdict::Incomparable(_) => Status::Unusable,
        })
    }

    /// The rules, and what is known of identities: nothing but what these documents show.
    fn rules(&self) -> Result<(Rules, Ids)> {
        let ids = Ids::unkeyed();
        let Some(name) = &self.route else {
            return Ok((Rules::default(), ids));
        };
        let file = ConfigFile::read(&self.file.config);
        let settings = file.usable()?;
        let route = settings.routes.iter().find(|route| route.name == *name);
        let route = route.ok_or_else(|| no_such_route(settings, name))?;
        ids.bound(settings.id_bounds());
        Ok((route.compare.clone(), ids))
    }
}

/// Says that a route is not in the file, and which ones are.
fn no_such_route(settings: &Settings, name: &str) -> anyhow::Error {
    let names: Vec<&str> = settings
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    anyhow!(
        "there is no route {STRONG}{name}{STRONG:#}; the file has: {}",
        names.join(", ")
    )
}

/// As `--output json` shows a comparison.
fn row(comparison: &Comparison) -> Value {
    let reason = match comparison.verdict {
        Verdict::Incomparable(reason) => Some(reason.name()),
        Verdict::Match | Verdict::Mismatch => None,
    };
    let fields = comparison.divergences.iter().map(|divergence| {
        json!({"path": divergence.path, "at": divergence.at, "kind": divergence.kind.name()})
    });
    json!({
        "verdict": comparison.verdict.name(),
        "reason": reason,
        "fields": fields.collect::<Vec<_>>(),
        "patch": comparison.patch,
        "patch_exact": comparison.patch_exact,
        "patch_truncated": comparison.patch_truncated,
    })
}

fn text(comparison: &Comparison) -> Result<String> {
    let fields = comparison.divergences.iter();
    let mut lines: Vec<String> = fields
        .map(|field| format!("{:9} {}", field.kind.name(), field.at))
        .collect();
    if let Some(patch) = comparison.patch.as_ref().filter(|patch| !patch.is_empty()) {
        let exact = if comparison.patch_exact {
            ""
        } else {
            " (descriptive)"
        };
        lines.push(format!("\n{STRONG}old -> new{STRONG:#}{exact}"));
        for operation in patch.iter() {
            lines.push(serde_json::to_string(operation).context("a patch is JSON")?);
        }
    }
    if comparison.patch_truncated {
        lines.push("and more than these 200 operations".to_owned());
    }
    lines.push(match comparison.verdict {
        Verdict::Match => "equal under the rules".to_owned(),
        Verdict::Mismatch => match comparison.divergences.len() {
            1 => "\n1 difference".to_owned(),
            many if many < 16 => format!("\n{many} differences"),
            many => format!("\n{many} differences shown: at most 16 of each path and kind"),
        },
        Verdict::Incomparable(reason) => format!("can't be compared: {}", reason.name()),
    });
    Ok(lines.join("\n"))
}
