//! The file of the ring. One thread has it, and opens it anew after every error: redb stays in error until then.
//!
//! What redb does not do by itself: it makes files readable by all, verifies no page unless asked to, takes a gibibyte for a cache, and knows no bound. So the
//! file is made by `scribe`, looked through when it is opened, and kept within its bound: [`bounded`](super::bounded) says how much of it can be used, and a file
//! that would be longer is refused its growth. All that is written in it is as long as a page, so what is free in it can be used.

use crate::store::samples::book::{Book, Gone, Shelf, parted};
use crate::store::samples::bounded::{Bounded, Size, batch_bytes, new_blocks};
use crate::store::samples::page::{GroupCount, Page, Query};
use crate::store::samples::sample::Sample;
use crate::store::samples::stream::{self, BLOCK, Entry, Finder};
use crate::store::scribe::FileError;
use crate::store::scribe::file::{guarded, own_file};
use flate2::read::ZlibDecoder;
use flate2::{Compress, FlushCompress, Status};
use redb::backends::FileBackend;
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition, TableHandle,
};
use std::collections::vec_deque::{Iter, VecDeque};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Blocks of the groups' streams, by the group's number and their place.
const BLOCKS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("blocks-1");
/// Of each group its number, where its first sample begins and its last one ends, and its pairs.
const GROUPS: TableDefinition<'_, &str, (u32, u64, u64, u64)> = TableDefinition::new("groups-1");

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 4 << 20;
/// A page of the API has at most this many bytes of samples, but one sample in any case.
const PAGE_BYTES: usize = 8 << 20;
/// Bytes of a sample as text.
const MOST: u64 = 16 << 20;

/// A sample as it is written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) group: String,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) bytes: Vec<u8>,
}

/// A file of samples that no proxy has open, to be read.
#[derive(Debug)]
pub struct Archive(Disk);

impl Archive {
    /// Opens the file, and looks through all of it.
    ///
    /// # Errors
    /// Where a process has it, or it can't be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        // Nothing is written, so nothing has to be bounded.
        Disk::open(path, i64::MAX.unsigned_abs() / 2).map(Self)
    }

    /// Reads samples.
    ///
    /// # Errors
    /// Where the file is damaged.
    pub fn page(&self, query: &Query) -> Result<Page, FileError> {
        self.0.page(query)
    }
}

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) samples: Vec<Encoded>,
    /// Pairs of groups since the last one.
    pub(super) pairs: Vec<(String, u64)>,
    /// Samples from before then go.
    pub(super) before: i64,
}

impl Batch {
    /// Blocks that it needs.
    fn blocks(&self) -> u64 {
        let groups: BTreeSet<&str> = self.samples.iter().map(|sample| &*sample.group).collect();
        let lengths = self
            .samples
            .iter()
            .map(|sample| stream::length(sample.bytes.len()));
        new_blocks(lengths.map(u64::from).sum(), groups.len())
    }
}

/// The file, open.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
    path: PathBuf,
    size: Size,
    book: Book,
}

/// What is put behind the samples of a group.
#[derive(Debug)]
struct Fresh {
    /// Where it begins in the group's stream.
    start: u64,
    bytes: Vec<u8>,
}

impl Encoded {
    /// A sample as bytes; `None` if its text is so long that no page can have it. `compress` is made once, since it is larger than most samples.
    pub(super) fn new(
        group: String,
        at: i64,
        sample: &Sample,
        compress: &mut Compress,
    ) -> Option<Self> {
        let text = serde_json::to_vec(sample).expect("a sample is JSON, and memory takes it");
        if text.len() as u64 > MOST {
            return None;
        }
        compress.reset();
        let mut bytes = Vec::new();
        let (mut rest, mut status) = (text.as_slice(), Status::Ok);
        while status != Status::StreamEnd {
            bytes.reserve(rest.len() / 4 + 256);
            let before = compress.total_in();
            status = compress
                .compress_vec(rest, &mut bytes, FlushCompress::Finish)
                .expect("memory takes what is written");
            let taken = usize::try_from(compress.total_in() - before);
            rest = &rest[taken.expect("no more than there is")..];
        }
        Some(Self { group, at, bytes })
    }
}

