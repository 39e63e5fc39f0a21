//! The tables of a proxy, one for each name of `[ids]`, which several routes may share.

use crate::compare::ids::digest::{Digest, Secret};
use crate::compare::ids::table::{Counts, Standing, Table};
use crate::side::Side;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pairings that one pair of answers teaches.
pub(crate) const MAX_LEARNT: usize = 4_096;

/// All that is known of identities.
#[derive(Debug)]
pub struct Ids {
    secret: Secret,
    tables: Mutex<BTreeMap<String, Table>>,
}

/// Two values that stand at one place of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Which name of the rules they are of, in the order in which these name them.
    pub(crate) name: u16,
    /// The old one and the new one.
    pub(crate) pair: [Digest; 2],
}

/// A value of which something is to be known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) name: u16,
    pub(crate) side: Side,
    pub(crate) value: Digest,
}

impl Ids {
    /// Nothing is known, of no name.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            tables: Mutex::default(),
        }
    }

    /// The same with a key that everybody knows: for what keeps nothing and is told nothing by strangers.
    #[must_use]
    pub fn unkeyed() -> Self {
        Self::new(Secret::new([0; 32]))
    }

    /// These are the names from now on, and how many pairings each may have. What is known of other names is forgotten.
    pub fn bound<'n>(&self, names: impl Iterator<Item = (&'n str, usize)>) {
        let mut tables = self.tables();
        let mut before = std::mem::take(&mut *tables);
        for (name, most) in names {
            let mut table = before.remove(name).unwrap_or_else(|| Table::new(most));
            table.bound(most);
            tables.insert(name.to_owned(), table);
        }
    }

    /// What makes digests of values.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What is known at one moment of each of these values.
    pub(crate) fn standings(&self, names: &[&str], asked: &[Asked]) -> Vec<Standing> {
        let tables = self.tables();
        let tables: Vec<_> = names.iter().map(|name| tables.get(*name)).collect();
        let standing = |asked: &Asked| match tables[usize::from(asked.name)] {
            Some(table) => table.standing(asked.side, asked.value),
            None => Standing::Unknown,
        };
        asked.iter().map(standing).collect()
    }

    /// Learns what a pair has shown by which nothing was found wrong, or nothing but noise. Pairs of one route with the same `record` are about one thing.
    pub fn learn(&self, names: &[&str], pairings: &[Pairing], record: [&str; 2]) {
        if pairings.is_empty() {
            return;
        }
        let record = self.secret.record(record);
        let mut tables = self.tables();
        for pairing in pairings {
            let name = names.get(usize::from(pairing.name));
            if let Some(table) = name.and_then(|name| tables.get_mut(*name)) {
                table.learn(pairing.pair, record);
            }
        }
    }

    /// How many pairings there are of each name.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, Counts)> {
        let tables = self.tables();
        let count = |(name, table): (&String, &Table)| (name.clone(), table.counts());
        tables.iter().map(count).collect()
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
