//! The memory of all bodies that requests hold: what has come and was not passed on, what is kept for another attempt, what a client does not read.
//!
//! A body that is under way is never broken off for it. What is over the limit keeps new requests with a body out, until there is room again.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of bodies in all. Clones are the same memory.
#[derive(Clone, Debug, Default)]
pub struct BodyMemory(Arc<AtomicUsize>);

impl BodyMemory {
    /// Bytes that are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A holder of nothing yet.
    pub(super) fn holding(&self) -> Holding {
        Holding {
            memory: self.clone(),
            bytes: 0,
        }
    }

    /// The same bytes, counted for as long as they are somewhere.
    pub(super) fn count(&self, bytes: Bytes) -> Bytes {
        let mut held = self.holding();
        held.set(bytes.len());
        Bytes::from_owner(Counted { bytes, _held: held })
    }
}

/// Some bytes of the memory, given back on drop.
#[derive(Debug)]
pub(super) struct Holding {
    memory: BodyMemory,
    bytes: usize,
}

impl Holding {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds this many from now on.
    pub(super) fn set(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            let more = bytes - self.bytes;
            self.memory.0.fetch_add(more, Ordering::Relaxed);
        } else {
            let less = self.bytes - bytes;
            self.memory.0.fetch_sub(less, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.set(0);
        }
    }
}

struct Counted {
    bytes: Bytes,
    _held: Holding,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_the_last_part_of_them_is_gone() {
        let memory = BodyMemory::default();
        let mut bytes = memory.count(Bytes::from_static(b"0123456789"));
        let first = bytes.split_to(4);
        let mut held = memory.holding();
        held.set(5);
        assert_eq!((&first[..], &bytes[..]), (&b"0123"[..], &b"456789"[..]));
        assert_eq!(memory.used(), 15);
        drop(bytes);
        assert_eq!(memory.used(), 15, "a part still pins the whole");
        drop(first);
        held.set(2);
        assert_eq!(memory.used(), 2);
        drop(held);
        assert_eq!(memory.used(), 0);
    }
}
