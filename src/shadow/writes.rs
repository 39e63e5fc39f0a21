//! Which keys were written through the proxy, and when last: what a difference may come from.
//!
//! The memory is fixed, and there is none before the first write. A key has its place in one of many lines; where a line is full the key that was
//! written longest ago is forgotten, so that what is told is true, and may be too little. Nobody waits: workers write what the lab reads.

use crate::route::bucket::Salt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of memory: 512 KiB in all.
const LINES: usize = 8 * 1024;

/// Keys of a line.
const PLACES: usize = 8;

/// Bits of a place that tell when, in milliseconds: 34 years. Those above them tell keys of a line apart.
const WHEN_BITS: u32 = 40;

const WHEN: u64 = (1 << WHEN_BITS) - 1;

/// The keys that were written of late.
#[derive(Debug)]
pub struct Writes {
    /// Of this process alone, so that nobody can choose keys that share a line.
    hasher: RandomState,
    began: Instant,
    lines: OnceLock<Box<[Line]>>,
}

/// A key under its salt, as [`Writes`] knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenKey(u64);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; PLACES]);

impl Default for Writes {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            began: Instant::now(),
            lines: OnceLock::new(),
        }
    }
}

impl Writes {
    /// A key as routes share it: those with the same salt mean the same by it.
    #[must_use]
    pub fn key(&self, salt: &Salt, key: &str) -> WrittenKey {
        WrittenKey(self.hasher.hash_one((salt.as_str(), key)))
    }

    /// A key is being written, or was.
    pub fn mark(&self, key: WrittenKey, at: Instant) {
        let lines = self
            .lines
            .get_or_init(|| (0..LINES).map(|_| Line::default()).collect());
        // 0 is a place that nobody has.
        let millis = at.saturating_duration_since(self.began).as_millis();
        let when = u64::try_from(millis + 1).unwrap_or(WHEN).min(WHEN);
        line(lines, key).mark(key.0 & !WHEN | when);
    }

    /// When a key was written last, as far as is known.
    #[must_use]
    pub fn last(&self, salt: &Salt, key: &str) -> Option<Instant> {
        // Where nothing is ever written no key is looked for.
        self.lines.get()?;
        self.last_of(self.key(salt, key))
    }

    fn last_of(&self, key: WrittenKey) -> Option<Instant> {
        let when = line(self.lines.get()?, key).last(key.0)?;
        Some(self.began + Duration::from_millis(when - 1))
    }
}

fn line(lines: &[Line], key: WrittenKey) -> &Line {
    &lines[key.0 as usize % LINES]
}

impl Line {
    fn mark(&self, entry: u64) {
        let mut oldest = (&self.0[0], u64::MAX);
        for place in &self.0 {
            let there = place.load(Ordering::Relaxed);
            if there >> WHEN_BITS == entry >> WHEN_BITS && there & WHEN > 0 {
                // The later of the two, and the key stays.
                place.fetch_max(entry, Ordering::Release);
                return;
            }
            if there & WHEN < oldest.1 & WHEN {
                oldest = (place, there);
            }
        }
        // Who comes first has the place: the other one's key is forgotten at once rather than that anybody waits.
        let (place, there) = oldest;
        let _ = place.compare_exchange(there, entry, Ordering::Release, Ordering::Relaxed);
    }

    fn last(&self, key: u64) -> Option<u64> {
        let entries = self.0.iter().map(|place| place.load(Ordering::Acquire));
        entries
            .filter(|entry| entry >> WHEN_BITS == key >> WHEN_BITS)
            .map(|entry| entry & WHEN)
            .filter(|when| *when > 0)
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_under_its_salt_by_its_last_write() {
        let writes = Writes::default();
        let (ours, theirs) = (Salt::new("ours"), Salt::new("theirs"));
        let key = writes.key(&ours, "a");
        assert_eq!(writes.last_of(key), None);
        assert!(writes.lines.get().is_none(), "no memory before a write");
        let at = |millis| writes.began + Duration::from_millis(millis);
        for (marked, last) in [(0, 0), (7, 7), (3, 7), (9, 9)] {
            writes.mark(key, at(marked));
            assert_eq!(writes.last_of(key), Some(at(last)));
        }
        assert_eq!(key, writes.key(&Salt::new("ours"), "a"));
        assert_eq!(writes.last(&ours, "b"), None);
        assert_eq!(writes.last(&theirs, "a"), None);
    }

    #[test]
    fn a_full_line_forgets_who_was_written_longest_ago() {
        let writes = Writes::default();
        let at = |millis| writes.began + Duration::from_millis(millis);
        // Keys of one line.
        let keys: Vec<_> = (1..=PLACES as u64 + 3)
            .map(|number| WrittenKey(number << WHEN_BITS))
            .collect();
        for (number, key) in keys.iter().enumerate() {
            writes.mark(*key, at(number as u64));
        }
        let known = |key: &&WrittenKey| writes.last_of(**key).is_some();
        assert_eq!(keys.iter().filter(known).count(), PLACES);
        assert!(keys[3..].iter().all(|key| known(&key)));
        writes.mark(keys[3], at(100));
        writes.mark(keys[0], at(101));
        assert!(known(&&keys[3]) && known(&&keys[0]) && !known(&&keys[4]));
    }

    #[test]
    fn ten_million_keys_take_what_one_does() {
        let writes = Writes::default();
        let salt = Salt::new("a");
        let latest = writes.key(&salt, "latest");
        for number in 0..10_000_000_u32 {
            writes.mark(writes.key(&salt, &number.to_string()), writes.began);
        }
        writes.mark(latest, writes.began + Duration::from_secs(1));
        assert!(writes.last_of(latest).is_some());
        let lines = writes.lines.get().map_or(0, |lines| lines.len());
        assert_eq!(lines * size_of::<Line>(), 512 * 1024);
    }

    #[test]
    fn threads_write_at_once_and_the_last_time_holds() {
        let writes = Writes::default();
        let key = writes.key(&Salt::new("a"), "k");
        let at = |millis| writes.began + Duration::from_millis(millis);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let writes = &writes;
                scope.spawn(move || {
                    (0..1_000).for_each(|turn| writes.mark(key, at(turn * 4 + thread)));
                });
            }
        });
        assert_eq!(writes.last_of(key), Some(at(3_999)));
    }
}
