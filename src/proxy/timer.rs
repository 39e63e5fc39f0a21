//! hyper's limit on the time until a request's head is there: one timer for all requests of a connection.

use crate::upstream::alarm::Alarm;
use hyper::rt::{Sleep, Timer};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The timer of one connection, on which hyper waits for one thing at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionTimer(Arc<Mutex<Alarm>>);

/// One limit.
#[derive(Debug)]
struct Limit {
    timer: ConnectionTimer,
    due: Instant,
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until((tokio::time::Instant::now() + duration).into_std())
    }

    fn sleep_until(&self, due: Instant) -> Pin<Box<dyn Sleep>> {
        let timer = self.clone();
        Box::pin(Limit { timer, due })
    }
}

impl Sleep for Limit {}

impl Future for Limit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        alarm.poll_due(cx, self.due.into())
    }
}
