//! `crossfade replay`: the samples of a proxy, judged again by other rules, without traffic.

mod again;
mod report;
mod source;

use crate::cli::file::ConfigFile;
use crate::cli::output::{self, Output, OutputArg, Status};
use crate::cli::proxy::ProxyArg;
use crate::config::Settings;
use again::Replay;
use anyhow::Result;
use clap::Args;
use report::Report;
use source::Source;
use std::collections::{BTreeMap, HashMap};

/// Judge the samples of a proxy again, by the rules of a file
///
/// Samples are pairs that differed: what the rules in force hide is not among them, so that rules which hide less can't be tried. Where values are
/// redacted, what depends on how near two values are is told as unknown. A sample counts for as many pairs as its group stands for.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade replay                                  by routes.toml, as it is edited
  crossfade replay --config next.toml               by rules that are not live yet
  crossfade replay --config next.toml --output json | jq '.causes[] | select(.change == \"vanishes\")'

Exit status:
  0  the samples were judged (there may be none)
  2  routes.toml or an argument can't be used
  5  no proxy could be reached, or it refused, and there is no file of samples that could be read instead")]
pub(super) struct ReplayCommand {
    #[command(flatten)]
    proxy: ProxyArg,
    #[command(flatten)]
    output: OutputArg,
}

impl ReplayCommand {
    pub(super) fn run(self) -> Result<Status> {
        let file = ConfigFile::read(&self.proxy.file.config);
        let settings = file.usable()?;
        let mut replay = Replay::new(settings);
        match self.read(&mut replay, settings) {
            Ok(rates) => {
                let report = Report::of(&replay, &rates);
                match self.output.output {
                    Output::Table => output::print(report.text())?,
                    Output::Json => output::print_json(&report)?,
                }
                Ok(Status::Done)
            }
            Err(error) => {
                output::complain(format!("{error:#}"));
                Ok(Status::Unreached)
            }
        }
    }
}

impl ReplayCommand {
    /// Judges all samples; returns the routes' diff rates as they are.
    fn read(&self, replay: &mut Replay<'_>, settings: &Settings) -> Result<BTreeMap<String, f64>> {
        let source = Source::find(self.proxy.client()?, self.proxy.admin.is_some(), settings)?;
        let mut weights = HashMap::new();
        source.pages(|page| {
            for group in page.groups {
                let pairs = group.pairs as f64 / group.samples.max(1) as f64;
                weights.entry((group.route, group.cause)).or_insert(pairs);
            }
            for sample in &page.samples {
                let group = (sample.route.clone(), sample.cause.clone());
                replay.judge(sample, weights.get(&group).copied().unwrap_or(1.0));
            }
        })?;
        source.rates()
    }
}
