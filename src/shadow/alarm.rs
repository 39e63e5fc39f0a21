//! One timer for all the pairs of a hand.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is set once and then left where it is when a later time is asked for: moving it for each pair costs more than being woken early now
/// and then.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// What `work` gives, if it does so before `due`. An alarm is always used by one task.
    pub(super) async fn before<T>(
        &mut self,
        due: Instant,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => self.poll(due, cx).map(|()| None),
        })
        .await
    }

    fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::runtime::Builder;
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
}