impl Disk {
    /// Opens the file, or makes it, and looks through all of it.
    pub(super) fn open(path: &Path, max_size: u64) -> Result<Self, FileError> {
        guarded(path, || {
            Self::with_backend(path, FileBackend::new(own_file(path)?)?, max_size)
        })
    }

    /// The same on anything that can be written.
    pub(super) fn with_backend(
        path: &Path,
        backend: impl StorageBackend,
        max_size: u64,
    ) -> Result<Self, redb::Error> {
        let size = Size::default();
        size.bound(max_size);
        let database = Database::builder()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(Bounded::new(backend, size.clone())?)?;
        let mut book = Book::default();
        let write = database.begin_write()?;
        // What another version has kept there can't be read, and would take room for ever.
        let known = [BLOCKS.name(), GROUPS.name()];
        let foreign: Vec<_> = write
            .list_tables()?
            .filter(|table| !known.contains(&table.name()))
            .collect();
        for table in foreign {
            write.delete_table(table)?;
        }
        {
            let blocks = write.open_table(BLOCKS)?;
            for row in write.open_table(GROUPS)?.iter()? {
                let (group, row) = row?;
                let (number, start, end, pairs) = row.value();
                let entries = find(&blocks, number, start..end)?;
                let mut shelf = Shelf {
                    number,
                    entries,
                    pairs,
                    ..Shelf::default()
                };
                shelf.written = shelf.blocks();
                book.restore(group.value().to_owned(), shelf);
            }
        }
        write.commit()?;
        Ok(Self {
            database,
            path: path.to_owned(),
            size,
            book,
        })
    }

    /// Another bound from now on.
    pub(super) fn bound(&mut self, max_size: u64) {
        self.size.bound(max_size);
    }

    /// Writes a batch, and takes out what has to go. After an error it is not known what of it was written.
    pub(super) fn commit(mut self, batch: &Batch) -> Result<Self, FileError> {
        if self.is_short(batch) {
            self = self.reopened()?;
        }
        let length = self.size.length();
        match self.try_commit(batch) {
            Err(FileError::Full(_)) => {}
            done => return done.map(|()| self),
        }
        // More of it is in use than was reckoned with.
        self = self.reopened()?;
        if self.size.length() <= length {
            self.shrink()?;
        }
        self.try_commit(batch)?;
        Ok(self)
    }

    /// Whether the batch has no place unless the file is made longer, by whoever opens it.
    fn is_short(&self, batch: &Batch) -> bool {
        let blocks = self.book.written() + batch.blocks();
        self.size.is_short(blocks, self.book.shelves.len())
    }

    /// The file, as long as it may be.
    fn reopened(self) -> Result<Self, FileError> {
        let Self {
            database,
            path,
            size,
            ..
        } = self;
        drop(database);
        Self::open(&path, size.limit())
    }

    /// Takes out so much that the file, made as short as it can be, has half of what it may be.
    pub(super) fn shrink(&mut self) -> Result<(), FileError> {
        let path = self.path.clone();
        guarded(&path, || self.halve())
    }

    fn halve(&mut self) -> Result<(), redb::Error> {
        self.make_room(0, 2);
        // To take something out of a full file needs a few pages more.
        let limit = self.size.bound(u64::MAX);
        let done = self.write(&BTreeMap::new());
        let done = done.and_then(|()| Ok(self.database.compact()?));
        self.size.bound(limit);
        done.map(drop)
    }

