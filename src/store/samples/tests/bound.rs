//! The file: filled, bounded in bytes, fair between groups, and whole whatever happens to it.

use super::{MIB, batch, encoded, kept};
use crate::store::samples::disk::{Batch, Disk};
use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes batches of samples of one of these lengths, each of a group of so many, until the ring was filled anew so many times. What share of the bound is
/// filled with samples at least, from the first time on that it is full, and the longest that the file was.
fn fill(max_size: u64, lengths: &[usize], groups: u64, turns: u64) -> (f64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, max_size).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut least, mut longest, mut at, mut written) = (1.0_f64, 0, 0, 0);
    while written < turns * max_size {
        let (mut samples, mut bytes) = (Vec::new(), 0);
        let most = random.u64(1..=max_size / 16);
        while bytes < most {
            let len = lengths[random.usize(..lengths.len())];
            at += 1;
            // The higher ones are rarer.
            let most = random.u64(..groups);
            let group = random.u64(..=most);
            samples.push(encoded(&format!("route {group}"), at, len));
            bytes += len as u64;
        }
        written += bytes;
        disk = disk.commit(&batch(samples)).unwrap();
        longest = longest.max(fs::metadata(&path).unwrap().len());
        let bytes = disk.bytes();
        if written > max_size * 5 / 4 {
            least = least.min(bytes as f64 / max_size as f64);
        }
    }
    let rows = disk.entries();
    drop(disk);
    assert_eq!(kept(&path), rows);
    (least, longest)
}

#[test]
fn most_of_the_ring_is_filled_whatever_is_in_it_and_the_file_stays_within_its_bound() {
    for (max_size, lengths, groups) in [
        (4 * MIB, &[300, 900, 2_000, 9_000, 70_000][..], 9),
        (4 * MIB, &[2_100], 1),
        (5 * MIB, &[100], 30),
        (8 * MIB + 1, &[4_056, 200_000], 30),
    ] {
        let (least, longest) = fill(max_size, lengths, groups, 2);
        assert!(longest <= max_size, "{longest} of {max_size}");
        assert!(least >= 0.75, "{least} of {max_size} with {lengths:?}");
    }
}

#[test]
fn a_rare_group_stays_when_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let disk = Disk::open(&path, 4 * MIB).unwrap();
    let rare = (0..3).map(|at| encoded("rare", at, 2_000)).collect();
    let mut disk = disk.commit(&batch(rare)).unwrap();
    let is_whole = |disk: &Disk| {
        let rows = disk.entries();
        let rare = rows.iter().filter(|(_, group)| group == "rare").count();
        rare == 3 && rows.len() > 20
    };
    for at in 0..100 {
        let loud = encoded("loud", 100 + at, 100_000);
        disk = disk.commit(&batch(vec![loud])).unwrap();
    }
    assert!(is_whole(&disk));
    // Where there is none after all, half of it is made free at once.
    disk.shrink().unwrap();
    assert!(disk.length() <= 2 * MIB, "{}", disk.length());
    assert!(is_whole(&disk));
    disk = disk.commit(&batch(vec![encoded("loud", 200, 9)])).unwrap();
    drop(disk);
    assert_eq!(kept(&path).last().unwrap().0, 104);
}

#[test]
fn a_smaller_bound_makes_a_smaller_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 32 * MIB).unwrap();
    for at in 0..200 {
        disk = disk
            .commit(&batch(vec![encoded("a", at, 100_000)]))
            .unwrap();
    }
    assert!(disk.length() > 16 * MIB, "{}", disk.length());
    disk.bound(8 * MIB);
    disk = disk.commit(&Batch::default()).unwrap();
    assert!(disk.length() <= 8 * MIB, "{}", disk.length());
    assert!(fs::metadata(&path).unwrap().len() <= 8 * MIB);
    let newest = disk.entries().last().unwrap().0;
    assert_eq!(newest, 200);
    // It goes on.
    disk = disk
        .commit(&batch(vec![encoded("a", 1_000, 100_000)]))
        .unwrap();
    assert_eq!(disk.entries().last().unwrap().0, 201);
}

