//! The latest mismatches, bounded in rows and in bytes. The lab writes and the admin API reads; no worker comes here.

use crate::store::mismatch::Mismatch;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows that are kept at most.
pub const ROWS: usize = 1_000;
/// Bytes that all rows may hold together.
pub const BYTES: usize = 16 * 1024 * 1024;
/// Bytes that one row may hold; a heavier one gives up its patch, then fields, and says so.
pub const ROW_BYTES: usize = 1024 * 1024;

/// The latest mismatches.
#[derive(Debug, Default)]
pub struct Mismatches {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Oldest first, each with its weight.
    rows: VecDeque<(Arc<Mismatch>, usize)>,
    bytes: usize,
    last_id: u64,
}

impl Mismatches {
    /// An empty ring.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a row, which gets the next id, and lets the oldest ones go. Returns the row as it is kept.
    pub fn push(&self, mut row: Mismatch) -> Arc<Mismatch> {
        row.fit(ROW_BYTES);
        let weight = row.weight();
        let mut ring = self.lock();
        ring.last_id += 1;
        row.id = ring.last_id;
        while ring.rows.len() >= ROWS || ring.bytes + weight > BYTES {
            let Some((_, freed)) = ring.rows.pop_front() else {
                break;
            };
            ring.bytes -= freed;
        }
        let row = Arc::new(row);
        ring.bytes += weight;
        ring.rows.push_back((Arc::clone(&row), weight));
        row
    }

    /// The latest rows, of one route or of all, newest first.
    #[must_use]
    pub fn latest(&self, route: Option<&str>, limit: usize) -> Vec<Arc<Mismatch>> {
        let ring = self.lock();
        let rows = ring.rows.iter().rev().map(|(row, _)| row);
        rows.filter(|row| route.is_none_or(|name| row.route == name))
            .take(limit)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mismatch::tests::row;
    use crate::store::patch_text::PatchText;

    fn ids(rows: &[Arc<Mismatch>]) -> Vec<u64> {
        rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn newest_first_and_by_route() {
        let ring = Mismatches::new();
        for route in ["a", "b", "a", "b", "a"] {
            ring.push(row(route));
        }
        assert_eq!(ids(&ring.latest(None, 50)), [5, 4, 3, 2, 1]);
        assert_eq!(ids(&ring.latest(None, 2)), [5, 4]);
        assert_eq!(ids(&ring.latest(Some("b"), 50)), [4, 2]);
        assert!(ring.latest(Some("c"), 50).is_empty());
        assert!(ring.latest(None, 0).is_empty());
    }

    #[test]
    fn at_most_a_thousand_rows() {
        let ring = Mismatches::new();
        for _ in 0..ROWS + 10 {
            ring.push(row("a"));
        }
        let rows = ring.latest(None, usize::MAX);
        assert_eq!(rows.len(), ROWS);
        assert_eq!((rows[0].id, rows[ROWS - 1].id), (1_010, 11));
    }

    #[test]
    fn at_most_sixteen_mebibytes() {
        let ring = Mismatches::new();
        for _ in 0..100 {
            let mut heavy = row("a");
            heavy.target = "x".repeat(400_000);
            ring.push(heavy);
        }
        let held: usize = ring
            .latest(None, usize::MAX)
            .iter()
            .map(|row| row.weight())
            .sum();
        assert!(held <= BYTES && held > BYTES - 500_000, "{held}");
        assert_eq!(ring.lock().bytes, held);
        for _ in 0..ROWS {
            ring.push(row("b"));
        }
        let rows = ring.latest(None, usize::MAX);
        assert_eq!(rows.len(), ROWS);
        let held: usize = rows.iter().map(|row| row.weight()).sum();
        assert_eq!(ring.lock().bytes, held);
    }

    #[test]
    fn a_row_over_its_bound_is_kept_without_its_patch() {
        let ring = Mismatches::new();
        let mut heavy = row("a");
        let operation =
            serde_json::json!({"op": "add", "path": "/a", "value": "x".repeat(ROW_BYTES)});
        heavy.patch = Some(PatchText::new(&[operation]));
        let kept = ring.push(heavy);
        assert!(kept.patch.is_none() && kept.patch_truncated && !kept.patch_exact);
        assert_eq!(ids(&ring.latest(None, 1)), [1]);
    }
}
