//! The table against a list that is searched from its beginning to its end.

use super::*;
use proptest::prelude::*;

/// The same rules, told once more: pairings from the one seen longest ago to the latest.
struct Naive {
    most: usize,
    pairs: Vec<([u64; 2], u64, bool)>,
    evicted: u64,
}

impl Naive {
    fn standing(&self, side: Side, value: u64) -> Standing {
        let found = self
            .pairs
            .iter()
            .find(|(pair, ..)| pair[side.index()] == value);
        let other = |pair: &[u64; 2]| digest(pair[side.other().index()]);
        match found {
            Some((pair, _, true)) => Standing::Confirmed(other(pair)),
            _ if self.evicted > 0 => Standing::Unknown,
            Some((pair, _, false)) => Standing::Candidate(other(pair)),
            None => Standing::Free,
        }
    }

    fn learn(&mut self, pair: [u64; 2], record: u64) {
        if let Some(at) = self.pairs.iter().position(|(known, ..)| *known == pair) {
            let (_, first, confirmed) = self.pairs.remove(at);
            self.pairs.push((pair, first, confirmed || first != record));
            return;
        }
        let touches = |known: &[u64; 2]| known[0] == pair[0] || known[1] == pair[1];
        if self
            .pairs
            .iter()
            .any(|(known, _, confirmed)| *confirmed && touches(known))
        {
            return;
        }
        self.pairs.retain(|(known, ..)| !touches(known));
        self.bound(self.most - 1);
        self.pairs.push((pair, record, false));
    }

    fn bound(&mut self, most: usize) {
        while self.pairs.len() > most {
            let candidate = self.pairs.iter().position(|(.., confirmed)| !confirmed);
            self.pairs.remove(candidate.unwrap_or(0));
            self.evicted += 1;
        }
    }

    fn counts(&self) -> Counts {
        let confirmed = self
            .pairs
            .iter()
            .filter(|(.., confirmed)| *confirmed)
            .count();
        Counts {
            candidates: self.pairs.len() - confirmed,
            confirmed,
            evicted: self.evicted,
        }
    }
}

/// Digests whose beginnings are often the same, as of a table with ten million of them.
fn digest(value: u64) -> Digest {
    Digest([value % 3, value])
}

