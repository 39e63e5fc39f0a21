//! `crossfade explain`: the decision for one request, and why. It takes the steps of the request path through the same
//! functions, on a Plan of the same file; only what is mirrored at random can't be foretold.

mod decision;
mod request;
mod text;

use crate::cli::client::AdminAddress;
use crate::cli::explain::decision::{Explanation, explain};
use crate::cli::explain::request::{Asked, Field, Url, parse_method};
use crate::cli::explain::text::text;
use crate::cli::file::{self, ConfigArg, ConfigFile};
use crate::cli::output::{self, Output, OutputArg, Status};
use crate::cli::proxy::ProxyArg;
use crate::compare::Ids;
use crate::config::settings::Settings;
use crate::plan::build::{Lasting, Plan, Stamp};
use crate::store::{SavedOverride, StateDir};
use crate::telemetry::Telemetry;
use crate::upstream::Endpoints;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// Who would serve one request, and why
///
/// Nothing is sent to either side. The file says who serves, and the override if one is in force: the one kept in
/// `state_dir`, or with --admin the running proxy's own.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade explain GET /contents/0ad/tags
  crossfade explain GET 'http://tags.example.org/tags?limit=5' -H 'x-user: 42'
  crossfade explain POST /search --data query.json
  crossfade explain GET /contents/0ad --admin 127.0.0.1:9900 --output json | jq -r .side

Exit status:
  0  the decision is shown, be it that the request would be refused
  2  the URL, a header, the file or the running proxy can't be used")]
pub(super) struct Explain {
    /// GET, PUT, ..
    #[arg(value_parser = parse_method)]
    method: Method,
    /// A path such as /contents/0ad?limit=5, or a whole http:// URL
    url: Url,
    /// A header field of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Field>,
    /// The request's body; - for stdin
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The address that the request comes from
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    #[command(flatten)]
    file: ConfigArg,
    /// Ask the running proxy at this admin address for its override and generation
    #[arg(long, value_name = "URL")]
    admin: Option<AdminAddress>,
    #[command(flatten)]
    output: OutputArg,
}

impl Explain {
    pub(super) fn run(self) -> Result<Status> {
        let file = ConfigFile::read(&self.file.config);
        let settings = file.usable()?;
        let in_force = match &self.admin {
            Some(_) => self.ask_proxy(&file)?,
            None => InForce {
                overrule: kept_override(settings),
                generation: None,
            },
        };
        let body = self.data.as_deref().map(file::read_bytes).transpose()?;
        let plan = plan(settings.clone(), in_force.overrule);
        let asked = Asked::new(self.method, &self.url, &self.headers, settings);
        let asked = Asked {
            body,
            client: self.client,
            ..asked
        };
        let explanation = Explanation {
            generation: in_force.generation,
            ..explain(&plan, &asked)
        };
        match self.output.output {
            Output::Table => output::print(text(&plan, &asked, &explanation))?,
            Output::Json => output::print_json(&explanation)?,
        }
        Ok(Status::Done)
    }

    fn ask_proxy(&self, file: &ConfigFile) -> Result<InForce> {
        let client = ProxyArg {
            file: self.file.clone(),
            admin: self.admin.clone(),
        }
        .client()?;
        let said: Running = serde_json::from_value(client.get("/api/config")?)
            .with_context(|| format!("{} does not answer as this version does", client.address))?;
        if said.sha256 != file.reading.identity {
            let path = file.path.display();
            output::note(format!(
                "the proxy at {} does not run this text of {path}; what follows is the file's",
                client.address
            ));
        }
        Ok(InForce {
            overrule: said.overrule,
            generation: Some(said.generation),
        })
    }
}

/// What the file does not say.
struct InForce {
    overrule: Option<SavedOverride>,
    generation: Option<u64>,
}

/// The part of `/api/config` that matters here.
#[derive(Deserialize)]
struct Running {
    generation: u64,
    sha256: String,
    #[serde(rename = "override")]
    overrule: Option<SavedOverride>,
}

/// The override that a proxy would start with.
fn kept_override(settings: &Settings) -> Option<SavedOverride> {
    match StateDir::new(&settings.server.state_dir).load_override() {
        Ok(saved) => saved,
        Err(error) => {
            output::note(format!(
                "explained without an override: {:#}",
                anyhow!(error)
            ));
            None
        }
    }
}

fn plan(settings: Settings, overrule: Option<SavedOverride>) -> Plan {
    let telemetry = Telemetry::new();
    let endpoints = Endpoints::new(Arc::clone(&telemetry));
    // Of a Plan that never serves, nobody sees the stamp.
    let stamp = Stamp {
        generation: 0,
        sha256: String::new(),
        at: Timestamp::UNIX_EPOCH,
    };
    let lasting = Lasting {
        endpoints: &endpoints,
        telemetry: &telemetry,
        ids: &Arc::new(Ids::unkeyed()),
        before: None,
    };
    Plan::build(settings, stamp, overrule, lasting)
}
