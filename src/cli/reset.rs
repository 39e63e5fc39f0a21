//! `crossfade reset`: what a running proxy knows of a route's fields is forgotten, and learnt anew.

use crate::cli::output::{self, STRONG, Status};
use crate::cli::proxy::ProxyArg;
use anyhow::Result;
use clap::Args;
use serde_json::json;

/// Forget what the running proxy knows of a route's fields
///
/// Which fields are noisy, blind or suspicious is learnt from the answers. It is forgotten when the route's rules or the sides change in the file; after
/// a release of a side, which no file tells of, this command does it. Counters go on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade reset content-tags                     new was released again: look at it with fresh eyes
  crossfade reset content-tags --admin 10.0.0.7:9900

Exit status:
  0  it is forgotten
  5  no proxy could be reached, or it refused: it has no such route
  2  the arguments can't be used")]
pub(super) struct Reset {
    /// The route's name
    #[arg(value_parser = name)]
    route: String,
    #[command(flatten)]
    proxy: ProxyArg,
}

impl Reset {
    pub(super) fn run(self) -> Result<Status> {
        let client = self.proxy.client()?;
        let path = format!("/api/routes/{}/reset", self.route);
        match client.post(&path, &json!({})) {
            Ok(_) => {
                let (route, address) = (&self.route, &client.address);
                output::print(format!(
                    "{STRONG}{route}{STRONG:#}: what the proxy at {address} knew of its fields is forgotten"
                ))?;
                Ok(Status::Done)
            }
            Err(error) => {
                output::complain(format!("{error:#}"));
                Ok(Status::Unreached)
            }
        }
    }
}

/// What may be a route's name: it goes into a path as it is.
fn name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.chars().all(plain) && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("no route can have this name")
    }
}
