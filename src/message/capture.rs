//! The only bounded copy of a body. Over its bounds the copy is spoiled, never the stream.
//!
//! Frames are copied: a frame kept alive would pin the read buffer of the connection that it came from.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that all copies of a kind may take together.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of that many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes taken now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .is_ok()
    }
}

/// A part of a budget, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Nothing yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Nothing yet, of the same budget.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::new(Arc::clone(&self.budget))
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more; `false` and nothing taken if the budget is used up.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Takes over what another one of the same budget holds.
    pub fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why there is no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// The body is longer than a copy may be.
    TooLarge,
    /// The budget of all copies is used up.
    Budget,
}

/// A copy of a body, as long as it stays within its bounds.
#[derive(Debug)]
pub struct Capture {
    limit: usize,
    /// How long it will be; 0 if that was not told.
    announced: usize,
    bytes: Vec<u8>,
    held: Reservation,
    spoiled: Option<Spoiled>,
}

impl Capture {
    /// A copy of at most `limit` bytes, for a body that announces `expected` bytes. `held` is empty, and takes memory as they come: who announces much
    /// and sends little must not use up what is there for all.
    #[must_use]
    pub fn new(limit: usize, held: Reservation, expected: Option<u64>) -> Self {
        let mut capture = Self {
            limit,
            announced: 0,
            bytes: Vec::new(),
            held,
            spoiled: None,
        };
        match expected.map(usize::try_from) {
            Some(Ok(expected)) if expected <= limit => capture.announced = expected,
            Some(_) => capture.spoil(Spoiled::TooLarge),
            None => {}
        }
        capture
    }

    /// Adds a frame's bytes.
    pub fn push(&mut self, frame: &[u8]) {
        if self.spoiled.is_some() {
            return;
        }
        let length = self.bytes.len() + frame.len();
        if length > self.limit {
            return self.spoil(Spoiled::TooLarge);
        }
        if length > self.bytes.capacity() {
            // Twice what has come at most, and of a body that told its length no more than that.
            let most = match self.announced {
                0 => (self.bytes.capacity() * 2).min(self.limit),
                announced => (length * 2).min(announced),
            };
            self.reserve(most.max(length) - self.bytes.len());
        }
        if self.spoiled.is_none() {
            self.bytes.extend_from_slice(frame);
        }
    }

    /// Why there will be no copy, if that is known already.
    #[must_use]
    pub fn spoiled(&self) -> Option<Spoiled> {
        self.spoiled
    }

    /// The whole copy and the part of the budget that it holds.
    pub fn finish(self) -> Result<(Bytes, Reservation), Spoiled> {
        match self.spoiled {
            Some(why) => Err(why),
            None => Ok((Bytes::from(self.bytes), self.held)),
        }
    }

    fn reserve(&mut self, more: usize) {
        let target = self.bytes.len() + more;
        if self.held.grow(target.saturating_sub(self.bytes.capacity())) {
            self.bytes.reserve_exact(more);
        } else {
            self.spoil(Spoiled::Budget);
        }
    }

    fn spoil(&mut self, why: Spoiled) {
        self.spoiled = Some(why);
        self.bytes = Vec::new();
        self.held = self.held.beside();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        limit: usize,
        budget: usize,
        expected: Option<u64>,
        frames: &[&[u8]],
        want: Result<&[u8], Spoiled>,
    ) {
        let budget = Budget::new(budget);
        let mut capture = Capture::new(limit, Reservation::new(Arc::clone(&budget)), expected);
        for frame in frames {
            capture.push(frame);
        }
        match capture.finish() {
            Ok((bytes, held)) => {
                assert_eq!(Ok(&bytes[..]), want);
                assert!(budget.used() >= bytes.len(), "a copy is paid for");
                drop(held);
            }
            Err(why) => assert_eq!(Err(why), want),
        }
        assert_eq!(budget.used(), 0, "everything is given back");
    }

    #[test]
    fn a_copy_is_whole_or_spoiled() {
        check(8, 100, None, &[b"ab", b"", b"cd"], Ok(b"abcd"));
        check(8, 100, Some(4), &[b"ab", b"cd"], Ok(b"abcd"));
        check(8, 100, None, &[b"abcd", b"efgh"], Ok(b"abcdefgh"));
        check(8, 100, None, &[b"abcd", b"efghi"], Err(Spoiled::TooLarge));
        check(8, 100, Some(9), &[], Err(Spoiled::TooLarge));
        check(8, 100, Some(u64::MAX), &[], Err(Spoiled::TooLarge));
        check(8, 3, Some(4), &[b"abcd"], Err(Spoiled::Budget));
        check(8, 3, None, &[b"ab", b"cd"], Err(Spoiled::Budget));
        check(8, 0, None, &[], Ok(b""));
    }

    #[test]
    fn an_announced_length_takes_nothing_before_it_has_come() {
        let budget = Budget::new(100);
        let mut capture = Capture::new(64, Reservation::new(Arc::clone(&budget)), Some(60));
        assert_eq!(budget.used(), 0);
        for (come, most) in [(1, 2), (2, 4), (3, 8), (40, 60), (60, 60)] {
            while capture.bytes.len() < come {
                capture.push(b"x");
            }
            assert!(
                (come..=most).contains(&budget.used()),
                "{come}: {}",
                budget.used()
            );
        }
    }

    #[test]
    fn a_spoiled_copy_holds_nothing_while_the_stream_goes_on() {
        let budget = Budget::new(100);
        let mut capture = Capture::new(4, Reservation::new(Arc::clone(&budget)), None);
        capture.push(b"abc");
        assert!(budget.used() >= 3);
        capture.push(b"de");
        assert_eq!(budget.used(), 0);
        capture.push(b"f");
        assert_eq!(capture.finish().map(|_| ()), Err(Spoiled::TooLarge));
    }
}
