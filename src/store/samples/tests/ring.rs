//! The file: bounded in bytes and age, fair between groups, harmless when it can't be used.

use super::{DAY, MIB, Rig, everything, mode, raw};
use crate::store::samples::disk::{Batch, Disk, Encoded};
use crate::store::samples::{Bounds, LostSample, Query};
use crate::store::scribe::FileError;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that no coding makes shorter, with a sample around them that can be read.
fn encoded(group: &str, at: i64, len: usize) -> Encoded {
    let mut random = fastrand::Rng::with_seed(at.unsigned_abs());
    Encoded {
        group: group.to_owned(),
        at,
        bytes: std::iter::repeat_with(|| random.u8(..)).take(len).collect(),
    }
}

fn batch(samples: Vec<Encoded>) -> Batch {
    Batch {
        samples,
        ..Batch::default()
    }
}

/// Ids and groups of what a file has.
fn kept(path: &Path) -> Vec<(u64, String)> {
    let disk = Disk::open(path, 4 * MIB).unwrap();
    disk.entries()
}

#[test]
fn what_is_offered_is_read_back_newest_first_and_after_a_restart() {
    let mut rig = Rig::new();
    assert!(rig.page().samples.is_empty());
    assert!(!rig.file().exists(), "nothing was kept yet");
    for route in ["a", "b", "a"] {
        rig.offer(raw(route, "1", "2"));
    }
    let ids = |page: crate::store::samples::Page| -> Vec<u64> {
        page.samples.iter().map(|sample| sample.id).collect()
    };
    assert_eq!(ids(rig.page()), [3, 2, 1]);
    assert_eq!(mode(&rig.file()), 0o600);
    rig.stop();
    rig.start(
        "state",
        Bounds {
            max_size: 4 * MIB,
            max_age: DAY,
        },
    );
    rig.offer(raw("b", "1", "2"));
    assert_eq!(ids(rig.page()), [4, 3, 2, 1]);
    let query = |route: Option<&str>, before, limit| {
        let page = rig.samples().page(Query {
            route: route.map(str::to_owned),
            before,
            limit,
            ..everything()
        });
        let page = page.unwrap();
        let next = page.next;
        (ids(page), next)
    };
    assert_eq!(query(Some("b"), None, 10), (vec![4, 2], None));
    assert_eq!(query(None, None, 3), (vec![4, 3, 2], Some(2)));
    assert_eq!(query(None, Some(2), 3), (vec![1], None));
    assert_eq!(query(Some("c"), None, 3), (vec![], None));
    for why in [LostSample::Queue, LostSample::Size, LostSample::Write] {
        assert_eq!(rig.lost(why), 0, "{why:?}");
    }
}

#[test]
fn the_file_stays_within_its_bound_and_a_rare_group_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 4 * MIB).unwrap();
    let rare = (0..3).map(|at| encoded("rare", at, 2_000)).collect();
    disk.commit(&batch(rare)).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut longest, mut at) = (0, 100);
    for _ in 0..100 {
        let mut samples = Vec::new();
        let mut bytes = 0;
        while bytes < 200_000 {
            let len = [300, 900, 2_000, 9_000, 70_000][random.usize(..5)];
            bytes += len;
            at += 1;
            samples.push(encoded("loud", at, len));
        }
        disk.commit(&batch(samples)).unwrap();
        longest = longest.max(fs::metadata(&path).unwrap().len());
    }
    assert!(longest <= 5 * MIB, "{longest}");
    let rows = disk.entries();
    let rare = rows.iter().filter(|(_, group)| group == "rare").count();
    assert_eq!(rare, 3);
    // More than a quarter of what there may be is of use.
    let bytes: usize = rows.len();
    assert!(bytes > 50, "{bytes}");
    drop(disk);
    assert_eq!(kept(&path), rows);
    // Where there is no room after all, half of it is made free at once.
    let mut disk = Disk::open(&path, 4 * MIB).unwrap();
    disk.shrink().unwrap();
    assert!(disk.length() <= 2 * MIB, "{}", disk.length());
    let rows = disk.entries();
    let rare = rows.iter().filter(|(_, group)| group == "rare").count();
    assert!(rare == 3 && rows.len() > 20, "{}", rows.len());
}

#[test]
fn a_smaller_bound_makes_a_smaller_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 32 * MIB).unwrap();
    for at in 0..200 {
        disk.commit(&batch(vec![encoded("a", at, 100_000)]))
            .unwrap();
    }
    assert!(disk.length() > 16 * MIB, "{}", disk.length());
    disk.bound(8 * MIB);
    disk.commit(&Batch::default()).unwrap();
    assert!(disk.length() <= 9 * MIB, "{}", disk.length());
    assert!(fs::metadata(&path).unwrap().len() <= 9 * MIB);
    let newest = disk.entries().last().unwrap().0;
    assert_eq!(newest, 200);
    // It goes on.
    disk.commit(&batch(vec![encoded("a", 1_000, 100_000)]))
        .unwrap();
    assert_eq!(disk.entries().last().unwrap().0, 201);
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut disk = Disk::open(&path, 4 * MIB).unwrap();
    disk.commit(&batch((1..=10).map(|at| encoded("a", at, 10)).collect()))
        .unwrap();
    let old = Batch {
        before: 8,
        ..Batch::default()
    };
    assert!(disk.commit(&old).unwrap());
    assert!(!disk.commit(&old).unwrap(), "nothing is left to be done");
    let ids: Vec<u64> = disk.entries().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [8, 9, 10]);
    drop(disk);
    assert_eq!(kept(&path).len(), 3);
}

