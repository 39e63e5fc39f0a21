//! What is counted of a load, and how it is written down.

use crate::metronome::Schedule;
use crate::request::Ending;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tokio::time::{Duration, Instant};

/// Heard later than this after it was due, a request is late by the generator's own fault.
const LAG: Duration = Duration::from_millis(1);

/// Sent later than this after it was due, a request was not sent on time, whoever is to blame.
const LATE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Tally {
    schedule: Schedule,
    /// The first request that counts: those before it warm up.
    first: u64,
    result: Counts,
}

/// A result. Times are microseconds.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// Requests that were due in the time that counts.
    due: u64,
    sent: u64,
    answered: u64,
    /// Those that were not answered as they should be, by what went wrong.
    errors: BTreeMap<&'static str, u64>,
    /// Sent more than 5 ms after they were due, or never.
    late: u64,
    /// Of which the generator heard more than 1 ms after they were due.
    lagged: u64,
    worst_lag_us: u64,
    /// Connections that were added, warm-up included.
    opened: u64,
    /// From due to the last byte of the answer, or to when it was given up. Errors that came sooner are left out.
    latency_us: Vec<u64>,
}

impl Tally {
    pub(crate) fn new(schedule: Schedule, first: u64) -> Self {
        Self {
            schedule,
            first,
            result: Counts::default(),
        }
    }

    /// The generator learned that a request is due.
    pub(crate) fn heard(&mut self, number: u64, now: Instant) {
        if number >= self.first {
            let lag = now.saturating_duration_since(self.schedule.due(number));
            self.result.due += 1;
            self.result.lagged += u64::from(lag > LAG);
            self.result.worst_lag_us = self.result.worst_lag_us.max(micros(lag));
        }
    }

    /// A connection was added.
    pub(crate) fn opened(&mut self) {
        self.result.opened += 1;
    }

    /// A request is over.
    pub(crate) fn ended(
        &mut self,
        number: u64,
        sent: Option<Instant>,
        at: Instant,
        ending: Ending,
    ) {
        if number < self.first {
            return;
        }
        let due = self.schedule.due(number);
        let result = &mut self.result;
        result.sent += u64::from(sent.is_some());
        result.late +=
            u64::from(sent.is_none_or(|sent| sent.saturating_duration_since(due) > LATE));
        if ending == Ending::Answered {
            result.answered += 1;
        } else {
            *result.errors.entry(ending.name()).or_default() += 1;
        }
        if matches!(ending, Ending::Answered | Ending::Timeout) {
            result
                .latency_us
                .push(micros(at.saturating_duration_since(due)));
        }
    }
}

/// Writes a result as JSON.
pub(crate) fn write(path: &Path, tally: &Tally) -> anyhow::Result<()> {
    fs::write(path, serde_json::to_vec(&tally.result)?)?;
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
