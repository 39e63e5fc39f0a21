//! Two documents that are not equal -> where they differ, and the patch from old to new.
//!
//! Invariant: divergences exist if and only if [`Judge::equal`] says no, and swapping the sides mirrors them (`missing` and `extra` change places).
//! A part that is equal is looked at once and not walked again, so the walk is linear; what alignment costs beyond that has a budget.

use crate::compare::align::{Alignment, may_be_permutation, multiset};
use crate::compare::change::{Change, Form};
use crate::compare::equal::{Judge, Pairs};
use crate::compare::finding::{Divergence, Kind};
use crate::compare::ids::Pairing;
use crate::compare::named::named;
use crate::compare::parts::{ArrayRule, Member, Members};
use crate::compare::patch::Builder;
use crate::compare::sequence::{common_ends, in_order};
use crate::compare::view::At;
use crate::json::location::Part;
use crate::json::{Location, Value};
use std::collections::BTreeMap;

mod meetings;

use meetings::{Meetings, unclear};

/// Places kept of one path, kind and shape of change.
const MAX_PLACES: usize = 16;
/// Divergences kept in all.
pub(crate) const MAX_DIVERGENCES: usize = 1_000;

/// How two documents differ.
pub(crate) struct Difference {
    pub(crate) divergences: Vec<Divergence>,
    pub(crate) patch: json_patch::Patch,
    pub(crate) patch_truncated: bool,
    /// Some key was there twice with different values, which no patch can say.
    pub(crate) contradictory: bool,
    /// Which values stand for each other.
    pub(crate) pairings: Vec<Pairing>,
    /// Of some values that count as the same it is not known whether they are.
    pub(crate) doubtful: bool,
    /// Some value was found to differ by what is not confirmed.
    pub(crate) premature: bool,
}

/// Finds how two values differ that are not known to be equal.
pub(crate) fn difference<'v>(judge: Judge<'v>, old: At<'v>, new: At<'v>) -> Difference {
    let mut walk = Walk {
        judge,
        location: Location::default(),
        divergences: Vec::new(),
        places: BTreeMap::new(),
        patch: Builder::new(judge.effort),
        contradictory: false,
        tries: old.size() + new.size(),
        meetings: Meetings::default(),
    };
    walk.unequal(old, new);
    let (patch, patch_truncated) = walk.patch.finish();
    Difference {
        divergences: walk.divergences,
        patch,
        patch_truncated,
        contradictory: walk.contradictory,
        doubtful: walk.meetings.are_doubtful(),
        premature: walk.meetings.premature,
        pairings: walk.meetings.pairings,
    }
}

struct Walk<'v> {
    judge: Judge<'v>,
    /// Where the walk is in old.
    location: Location<'v>,
    divergences: Vec<Divergence>,
    /// How often a shape of path, a kind and a shape of change were found.
    places: BTreeMap<(u64, Kind, Form), usize>,
    patch: Builder<'v>,
    contradictory: bool,
    /// Values that may still be compared without a hash that says they are equal.
    tries: usize,
    /// Values that stand for each other, as far as the walk has come.
    meetings: Meetings,
}

impl<'v> Walk<'v> {
    fn values(&mut self, old: At<'v>, new: At<'v>) {
        if !self.are_equal(old, new) {
            self.unequal(old, new);
        }
    }

    /// Walks values of which nobody knows that they are equal.
    fn unequal(&mut self, old: At<'v>, new: At<'v>) {
        if self.judge.program.ids.is_some()
            && let Some(both) = named(old, new)
        {
            // Whatever they are called: one thing has one name on each side.
            if !self.meetings.meet(&both, self.judge.effort) {
                self.changed(Kind::Identity, Form::Identity.into(), Some(old), Some(new));
                self.patch.replace(&self.location, new);
            }
            return;
        }
        let by_shape = self.judge.is_by_shape(old, new);
        let kind = match (old.value(), new.value()) {
            (Value::Array, Value::Array) if !by_shape => return self.arrays(old, new),
            (Value::Object, Value::Object) if !by_shape => return self.objects(old, new),
            (a, b) if std::mem::discriminant(&a) != std::mem::discriminant(&b) => Kind::Type,
            (_, _) if self.judge.equal(old, new) => return,
            (_, _) => Kind::Changed,
        };
        self.found(kind, Some(old), Some(new));
        self.patch.replace(&self.location, new);
    }

    /// Whether two arrays or objects need no walk: because they are written alike, because they are found equal, and where too much was found in vain,
    /// because they hash alike and are equal. Values whose hashes say little are walked.
    fn are_equal(&mut self, old: At<'v>, new: At<'v>) -> bool {
        if !is_container(old) || !is_container(new) {
            return false;
        }
        // Of what may have other names the walk has to see each value.
        if self.judge.program.ids.is_some() && (old.has_named() || new.has_named()) {
            return false;
        }
        if old.is_written_as(new) {
            return true;
        }
        if self.judge.program.tolerances.is_empty()
            && let Some(left) = self.tries.checked_sub(old.size().min(new.size()))
        {
            self.tries = left;
            return self.judge.equal(old, new);
        }
        old.hash() == new.hash() && !old.is_loose() && self.judge.equal(old, new)
    }