#[test]
fn what_another_version_has_kept_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let foreign: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("samples-0");
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(foreign)
        .unwrap()
        .insert(1, vec![1; 1_000_000].as_slice())
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let disk = Disk::open(&path, 4 * MIB).unwrap();
    let stats = disk.stats();
    assert!(stats.allocated_pages() < 50, "{stats:?}");
}

#[test]
fn a_file_that_was_made_longer_and_not_used_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 4 * MIB).unwrap();
    for at in 0..30 {
        disk = disk
            .commit(&batch(vec![encoded("a", at, 100_000)]))
            .unwrap();
    }
    let rows = disk.entries();
    // As if the process had been killed, before and after the next one has made it longer.
    let killed = folder.path().join("killed");
    for length in [0, 4 * MIB + 4_096, 8 * MIB] {
        fs::copy(&path, &killed).unwrap();
        let file = OpenOptions::new().write(true).open(&killed).unwrap();
        file.set_len(length.max(disk.length())).unwrap();
        assert_eq!(kept(&killed), rows, "{length}");
    }
    drop(disk);
    assert_eq!(kept(&path), rows);
}

/// A file on a disk of so many bytes.
#[derive(Debug)]
struct FullDisk {
    file: FileBackend,
    left: Arc<AtomicU64>,
}

impl StorageBackend for FullDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A hole in a file takes nothing.
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let less = |left: u64| left.checked_sub(data.len() as u64);
        let fits = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        fits.map_err(|_| io::Error::from(ErrorKind::StorageFull))?;
        self.file.write(offset, data)
    }
}

fn on_full_disk(path: &Path, bytes: u64) -> Result<Disk, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let file = FileBackend::new(file)?;
    let left = Arc::new(AtomicU64::new(bytes));
    Disk::with_backend(path, FullDisk { file, left }, 4 * MIB)
}

#[test]
fn a_full_disk_fails_a_batch_and_what_was_written_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    drop(Disk::open(&path, 4 * MIB).unwrap());
    for bytes in [0, 4_096, 100_000, 300_000, 1_000_000] {
        let before = kept(&path);
        let mut written = 0;
        let failed = match on_full_disk(&path, bytes) {
            Err(_) => true,
            Ok(mut disk) => loop {
                let sample = encoded("a", 0, 10_000);
                disk = match disk.commit(&batch(vec![sample])) {
                    Ok(disk) => disk,
                    Err(_) => break true,
                };
                written += 1;
                if written == 100 {
                    break false;
                }
            },
        };
        assert!(failed, "{bytes}");
        let after = kept(&path);
        assert!(
            after.len() as u64 >= before.len() as u64 + written,
            "{bytes}"
        );
        assert_eq!(after[..before.len()], before, "{bytes}");
    }
}

#[test]
fn a_full_ring_that_is_cut_off_is_that_of_before_or_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 4 * MIB).unwrap();
    for at in 0..60 {
        disk = disk
            .commit(&batch(vec![encoded("a", at, 100_000)]))
            .unwrap();
    }
    drop(disk);
    let whole = fs::read(&path).unwrap();
    let (mut failed, mut done) = (0, 0);
    for number in 0..40 {
        fs::write(&path, &whole).unwrap();
        let before = kept(&path);
        let bytes = 30_000 * number;
        match on_full_disk(&path, bytes) {
            Ok(disk) => {
                let samples = (0..5).map(|at| encoded("b", at, 50_000)).collect();
                match disk.commit(&batch(samples)) {
                    Ok(disk) => {
                        let rows = disk.entries();
                        drop(disk);
                        assert_eq!(kept(&path), rows, "{bytes}");
                        done += 1;
                    }
                    Err(_) => {
                        // Room was made, perhaps.
                        let after = kept(&path);
                        assert!(before.ends_with(&after), "{bytes}");
                        assert!(after.len() + 5 > before.len(), "{bytes}");
                        failed += 1;
                    }
                }
            }
            Err(_) => assert_eq!(kept(&path), before, "{bytes}"),
        }
    }
    assert!(failed > 5 && done > 5, "{failed} {done}");
}
