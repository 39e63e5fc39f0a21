//! A part of the demo as a process of its own: one of the two services, or the load.

use crate::demo::catalog::Catalog;
use crate::demo::data;
use crate::demo::error::DemoError;
use crate::demo::life::Life;
use crate::demo::load::{CONNECTIONS, Load};
use crate::demo::service;
use crate::demo::settings;
use crate::demo::sides::Sides;
use crate::demo::skew::Mix;
use crate::side::Side;
use axum::serve::ListenerExt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::interval;

/// How often the load says how it goes.
const REPORT: Duration = Duration::from_secs(2);

/// Where a part's address comes from, and how long it lives.
#[derive(Clone, Debug)]
pub struct Part {
    /// The settings file.
    pub config: PathBuf,
    /// The address, where the demo has read the file already.
    pub address: Option<SocketAddr>,
    /// Whose end is its end.
    pub life: Life,
}

impl Part {
    fn address(&self, of: impl FnOnce(&Sides) -> SocketAddr) -> Result<SocketAddr, DemoError> {
        match self.address {
            Some(address) => Ok(address),
            None => Ok(of(&Sides::of(&settings::read(&self.config)?.settings)?)),
        }
    }
}

/// Serves one side until its life ends. Says on standard output when it is ready.
pub fn backend(side: Side, part: &Part) -> Result<(), DemoError> {
    let address = part.address(|sides| sides.backend(side))?;
    let key = match side {
        Side::Old => "the url of [old]",
        Side::New => "the url of [new]",
    };
    runtime()?.block_on(async {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| DemoError::listen(address.to_string(), key, &part.config, error))?;
        // Answers are small: none may wait for a second packet.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let catalog = Catalog::new(data::entries());
        let (contents, tags) = catalog.counts();
        say(&format!("{contents} contents and {tags} tags on http://{address}"))?;
        tokio::select! {
            served = axum::serve(listener, service::router(side, catalog)) => served.map_err(DemoError::system("the service stopped")),
            ended = part.life.end() => ended.map_err(DemoError::system("cannot watch for signals")),
        }
    })
}

/// Loads the proxy until its life ends. Says on standard output how it goes.
pub fn load(part: &Part, rate: u32) -> Result<(), DemoError> {
    let target = part.address(|sides| sides.proxy)?;
    let load = Load::new(Mix::new(&Catalog::new(data::entries())), target);
    runtime()?.block_on(async {
        let _tasks = load.start(rate);
        let reports = async {
            let mut ticks = interval(REPORT);
            let (mut before, mut failed_before) = (0, 0);
            ticks.tick().await;
            say(&format!(
                "{rate} reads a second on http://{target}, {} connections",
                CONNECTIONS
            ))?;
            loop {
                ticks.tick().await;
                let (answered, failed) = load.counts();
                let a_second = (answered - before) as f64 / REPORT.as_secs_f64();
                let newly = failed - failed_before;
                say(&format!(
                    "{a_second:.0} reads a second answered, {newly} failed"
                ))?;
                (before, failed_before) = (answered, failed);
            }
        };
        tokio::select! {
            told = reports => told,
            ended = part.life.end() => ended.map_err(DemoError::system("cannot watch for signals")),
        }
    })
}

fn runtime() -> Result<Runtime, DemoError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::system("cannot start a runtime"))
}

fn say(line: &str) -> Result<(), DemoError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(DemoError::system("nobody reads standard output"))
}
