//! The file of identities: pairings by name and old value, how many were evicted of each name, and the key of the digests.

use crate::compare::ids::{Digest, Row};
use crate::store::scribe::FileError;
use crate::store::scribe::file::{guarded, own_file};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::{Path, PathBuf};

/// Name and old value: the new one, who has shown it first, and whether it is confirmed.
const PAIRS: TableDefinition<'_, (&str, u128), (u128, u64, bool)> = TableDefinition::new("pairs-1");
const EVICTED: TableDefinition<'_, &str, u64> = TableDefinition::new("evicted-1");
const KEY: TableDefinition<'_, (), [u8; 32]> = TableDefinition::new("key-1");

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 4 << 20;

/// The file, open.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
    path: PathBuf,
    key: [u8; 32],
}

/// What can be written.
pub(super) struct Pages<'t> {
    pairs: redb::Table<'t, (&'static str, u128), (u128, u64, bool)>,
    evicted: redb::Table<'t, &'static str, u64>,
}

impl Disk {
    /// Opens the file, or makes it with this key, and looks through all of it.
    pub(super) fn open(path: &Path, key: [u8; 32]) -> Result<Self, FileError> {
        guarded(path, || {
            let backend = FileBackend::new(own_file(path)?)?;
            let mut database = Database::builder()
                .set_cache_size(CACHE)
                .create_with_backend(backend)?;
            database.check_integrity()?;
            let write = database.begin_write()?;
            let key = {
                write.open_table(PAIRS)?;
                write.open_table(EVICTED)?;
                let mut keys = write.open_table(KEY)?;
                let known = keys.get(())?.map(|known| known.value());
                match known {
                    Some(known) => known,
                    None => {
                        keys.insert((), key)?;
                        key
                    }
                }
            };
            write.commit()?;
            Ok(Self {
                database,
                path: path.to_owned(),
                key,
            })
        })
    }

    /// The key of its digests.
    pub(super) fn key(&self) -> [u8; 32] {
        self.key
    }

    /// What is kept of a name.
    pub(super) fn read(&self, name: &str) -> Result<(Vec<Row>, u64), FileError> {
        guarded(&self.path, || {
            let read = self.database.begin_read()?;
            let mut rows = Vec::new();
            for row in read.open_table(PAIRS)?.range(all(name))? {
                let (key, value) = row?;
                let ((_, old), (new, record, confirmed)) = (key.value(), value.value());
                rows.push(Row {
                    pair: [old, new].map(Digest::from_bits),
                    record,
                    confirmed,
                });
            }
            let evicted = read.open_table(EVICTED)?.get(name)?;
            Ok((rows, evicted.map_or(0, |evicted| evicted.value())))
        })
    }

    /// Writes all of it or nothing.
    pub(super) fn write(
        &self,
        work: impl FnOnce(&mut Pages<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), FileError> {
        guarded(&self.path, || {
            let write = self.database.begin_write()?;
            work(&mut Pages {
                pairs: write.open_table(PAIRS)?,
                evicted: write.open_table(EVICTED)?,
            })?;
            write.commit()?;
            Ok(())
        })
    }
}

impl Pages<'_> {
    /// Takes out all pairings of a name.
    pub(super) fn clear(&mut self, name: &str) -> Result<(), redb::Error> {
        Ok(self.pairs.retain_in(all(name), |_, _| false)?)
    }

    pub(super) fn remove(&mut self, name: &str, old: Digest) -> Result<(), redb::Error> {
        self.pairs.remove((name, old.to_bits()))?;
        Ok(())
    }

    pub(super) fn put(&mut self, name: &str, row: &Row) -> Result<(), redb::Error> {
        let [old, new] = row.pair.map(Digest::to_bits);
        self.pairs
            .insert((name, old), (new, row.record, row.confirmed))?;
        Ok(())
    }

    pub(super) fn evicted(&mut self, name: &str, evicted: u64) -> Result<(), redb::Error> {
        self.evicted.insert(name, evicted)?;
        Ok(())
    }
}

/// The keys of a name.
fn all(name: &str) -> std::ops::RangeInclusive<(&str, u128)> {
    (name, 0)..=(name, u128::MAX)
}