    fn objects(&mut self, old: At<'v>, new: At<'v>) {
        let names_are_data = old.mark().map || new.mark().map;
        let members = Members::of(old, new);
        let renamed = renamed(&members, self.judge);
        for (place, member) in members.iter().enumerate() {
            self.location.push(if names_are_data {
                Part::Entry(member.name)
            } else {
                Part::Member(member.name)
            });
            self.member(member, renamed.contains(&place));
            self.location.pop();
        }
    }

    fn member(&mut self, member: &Member<'v>, renamed: bool) {
        if self.judge.is_contradictory(member) {
            if !self.judge.member_equal(member) {
                self.contradictory = true;
                let (old, new) = member.last();
                self.changed(Kind::Duplicate, Form::Duplicate.into(), old, new);
                match member.last() {
                    (Some(_), Some(new)) => self.patch.replace(&self.location, new),
                    (None, Some(new)) => self.patch.add(&self.location, new),
                    (Some(_), None) | (None, None) => self.patch.remove(&self.location),
                }
            }
            return;
        }
        let change = || match renamed {
            true => Form::Renamed.into(),
            false => Change::between(member.old, member.new),
        };
        match (member.old, member.new) {
            (Some(old), Some(new)) => self.values(old, new),
            (Some(old), None) => {
                self.changed(Kind::Missing, change(), Some(old), None);
                self.patch.remove(&self.location);
            }
            (None, Some(new)) => {
                self.changed(Kind::Extra, change(), None, Some(new));
                self.patch.add(&self.location, new);
            }
            (None, None) => {}
        }
    }

    fn arrays(&mut self, old: At<'v>, new: At<'v>) {
        let arrays = Arrays {
            old,
            new,
            old_places: places(old),
            new_places: places(new),
        };
        let pairs = Pairs::new(self.judge, old, new);
        if let Some(rule) = ArrayRule::of(old, new) {
            let mut alignment = pairs.aligned(rule);
            let mut doubts = Vec::new();
            if self.judge.program.ids.is_some() {
                pairs.align_unnamed(rule, &mut alignment);
                doubts = unclear(&pairs, rule, &alignment);
            }
            let is_unclear = |index: usize| doubts.get(index).copied().unwrap_or(false);
            self.aligned(&arrays, &pairs, alignment, is_unclear);
            return;
        }
        let (front, back) = common_ends(&pairs);
        let middle = pairs.middle(front, back);
        let several = middle.old.len() > 1 && middle.new.len() > 1;
        if several && may_be_permutation(&middle) && multiset(&middle).is_complete() {
            self.changed(Kind::Order, Form::Reordered.into(), Some(old), Some(new));
            self.patch.replace(&self.location, new);
            return;
        }
        let Some(mut alignment) = in_order(&middle) else {
            self.meetings.unclear += 1;
            self.by_position(&arrays, &pairs);
            self.meetings.unclear -= 1;
            return;
        };
        let is_complete = alignment.is_complete();
        // The common ends are equal but for tolerances, or for hashes that were made to collide: they are walked like all others.
        let (old_len, new_len) = (pairs.old.len(), pairs.new.len());
        let inner = std::mem::take(&mut alignment.pairs)
            .into_iter()
            .map(|(i, j)| (i + front, j + front));
        let end = (0..back).rev().map(|k| (old_len - 1 - k, new_len - 1 - k));
        alignment.pairs = (0..front).map(|k| (k, k)).chain(inner).chain(end).collect();
        alignment
            .old_only
            .iter_mut()
            .chain(&mut alignment.new_only)
            .for_each(|index| *index += front);
        self.aligned(&arrays, &pairs, alignment, |_| !is_complete);
    }

    /// Walks elements that belong together, and reports those that are alone. Of some, by their places in old, it may not be clear that they do.
    fn aligned(
        &mut self,
        arrays: &Arrays<'v>,
        pairs: &Pairs<'v>,
        alignment: Alignment,
        is_unclear: impl Fn(usize) -> bool,
    ) {
        let mut alone = alignment.old_only.iter().copied().peekable();
        for (i, j) in alignment.pairs {
            while let Some(index) = alone.next_if(|&index| index < i) {
                self.found_at(arrays.old_places[index], Some(pairs.old[index]), None);
            }
            let unclear = usize::from(is_unclear(i));
            self.meetings.unclear += unclear;
            self.element(arrays.old_places[i], pairs.old[i], pairs.new[j]);
            self.meetings.unclear -= unclear;
        }
        for index in alone {
            self.found_at(arrays.old_places[index], Some(pairs.old[index]), None);
        }
        for &index in &alignment.new_only {
            self.found_at(arrays.new_places[index], None, Some(pairs.new[index]));
        }
        self.resize(arrays, pairs, &alignment.old_only, &alignment.new_only);
    }

