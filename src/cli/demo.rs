//! `crossfade demo`: the whole of it on one screen, and each of its parts as a process of its own.

use crate::cli::file::ConfigArg;
use crate::cli::output::{self, Status};
use crate::config::Colour;
use crate::demo::{self, Life, Part};
use crate::side::Side;
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::Path;

/// Try it: two services with real data, the proxy between them, a load, and one screen that shows everything
///
/// Starts an old and a new tag service, which differ in a few known ways, the proxy with ./routes.toml (the sample is
/// written there if there is no such file), and a steady load of reads. The screen shows the split, the latencies and
/// the differences that the proxy finds. Edit routes.toml meanwhile: it is live within a second.
///
/// The services and the load are processes of their own. Kill one and see what happens; the key r starts it again, and
/// q ends everything. What the proxy logs meanwhile goes to demo.log in the folder that server.state_dir names. Without a
/// terminal a line is printed every few seconds. Both sides must be loopback addresses.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade demo                                          in a folder of its own; then, in another terminal there:
  curl -i http://127.0.0.1:8080/contents/0ad/tags         which side answered, and why
  curl http://127.0.0.1:9900/api/mismatches?limit=1       what the two sides differ in
  crossfade demo backend new                              the new service alone, where routes.toml says

Exit status:
  0  ended by q, Ctrl-C or SIGTERM
  1  something failed: a port in use, a child that did not start
  2  routes.toml or an argument can't be used")]
pub(super) struct Demo {
    #[command(subcommand)]
    part: Option<DemoPart>,
}

#[derive(Debug, Subcommand)]
enum DemoPart {
    Backend(Backend),
    Load(Load),
}

/// One of the two tag services, where the file says that side is
///
/// Serves 29,792 Debian packages with their tags: /contents/{content}, /contents/{content}/tags, /tags and
/// /tags/{tag}/contents, and the writes PUT and DELETE /contents/{content}/tags/{tag} and POST /contents.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade demo backend old
  crossfade demo backend new --config other.toml

Exit status:
  0  ended by SIGINT or SIGTERM     1  the port is in use     2  a file or an argument can't be used")]
struct Backend {
    /// Which side: old or new
    side: Side,
    #[command(flatten)]
    part: PartArg,
}

/// A steady load of reads on the proxy of the file
///
/// Few contents are read often and most of them seldom, over keep-alive connections, at an even pace.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade demo load
  crossfade demo load --rate 1000

Exit status:
  0  ended by SIGINT or SIGTERM     1  something failed     2  a file or an argument can't be used")]
struct Load {
    /// Reads a second
    #[arg(long, value_name = "N", default_value_t = demo::load::RATE, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    #[command(flatten)]
    part: PartArg,
}

#[derive(Debug, Args)]
struct PartArg {
    #[command(flatten)]
    file: ConfigArg,
    /// The address, where the demo has read the file already
    #[arg(long, hide = true)]
    address: Option<SocketAddr>,
    /// Ends when standard input does: the demo holds its other end
    #[arg(long, hide = true)]
    child: bool,
}

impl From<PartArg> for Part {
    fn from(given: PartArg) -> Self {
        let life = if given.child { Life::Child } else { Life::Own };
        Self {
            config: given.file.config,
            address: given.address,
            life,
        }
    }
}

impl Demo {
    pub(super) fn run(self) -> Status {
        let ended = match self.part {
            None => demo::run(Path::new("routes.toml"), &program(), colour()),
            Some(DemoPart::Backend(Backend { side, part })) => demo::backend(side, &part.into()),
            Some(DemoPart::Load(Load { rate, part })) => demo::load(&part.into(), rate),
        };
        match ended {
            Ok(()) => Status::Done,
            Err(error) => {
                output::complain(error.told());
                if error.is_unusable() {
                    Status::Unusable
                } else {
                    Status::Failed
                }
            }
        }
    }
}

/// How this program was called.
fn program() -> String {
    // Not `args`, which panics where a folder's name is not UTF-8.
    std::env::args_os().next().map_or_else(
        || "crossfade".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn colour() -> Colour {
    match anstream::AutoStream::choice(&std::io::stdout()) {
        anstream::ColorChoice::Never => Colour::Off,
        anstream::ColorChoice::Auto
        | anstream::ColorChoice::Always
        | anstream::ColorChoice::AlwaysAnsi => Colour::On,
    }
}