    /// Takes out what leaves no room for so many new blocks, in this part of the file.
    fn make_room(&mut self, new: u64, part: u64) {
        let room = self.size.room(new, self.book.shelves.len());
        self.book.make_room(room / part);
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<(), FileError> {
        let path = self.path.clone();
        guarded(&path, || {
            if self.size.length() > self.size.limit() {
                self.halve()?;
            }
            let new = batch.blocks();
            let groups = self.book.shelves.len();
            if self.book.written() + new > self.size.room(0, groups) {
                // What goes is free only when that is written.
                self.book.expire(batch.before);
                self.make_room(new, 1);
                self.write(&BTreeMap::new())?;
            }
            let fresh = self.enter(batch);
            self.book.expire(batch.before);
            self.make_room(new_blocks(batch_bytes(self.size.limit()), 0), 1);
            self.write(&fresh)
        })
    }

    /// Takes a batch into the book.
    fn enter<'b>(&mut self, batch: &'b Batch) -> BTreeMap<&'b str, Fresh> {
        let mut fresh: BTreeMap<&str, Fresh> = BTreeMap::new();
        for Encoded { group, at, bytes } in &batch.samples {
            let entry = self.book.add(group, *at, stream::length(bytes.len()));
            let fresh = fresh.entry(group).or_insert_with(|| Fresh {
                start: entry.start,
                bytes: Vec::new(),
            });
            stream::append(&mut fresh.bytes, &entry, bytes);
        }
        for (group, pairs) in &batch.pairs {
            self.book.count(group, *pairs);
        }
        fresh
    }

    /// Makes the file what the book is, all of it or nothing.
    fn write(&mut self, fresh: &BTreeMap<&str, Fresh>) -> Result<(), redb::Error> {
        if self.book.is_as_written() {
            return Ok(());
        }
        let write = self.database.begin_write()?;
        {
            let mut blocks = write.open_table(BLOCKS)?;
            let mut groups = write.open_table(GROUPS)?;
            for group in self.book.emptied() {
                groups.remove(group)?;
            }
            for Gone { number, places } in self.book.gone() {
                for place in places {
                    blocks.remove((number, place))?;
                }
            }
            for (group, shelf) in self.book.changed() {
                if let Some(fresh) = fresh.get(group) {
                    put(&mut blocks, shelf, fresh)?;
                }
                let bytes = shelf.bytes();
                groups.insert(group, (shelf.number, bytes.start, bytes.end, shelf.pairs))?;
            }
        }
        write.commit()?;
        self.book.is_written();
        Ok(())
    }

    /// Bytes of the file.
    #[cfg(test)]
    pub(super) fn length(&self) -> u64 {
        self.size.length()
    }

    /// Bytes of samples.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        let shelves = self.book.shelves.values();
        let bytes = shelves.map(|shelf| shelf.bytes().end - shelf.bytes().start);
        bytes.sum()
    }

    /// What redb says of its pages.
    #[cfg(test)]
    pub(super) fn stats(&self) -> redb::DatabaseStats {
        self.database.begin_write().unwrap().stats().unwrap()
    }

    /// Ids and groups, oldest first.
    #[cfg(test)]
    pub(super) fn entries(&self) -> Vec<(u64, String)> {
        let shelves = self.book.shelves.iter();
        let mut entries: Vec<_> = shelves
            .flat_map(|(group, shelf)| shelf.entries.iter().map(|entry| (entry.id, group.clone())))
            .collect();
        entries.sort();
        entries
    }

    /// Samples, newest first.
    pub(super) fn page(&self, query: &Query) -> Result<Page, FileError> {
        guarded(&self.path, || self.read(query))
    }

    fn read(&self, query: &Query) -> Result<Page, redb::Error> {
        let read = self.database.begin_read()?;
        let blocks = read.open_table(BLOCKS)?;
        let mut page = Page {
            groups: self.groups(query),
            ..Page::default()
        };
        let before = query.before.unwrap_or(u64::MAX);
        let shelves = self.book.shelves.iter();
        let mut shelves: Vec<_> = shelves
            .filter(|(group, _)| query.wants(group))
            .map(|(_, shelf)| {
                let end = shelf.entries.partition_point(|entry| entry.id < before);
                (shelf.number, shelf.entries.range(..end))
            })
            .collect();
        // The newest that is left of each group.
        let mut newest = BinaryHeap::new();
        let next = |shelves: &mut [(u32, Iter<'_, Entry>)], at: usize| {
            let entry = shelves[at].1.next_back()?;
            Some((*entry, at))
        };
        newest.extend((0..shelves.len()).filter_map(|at| next(&mut shelves, at)));
        let mut bytes = 0;
        while let Some((entry, at)) = newest.pop() {
            if page.samples.len() >= query.limit || bytes >= PAGE_BYTES {
                page.next = page.samples.last().map(|sample: &Sample| sample.id);
                break;
            }
            newest.extend(next(&mut shelves, at));
            let mut stream = Vec::new();
            for row in blocks.range(keys(shelves[at].0, &(entry.start..entry.end())))? {
                stream.extend(row?.1.value());
            }
            let mut text = String::new();
            ZlibDecoder::new(stream::body(&entry, &stream))
                .take(MOST)
                .read_to_string(&mut text)?;
            let mut sample: Sample = serde_json::from_str(&text)
                .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            sample.id = entry.id;
            bytes += text.len();
            page.samples.push(sample);
        }
        Ok(page)
    }

    fn groups(&self, query: &Query) -> Vec<GroupCount> {
        let shelves = self.book.shelves.iter();
        let mut groups: Vec<GroupCount> = shelves
            .filter(|(group, _)| query.wants(group))
            .map(|(group, shelf)| {
                let (route, cause) = parted(group);
                GroupCount {
                    route: route.to_owned(),
                    cause: cause.to_owned(),
                    samples: shelf.entries.len(),
                    pairs: shelf.pairs.max(shelf.entries.len() as u64),
                }
            })
            .collect();
        groups.sort_by(|a, b| (&a.route, &a.cause).cmp(&(&b.route, &b.cause)));
        groups
    }
}

