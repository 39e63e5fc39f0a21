//! The lab: takes pairs from their queues, asks, judges, counts and remembers. Runs on a runtime of its own.

use crate::compare::{self, Answer, Comparison, Verdict};
use crate::message::capture::{Budget, Reservation};
use crate::shadow::exchange::ask;
use crate::shadow::offer::{AnswerCopy, Pair, Queues};
use crate::shadow::record;
use crate::shadow::ticket::Ticket;
use crate::side::Side;
use crate::store::{Mismatches, Redactor};
use crate::telemetry::Role;
use crate::upstream::Pools;
use crate::upstream::endpoint::SHADOWS_IN_FLIGHT;
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long judgements that are under way may go on when the proxy stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the lab works with.
#[derive(Debug)]
pub struct Lab {
    /// Memory of all pairs.
    pub budget: Arc<Budget>,
    /// Connections of its own.
    pub pools: Arc<Pools>,
    /// Where mismatches are kept.
    pub mismatches: Arc<Mismatches>,
    /// What makes their values unreadable.
    pub redactor: Arc<Redactor>,
}

/// The lab's memory as the comparison asks for it.
#[derive(Debug)]
pub struct Memory(Reservation);

impl compare::Memory for Memory {
    fn charge(&mut self, bytes: usize) -> bool {
        self.0.grow(bytes)
    }
}

impl Lab {
    /// A lab that keeps its mismatches there.
    #[must_use]
    pub fn new(
        budget: Arc<Budget>,
        mismatches: Arc<Mismatches>,
        redactor: Arc<Redactor>,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget,
            pools: Pools::new(Role::Shadow),
            mismatches,
            redactor,
        })
    }

    /// Works until `stop` says so; what is queued then is dropped, and counted as that.
    pub async fn run(self: Arc<Self>, queues: Queues, stop: watch::Receiver<bool>) {
        let [to_old, to_new] = queues.by_side;
        tokio::join!(
            Arc::clone(&self).work(to_old, stop.clone()),
            Arc::clone(&self).work(to_new, stop),
        );
    }

    async fn work(
        self: Arc<Self>,
        mut queue: Receiver<(Ticket, Box<Pair>)>,
        mut stop: watch::Receiver<bool>,
    ) {
        let places = Arc::new(Semaphore::new(SHADOWS_IN_FLIGHT));
        let mut under_way = JoinSet::new();
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                queue.recv().await.zip(place.ok())
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = under_way.join_next() => {}
                pair = next => match pair {
                    Some(((ticket, pair), place)) => {
                        let lab = Arc::clone(&self);
                        under_way.spawn(async move {
                            lab.judge(ticket, *pair).await;
                            drop(place);
                        });
                    }
                    None => break,
                },
            }
        }
        queue.close();
        while queue.try_recv().is_ok() {}
        // Those that do not end in time are counted as their accounts are dropped; one that never yields can't be waited for.
        let all = async { while under_way.join_next().await.is_some() {} };
        if timeout(LAST_WORDS, all).await.is_err() {
            let _ = timeout(LAST_WORDS, under_way.shutdown()).await;
        }
    }

    async fn judge(&self, ticket: Ticket, pair: Pair) {
        let asked = ticket.asked(pair.served.other());
        let (other, _held) = match ask(&self.pools, &pair, &self.budget).await {
            Ok(answer) => answer,
            Err(reason) => return asked.judged(Verdict::Incomparable(reason)),
        };
        let comparison = self.compare(&pair, &other);
        if comparison.verdict == Verdict::Mismatch {
            pair.route.metrics.divergences(&comparison.divergences);
            self.mismatches
                .push(record::row(&pair, &other, &comparison, &self.redactor));
        }
        asked.judged(comparison.verdict);
    }

    fn compare(&self, pair: &Pair, other: &AnswerCopy) -> Comparison {
        let (old, new) = match pair.served {
            Side::Old => (&pair.answer, other),
            Side::New => (other, &pair.answer),
        };
        let head_only = pair.request.method == Method::HEAD;
        let mut memory = Memory(Reservation::new(Arc::clone(&self.budget)));
        compare::compare(
            &view(old, head_only),
            &view(new, head_only),
            &pair.route.rules,
            &mut memory,
        )
    }
}

fn view(answer: &AnswerCopy, head_only: bool) -> Answer<'_> {
    Answer {
        status: answer.status,
        headers: &answer.headers,
        body: (!head_only).then_some(&answer.body[..]),
    }
}
