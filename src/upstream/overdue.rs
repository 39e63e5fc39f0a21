//! How long a side may stay silent.

use crate::message::body::Progress;
use crate::upstream::alarm::wait_until;
use std::time::Duration;
use tokio::time::Instant;

/// Ends when a side that stays silent is out of time, counted from then or from the last move of a streamed body. While it is the client
/// that is waited for, no time runs.
pub async fn out_of_time(started: Instant, timeout: Duration, progress: Option<&Progress>) {
    let Some(progress) = progress else {
        return wait_until(started + timeout).await;
    };
    loop {
        match progress.due(timeout).map(|due| due.max(started + timeout)) {
            Some(due) if due <= Instant::now() => return,
            Some(due) => wait_until(due).await,
            // While the client is waited for no limit runs, so a look now and then is early enough.
            None => wait_until(Instant::now() + timeout.min(Duration::from_secs(1))).await,
        }
    }
}
