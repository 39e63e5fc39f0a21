//! A file that grows no further than it may, and how much of it the ring can use.
//!
//! redb doubles a file that is too small, and so would leave up to half of what there may be unused. But it takes a closed file as long as it finds it: so one that
//! could not double is made as long as it may be before it is opened.

use crate::store::samples::stream::BLOCK;
use redb::StorageBackend;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A page of the file.
const PAGE: u64 = 4096;
/// Pages that are no blocks of samples: the head of the file, and redb's own tables.
const OWN_PAGES: u64 = 24;
/// For so many blocks there is a page of their tree, or of what changes in it before what it was is free; rather more pages than there are.
const BLOCKS_PER_BRANCH: u64 = 24;
/// For so many groups there is a page of theirs.
const GROUPS_PER_PAGE: u64 = 12;

/// How long the file is, and how long it may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Size {
    length: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
}

impl Size {
    /// Another bound from now on, in bytes; the old one.
    pub(super) fn bound(&self, limit: u64) -> u64 {
        self.limit.swap(limit / PAGE * PAGE, Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Blocks that there may be, so that as many new ones can be written before others are free.
    pub(super) fn room(&self, new: u64, groups: usize) -> u64 {
        let beside = beside(groups) + new;
        let rest = (self.limit() / PAGE).saturating_sub(beside);
        rest / (BLOCKS_PER_BRANCH + 1) * BLOCKS_PER_BRANCH
    }

    /// Whether there is no place for so many blocks in a file that redb could not make longer.
    pub(super) fn is_short(&self, blocks: u64, groups: usize) -> bool {
        let pages = blocks + blocks.div_ceil(BLOCKS_PER_BRANCH) + beside(groups);
        pages > self.length() / PAGE && can_not_double(self.length(), self.limit())
    }
}

fn beside(groups: usize) -> u64 {
    OWN_PAGES + (groups as u64).div_ceil(GROUPS_PER_PAGE)
}

fn can_not_double(length: u64, limit: u64) -> bool {
    length < limit && limit < length.saturating_mul(2)
}

/// Bytes of a sample, and of all that are written at once: these need room beside what goes.
pub(super) fn batch_bytes(max_size: u64) -> u64 {
    (max_size / 16).min(4 << 20)
}

/// Blocks that are written for so many bytes that are put behind those of so many groups: the last one of each is begun anew, and there are two more ends.
pub(super) fn new_blocks(bytes: u64, groups: usize) -> u64 {
    bytes.div_ceil(BLOCK) + 2 * groups as u64
}

/// A file that keeps to its bound.
#[derive(Debug)]
pub(super) struct Bounded<B> {
    backend: B,
    size: Size,
}

impl<B: StorageBackend> Bounded<B> {
    /// A file that is closed.
    pub(super) fn new(backend: B, size: Size) -> io::Result<Self> {
        let (mut length, limit) = (backend.len()?, size.limit());
        if length > 0 && can_not_double(length, limit) {
            backend.set_len(limit)?;
            length = limit;
        }
        size.length.store(length, Ordering::Relaxed);
        Ok(Self { backend, size })
    }
}

impl<B: StorageBackend> StorageBackend for Bounded<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if length > self.size.length().max(self.size.limit()) {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "the file would be larger than samples.max_size",
            ));
        }
        self.backend.set_len(length)?;
        self.size.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }
}
