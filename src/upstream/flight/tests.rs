//! Places by their number, whoever takes them, leaves them, or gives up.

use super::*;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Builder;

fn bounds(in_flight: usize, queue: usize) -> Bounds {
    Bounds {
        in_flight,
        queue,
        patience: Duration::from_secs(60),
    }
}

/// In flight, and waiting.
fn state(flights: &Flights) -> (u64, u64) {
    let state = flights.state.load(Acquire);
    (state % WAITING, state / WAITING)
}

#[test]
fn places_are_taken_in_turn_and_no_more_than_there_are() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let flights = Arc::new(Flights::default());
    let waiting = GaugeCell::default();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(flights.enter(2) && flights.enter(2) && !flights.enter(2));
    let mut first = pin!(flights.wait(bounds(2, 2), 1, &waiting));
    let mut second = pin!(flights.wait(bounds(2, 2), 2, &waiting));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    let mut third = pin!(flights.wait(bounds(2, 2), 3, &waiting));
    assert!(matches!(
        third.as_mut().poll(&mut cx),
        Poll::Ready(Err(Fault::Queue))
    ));
    assert_eq!((state(&flights), waiting.value()), ((2, 2), 2));
    flights.leave(9);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert!(!flights.enter(2), "nobody gets past those that wait");
    assert!(first.as_mut().poll(&mut cx).is_ready());
    flights.leave(1);
    assert!(second.as_mut().poll(&mut cx).is_ready());
    assert_eq!(state(&flights), (2, 0));
    flights.leave(1);
    flights.leave(2);
    assert_eq!((state(&flights), waiting.value()), ((0, 0), 0));
}

#[test]
fn a_place_that_was_given_to_somebody_who_has_gone_goes_on() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let flights = Arc::new(Flights::default());
    let waiting = GaugeCell::default();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(flights.enter(1));
    let mut gone = Box::pin(flights.wait(bounds(1, 9), 1, &waiting));
    let mut given = Box::pin(flights.wait(bounds(1, 9), 2, &waiting));
    let mut last = Box::pin(flights.wait(bounds(1, 9), 3, &waiting));
    for waits in [&mut gone, &mut given, &mut last] {
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
    drop(gone);
    assert_eq!(state(&flights), (1, 2));
    flights.leave(9);
    drop(given);
    assert_eq!(state(&flights), (1, 0));
    assert!(last.as_mut().poll(&mut cx).is_ready());
    flights.leave(3);
    assert_eq!(state(&flights), (0, 0));
}

#[test]
fn every_second_place_is_for_whoever_came_first() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let flights = Arc::new(Flights::default());
    let waiting = GaugeCell::default();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(flights.enter(1));
    let mut queue: Vec<_> = [1, 1, 2, 2, 2]
        .into_iter()
        .map(|pool| (pool, Box::pin(flights.wait(bounds(1, 9), pool, &waiting))))
        .collect();
    for (_, waits) in &mut queue {
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
    let mut order = Vec::new();
    while !queue.is_empty() {
        flights.leave(2);
        let next = queue
            .iter_mut()
            .position(|(_, waits)| waits.as_mut().poll(&mut cx).is_ready());
        order.push(queue.remove(next.unwrap()).0);
    }
    assert_eq!(order, [1, 2, 1, 2, 2]);
}

#[test]
fn threads_never_exceed_the_limit_and_lose_no_place() {
    const LIMIT: usize = 3;
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let flights = Arc::new(Flights::default());
    let (busy, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let request = |pool: usize, flights: Arc<Flights>, busy: Arc<AtomicUsize>| async move {
        if !flights.enter(LIMIT) {
            let waiting = GaugeCell::default();
            if flights
                .wait(bounds(LIMIT, 1_000), pool, &waiting)
                .await
                .is_err()
            {
                return;
            }
        }
        let place = Left(flights, busy, pool);
        assert!(place.1.fetch_add(1, Relaxed) < LIMIT);
        tokio::task::yield_now().await;
    };
    runtime.block_on(async {
        let tasks: Vec<_> = (0..2_000)
            .map(|number| {
                let (flights, busy, served) =
                    (Arc::clone(&flights), Arc::clone(&busy), Arc::clone(&served));
                let task = runtime.spawn(async move {
                    request(number % 4, flights, busy).await;
                    served.fetch_add(1, Relaxed);
                });
                if number % 7 == 0 {
                    task.abort();
                }
                task
            })
            .collect();
        for task in tasks {
            assert!(task.await.err().is_none_or(|error| error.is_cancelled()));
        }
    });
    assert!(served.load(Relaxed) >= 2_000 - 2_000 / 7 - 1);
    assert_eq!(state(&flights), (0, 0));
    assert!(flights.enter(1));
}

/// A place that a request leaves, however it ends.
struct Left(Arc<Flights>, Arc<AtomicUsize>, usize);

impl Drop for Left {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Relaxed);
        self.0.leave(self.2);
    }
}
