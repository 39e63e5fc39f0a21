//! One timer for all the limits that follow each other on a connection, or in a task.
//!
//! Nearly every limit is lifted long before it is reached. Setting a timer for each costs more than to be woken early now and then: the timer stays
//! where it is when a later limit takes the place of one that was lifted, and is set anew when it goes off.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer; none as long as nobody has waited.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `due` is over. The task is woken then, and maybe earlier.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(poll_ungoverned(sleep.as_mut(), cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }

    /// The same for a task that asks each time it is polled, and whose waker stays the same: as long as the timer goes off in time by itself, it is
    /// left alone.
    pub fn poll_seldom(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        match &self.0 {
            Some(sleep) if sleep.deadline() <= due && !sleep.is_elapsed() => Poll::Pending,
            Some(_) | None => self.poll_due(cx, due),
        }
    }

    /// What `work` gives, if it does so before `due`.
    pub async fn before<T>(&mut self, due: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => self.poll_due(cx, due).map(|()| None),
        })
        .await
    }
}

/// Polls a timer whatever the task has left of its turn: a side that sends without a pause takes all of it, and would never be out of time.
fn poll_ungoverned(sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    pin!(unconstrained(sleep)).poll(cx)
}

/// The same to wait for.
pub(super) async fn wait_until(due: Instant) {
    let mut sleep = pin!(sleep_until(due));
    poll_fn(|cx| poll_ungoverned(sleep.as_mut(), cx)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::runtime::Builder;
    use tokio::task::coop::{consume_budget, has_budget_remaining};
    use tokio::time::sleep;

    #[test]
    fn each_limit_holds_whatever_the_one_before_was() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::default();
            let started = Instant::now();
            for millis in [60_000, 20, 30, 60_000, 0, 10] {
                let due = Instant::now() + Duration::from_millis(millis);
                assert_eq!(alarm.before(due, ready(1)).await, Some(1));
                let quick = async {
                    sleep(Duration::from_millis(1)).await;
                    2
                };
                if millis == 60_000 {
                    assert_eq!(alarm.before(due, quick).await, Some(2));
                } else {
                    assert_eq!(alarm.before(due, pending::<()>()).await, None);
                    assert!(Instant::now() >= due, "not early");
                }
            }
            assert!(
                started.elapsed() < Duration::from_secs(50),
                "nor at the latest"
            );
        });
    }

    #[test]
    fn a_task_that_asks_seldom_is_woken_for_each_limit() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::default();
            for millis in [60_000, 20, 40, 60_000, 10] {
                let due = Instant::now() + Duration::from_millis(millis);
                if millis == 60_000 {
                    poll_fn(|cx| {
                        assert!(alarm.poll_seldom(cx, due).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                } else {
                    poll_fn(|cx| alarm.poll_seldom(cx, due)).await;
                    assert!(Instant::now() >= due, "not early");
                }
            }
        });
    }

    #[test]
    fn work_that_takes_whole_turns_ends_in_time() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let greedy = || {
                poll_fn(|cx| {
                    while has_budget_remaining() {
                        let _ = pin!(consume_budget()).poll(cx);
                    }
                    cx.waker().wake_by_ref();
                    Poll::<()>::Pending
                })
            };
            let due = Instant::now() + Duration::from_millis(20);
            let patience = due + Duration::from_secs(20);
            assert_eq!(Alarm::default().before(due, greedy()).await, None);
            tokio::select! {
                biased;
                () = greedy() => {}
                () = wait_until(due) => {}
            }
            assert!(Instant::now() < patience);
        });
    }
}
