//! The file of the ring. One thread has it, and opens it anew after every error: redb stays in error until then.
//!
//! What redb does not do by itself: it makes files readable by all, verifies no page unless asked to, takes a gibibyte for a cache, and doubles a file that is
//! too small. So the file is made here, looked through when it is opened, and kept within its bound: what the ring may take is counted such that a file that
//! doubles stays below, and a file that would not is refused its growth.

use crate::store::samples::book::{Book, Entry, parted};
use crate::store::samples::page::{GroupCount, Page, Query};
use crate::store::samples::sample::Sample;
use crate::store::scribe::FileError;
use crate::store::scribe::file::{guarded, own_file};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples by id.
const SAMPLES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("samples-1");
/// Group, milliseconds since 1970 and cost of each, so that nothing need be read of a sample that goes.
const INDEX: TableDefinition<'_, u64, (&str, i64, u64)> = TableDefinition::new("index-1");
/// Pairs of each group.
const PAIRS: TableDefinition<'_, &str, u64> = TableDefinition::new("pairs-1");

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 4 << 20;
/// What the file may have beside what it may hold: tables of free pages.
const BESIDE: u64 = 1 << 20;
/// A page of the file.
const PAGE: u64 = 4096;
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

/// The file, open.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
    path: PathBuf,
    length: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
    book: Book,
}

