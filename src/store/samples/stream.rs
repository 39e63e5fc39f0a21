//! How the samples of a group lie in the file: one behind the other, each with a head, cut into blocks that fill a page of the file. Pure.
//!
//! A block goes when the last sample in it has gone. So all pages are full but the last one of each group, whatever the samples' sizes are, and the file
//! never has gaps that are too small for what comes.

use std::ops::Range;

/// Bytes of a block: a page of 4096 less what redb writes beside one value, its key included.
pub(super) const BLOCK: u64 = 4_076;
/// Bytes before a sample: its id, its time, and how long it is.
const HEAD: usize = 20;

/// What is known of a sample without reading it. Newer ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// Where its head is in the group's stream.
    pub(super) start: u64,
    /// Bytes, those of its head included.
    pub(super) len: u32,
}

impl Entry {
    /// Where the next one begins.
    pub(super) fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }
}

/// Bytes that a sample takes, of which there are some mebibytes at most.
pub(super) fn length(bytes: usize) -> u32 {
    (bytes + HEAD) as u32
}

/// Puts a sample behind others.
pub(super) fn append(stream: &mut Vec<u8>, entry: &Entry, bytes: &[u8]) {
    stream.extend(entry.id.to_le_bytes());
    stream.extend(entry.at.to_le_bytes());
    stream.extend(entry.len.to_le_bytes());
    stream.extend(bytes);
}

/// The blocks in which these bytes of a stream are.
pub(super) fn blocks(bytes: &Range<u64>) -> Range<u64> {
    match bytes.is_empty() {
        true => 0..0,
        false => bytes.start / BLOCK..bytes.end.div_ceil(BLOCK),
    }
}

/// Finds the samples of a stream whose blocks come one after the other.
#[derive(Debug)]
pub(super) struct Finder {
    /// Where the next sample begins.
    next: u64,
    /// What has come of its head.
    head: Vec<u8>,
    /// Where the blocks that have come end.
    end: u64,
}

impl Finder {
    /// In a stream whose first sample begins there.
    pub(super) fn new(start: u64) -> Self {
        Self {
            next: start,
            head: Vec::with_capacity(HEAD),
            end: start / BLOCK * BLOCK,
        }
    }

    /// The samples whose heads are complete with the next block.
    pub(super) fn feed(&mut self, block: &[u8]) -> Vec<Entry> {
        let begin = self.end;
        self.end += block.len() as u64;
        let mut found = Vec::new();
        loop {
            let missing = HEAD - self.head.len();
            let from = (self.next + self.head.len() as u64).saturating_sub(begin);
            let rest = usize::try_from(from)
                .ok()
                .and_then(|from| block.get(from..));
            let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
                return found;
            };
            self.head.extend(&rest[..missing.min(rest.len())]);
            let Ok(head) = <[u8; HEAD]>::try_from(self.head.as_slice()) else {
                return found;
            };
            self.head.clear();
            let entry = read(&head, self.next);
            // A length of nothing would be found for ever.
            self.next = entry.end().max(self.next + HEAD as u64);
            found.push(entry);
        }
    }

    /// Whether the blocks that have come, and the last sample in them, end there.
    pub(super) fn is_at(&self, end: u64) -> bool {
        self.next == end && self.end == end && self.head.is_empty()
    }
}

fn read(head: &[u8; HEAD], start: u64) -> Entry {
    let number = |range: Range<usize>| {
        let bytes = head[range].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    Entry {
        id: number(0..8),
        at: number(8..16).cast_signed(),
        start,
        len: number(16..20) as u32,
    }
}

/// A sample's own bytes, out of those of its blocks.
pub(super) fn body<'b>(entry: &Entry, blocks: &'b [u8]) -> &'b [u8] {
    let from = (entry.start % BLOCK) as usize;
    let end = from + entry.len as usize;
    blocks.get(from + HEAD..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_cut_into_blocks_is_found_again(lens in prop::collection::vec(0..9_000_usize, 1..40), skipped in 0..40_usize) {
            let mut stream = Vec::new();
            let mut entries = Vec::new();
            for (number, len) in lens.into_iter().enumerate() {
                let entry = Entry {
                    id: number as u64 * 1_000_003,
                    at: -(number as i64),
                    start: stream.len() as u64,
                    len: length(len),
                };
                append(&mut stream, &entry, &vec![number as u8; len]);
                entries.push(entry);
            }
            // Those at the front may have gone.
            let left = &entries[skipped.min(entries.len() - 1)..];
            let end = stream.len() as u64;
            let blocks = blocks(&(left[0].start..end));
            let mut finder = Finder::new(left[0].start);
            let mut found = Vec::new();
            for block in stream[(blocks.start * BLOCK) as usize..].chunks(BLOCK as usize) {
                found.extend(finder.feed(block));
            }
            prop_assert!(finder.is_at(end));
            prop_assert_eq!(&found, left);
            for entry in left {
                let of = super::blocks(&(entry.start..entry.end()));
                let bytes = &stream[(of.start * BLOCK) as usize..((of.end * BLOCK).min(end)) as usize];
                let body = body(entry, bytes);
                prop_assert_eq!(body.len(), entry.len as usize - HEAD);
                prop_assert!(body.iter().all(|byte| u64::from(*byte) * 1_000_003 == entry.id));
            }
        }

        #[test]
        fn no_bytes_are_searched_for_ever(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..5), start in 0..300_u64) {
            let mut finder = Finder::new(start);
            for block in blocks {
                prop_assert!(finder.feed(&block).len() <= block.len());
            }
        }
    }
}
