//! Which elements of two arrays belong together: what alignments have in common, and multisets.
//!
//! Invariant: the sides are equals. Every alignment is found in the direction that the elements' hashes say, so that swapped sides give the mirrored
//! alignment, ties and exhausted budgets included. Nothing here is more than `n log n` without paying for it from the budget of [`Elements::spend`].

use crate::compare::view::Weight;
use crate::side::Side;

/// The elements of two arrays.
pub(crate) trait Elements {
    /// How many there are on one side.
    fn len(&self, side: Side) -> usize;
    /// An element's hash: equal elements have equal ones.
    fn hash(&self, side: Side, index: usize) -> u64;
    /// Whether equal hashes of an element are no sign of being equal.
    fn is_loose(&self, side: Side, index: usize) -> bool;
    /// Whether two elements are seen to be equal without looking into them.
    fn are_alike(&self, old: usize, new: usize) -> bool;
    /// Whether two elements are equal.
    fn same(&self, old: usize, new: usize) -> bool;
    /// The same, paid from the budget; `None` where that is spent.
    fn try_same(&self, old: usize, new: usize) -> Option<bool>;
    /// What the hash of a loose element leaves out.
    fn weight(&self, side: Side, index: usize) -> Weight;
    /// How much two elements that are not equal have in common: at least 1.
    fn likeness(&self, old: usize, new: usize) -> u32;
    /// Takes steps from the budget; false where there are not so many left.
    fn spend(&self, steps: usize) -> bool;
    /// Takes memory; false where there is none.
    fn reserve(&self, bytes: usize) -> bool;
}

/// Elements that belong together, and those that are alone; all by index, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alignment {
    /// Pairs of old and new, ascending in old.
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) old_only: Vec<usize>,
    pub(crate) new_only: Vec<usize>,
}

impl Alignment {
    /// Whether every element has found an equal one.
    pub(crate) fn is_complete(&self) -> bool {
        self.old_only.is_empty() && self.new_only.is_empty()
    }

    /// The alignment of swapped sides.
    pub(crate) fn mirrored(self) -> Self {
        let mut pairs: Vec<_> = self
            .pairs
            .into_iter()
            .map(|(old, new)| (new, old))
            .collect();
        pairs.sort_unstable();
        Self {
            pairs,
            old_only: self.new_only,
            new_only: self.old_only,
        }
    }
}

/// Pairs equal elements, in whatever order they are.
///
/// Elements with tolerances are paired greedily, in the order of their sums: best possible for plain numbers, nearly so for the rest. Where the budget
/// ends, the elements left stay alone.
pub(crate) fn multiset(elements: &impl Elements) -> Alignment {
    if is_turned(elements) {
        multiset_oriented(&Turned(elements)).mirrored()
    } else {
        multiset_oriented(elements)
    }
}

/// Whether both sides have the same hashes as often, so that all may be paired.
pub(crate) fn may_be_permutation(elements: &impl Elements) -> bool {
    let sorted = |side| {
        let mut hashes: Vec<_> = (0..elements.len(side))
            .map(|index| elements.hash(side, index))
            .collect();
        hashes.sort_unstable();
        hashes
    };
    elements.len(Side::Old) == elements.len(Side::New) && sorted(Side::Old) == sorted(Side::New)
}

/// Whether alignment must look at the sides the other way round.
pub(crate) fn is_turned(elements: &impl Elements) -> bool {
    let hashes = |side| (0..elements.len(side)).map(move |index| elements.hash(side, index));
    // Loose elements that hash alike are told apart by what their hashes leave out.
    let fingerprints = |side| {
        let loose = (0..elements.len(side)).filter(move |&index| elements.is_loose(side, index));
        loose.map(move |index| elements.weight(side, index).fingerprint)
    };
    let order = elements.len(Side::Old).cmp(&elements.len(Side::New));
    order
        .then_with(|| hashes(Side::Old).cmp(hashes(Side::New)))
        .then_with(|| fingerprints(Side::Old).cmp(fingerprints(Side::New)))
        .is_gt()
}

/// The same elements with their sides swapped.
pub(crate) struct Turned<'e, E>(pub(crate) &'e E);

impl<E: Elements> Elements for Turned<'_, E> {
    fn len(&self, side: Side) -> usize {
        self.0.len(side.other())
    }

    fn hash(&self, side: Side, index: usize) -> u64 {
        self.0.hash(side.other(), index)
    }

    fn is_loose(&self, side: Side, index: usize) -> bool {
        self.0.is_loose(side.other(), index)
    }

    fn are_alike(&self, old: usize, new: usize) -> bool {
        self.0.are_alike(new, old)
    }

    fn same(&self, old: usize, new: usize) -> bool {
        self.0.same(new, old)
    }

    fn try_same(&self, old: usize, new: usize) -> Option<bool> {
        self.0.try_same(new, old)
    }

    fn weight(&self, side: Side, index: usize) -> Weight {
        self.0.weight(side.other(), index)
    }

    fn likeness(&self, old: usize, new: usize) -> u32 {
        self.0.likeness(new, old)
    }

    fn spend(&self, steps: usize) -> bool {
        self.0.spend(steps)
    }

    fn reserve(&self, bytes: usize) -> bool {
        self.0.reserve(bytes)
    }
}

