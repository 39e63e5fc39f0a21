//! An open loop: requests are due on a schedule, whatever became of those before. Latency counts from when a request was due, and a
//! connection is added whenever one is due and none is idle, so that a proxy which stalls is not spared the requests of that time.

use crate::metronome::Schedule;
use crate::request::{Connection, Ending, Outcome, Texts, exchange};
use crate::tally::Tally;
use crate::{backend, tally};
use anyhow::Context;
use clap::Args;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct Options {
    /// Who is asked.
    #[arg(long)]
    address: SocketAddr,
    /// What stands before the key in each target.
    #[arg(long, default_value = "/")]
    path: String,
    /// Requests a second.
    #[arg(long)]
    rate: f64,
    /// Seconds of the same load before requests count.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Seconds in which they count.
    #[arg(long)]
    seconds: f64,
    /// Connections that are open before the first request.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Connections that may be open at a time.
    #[arg(long, default_value_t = 4096)]
    most: usize,
    /// Seconds after which a request that was due is given up.
    #[arg(long, default_value_t = 3.0)]
    limit: f64,
    /// Every so many requests are a POST.
    #[arg(long)]
    post_every: Option<u64>,
    /// Bytes of its body.
    #[arg(long, default_value_t = 65_536)]
    post_bytes: usize,
    /// Where the result goes, as JSON.
    #[arg(long)]
    out: PathBuf,
}

/// Asks for as long as it is told, and writes down what came of it.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let texts = Texts::new(
        &options.path,
        options.post_every,
        options.post_bytes,
        backend::body(),
    );
    let idle = open(&options)
        .await
        .context("the first connections can't be opened")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of requests, in the thousands"
    )]
    let requests = |seconds: f64| (seconds * options.rate).round().max(0.0) as u64;
    let warm_up = requests(options.warm_up);
    let schedule = Schedule {
        start: Instant::now() + Duration::from_millis(50),
        rate: options.rate,
        requests: warm_up + requests(options.seconds),
    };
    let tally = Load {
        schedule,
        texts: Arc::new(texts),
        address: options.address,
        limit: Duration::from_secs_f64(options.limit),
        most: options.most,
        open: idle.len(),
        idle,
        due: VecDeque::new(),
        under_way: JoinSet::new(),
        tally: Tally::new(schedule, warm_up),
    }
    .run()
    .await?;
    tally::write(&options.out, &tally).context("the result can't be written")
}

async fn open(options: &Options) -> std::io::Result<VecDeque<Connection>> {
    let mut idle = VecDeque::new();
    for _ in 0..options.connections {
        idle.push_back(Connection::open(options.address).await?);
    }
    Ok(idle)
}

struct Load {
    schedule: Schedule,
    texts: Arc<Texts>,
    address: SocketAddr,
    limit: Duration,
    most: usize,
    /// Connections in use or idle.
    open: usize,
    /// The one that rested longest is used first, so that all are in use as they are with many clients.
    idle: VecDeque<Connection>,
    /// Requests that are due, and for which there is no connection.
    due: VecDeque<u64>,
    under_way: JoinSet<Outcome>,
    tally: Tally,
}

impl Load {
    async fn run(mut self) -> anyhow::Result<Tally> {
        let mut beats = self.schedule.beats()?;
        let mut on_time = true;
        while on_time || !self.under_way.is_empty() {
            tokio::select! {
                biased;
                beat = beats.recv(), if on_time => match beat {
                    Some(number) => {
                        self.tally.heard(number, Instant::now());
                        self.due.push_back(number);
                    }
                    None => on_time = false,
                },
                Some(done) = self.under_way.join_next() => self.done(done?),
            }
            self.send();
        }
        // With nothing under way there is a place for each that waited, so that none waits.
        Ok(self.tally)
    }

    fn send(&mut self) {
        while let Some(number) = self.due.front().copied() {
            let limit = self.schedule.due(number) + self.limit;
            let connection = self.idle.pop_front();
            if limit <= Instant::now() {
                self.idle.extend(connection);
                self.tally.ended(number, None, limit, Ending::Timeout);
            } else if connection.is_some() || self.open < self.most {
                if connection.is_none() {
                    self.open += 1;
                    self.tally.opened();
                }
                let (texts, address) = (Arc::clone(&self.texts), self.address);
                self.under_way.spawn(async move {
                    exchange(&texts, number, address, connection, limit).await
                });
            } else {
                return;
            }
            self.due.pop_front();
        }
    }

    fn done(&mut self, outcome: Outcome) {
        let Outcome {
            number,
            sent,
            ended,
            ending,
            connection,
        } = outcome;
        match connection {
            Some(connection) => self.idle.push_back(connection),
            None => self.open -= 1,
        }
        self.tally.ended(number, sent, ended, ending);
    }
}
