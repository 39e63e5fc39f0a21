//! When a file that can't be used is tried again: after a while that grows as long as it fails.

use std::time::{Duration, Instant};

/// How long a file is left alone, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Whether a file can be used, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// Since it can't: when it is tried again, and how long it was left alone.
    failing: Option<(Instant, Duration)>,
}

impl Patience {
    /// It could not be used. `true` if it could before.
    pub fn fail(&mut self, now: Instant) -> bool {
        let (first, most) = WAITS;
        let wait = self.failing.map_or(first, |(_, last)| (last * 2).min(most));
        self.failing.replace((now + wait, wait)).is_none()
    }

    /// It could be used. `true` if it could not before.
    pub fn succeed(&mut self) -> bool {
        self.failing.take().is_some()
    }

    /// It is tried at the next opportunity, for the last time perhaps.
    pub fn hurry(&mut self, now: Instant) {
        if let Some((next, _)) = &mut self.failing {
            *next = now;
        }
    }

    /// Whether it could not be used when that was tried last.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// When it is tried again; `None` if at once.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.failing
            .map(|(next, _)| next)
            .filter(|next| *next > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a time to begin with")]
    fn what_fails_is_left_alone_for_longer_each_time_until_it_succeeds() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        assert_eq!(
            (patience.is_failing(), patience.until(start)),
            (false, None)
        );
        assert!(patience.fail(start));
        assert_eq!(patience.until(start), Some(after(1)));
        assert_eq!(patience.until(after(1)), None);
        assert!(!patience.fail(after(1)));
        assert_eq!(patience.until(after(1)), Some(after(3)));
        for _ in 0..10 {
            patience.fail(after(100));
        }
        assert_eq!(patience.until(after(100)), Some(after(160)));
        patience.hurry(after(101));
        assert_eq!(patience.until(after(101)), None);
        assert!(patience.is_failing());
        assert!(patience.succeed());
        assert!(!patience.succeed());
        assert!(patience.fail(start));
        assert_eq!(patience.until(start), Some(after(1)));
    }
}
