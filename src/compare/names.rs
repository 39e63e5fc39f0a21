//! Values that may have other names on the other side, as a comparison sees them: what is known of each was asked once, of both documents at one moment.
//!
//! A value that has a partner counts as the new one of the two, on either side; one that has none counts as unnamed, and all unnamed ones are equal. So
//! being equal is still to be the same, alignments and hashes go by it as by any value, and what is unnamed is aligned by what stands around it.

use crate::compare::ids::{Asked, Digest, Standing};
use crate::json::Node;
use crate::side::Side;
use std::ops::Range;

/// What is known of the values of one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// In document order; none but for rules that name places.
    pub(crate) list: Vec<Named>,
    /// A candidate counts as no partner.
    pub(crate) distrust: bool,
}

/// What is known of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) node: u32,
    pub(crate) name: u16,
    pub(crate) side: Side,
    pub(crate) digest: Digest,
    pub(crate) standing: Standing,
}

/// Bytes that are kept for each such value.
pub(crate) const BYTES_PER_NAME: usize = 2 * size_of::<Named>() + size_of::<Asked>();

impl Names {
    pub(crate) fn get(&self, node: Node) -> Option<&Named> {
        if self.list.is_empty() {
            return None;
        }
        let found = self.list.binary_search_by_key(&node.index(), Named::index);
        found.ok().map(|place| &self.list[place])
    }

    /// Whether there is one among these nodes.
    pub(crate) fn any(&self, nodes: Range<usize>) -> bool {
        let first = self
            .list
            .partition_point(|named| named.index() < nodes.start);
        let next = self.list.get(first);
        next.is_some_and(|named| nodes.contains(&named.index()))
    }

    pub(crate) fn has_candidates(&self) -> bool {
        let is_one = |named: &Named| matches!(named.standing, Standing::Candidate(_));
        self.list.iter().any(is_one)
    }

    /// The same, where a candidate counts as no partner.
    pub(crate) fn distrusting(&self) -> Self {
        Self {
            list: self.list.clone(),
            distrust: true,
        }
    }
}

impl Named {
    fn index(&self) -> usize {
        self.node as usize
    }

    /// What it counts as: the new one of it and its partner; none for one without.
    pub(crate) fn token(&self, names: &Names) -> Option<Digest> {
        let partner = match self.standing {
            Standing::Confirmed(partner) => partner,
            Standing::Candidate(partner) if !names.distrust => partner,
            Standing::Candidate(_) | Standing::Free | Standing::Unknown => return None,
        };
        Some(match self.side {
            Side::Old => partner,
            Side::New => self.digest,
        })
    }

    /// A hash of what it counts as.
    pub(crate) fn hash(&self, names: &Names) -> u64 {
        let token = self.token(names).map_or(0, Digest::short);
        token ^ u64::from(self.name)
    }
}
