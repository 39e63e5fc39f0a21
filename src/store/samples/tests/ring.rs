//! What is kept is read back, for as long as it may be; a file that can't be used does no harm.

use super::{DAY, MIB, Rig, batch, encoded, everything, kept, mode, raw};
use crate::store::samples::disk::{Batch, Disk};
use crate::store::samples::{Bounds, LostSample, Query};
use crate::store::scribe::FileError;
use std::fs;

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
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let disk = Disk::open(&path, 4 * MIB).unwrap();
    let samples = (1..=10).map(|at| encoded("a", at, 10)).collect();
    let disk = disk.commit(&batch(samples)).unwrap();
    let old = Batch {
        before: 8,
        ..Batch::default()
    };
    let disk = disk.commit(&old).unwrap();
    let ids: Vec<u64> = disk.entries().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [8, 9, 10]);
    drop(disk);
    assert_eq!(kept(&path).len(), 3);
}

#[test]
fn pairs_that_become_no_samples_are_counted_for_groups_that_have_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let disk = Disk::open(&path, 4 * MIB).unwrap();
    let disk = disk.commit(&batch(vec![encoded("a b", 1, 10)])).unwrap();
    let more = Batch {
        pairs: ["a b", "c d", "a b"]
            .map(|group| (group.to_owned(), 3))
            .into(),
        ..Batch::default()
    };
    drop(disk.commit(&more).unwrap());
    let disk = Disk::open(&path, 4 * MIB).unwrap();
    let nothing = Query {
        limit: 0,
        ..everything()
    };
    let groups = disk.page(&nothing).unwrap().groups;
    let groups: Vec<_> = groups
        .iter()
        .map(|group| (&*group.route, &*group.cause, group.samples, group.pairs))
        .collect();
    assert_eq!(groups, [("a", "b", 1, 6)]);
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
