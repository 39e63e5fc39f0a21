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