#[test]
fn samples_of_before_go_after_a_restart() {
    let mut rig = Rig::new();
    rig.offer(raw("a", "1", "2"));
    assert_eq!(rig.page().samples.len(), 1);
    rig.stop();
    rig.start(
        "state",
        Bounds {
            max_size: 4 * MIB,
            max_age: std::time::Duration::from_millis(1),
        },
    );
    assert!(rig.page().samples.is_empty());
}

#[test]
fn a_damaged_file_is_put_aside_and_begun_anew() {
    let mut rig = Rig::new();
    let whole = {
        for number in 0..50 {
            rig.offer(raw("a", &number.to_string(), "\"new\""));
        }
        assert_eq!(rig.page().samples.len(), 50);
        rig.stop();
        fs::read(rig.file()).unwrap()
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut damages: Vec<Vec<u8>> = vec![
        whole[..whole.len() / 2].to_vec(),
        whole[..100].to_vec(),
        b"no database".to_vec(),
        vec![0; 5_000],
        vec![0xff; whole.len()],
    ];
    for _ in 0..20 {
        let mut damaged = whole.clone();
        let at = random.usize(..damaged.len() - 4_096);
        random.fill(&mut damaged[at..at + 4_096]);
        damages.push(damaged);
    }
    for (number, damaged) in damages.into_iter().enumerate() {
        fs::write(rig.file(), damaged).unwrap();
        rig.start(
            "state",
            Bounds {
                max_size: 4 * MIB,
                max_age: DAY,
            },
        );
        rig.offer(raw("b", "1", "2"));
        // What is not hit may still be there; what was offered is in any case.
        let page = rig.page();
        assert_eq!(page.samples[0].route, "b", "{number}");
        rig.stop();
    }
    assert!(rig.file().with_extension("redb.damaged").exists());
    assert_eq!(rig.lost(LostSample::Write), 0);
}

#[test]
fn a_file_that_another_has_costs_samples_and_nothing_else() {
    let mut rig = Rig::new();
    fs::create_dir_all(rig.file().parent().unwrap()).unwrap();
    let other = Disk::open(&rig.file(), 4 * MIB).unwrap();
    assert!(matches!(
        Disk::open(&rig.file(), 4 * MIB),
        Err(FileError::Locked(_))
    ));
    rig.offer(raw("a", "1", "2"));
    assert!(rig.samples().page(everything()).is_err());
    assert_eq!(rig.lost(LostSample::Write), 1);
    drop(other);
    assert!(rig.page().samples.is_empty());
    rig.offer(raw("a", "1", "2"));
    assert_eq!(rig.page().samples.len(), 1);
    // What is given up another process can have at once.
    rig.samples().give_up();
    let other = Disk::open(&rig.file(), 4 * MIB).unwrap();
    rig.offer(raw("a", "1", "2"));
    assert!(rig.samples().page(everything()).is_err());
    assert_eq!(rig.lost(LostSample::Write), 2);
    drop(other);
    rig.samples().take_back();
    assert_eq!(rig.page().samples.len(), 1);
    rig.stop();
}

#[test]
fn a_folder_that_can_not_be_made_costs_samples_and_nothing_else() {
    let rig = Rig::below(
        "file/state",
        Bounds {
            max_size: 4 * MIB,
            max_age: DAY,
        },
    );
    fs::write(rig.folder.path().join("file"), "no folder").unwrap();
    rig.offer(raw("a", "1", "2"));
    assert!(rig.samples().page(everything()).is_err());
    assert_eq!(rig.lost(LostSample::Write), 1);
}

#[test]
fn a_sample_that_is_too_large_for_the_ring_is_lost() {
    let rig = Rig::new();
    let body: String = std::iter::repeat_with(|| format!("{},", fastrand::u64(..)))
        .take(100_000)
        .collect();
    rig.offer(raw("a", &format!("[{body}0]"), "1"));
    rig.offer(raw("a", "1", "2"));
    assert_eq!(rig.page().samples.len(), 1);
    assert_eq!(rig.lost(LostSample::Size), 1);
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

#[test]
fn a_full_disk_fails_a_batch_and_what_was_written_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    drop(Disk::open(&path, 4 * MIB).unwrap());
    for bytes in [0, 4_096, 100_000, 300_000, 1_000_000] {
        let before = kept(&path);
        let left = Arc::new(AtomicU64::new(bytes));
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let file = FileBackend::new(file).unwrap();
            let left = Arc::clone(&left);
            Disk::with_backend(&path, FullDisk { file, left }, 4 * MIB)
        };
        let mut written = 0;
        let failed = match open() {
            Err(_) => true,
            Ok(mut disk) => (0..100).any(|at| {
                let failed = disk.commit(&batch(vec![encoded("a", at, 10_000)])).is_err();
                written += u64::from(!failed);
                failed
            }),
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
