//! A waker that can be told to hold its tongue.
//!
//! The ends of hyper's channels wake each other whenever one of them moves. Where both are polled by the same task, one after the other, such a
//! wake-up would only make that task run once more for nothing. What is woken while the waker is hushed is remembered, not passed on.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

const HUSHED: u8 = 1;
const WOKEN: u8 = 2;

/// The task to wake, and whether it may be woken.
#[derive(Debug)]
pub(super) struct Hush {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl Hush {
    /// Hushed, for nobody.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(HUSHED),
            task: Mutex::new(Waker::noop().clone()),
        })
    }

    /// From now on wake-ups are remembered only; what was remembered is forgotten.
    pub(super) fn hush(&self) {
        if self.state.load(Ordering::SeqCst) != HUSHED {
            self.state.store(HUSHED, Ordering::SeqCst);
        }
    }

    /// From now on wake-ups go to this task. One that came since [`Self::hush`] goes there at once.
    pub(super) fn speak(&self, task: &Waker) {
        {
            let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.will_wake(task) {
                known.clone_from(task);
            }
        }
        if self.state.swap(0, Ordering::SeqCst) & WOKEN != 0 {
            task.wake_by_ref();
        }
    }
}

impl Wake for Hush {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::SeqCst) & HUSHED == 0 {
            self.task
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Debug, Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wake_up_is_passed_on_unless_hushed_and_never_lost() {
        let task = Arc::new(Task::default());
        let wakers = [Waker::from(Arc::clone(&task)), Waker::noop().clone()];
        let hush = Hush::new();
        let waker = Waker::from(Arc::clone(&hush));
        let woken = || task.0.swap(0, Ordering::SeqCst);

        waker.wake_by_ref();
        assert_eq!(woken(), 0, "nobody to wake yet");
        hush.hush();
        hush.speak(&wakers[0]);
        assert_eq!(woken(), 0, "hush forgets");
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(woken(), 2, "passed on");
        hush.hush();
        waker.wake_by_ref();
        assert_eq!(woken(), 0, "hushed");
        hush.speak(&wakers[0]);
        assert_eq!(woken(), 1, "remembered");
        hush.hush();
        waker.wake_by_ref();
        hush.speak(&wakers[1]);
        waker.wake_by_ref();
        assert_eq!(woken(), 0, "another task has taken over");
    }
}