    /// Walks elements by their places; arrays of different lengths differ in that.
    fn by_position(&mut self, arrays: &Arrays<'v>, pairs: &Pairs<'v>) {
        let (old_len, new_len) = (pairs.old.len(), pairs.new.len());
        if old_len != new_len {
            self.changed(
                Kind::Length,
                Form::Length.into(),
                Some(arrays.old),
                Some(arrays.new),
            );
        }
        let both = old_len.min(new_len);
        for index in 0..both {
            self.element(arrays.old_places[index], pairs.old[index], pairs.new[index]);
        }
        let rest = |len| (both..len).collect::<Vec<_>>();
        self.resize(arrays, pairs, &rest(old_len), &rest(new_len));
    }

    fn element(&mut self, place: usize, old: At<'v>, new: At<'v>) {
        self.location.push(Part::Element(place));
        self.values(old, new);
        self.location.pop();
    }

    /// Patches elements away from the back, so that the places before them stay, and then others in from the front. Elements that stayed were patched
    /// before, at their places in old.
    fn resize(
        &mut self,
        arrays: &Arrays<'v>,
        pairs: &Pairs<'v>,
        removed: &[usize],
        added: &[usize],
    ) {
        for &index in removed.iter().rev() {
            self.location.push(Part::Element(arrays.old_places[index]));
            self.patch.remove(&self.location);
            self.location.pop();
        }
        let left = arrays.old.view.document.count(arrays.old.node) - removed.len();
        for (before, &index) in added.iter().enumerate() {
            // Beyond the end only where a rule hides elements or their order.
            let place = arrays.new_places[index].min(left + before);
            self.location.push(Part::Element(place));
            self.patch.add(&self.location, pairs.new[index]);
            self.location.pop();
        }
    }

    /// An element that is alone.
    fn found_at(&mut self, place: usize, old: Option<At<'v>>, new: Option<At<'v>>) {
        let kind = if old.is_some() {
            Kind::Missing
        } else {
            Kind::Extra
        };
        self.location.push(Part::Element(place));
        self.found(kind, old, new);
        self.location.pop();
    }

    fn found(&mut self, kind: Kind, old: Option<At<'v>>, new: Option<At<'v>>) {
        self.changed(kind, Change::between(old, new), old, new);
    }

    fn changed(&mut self, kind: Kind, change: Change, old: Option<At<'v>>, new: Option<At<'v>>) {
        if self.divergences.len() >= MAX_DIVERGENCES {
            return;
        }
        let places = self
            .places
            .entry((self.location.shape(), kind, change.form))
            .or_default();
        *places += 1;
        if *places > MAX_PLACES {
            return;
        }
        let (path, at) = (self.location.generalised(), self.location.concrete());
        if self
            .judge
            .effort
            .require(path.len() + at.len() + size_of::<Divergence>())
        {
            self.divergences.push(Divergence {
                path,
                at,
                kind,
                seen: [At::seen(old), At::seen(new)],
                change,
            });
        }
    }
}

/// Places of those members that have another name on the other side: one is missing there, and one is extra that has the same value. Small values are
/// equal by chance.
fn renamed<'v>(members: &[Member<'v>], judge: Judge<'v>) -> Vec<usize> {
    let says_much = |at: At<'v>| match at.value() {
        Value::Null | Value::Bool(_) => false,
        Value::Number(text) | Value::String(text) => text.len() > 2,
        Value::Array | Value::Object => at.size() > 1,
    };
    let mut renamed = Vec::new();
    let mut extra: Vec<_> = (0..members.len())
        .filter(|&place| members[place].old.is_none())
        .collect();
    if extra.is_empty() || extra.len() > MAX_PLACES {
        return renamed;
    }
    for (place, member) in members.iter().enumerate() {
        let (Some(old), None) = (member.old.filter(|old| says_much(*old)), member.new) else {
            continue;
        };
        let twin = extra.iter().position(|&other| {
            let new = members[other].new;
            new.is_some_and(|new| new.hash() == old.hash() && judge.equal(old, new))
        });
        if let Some(twin) = twin {
            renamed.extend([place, extra.swap_remove(twin)]);
        }
    }
    renamed
}

fn is_container(at: At<'_>) -> bool {
    matches!(at.value(), Value::Array | Value::Object)
}

/// Two arrays, with the places of those elements that count.
struct Arrays<'v> {
    old: At<'v>,
    new: At<'v>,
    old_places: Vec<usize>,
    new_places: Vec<usize>,
}

fn places(array: At<'_>) -> Vec<usize> {
    let children = array.view.document.children(array.node).enumerate();
    children
        .filter(|&(_, child)| !array.view.mark(child).ignored)
        .map(|(place, _)| place)
        .collect()
}
