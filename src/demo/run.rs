//! `crossfade demo`: the proxy in this process, the services and the load as its children, and what there is to see.
//!
//! The end comes in the reverse order of the start: the terminal, the load, the proxy, the services. Reads a clock, for rates and for the time that the demo has been running.

use crate::app::{self, ConfigFile, Listeners, Start, StartError};
use crate::config::Colour;
use crate::demo::children::{Children, Role};
use crate::demo::error::DemoError;
use crate::demo::life::Life;
use crate::demo::settings::{self, Usable};
use crate::demo::sides::Sides;
use crate::demo::stage::Stage;
use crate::demo::terminal::{self, Terminal, Wish};
use crate::demo::view::ChildState;
use crate::demo::{log, screen};
use crate::side::Side;
use crate::store::StateDir;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// How often the screen is drawn, and the children are looked at.
const REFRESH: Duration = Duration::from_millis(250);
/// How often a line is printed where there is no screen.
const LINE: Duration = Duration::from_secs(5);

/// Runs the demo with a settings file until it is told to end; the sample is written there if there is no such file. `program` is how this program was called, for the commands that the screen
/// shows.
pub fn run(config: &Path, program: &str, colour: Colour) -> Result<(), DemoError> {
    settings::write_sample_if_missing(config)?;
    let Usable {
        settings,
        text,
        sha256,
    } = settings::read(config)?;
    let sides = Sides::of(&settings)?;
    let end = told_to_end()?;
    log::install(&settings.server.state_dir)?;
    // Before the children: what can't work should not start anything.
    let listeners = Listeners::bind(&settings).map_err(|error| not_started(error, config))?;
    let executable = std::env::current_exe()
        .map_err(DemoError::system("cannot find this program's own file"))?;
    let mut children = Children::new(executable, config.to_owned());
    for side in Side::BOTH {
        children.start(Role::Backend(side), &sides)?;
    }
    children.wait_until_ready()?;
    let state = StateDir::new(&settings.server.state_dir);
    let file = Some(ConfigFile {
        path: config.to_owned(),
        seen: sha256.clone(),
    });
    let start = Start {
        settings,
        sha256,
        listeners,
        file,
        rejected: Vec::new(),
    };
    let proxy = app::start(start).map_err(|error| not_started(error, config))?;
    if let Err(error) = state.save_last_good(&text) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the copy of the last good file can't be kept"
        );
    }
    let mut stage = Stage::new(
        proxy,
        children,
        config.display().to_string(),
        program.to_owned(),
    )?;
    let shown = if Terminal::present() {
        screen(&mut stage, colour, &end)
    } else {
        lines(&mut stage, &end)
    };
    stage.end();
    shown
}

fn not_started(error: StartError, file: &Path) -> DemoError {
    match error {
        StartError::Listen {
            key,
            address,
            source,
        } => DemoError::listen(address, key, file, source),
        StartError::Tls { .. }
        | StartError::Given { .. }
        | StartError::Predecessor(_)
        | StartError::Randomness(_)
        | StartError::Thread(_) => DemoError::Proxy(error),
    }
}

fn screen(stage: &mut Stage, colour: Colour, end: &Receiver<()>) -> Result<(), DemoError> {
    let lost = || DemoError::system("the terminal is gone");
    let start = now();
    let mut terminal =
        Terminal::enter(colour).map_err(DemoError::system("cannot take the terminal"))?;
    while end.try_recv() == Err(TryRecvError::Empty) {
        let (columns, rows) = terminal.size().map_err(lost())?;
        terminal
            .draw(&screen::lines(&stage.view(start.elapsed()), columns, rows))
            .map_err(lost())?;
        match terminal.wish(REFRESH).map_err(lost())? {
            Some(Wish::Quit) => break,
            Some(Wish::Restart) => stage.restart(),
            Some(Wish::Redraw) | None => {}
        }
    }
    Ok(())
}

fn lines(stage: &mut Stage, end: &Receiver<()>) -> Result<(), DemoError> {
    let start = now();
    let view = stage.view(Duration::ZERO);
    say(&format!(
        "crossfade demo on http://{}, admin on http://{}; edit {}",
        view.listen, view.admin, view.file
    ))?;
    say(&screen::log_line(&view))?;
    let mut children = view.children;
    let mut said = Duration::ZERO;
    while end.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
        let at = start.elapsed();
        let view = stage.view(at);
        for (before, child) in children.iter().zip(&view.children) {
            if let (true, ChildState::Down(how)) = (before.state != child.state, &child.state) {
                say(&format!(
                    "the child process \"{}\" (pid {}) is down: {how}; it said last: {}",
                    child.name, child.pid, child.said
                ))?;
            }
        }
        if at - said >= LINE {
            said = at;
            say(&screen::log_line(&view))?;
        }
        children = view.children;
    }
    Ok(())
}

/// Something comes out of the receiver at the first SIGINT or SIGTERM. A second one ends the process at once, whatever still drains.
fn told_to_end() -> Result<Receiver<()>, DemoError> {
    let failed = || DemoError::system("cannot watch for signals");
    let (sender, end) = mpsc::channel();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed())?;
    thread::Builder::new()
        .name("demo-signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if Life::Own.end().await.is_ok() {
                    // Whoever waited may have ended already, by the key q.
                    let _ = sender.send(());
                    let _ = Life::Own.end().await;
                    if Terminal::present() {
                        terminal::restore();
                    }
                    std::process::exit(1);
                }
            });
        })
        .map_err(failed())?;
    Ok(end)
}

fn say(line: &str) -> Result<(), DemoError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(DemoError::system("nobody reads standard output"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the screen shows rates, and how long the demo has been running"
)]
fn now() -> Instant {
    Instant::now()
}
