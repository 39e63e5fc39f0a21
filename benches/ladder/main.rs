//! A bare proxy of hyper and tokio, to which crossfade's promises are added one by one: `ladder RUNG routes.toml`.
//!
//! What an instruction count of this program says of a rung, less that of the rung below, is what one promise costs. Each
//! promise is kept by crossfade's own functions; only the glue between them is written again. `benches/ladder/run` drives
//! and counts it, and goes on to the whole of crossfade.

mod promises;
mod proxy;

use crossfade::app;
use crossfade::config::Settings;
use crossfade::config::settings::Listen;
use crossfade::message::forwarded::{Address, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use proxy::Proxy;
use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// The one of crossfade itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Promises that are kept, those of the rungs below included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    /// Requests and answers pass.
    Bare,
    /// What may not pass is refused, hop-by-hop fields go, `via`, `x-forwarded-*` and `forwarded` come.
    Headers,
    /// Routes, key, bucket and sampling, from the settings in force.
    Decision,
    /// Each request is counted and timed.
    Metrics,
    /// Clients and sides that stay silent are given up.
    Timers,
}

impl Rung {
    const ALL: [(&'static str, Self); 5] = [
        ("bare", Self::Bare),
        ("headers", Self::Headers),
        ("decision", Self::Decision),
        ("metrics", Self::Metrics),
        ("timers", Self::Timers),
    ];

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, rung)| *rung)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rung, file] = arguments.as_slice() else {
        // `cargo bench` starts every bench without such arguments.
        eprintln!("instructions are counted by benches/ladder/run");
        return ExitCode::SUCCESS;
    };
    let Some(rung) = Rung::named(rung) else {
        eprintln!("{rung} is none of {:?}", Rung::ALL.map(|(name, _)| name));
        return ExitCode::from(2);
    };
    match run(rung, Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rung: Rung, file: &Path) -> Result<(), Box<dyn Error>> {
    let reading = app::read(file);
    let settings = reading.settings.ok_or_else(|| {
        format!(
            "{} is no file of routes: {:?}",
            file.display(),
            reading.problems
        )
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(accept(rung, settings))?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "connections live as long as the process, which is ended from outside"
)]
async fn accept(rung: Rung, settings: Settings) -> std::io::Result<()> {
    let mut addresses = settings.server.listen.iter().filter_map(Listen::tcp);
    let address = addresses.next().expect("the ladder's file names a port");
    let listener = TcpListener::bind(address).await?;
    let proxy = Arc::new(Proxy::new(rung, settings));
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(rung, Arc::clone(&proxy), stream, peer.ip()));
    }
}

async fn converse(rung: Rung, proxy: Arc<Proxy>, stream: TcpStream, peer: IpAddr) {
    let _counted = (rung >= Rung::Metrics).then(|| proxy.telemetry().process().connections.hold());
    let address = Arc::new(Address::new(peer, Scheme::Http));
    let service = service_fn(move |request| {
        let answer = Arc::clone(&proxy).serve(Arc::clone(&address), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut server = http1::Builder::new();
    if rung >= Rung::Timers {
        server
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(75));
    } else {
        server.header_read_timeout(None);
    }
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        eprintln!("{error}");
    }
}
