//! Settings and listeners -> a running proxy, or the reason why not.

use crate::admin::Readiness;
use crate::app::certificates::Renewal;
use crate::app::control::{self, Duties};
use crate::app::failure::StartError;
use crate::app::listeners::{Listener, Listeners};
use crate::app::running::{Places, Running, Shared};
use crate::app::samples;
use crate::app::threads::{self, Runtimes};
use crate::app::watch::{ConfigFile, Follower};
use crate::config::{Problem, Settings};
use crate::message::forwarded::ProcessId;
use crate::plan::Live;
use crate::proxy::accept::{Stop, inlet};
use crate::proxy::{BodyMemory, Doorkeeper, WorkerParts};
use crate::shadow::{Lab, Offers};
use crate::store::ids::Keeper;
use crate::store::{Causes, Mismatches, Redactor, StateDir};
use crate::telemetry::Telemetry;
use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::{mpsc, watch};

/// What a proxy starts from.
#[derive(Debug)]
pub struct Start {
    /// What is to be in force.
    pub settings: Settings,
    /// Hash of the text of the settings, in hex.
    pub sha256: String,
    /// Open sockets.
    pub listeners: Listeners,
    /// The file that is followed; `None` for settings that nobody edits.
    pub file: Option<ConfigFile>,
    /// What is wrong with the file, if the settings are those of the last good copy.
    pub rejected: Vec<Problem>,
}

/// Starts a proxy on threads of its own.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn start(start: Start) -> Result<Running, StartError> {
    let Start {
        settings,
        sha256,
        listeners,
        file,
        rejected,
    } = start;
    let held = listeners.hold(&settings)?;
    let workers = match settings.server.workers {
        0 => available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let state = Arc::new(StateDir::new(&settings.server.state_dir));
    let overrule = state.load_override().unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the override can't be read; the proxy starts without one"
        );
        None
    });
    let telemetry = Telemetry::new();
    let (ids, keeper) = Keeper::start(Arc::clone(&state), settings.id_bounds())?;
    let live = Arc::new(Live::new(
        settings,
        sha256,
        overrule,
        Arc::clone(&telemetry),
        ids,
    ));
    if !rejected.is_empty() {
        live.rejected(rejected);
    }
    let (offers, queues) = Offers::channel();
    let mismatches = Arc::new(Mismatches::new());
    let acks = state.load_acks().unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "what was said of causes can't be read; all of them are open"
        );
        Vec::new()
    });
    let causes = Arc::new(Causes::new(acks));
    let shadow_memory = Arc::clone(offers.budget());
    let redactor = Arc::new(Redactor::new()?);
    let samples = samples::start(&live, &state, &redactor, &telemetry)?;
    let lab = Lab::new(
        &offers,
        Arc::clone(&mismatches),
        Arc::clone(&causes),
        redactor,
        &samples,
    );
    let parts = WorkerParts {
        live: Arc::clone(&live),
        telemetry: Arc::clone(&telemetry),
        offers,
        process: ProcessId::new(getrandom::u64()?),
        bodies: BodyMemory::default(),
        prefix: getrandom::u64()?,
    };

    let (stop, _) = watch::channel(Stop::Running);
    let (reload, reloads) = mpsc::unbounded_channel();
    let (pause, pauses) = mpsc::unbounded_channel();
    let shared = Shared {
        live,
        telemetry,
        mismatches,
        samples,
        keeper,
        causes,
        shadow_memory,
        state,
        readiness: Readiness::new(),
        stop,
        reload,
        pause,
    };
    let clients = listeners.clients.iter().map(Listener::address);
    let places = Places {
        clients: clients.collect::<Result<_, _>>()?,
        admin: listeners.admin.local_addr()?,
        held,
    };
    let mut renewal = Renewal::new(Arc::clone(&shared.live), Arc::clone(&shared.telemetry));
    let started = shared.live.snapshot();
    for (listen, listener) in started
        .settings
        .server
        .listen
        .iter()
        .zip(&listeners.clients)
    {
        renewal.follow(listen, &listener.terms);
    }

    let mut runtimes = Runtimes::default();
    runtimes.lab(lab, queues)?;
    let inlets = (0..workers).map(|index| {
        let (inlet, outlet) = inlet();
        let parts = WorkerParts {
            prefix: parts.prefix.wrapping_add(index as u64),
            ..parts.clone()
        };
        runtimes.worker(index, parts, outlet, shared.stop.subscribe())?;
        Ok(inlet)
    });
    let inlets = inlets.collect::<Result<Vec<_>, io::Error>>()?;
    threads::acceptor(
        &mut runtimes,
        listeners.clients,
        inlets,
        Doorkeeper::new(Arc::clone(&shared.live), Arc::clone(&shared.telemetry)),
        shared.stop.subscribe(),
    )?;
    let follower =
        file.map(|file| Follower::new(file, Arc::clone(&shared.live), Arc::clone(&shared.state)));
    let duties = Duties {
        follower,
        renewal,
        reloads,
        pauses,
    };
    control::begin(&mut runtimes, listeners.admin, duties, &shared)?;
    // The settings are loaded, and the listeners open. How the sides are is not asked: it is the same behind every other proxy.
    shared.readiness.open();
    Ok(Running::new(shared, runtimes, places))
}
