//! `crossfade run`: the proxy, until a signal ends it.

use crate::app::{
    self, ConfigFile, Given, Listeners, Predecessor, Reading, Running, Start, StartError,
};
use crate::cli::file::{self, ConfigArg};
use crate::cli::output::{self, Status};
use crate::cli::salvage::Salvage;
use crate::cli::surroundings::Surroundings;
use crate::config::{Problem, Settings};
use crate::store::StateDir;
use crate::telemetry::log;
use anstream::ColorChoice;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::io;

/// The proxy
///
/// Serves until SIGTERM or SIGINT, then lets what is open end for at most `server.drain_timeout`; a SIGINT after that ends it at once.
/// Edits of the file apply within a second; SIGHUP reads it at once. A file that can't be used at the start is replaced
/// by the copy of the last good one in `state_dir`, if there is one. Under systemd it takes the sockets that it is given,
/// and tells when it is ready. SIGUSR2 starts the program again, which takes over the sockets and the state; once it serves, this one drains.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade run                                   with routes.toml of this folder
  crossfade run --config /etc/crossfade/routes.toml --strict

Exit status:
  0  stopped by a signal, everything that ran has finished
  1  it failed at run time, such as a port in use
  2  the file can't be used, and no good copy stands in for it")]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigArg,
    /// Refuse to start with a file that can't be used, even if there is a good copy
    #[arg(long)]
    strict: bool,
}

impl Run {
    pub(super) fn run(self) -> Result<Status> {
        log_to_stderr();
        let Surroundings {
            sockets,
            predecessor,
            supervisor,
            program,
        } = match Surroundings::read() {
            Ok(surroundings) => surroundings,
            Err(error) => return Ok(failed(&error)),
        };
        // Whoever takes over can leave it to the one that serves: a bad file starts nothing, and the state is not looked into before it is given.
        let strict = self.strict || predecessor.is_some();
        let chosen = self.choose(app::read(&self.file.config), strict)?;
        let (state, text) = (
            StateDir::new(&chosen.settings.server.state_dir),
            chosen.text.clone(),
        );
        let running = match self.begin(chosen, sockets, predecessor.as_ref()) {
            Ok(running) => running,
            Err(error) => return Ok(failed(&anyhow!(error))),
        };
        if let Err(error) = state.save_last_good(&text) {
            tracing::warn!(
                "the copy of the last good file can't be kept: {:#}",
                anyhow!(error)
            );
        }
        if let Some(predecessor) = predecessor {
            predecessor.ready();
            running.take_up();
        }
        Ok(match running.run_until_signal(&supervisor, &program) {
            Ok(()) => Status::Done,
            Err(error) => failed(&anyhow!(error)),
        })
    }

    fn begin(
        &self,
        chosen: Chosen,
        given: Given,
        predecessor: Option<&Predecessor>,
    ) -> Result<Running, StartError> {
        let Chosen {
            settings,
            sha256,
            seen,
            rejected,
            ..
        } = chosen;
        let listeners = Listeners::open(&settings, given)?;
        if let Some(predecessor) = predecessor {
            predecessor.take_state()?;
        }
        let file = Some(ConfigFile {
            path: self.file.config.clone(),
            seen,
        });
        app::start(Start {
            settings,
            sha256,
            listeners,
            file,
            rejected,
        })
    }

    /// What the file says, or what it said when it was good last.
    fn choose(&self, reading: Reading, strict: bool) -> Result<Chosen> {
        let path = &self.file.config;
        let seen = reading.identity.clone();
        if reading.settings.is_some() {
            return Chosen::new(reading, seen, Vec::new());
        }
        file::eprint_problems(path, &reading);
        if strict {
            bail!("{} can't be used", path.display());
        }
        let state = StateDir::new(Salvage::read(path).state_dir);
        let copy = state.last_good_path();
        let Some(text) = state.last_good()? else {
            bail!(
                "{} can't be used, and there is no good copy of it at {}",
                path.display(),
                copy.display()
            );
        };
        let kept = app::check(path, Ok(text.into_bytes()));
        if kept.settings.is_none() {
            file::eprint_problems(&copy, &kept);
            bail!(
                "{} can't be used, and neither can its last good copy, {}",
                path.display(),
                copy.display()
            );
        }
        tracing::error!(
            "{} can't be used; starting from its last good copy, {}",
            path.display(),
            copy.display()
        );
        Chosen::new(kept, seen, reading.problems)
    }
}

/// What to start from.
struct Chosen {
    settings: Settings,
    text: String,
    sha256: String,
    /// What was read of the file itself.
    seen: String,
    /// What is wrong with the file, if this is not what it says.
    rejected: Vec<Problem>,
}

impl Chosen {
    fn new(reading: Reading, seen: String, rejected: Vec<Problem>) -> Result<Self> {
        let settings = reading
            .settings
            .context("a text that can't be used was chosen")?;
        Ok(Self {
            settings,
            text: reading.text,
            sha256: reading.identity,
            seen,
            rejected,
        })
    }
}

fn failed(error: &anyhow::Error) -> Status {
    output::complain(format!("{error:#}"));
    Status::Failed
}

fn log_to_stderr() {
    let colours = anstream::AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    log::install(io::stderr, colours);
}