#[derive(Clone, Debug)]
enum Step {
    Learn([u64; 2], u64),
    Bound(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => ([0..12_u64, 0..12_u64], 0..3_u64).prop_map(|(pair, record)| Step::Learn(pair, record)),
        1 => (1..9_usize).prop_map(Step::Bound),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_table_is_a_list_of_pairings(most in 1..9_usize, steps in proptest::collection::vec(step(), 0..80)) {
        let mut table = Table::new(most);
        let mut naive = Naive { most, pairs: Vec::new(), evicted: 0 };
        for step in steps {
            match step {
                Step::Learn(pair, record) => {
                    table.learn(pair.map(digest), record);
                    naive.learn(pair, record);
                }
                Step::Bound(most) => {
                    table.bound(most);
                    naive.most = most;
                    naive.bound(most);
                }
            }
            prop_assert_eq!(table.counts(), naive.counts());
            for side in Side::BOTH {
                for value in 0..12 {
                    prop_assert_eq!(table.standing(side, digest(value)), naive.standing(side, value), "{} {}", side.name(), value);
                }
            }
            prop_assert!(table.entries.len() <= 10, "places are used again");
        }
    }
}

#[test]
fn two_records_make_a_pairing_sure() {
    let [a, b, c] = [1, 2, 3].map(digest);
    let mut table = Table::new(10);
    assert_eq!(table.standing(Side::Old, a), Standing::Free);
    table.learn([a, b], 1);
    table.learn([a, b], 1);
    assert_eq!(table.standing(Side::Old, a), Standing::Candidate(b));
    assert_eq!(table.standing(Side::New, b), Standing::Candidate(a));
    // The newer candidate takes the place of both that it contradicts.
    table.learn([c, c], 1);
    table.learn([a, c], 1);
    assert_eq!(table.standing(Side::New, b), Standing::Free);
    assert_eq!(table.standing(Side::Old, c), Standing::Free);
    table.learn([a, c], 2);
    assert_eq!(table.standing(Side::Old, a), Standing::Confirmed(c));
    table.learn([a, b], 3);
    table.learn([b, c], 4);
    assert_eq!(table.standing(Side::Old, a), Standing::Confirmed(c));
    assert_eq!(table.counts().confirmed, 1);
}

#[test]
fn candidates_go_first_and_then_what_was_seen_longest_ago() {
    let confirmed = |value| Standing::Confirmed(digest(value));
    let mut table = Table::new(3);
    for value in [1, 2] {
        for record in [1, 2] {
            table.learn([digest(value); 2], record);
        }
    }
    table.learn([digest(3); 2], 1);
    table.learn([digest(1); 2], 9);
    table.learn([digest(4); 2], 1);
    assert_eq!(table.standing(Side::Old, digest(3)), Standing::Unknown);
    table.learn([digest(4); 2], 2);
    table.learn([digest(5); 2], 1);
    let standings = [1, 2, 4, 5, 6].map(|value| table.standing(Side::New, digest(value)));
    let unknown = Standing::Unknown;
    assert_eq!(
        standings,
        [confirmed(1), unknown, confirmed(4), unknown, unknown]
    );
    assert_eq!(table.counts().evicted, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whoever writes what has changed, in portions and now and then, has what the table has; and so has one that is begun with that.
    #[test]
    fn changes_add_up_to_the_table(most in 1..9_usize, portion in 1..4_usize, steps in proptest::collection::vec((step(), 0..6_u8), 0..60)) {
        let mut table = Table::kept(most);
        table.learn([digest(1); 2], 1);
        prop_assert_eq!(table.counts(), Counts::default(), "what was written before is not known yet");
        table.load([], 0);
        let mut written: Vec<Row> = Vec::new();
        let write = |table: &mut Table, written: &mut Vec<Row>| {
            loop {
                let changes = table.take(portion);
                if changes.all {
                    written.clear();
                    let mut from = Some(0);
                    while let Some(place) = from {
                        let (rows, next) = table.rows(place, portion);
                        written.extend(rows);
                        from = next;
                    }
                }
                written.retain(|row| !changes.gone.contains(&row.pair[0]));
                for row in changes.put {
                    written.retain(|known| known.pair[0] != row.pair[0]);
                    written.push(row);
                }
                if !changes.more {
                    break;
                }
            }
        };
        for (step, also) in steps {
            match step {
                Step::Learn(pair, record) => table.learn(pair.map(digest), record),
                Step::Bound(most) => table.bound(most),
            }
            match also {
                0 | 1 => write(&mut table, &mut written),
                2 => table.rewrite(),
                _ => {}
            }
        }
        write(&mut table, &mut written);
        prop_assert!(!table.has_changed());
        let sorted = |mut rows: Vec<Row>| {
            rows.sort_by_key(|row| row.pair);
            rows
        };
        let held = sorted(table.rows(0, usize::MAX).0);
        prop_assert_eq!(&sorted(written), &held);
        let mut again = Table::kept(100);
        again.load(held.clone(), table.counts().evicted);
        prop_assert_eq!(sorted(again.rows(0, usize::MAX).0), held);
        prop_assert_eq!(again.counts(), table.counts());
        prop_assert!(!again.has_changed());
    }
}

#[test]
fn what_is_no_bijection_is_not_read() {
    let row = |old: u64, new: u64| Row {
        pair: [digest(old), digest(new)],
        record: 1,
        confirmed: true,
    };
    let mut table = Table::kept(10);
    table.load([row(1, 1), row(1, 2), row(3, 1), row(4, 4)], 0);
    assert_eq!(table.counts().confirmed, 2);
    assert!(table.take(1).all, "it is written anew");
}

#[test]
fn what_is_gone_is_remembered_up_to_a_bound() {
    let mut table = Table::kept(1);
    table.load([], 0);
    for value in 0..70_000 {
        table.learn([digest(value); 2], 1);
    }
    assert!(table.take(10).all);
    let (rows, next) = table.rows(0, 10);
    assert_eq!((rows.len(), next), (1, None));
}
