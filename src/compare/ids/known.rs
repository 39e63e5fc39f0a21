//! The tables of a proxy, one for each name of `[ids]`, which several routes may share.

use crate::compare::ids::digest::{Digest, Secret};
use crate::compare::ids::kept::{Changes, Row};
use crate::compare::ids::table::{Counts, Standing, Table};
use crate::side::Side;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Pairings that one pair of answers teaches.
pub(crate) const MAX_LEARNT: usize = 4_096;

/// All that is known of identities.
pub struct Ids {
    /// Unset until it was read.
    secret: OnceLock<Secret>,
    tables: Mutex<BTreeMap<String, Table>>,
    /// Who reads and writes them, if anybody does.
    keeper: Option<Bell>,
}

/// Tells somebody that there is something to do, once until they have heard.
struct Bell {
    ring: Box<dyn Fn() + Send + Sync>,
    rung: AtomicBool,
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
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
            secret: secret.into(),
            tables: Mutex::default(),
            keeper: None,
        }
    }

    /// What somebody keeps: until it was read ([`Self::reveal`], [`Self::load`]) nothing is known. `ring` is called when there is something to be read or
    /// written.
    #[must_use]
    pub fn kept(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            secret: OnceLock::new(),
            tables: Mutex::default(),
            keeper: Some(Bell {
                ring: Box::new(ring),
                rung: AtomicBool::new(false),
            }),
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
            let new = || match self.keeper {
                Some(_) => Table::kept(most),
                None => Table::new(most),
            };
            let mut table = before.remove(name).unwrap_or_else(new);
            table.bound(most);
            tables.insert(name.to_owned(), table);
        }
        self.ring(&tables);
    }

    /// What makes digests, from now on; what it was before stays, if there was one.
    pub fn reveal(&self, secret: Secret) {
        self.secret.get_or_init(|| secret);
    }

    /// Whether it is known what makes digests.
    #[must_use]
    pub fn is_revealed(&self) -> bool {
        self.secret.get().is_some()
    }

    /// Names of which it has not been told what was written before.
    #[must_use]
    pub fn unloaded(&self) -> Vec<String> {
        self.heard();
        self.names(|table| !table.is_loaded())
    }

    /// What was written before of a name.
    pub fn load(&self, name: &str, rows: Vec<Row>, evicted: u64) {
        if let Some(table) = self.tables().get_mut(name) {
            table.load(rows, evicted);
        }
    }

    /// Names of which something is to be written.
    #[must_use]
    pub fn changed(&self) -> Vec<String> {
        self.heard();
        self.names(Table::has_changed)
    }

    /// What has changed of a name: see [`Table::take`].
    #[must_use]
    pub fn take(&self, name: &str, most: usize) -> Changes {
        let mut tables = self.tables();
        let changes = tables.get_mut(name).map(|table| table.take(most));
        changes.unwrap_or_default()
    }

    /// The pairings of a name: see [`Table::rows`].
    #[must_use]
    pub fn rows(&self, name: &str, from: usize, most: usize) -> (Vec<Row>, Option<usize>) {
        let tables = self.tables();
        let rows = tables.get(name).map(|table| table.rows(from, most));
        rows.unwrap_or_default()
    }

    /// What was written counts no more.
    pub fn rewrite(&self) {
        self.tables().values_mut().for_each(Table::rewrite);
    }

    fn names(&self, are: impl Fn(&Table) -> bool) -> Vec<String> {
        let tables = self.tables();
        let some = tables.iter().filter(|(_, table)| are(table));
        some.map(|(name, _)| name.clone()).collect()
    }

    fn heard(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.rung.store(false, Ordering::Relaxed);
        }
    }

    fn ring(&self, tables: &BTreeMap<String, Table>) {
        let calls = |table: &Table| table.has_changed() || !table.is_loaded();
        if let Some(keeper) = &self.keeper
            && tables.values().any(calls)
            && !keeper.rung.swap(true, Ordering::Relaxed)
        {
            (keeper.ring)();
        }
    }

    /// What makes digests of values; none before it was read.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.secret.get()
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
        let Some(secret) = self.secret().filter(|_| !pairings.is_empty()) else {
            return;
        };
        let record = secret.record(record);
        let mut tables = self.tables();
        for pairing in pairings {
            let name = names.get(usize::from(pairing.name));
            if let Some(table) = name.and_then(|name| tables.get_mut(*name)) {
                table.learn(pairing.pair, record);
            }
        }
        self.ring(&tables);
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