/// The samples of a group.
fn find(
    blocks: &impl ReadableTable<(u32, u64), &'static [u8]>,
    number: u32,
    bytes: Range<u64>,
) -> Result<VecDeque<Entry>, redb::Error> {
    let mut finder = Finder::new(bytes.start);
    let mut entries = VecDeque::new();
    for row in blocks.range(keys(number, &bytes))? {
        let (_, block) = row?;
        entries.extend(finder.feed(block.value()));
    }
    match finder.is_at(bytes.end) {
        true => Ok(entries),
        false => Err(redb::Error::Corrupted(format!(
            "group {number} does not end where it should"
        ))),
    }
}

/// Puts what is new of a group into its blocks, unless it has gone already.
fn put(
    blocks: &mut Table<'_, (u32, u64), &'static [u8]>,
    shelf: &Shelf,
    fresh: &Fresh,
) -> Result<(), redb::Error> {
    let places = shelf.blocks();
    for place in places.start.max(fresh.start / BLOCK)..places.end {
        let key = (shelf.number, place);
        let start = place * BLOCK;
        let mut block = Vec::new();
        if let Some(len) = fresh.start.checked_sub(start) {
            let before = blocks.get(key)?;
            let before = before.iter().flat_map(|block| block.value());
            block.extend(before.take(len as usize));
        }
        let from = (start + block.len() as u64).saturating_sub(fresh.start) as usize;
        let rest = fresh.bytes.get(from..).unwrap_or_default();
        block.extend(rest.iter().take(BLOCK as usize - block.len()));
        blocks.insert(key, block.as_slice())?;
    }
    Ok(())
}

/// The keys of the blocks in which these bytes of a stream are.
fn keys(number: u32, bytes: &Range<u64>) -> Range<(u32, u64)> {
    let places = stream::blocks(bytes);
    (number, places.start)..(number, places.end)
}