impl Encoded {
    /// A sample as bytes; `None` if its text is so long that no page can have it.
    pub(super) fn new(group: String, at: i64, sample: &Sample) -> Option<Self> {
        let text = serde_json::to_vec(sample).expect("a sample is JSON, and memory takes it");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&text)
            .expect("memory takes what is written");
        (text.len() as u64 <= MOST).then(|| Self {
            group,
            at,
            bytes: encoder.finish().expect("memory takes what is written"),
        })
    }

    /// What it takes of the file, rather more than less: a value of more than a page has pages of its own, as many as a power of two.
    fn cost(&self) -> u64 {
        let len = self.bytes.len() as u64;
        let beside = 2 * (self.group.len() as u64 + 64);
        beside
            + match len {
                0..=1_024 => len * 3 / 2,
                1_025..=3_800 => PAGE,
                more => (more + 256).div_ceil(PAGE).next_power_of_two() * PAGE,
            }
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
        let length = Arc::new(AtomicU64::new(backend.len()?));
        let limit = Arc::new(AtomicU64::new(max_size + BESIDE));
        let bounded = Bounded {
            backend,
            length: Arc::clone(&length),
            limit: Arc::clone(&limit),
        };
        let mut database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(bounded)?;
        // What it could repair is whole again.
        database.check_integrity()?;
        let mut book = Book::default();
        let write = database.begin_write()?;
        {
            write.open_table(SAMPLES)?;
            let index = write.open_table(INDEX)?;
            for row in index.iter()? {
                let (id, row) = row?;
                let (group, at, cost) = row.value();
                let id = id.value();
                book.add(group, Entry { id, at, cost });
            }
            for row in write.open_table(PAIRS)?.iter()? {
                let (group, pairs) = row?;
                if let Some(shelf) = book.shelves.get_mut(group.value()) {
                    shelf.pairs = pairs.value();
                }
            }
        }
        write.commit()?;
        Ok(Self {
            database,
            path: path.to_owned(),
            length,
            limit,
            book,
        })
    }

    /// Another bound from now on.
    pub(super) fn bound(&mut self, max_size: u64) {
        self.limit.store(max_size + BESIDE, Ordering::Relaxed);
    }

    /// Bytes that the ring may take: as much of a file as it can grow to by doubling as leaves room for what is written before something is free.
    fn room(&self) -> u64 {
        let limit = self.limit.load(Ordering::Relaxed);
        let mut length = self.length.load(Ordering::Relaxed).max(BESIDE);
        while length * 2 <= limit {
            length *= 2;
        }
        length.min(limit) / 10 * 7
    }

    /// Whether the file is larger than it may be by now.
    fn is_too_large(&self) -> bool {
        self.length.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed)
    }

    /// Writes a batch, and takes out what has to go; all of it or nothing. `false` if there was nothing to do.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<bool, FileError> {
        let path = self.path.clone();
        guarded(&path, || {
            if self.is_too_large() {
                self.halve()?;
            }
            self.write(batch)
        })
    }

    /// Takes out so much that the file, made as short as it can be, may double and stay within its bound.
    pub(super) fn shrink(&mut self) -> Result<(), FileError> {
        let path = self.path.clone();
        guarded(&path, || self.halve())
    }

    fn halve(&mut self) -> Result<(), redb::Error> {
        let limit = self.limit.load(Ordering::Relaxed);
        let gone = self.book.make_room(limit / 10 * 3);
        // To take something out of a full file needs a few pages more.
        self.limit.store(u64::MAX, Ordering::Relaxed);
        let done = self.remove(&gone);
        self.limit.store(limit, Ordering::Relaxed);
        done
    }

    fn remove(&mut self, gone: &[u64]) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut samples = write.open_table(SAMPLES)?;
            let mut index = write.open_table(INDEX)?;
            for id in gone {
                samples.remove(id)?;
                index.remove(id)?;
            }
        }
        write.commit()?;
        self.database.compact()?;
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<bool, redb::Error> {
        let mut added = Vec::with_capacity(batch.samples.len());
        for sample in &batch.samples {
            let entry = Entry {
                id: self.book.next_id(),
                at: sample.at,
                cost: sample.cost(),
            };
            self.book.add(&sample.group, entry);
            added.push((entry, sample));
        }
        let mut gone = self.book.expire(batch.before);
        gone.extend(self.book.make_room(self.room()));
        if added.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let write = self.database.begin_write()?;
        {
            let mut samples = write.open_table(SAMPLES)?;
            let mut index = write.open_table(INDEX)?;
            for id in &gone {
                samples.remove(id)?;
                index.remove(id)?;
            }
            for (entry, sample) in &added {
                if !gone.contains(&entry.id) {
                    samples.insert(entry.id, sample.bytes.as_slice())?;
                    index.insert(entry.id, (sample.group.as_str(), entry.at, entry.cost))?;
                }
            }
            let mut pairs = write.open_table(PAIRS)?;
            for (group, more) in &batch.pairs {
                if let Some(shelf) = self.book.shelves.get_mut(group) {
                    shelf.pairs += more;
                    pairs.insert(group.as_str(), shelf.pairs)?;
                }
            }
            pairs.retain(|group, _| self.book.shelves.contains_key(group))?;
        }
        write.commit()?;
        Ok(true)
    }

    /// Bytes of the file.
    #[cfg(test)]
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Ids and groups, oldest first.
    #[cfg(test)]
    pub(super) fn entries(&self) -> Vec<(u64, String)> {
        let read = self.database.begin_read().unwrap();
        let index = read.open_table(INDEX).unwrap();
        let rows = index.iter().unwrap().map(Result::unwrap);
        rows.map(|(id, row)| (id.value(), row.value().0.to_owned()))
            .collect()
    }

    /// Samples, newest first.
    pub(super) fn page(&self, query: &Query) -> Result<Page, FileError> {
        guarded(&self.path, || self.read(query))
    }

    fn read(&self, query: &Query) -> Result<Page, redb::Error> {
        let read = self.database.begin_read()?;
        let samples = read.open_table(SAMPLES)?;
        let index = read.open_table(INDEX)?;
        let mut page = Page {
            groups: self.groups(query),
            ..Page::default()
        };
        let mut bytes = 0;
        for row in index.range(..query.before.unwrap_or(u64::MAX))?.rev() {
            let (id, row) = row?;
            if !query.wants(row.value().0) {
                continue;
            }
            if page.samples.len() >= query.limit || bytes >= PAGE_BYTES {
                page.next = page.samples.last().map(|sample: &Sample| sample.id);
                break;
            }
            let Some(coded) = samples.get(id.value())? else {
                continue;
            };
            let mut text = String::new();
            ZlibDecoder::new(coded.value())
                .take(MOST)
                .read_to_string(&mut text)?;
            let mut sample: Sample = serde_json::from_str(&text)
                .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            sample.id = id.value();
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

/// A file that grows no further than it may.
#[derive(Debug)]
struct Bounded<B> {
    backend: B,
    length: Arc<AtomicU64>,
    limit: Arc<AtomicU64>,
}

impl<B: StorageBackend> StorageBackend for Bounded<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let before = self.length.load(Ordering::Relaxed);
        if length > before && length > self.limit.load(Ordering::Relaxed) {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "the file would be larger than samples.max_size",
            ));
        }
        self.backend.set_len(length)?;
        self.length.store(length, Ordering::Relaxed);
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
