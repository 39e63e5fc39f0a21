//! Elements that belong together in their order: common ends, a longest common subsequence, and in its gaps what is most alike.

use crate::compare::align::{Alignment, Elements, Turned, by_hash, groups, is_turned};
use crate::side::Side;

/// How many elements are equal at both beginnings, and at both ends of the rest.
pub(crate) fn common_ends(elements: &impl Elements) -> (usize, usize) {
    let (old, new) = (elements.len(Side::Old), elements.len(Side::New));
    let shorter = old.min(new);
    let equal = |i: usize, j: usize| {
        elements.are_alike(i, j)
            || elements.hash(Side::Old, i) == elements.hash(Side::New, j)
                && (!elements.is_loose(Side::Old, i) || elements.try_same(i, j).unwrap_or(true))
    };
    let front = (0..shorter).take_while(|&i| equal(i, i)).count();
    let back = (0..shorter - front)
        .take_while(|&i| equal(old - 1 - i, new - 1 - i))
        .count();
    (front, back)
}

/// Aligns elements in their order: a longest common subsequence of equal ones, and between those the ones that are most alike. `None` where that is
/// beyond the budget.
pub(crate) fn in_order(elements: &impl Elements) -> Option<Alignment> {
    if is_turned(elements) {
        in_order_oriented(&Turned(elements)).map(Alignment::mirrored)
    } else {
        in_order_oriented(elements)
    }
}

fn in_order_oriented(elements: &impl Elements) -> Option<Alignment> {
    let (old, new) = (elements.len(Side::Old), elements.len(Side::New));
    let anchors = if old.min(new) < 2 && old.max(new) < 2 {
        Vec::new()
    } else {
        common_subsequence(elements)?
    };
    let mut alignment = Alignment::default();
    let (mut i, mut j) = (0, 0);
    for (anchor_old, anchor_new) in anchors.into_iter().chain([(old, new)]) {
        fill_gap(elements, (i, anchor_old), (j, anchor_new), &mut alignment);
        if anchor_old < old {
            alignment.pairs.push((anchor_old, anchor_new));
        }
        (i, j) = (anchor_old + 1, anchor_new + 1);
    }
    Some(alignment)
}

/// A longest common subsequence of equal elements (Hunt and Szymanski): cheap where equal pairs are few, as they are among real elements.
fn common_subsequence(elements: &impl Elements) -> Option<Vec<(usize, usize)>> {
    struct Link {
        old: u32,
        new: u32,
        /// One more than the place of the link before.
        before: u32,
    }
    /// An index or a place; there are no more of either than steps or values, both far below this.
    fn short(index: usize) -> u32 {
        u32::try_from(index).unwrap_or(u32::MAX)
    }
    /// A pair costs more than looking at a value: it may be kept.
    const STEPS: usize = 4;
    let (old_sorted, new_sorted) = (by_hash(elements, Side::Old), by_hash(elements, Side::New));
    // For each old element, its equals among the new ones: a range of `new_sorted`.
    let mut equals = vec![(0, 0); elements.len(Side::Old)];
    let (mut pairs, mut new_at) = (0_usize, 0);
    groups(elements, &old_sorted, &new_sorted, |group| {
        let range = (new_at, new_at + group.new.len());
        new_at = range.1;
        pairs = pairs.saturating_add(group.old.len().saturating_mul(group.new.len()));
        for &index in group.old {
            equals[index] = range;
        }
    });
    if !elements.spend(pairs.saturating_mul(STEPS))
        || !elements.reserve(pairs.saturating_mul(size_of::<Link>()))
    {
        return None;
    }
    let mut links: Vec<Link> = Vec::new();
    // The link that ends the best subsequence of each length: the one that leaves most of the new side.
    let mut ends: Vec<usize> = Vec::new();
    for (i, &(from, to)) in equals.iter().enumerate() {
        // Backwards, so that no two of one old element stand in the same subsequence.
        for &j in new_sorted[from..to].iter().rev() {
            if elements.is_loose(Side::Old, i) && elements.try_same(i, j) != Some(true) {
                continue;
            }
            let length = ends.partition_point(|&link| links[link].new < short(j));
            if ends
                .get(length)
                .is_some_and(|&link| links[link].new == short(j))
            {
                continue;
            }
            let before = if length == 0 {
                0
            } else {
                short(ends[length - 1] + 1)
            };
            let link = links.len();
            links.push(Link {
                old: short(i),
                new: short(j),
                before,
            });
            if length == ends.len() {
                ends.push(link);
            } else {
                ends[length] = link;
            }
        }
    }
    let mut common = Vec::with_capacity(ends.len());
    let mut link = ends.last().map(|&link| &links[link]);
    while let Some(&Link { old, new, before }) = link {
        common.push((old as usize, new as usize));
        link = before.checked_sub(1).map(|before| &links[before as usize]);
    }
    common.reverse();
    Some(common)
}

/// Aligns what stands between two anchors: by likeness if that is affordable, else one after the other.
fn fill_gap(
    elements: &impl Elements,
    (old, old_end): (usize, usize),
    (new, new_end): (usize, usize),
    alignment: &mut Alignment,
) {
    /// A gap of 64 by 64.
    const CELLS: usize = 4_096;
    /// Steps that comparing two elements may take.
    const STEPS: usize = 64;
    let (rows, columns) = (old_end - old, new_end - new);
    let cells = rows * columns;
    let both = rows.min(columns);
    if cells <= 1 || cells > CELLS || !elements.spend(cells * STEPS) {
        alignment
            .pairs
            .extend((0..both).map(|k| (old + k, new + k)));
        alignment.old_only.extend(old + both..old_end);
        alignment.new_only.extend(new + both..new_end);
        return;
    }
    let likeness: Vec<u32> = (0..cells)
        .map(|cell| elements.likeness(old + cell / columns, new + cell % columns))
        .collect();
    // best[i][j]: what can still be had in common from there on.
    let width = columns + 1;
    let mut best = vec![0_u32; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let paired = best[(i + 1) * width + j + 1] + likeness[i * columns + j];
            best[i * width + j] = paired
                .max(best[(i + 1) * width + j])
                .max(best[i * width + j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < rows && j < columns {
        let here = best[i * width + j];
        if here == best[(i + 1) * width + j + 1] + likeness[i * columns + j] {
            alignment.pairs.push((old + i, new + j));
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            alignment.old_only.push(old + i);
            i += 1;
        } else {
            alignment.new_only.push(new + j);
            j += 1;
        }
    }
    alignment.old_only.extend(old + i..old_end);
    alignment.new_only.extend(new + j..new_end);
}

#[cfg(test)]
mod tests;