/// Elements of one hash: places in two lists that are sorted by hash.
pub(crate) struct Group<'l> {
    pub(crate) old: &'l [usize],
    pub(crate) new: &'l [usize],
}

/// Indexes of one side, by hash and then by place.
pub(crate) fn by_hash(elements: &impl Elements, side: Side) -> Vec<usize> {
    let mut indexes: Vec<_> = (0..elements.len(side)).collect();
    indexes.sort_unstable_by_key(|&index| (elements.hash(side, index), index));
    indexes
}

/// Groups of equal hashes, those of one side alone included.
pub(crate) fn groups<'l>(
    elements: &impl Elements,
    mut old: &'l [usize],
    mut new: &'l [usize],
    mut visit: impl FnMut(Group<'l>),
) {
    loop {
        let first = |side, list: &[usize]| list.first().map(|&index| elements.hash(side, index));
        let hash = match (first(Side::Old, old), first(Side::New, new)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(hash), None) | (None, Some(hash)) => hash,
            (None, None) => return,
        };
        let run = |side, list: &[usize]| {
            list.iter()
                .take_while(|&&index| elements.hash(side, index) == hash)
                .count()
        };
        let (old_group, old_rest) = old.split_at(run(Side::Old, old));
        let (new_group, new_rest) = new.split_at(run(Side::New, new));
        visit(Group {
            old: old_group,
            new: new_group,
        });
        (old, new) = (old_rest, new_rest);
    }
}

fn multiset_oriented(elements: &impl Elements) -> Alignment {
    let (old, new) = (by_hash(elements, Side::Old), by_hash(elements, Side::New));
    let mut alignment = Alignment::default();
    groups(elements, &old, &new, |group| {
        pair_group(elements, &group, &mut alignment)
    });
    alignment.pairs.sort_unstable();
    alignment.old_only.sort_unstable();
    alignment.new_only.sort_unstable();
    alignment
}

fn pair_group(elements: &impl Elements, group: &Group<'_>, alignment: &mut Alignment) {
    let (&[first, ..], &[_, ..]) = (group.old, group.new) else {
        alignment.old_only.extend(group.old);
        alignment.new_only.extend(group.new);
        return;
    };
    if elements.is_loose(Side::Old, first) {
        pair_greedily(elements, group.old, group.new, alignment);
        return;
    }
    // Equal hashes without tolerances are equal elements, unless somebody has made them collide.
    let both = group.old.len().min(group.new.len());
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (&i, &j) in group.old.iter().zip(group.new) {
        if elements.same(i, j) {
            alignment.pairs.push((i, j));
        } else {
            old.push(i);
            new.push(j);
        }
    }
    if old.is_empty() {
        alignment.old_only.extend(&group.old[both..]);
        alignment.new_only.extend(&group.new[both..]);
    } else {
        old.extend(&group.old[both..]);
        new.extend(&group.new[both..]);
        pair_greedily(elements, &old, &new, alignment);
    }
}

/// An element with its weight.
#[derive(Clone, Copy)]
struct Weighed {
    index: usize,
    sum: f64,
    reach: f64,
}

fn pair_greedily(
    elements: &impl Elements,
    old: &[usize],
    new: &[usize],
    alignment: &mut Alignment,
) {
    let weigh = |side, list: &[usize]| {
        let mut weighed: Vec<_> = list
            .iter()
            .map(|&index| {
                let Weight { sum, reach, .. } = elements.weight(side, index);
                // Sums of floats are rounded: look a little further than the tolerances reach.
                Weighed {
                    index,
                    sum,
                    reach: reach + (sum.abs() + reach) * 1e-9,
                }
            })
            .collect();
        weighed.sort_by(|a, b| a.sum.total_cmp(&b.sum).then(a.index.cmp(&b.index)));
        weighed
    };
    let (old, new) = (weigh(Side::Old, old), weigh(Side::New, new));
    let mut taken = vec![false; new.len()];
    let mut start = 0;
    let mut spent = false;
    for element in old {
        while start < new.len() && (taken[start] || new[start].sum < element.sum - element.reach) {
            start += 1;
        }
        let mut found = None;
        for (place, candidate) in new.iter().enumerate().skip(start) {
            if spent || candidate.sum > element.sum + element.reach {
                break;
            }
            if taken[place] {
                spent = !elements.spend(1);
                continue;
            }
            match elements.try_same(element.index, candidate.index) {
                Some(true) => {
                    found = Some(place);
                    break;
                }
                Some(false) => {}
                None => spent = true,
            }
        }
        if let Some(place) = found {
            taken[place] = true;
            alignment.pairs.push((element.index, new[place].index));
        } else {
            alignment.old_only.push(element.index);
        }
    }
    let alone = new
        .iter()
        .zip(taken)
        .filter(|(_, taken)| !taken)
        .map(|(candidate, _)| candidate.index);
    alignment.new_only.extend(alone);
}

#[cfg(test)]
pub(crate) mod tests;
