//! Whether the other end of a connection is still there, judged by whether anything comes: it is asked after a silence, and given up if it says nothing
//! to that. Nobody reads a clock for what comes: it is looked at now and then.

use std::time::Duration;

/// Looks in the time after which the other end is asked.
const LOOKS: u32 = 4;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Vigil {
    step: Duration,
    patience: Duration,
    heard: usize,
    /// Looks that found nothing new, in a row.
    silent: u32,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Fine,
    /// The other end is to be asked.
    Ask,
    Dead,
}

impl Vigil {
    /// Asks after a silence, and waits for an answer.
    pub(super) fn new(silence: Duration, patience: Duration) -> Self {
        Self {
            step: silence / LOOKS,
            patience,
            heard: 0,
            silent: 0,
        }
    }

    /// Until the next look.
    pub(super) fn pause(&self) -> Duration {
        if self.silent > LOOKS {
            self.patience
        } else {
            self.step
        }
    }

    /// A look; something has come so often.
    pub(super) fn look(&mut self, heard: usize) -> Finding {
        if heard != self.heard {
            self.heard = heard;
            self.silent = 0;
            return Finding::Fine;
        }
        self.silent += 1;
        match self.silent {
            ..=LOOKS => Finding::Fine,
            silent if silent == LOOKS + 1 => Finding::Ask,
            _ => Finding::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once_and_then_fatal() {
        let mut vigil = Vigil::new(Duration::from_secs(40), Duration::from_secs(7));
        let mut check = |heard: usize, expected: Finding, pause: u64| {
            assert_eq!(vigil.look(heard), expected);
            assert_eq!(vigil.pause(), Duration::from_secs(pause));
        };
        check(1, Finding::Fine, 10);
        for _ in 0..3 {
            for _ in 0..4 {
                check(1, Finding::Fine, 10);
            }
            check(1, Finding::Ask, 7);
            check(2, Finding::Fine, 10);
            check(1, Finding::Fine, 10);
        }
        for _ in 0..4 {
            check(1, Finding::Fine, 10);
        }
        check(1, Finding::Ask, 7);
        check(1, Finding::Dead, 7);
    }
}
