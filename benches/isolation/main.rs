//! What a shadow's faults cost the client: the programs that `benches/isolation/run` starts. `load` asks on a schedule, `backend` answers,
//! or misbehaves. Both have one thread for the network, since they share a core while the proxy under test has another for itself.

mod backend;
mod fault;
mod load;
mod metronome;
mod request;
mod tally;
mod wire;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;
use tokio::runtime;

#[derive(Parser)]
struct Arguments {
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Asks at a fixed rate, whatever the answers do.
    Load(load::Options),
    /// Answers, or does what its control port says.
    Backend(backend::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        Some(Part::Load(options)) => on_one_thread(load::run(options)),
        Some(Part::Backend(options)) => on_one_thread(backend::run(options)),
        // `cargo bench` runs every bench; this one is a part of something larger.
        None => {
            writeln!(std::io::stdout(), "isolation: run benches/isolation/run").map_err(Into::into)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "isolation: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
