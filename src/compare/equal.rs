//! Are two values equal under the rules?
//!
//! Invariant: what is equal here has no divergence, and the other way round, as long as the budget for tolerances within unordered arrays lasts;
//! where it ends, values count as different. Linear but for that, and for sorting names and hashes. As deep as the documents, which are bounded.

use crate::compare::align::{Alignment, Elements, multiset};
use crate::compare::effort::Effort;
use crate::compare::hash::hash_together;
use crate::compare::named::{is_unnamed, named};
use crate::compare::parts::{ArrayRule, Member, Members, has_identity, identity_of, likeness};
use crate::compare::rules::{Identity, Program};
use crate::compare::shape::Shape;
use crate::compare::view::{At, Weight};
use crate::json::{Decimal, Value};
use crate::side::Side;

/// Judges values of two views by the rules.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'v> {
    pub(crate) program: &'v Program<'v>,
    pub(crate) effort: &'v Effort<'v>,
}

impl<'v> Judge<'v> {
    /// Whether two values are equal under the rules.
    pub(crate) fn equal(self, old: At<'v>, new: At<'v>) -> bool {
        if self.program.has_own_ways
            && let Some(equal) = self.equal_in_its_own_way(old, new)
        {
            return equal;
        }
        match (old.value(), new.value()) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => self.numbers_equal((old, a), (new, b)),
            (Value::String(a), Value::String(b)) => {
                self.effort.owe(a.len() as u64 / 64);
                a == b
            }
            (Value::Array, Value::Array) => old.is_written_as(new) || self.arrays_equal(old, new),
            (Value::Object, Value::Object) => {
                old.is_written_as(new) || self.objects_equal(old, new)
            }
            (
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array
                | Value::Object,
                _,
            ) => false,
        }
    }

    /// Whether nothing but the shapes of two values is compared.
    pub(crate) fn is_by_shape(self, old: At<'v>, new: At<'v>) -> bool {
        self.program.has_own_ways && (old.mark().shape || new.mark().shape)
    }

    /// Whether values are equal that are compared neither by value nor by what they consist of.
    #[cold]
    fn equal_in_its_own_way(self, old: At<'v>, new: At<'v>) -> Option<bool> {
        if let Some(names) = named(old, new) {
            return Some(names.agree());
        }
        let by_shape = self.is_by_shape(old, new);
        by_shape.then(|| Shape::of(old.value()) == Shape::of(new.value()))
    }

    fn numbers_equal(self, (old, a): (At<'v>, &str), (new, b): (At<'v>, &str)) -> bool {
        if a == b {
            return true;
        }
        let (Some(x), Some(y)) = (Decimal::parse(a), Decimal::parse(b)) else {
            return false;
        };
        if x == y {
            return true;
        }
        let Some(tolerance) = old.mark().tolerance().or(new.mark().tolerance()) else {
            return false;
        };
        self.effort.owe(4 + (a.len() + b.len()) as u64 / 8);
        Decimal::parse(&self.program.tolerances[tolerance])
            .is_some_and(|tolerance| x.within(&y, &tolerance))
    }

    fn arrays_equal(self, old: At<'v>, new: At<'v>) -> bool {
        if let Some(rule) = ArrayRule::of(old, new) {
            let pairs = Pairs::new(self, old, new);
            if pairs.old.len() != pairs.new.len() {
                return false;
            }
            let alignment = pairs.aligned(rule);
            // Elements of a multiset are paired because they are equal, those with an identity whether they are or not. To compare the former again
            // would double the work at each level.
            return alignment.is_complete()
                && alignment
                    .pairs
                    .iter()
                    .all(|&(i, j)| !pairs.by_name(rule, i) || pairs.same(i, j));
        }
        let (mut a, mut b) = (old.visible(), new.visible());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(x), Some(y)) if self.equal(x, y) => {}
                (Some(_), _) | (None, Some(_)) => return false,
            }
        }
    }

    fn objects_equal(self, old: At<'v>, new: At<'v>) -> bool {
        if old.view.document.repeats(old.node) || new.view.document.repeats(new.node) {
            return Members::of(old, new).iter().all(|member| {
                member.old.is_some() && member.new.is_some() && self.member_equal(member)
            });
        }
        let (mut a, mut b) = (old.visible(), new.visible());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(x), Some(y)) if x.key() == y.key() => {
                    if !self.equal(x, y) {
                        return false;
                    }
                }
                (Some(x), Some(y)) => {
                    // From here on the names stand in another order.
                    let mut rest: (Vec<_>, Vec<_>) = (
                        [x].into_iter().chain(a).collect(),
                        [y].into_iter().chain(b).collect(),
                    );
                    rest.0.sort_unstable_by_key(|member| member.key());
                    rest.1.sort_unstable_by_key(|member| member.key());
                    return rest.0.len() == rest.1.len()
                        && rest
                            .0
                            .iter()
                            .zip(&rest.1)
                            .all(|(x, y)| x.key() == y.key() && self.equal(*x, *y));
                }
                (Some(_), None) | (None, Some(_)) => return false,
            }
        }
    }

    /// Whether a name says the same on both sides, repetitions included.
    pub(crate) fn member_equal(self, member: &Member<'v>) -> bool {
        let (Some(old), Some(new)) = (member.old, member.new) else {
            return false;
        };
        if self.is_contradictory(member) {
            let (a, b) = (&member.all_old, &member.all_new);
            return a.len() == b.len() && a.iter().zip(b).all(|(&x, &y)| self.equal(x, y));
        }
        self.equal(old, new)
    }

    /// Whether one side has the name twice, with different values.
    pub(crate) fn is_contradictory(self, member: &Member<'v>) -> bool {
        let contradicts = |values: &[At<'v>]| {
            values
                .split_first()
                .is_some_and(|(first, rest)| rest.iter().any(|&value| !self.equal(*first, value)))
        };
        contradicts(&member.all_old) || contradicts(&member.all_new)
    }
}

/// The elements of two arrays that count, or their identities.
pub(crate) struct Pairs<'v> {
    judge: Judge<'v>,
    /// So many values are an identity; none for elements, which are one value each. Identities are paid for: they are compared once more with their
    /// elements, which would double the work at each level of arrays in identities.
    fields: usize,
    pub(crate) old: Vec<At<'v>>,
    pub(crate) new: Vec<At<'v>>,
}

impl<'v> Pairs<'v> {
    pub(crate) fn new(judge: Judge<'v>, old: At<'v>, new: At<'v>) -> Self {
        Self {
            judge,
            fields: 0,
            old: old.visible().collect(),
            new: new.visible().collect(),
        }
    }

    /// The elements without so many at the beginning and at the end.
    pub(crate) fn middle(&self, front: usize, back: usize) -> Self {
        let cut = |list: &[At<'v>]| list[front..list.len() - back].to_vec();
        Self {
            judge: self.judge,
            fields: self.fields,
            old: cut(&self.old),
            new: cut(&self.new),
        }
    }

    /// The elements as a rule aligns them. Only pairs of an unordered array are equal for sure.
    pub(crate) fn aligned(&self, rule: ArrayRule) -> Alignment {
        match rule {
            ArrayRule::Unordered => multiset(self),
            ArrayRule::MatchBy(identity) => {
                self.by_identity(&self.judge.program.identities[identity])
            }
        }
    }

    /// Pairs elements of one identity, the first with the first; those without any are a multiset.
    fn by_identity(&self, fields: &[Identity]) -> Alignment {
        let split = |list: &[At<'v>]| {
            let mut known = (Vec::new(), Vec::new());
            let mut unknown = (Vec::new(), Vec::new());
            for (index, &element) in list.iter().enumerate() {
                let before = known.0.len();
                known
                    .0
                    .extend(known_identity(element, fields).map_while(|part| part));
                if known.0.len() == before + fields.len() {
                    known.1.push(index);
                } else {
                    known.0.truncate(before);
                    unknown.0.push(element);
                    unknown.1.push(index);
                }
            }
            (known, unknown)
        };
        let ((old_known, old_unknown), (new_known, new_unknown)) =
            (split(&self.old), split(&self.new));
        let mut alignment = Alignment::default();
        for (fields, old, new) in [
            (fields.len(), old_known, new_known),
            (0, old_unknown, new_unknown),
        ] {
            let part = multiset(&Self {
                judge: self.judge,
                fields,
                old: old.0,
                new: new.0,
            });
            alignment
                .pairs
                .extend(part.pairs.iter().map(|&(i, j)| (old.1[i], new.1[j])));
            alignment
                .old_only
                .extend(part.old_only.iter().map(|&i| old.1[i]));
            alignment
                .new_only
                .extend(part.new_only.iter().map(|&j| new.1[j]));
        }
        alignment.pairs.sort_unstable();
        alignment.old_only.sort_unstable();
        alignment.new_only.sort_unstable();
        alignment
    }

    /// Whether a rule paired an element for its identity, and not for being equal.
    fn by_name(&self, rule: ArrayRule, old: usize) -> bool {
        let is_known = |fields| known_identity(self.old[old], fields).all(|part| part.is_some());
        self.fields_of(rule).is_some_and(is_known)
    }

    fn fields_of(&self, rule: ArrayRule) -> Option<&'v [Identity]> {
        match rule {
            ArrayRule::Unordered => None,
            ArrayRule::MatchBy(identity) => Some(&self.judge.program.identities[identity]),
        }
    }

    /// A hash of that by which a rule pairs an element.
    pub(crate) fn tag(&self, rule: ArrayRule, element: At<'v>) -> u64 {
        let parts = |fields| -> Option<Vec<u64>> {
            let parts = known_identity(element, fields);
            parts.map(|part| Some(part?.hash())).collect()
        };
        match self.fields_of(rule).and_then(parts) {
            Some(parts) => hash_together(parts.into_iter()),
            None => element.hash(),
        }
    }

    /// Pairs elements that are alone and of which nobody knows their names on the other side, the first with the first, if there are as many of both: they
    /// differ in any case, and more likely in what they say than in being there.
    pub(crate) fn align_unnamed(&self, rule: ArrayRule, alignment: &mut Alignment) {
        let Some(fields) = self.fields_of(rule) else {
            return;
        };
        let is_one = |element: At<'v>| {
            has_identity(element, fields)
                && known_identity(element, fields).any(|part| part.is_none())
        };
        let part = |alone: &[usize], list: &[At<'v>]| -> (Vec<usize>, Vec<usize>) {
            alone.iter().partition(|&&index| is_one(list[index]))
        };
        let (old, old_rest) = part(&alignment.old_only, &self.old);
        let (new, new_rest) = part(&alignment.new_only, &self.new);
        if old.len() == new.len() {
            alignment.pairs.extend(old.into_iter().zip(new));
            alignment.pairs.sort_unstable();
            (alignment.old_only, alignment.new_only) = (old_rest, new_rest);
        }
    }

    /// How many values are looked at, at most, to see whether two elements are equal.
    fn size(&self, old: usize, new: usize) -> u64 {
        let sizes = self.parts(old, new).map(|(a, b)| a.size().min(b.size()));
        sizes.sum::<usize>() as u64
    }

    /// The values that are an element, or its identity.
    fn at(&self, side: Side, index: usize) -> &[At<'v>] {
        let list = match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        };
        let width = self.fields.max(1);
        &list[index * width..][..width]
    }

    /// The values of two elements, or of their identities, side by side.
    fn parts(&self, old: usize, new: usize) -> impl Iterator<Item = (At<'v>, At<'v>)> {
        let (old, new) = (self.at(Side::Old, old), self.at(Side::New, new));
        old.iter().copied().zip(new.iter().copied())
    }
}

/// The values that tell an element apart. One of which nobody knows its name on the other side tells nothing apart.
fn known_identity<'v>(
    element: At<'v>,
    fields: &[Identity],
) -> impl Iterator<Item = Option<At<'v>>> {
    identity_of(element, fields).map(|part| part.filter(|value| !is_unnamed(*value)))
}

impl Elements for Pairs<'_> {
    fn len(&self, side: Side) -> usize {
        let values = match side {
            Side::Old => self.old.len(),
            Side::New => self.new.len(),
        };
        values / self.fields.max(1)
    }

    fn hash(&self, side: Side, index: usize) -> u64 {
        hash_together(self.at(side, index).iter().map(|part| part.hash()))
    }

    fn is_loose(&self, side: Side, index: usize) -> bool {
        self.at(side, index).iter().any(|part| part.is_loose())
    }

    fn are_alike(&self, old: usize, new: usize) -> bool {
        self.parts(old, new).all(|(a, b)| a.is_written_as(b))
    }

    fn same(&self, old: usize, new: usize) -> bool {
        let granted = self.fields == 0 || self.judge.effort.spend(self.size(old, new));
        granted && self.parts(old, new).all(|(a, b)| self.judge.equal(a, b))
    }

    fn try_same(&self, old: usize, new: usize) -> Option<bool> {
        self.judge
            .effort
            .spend(self.size(old, new))
            .then(|| self.same(old, new))
    }

    fn weight(&self, side: Side, index: usize) -> Weight {
        let weights = self.at(side, index).iter().map(|part| part.weight());
        weights.fold(Weight::default(), Weight::and)
    }

    fn likeness(&self, old: usize, new: usize) -> u32 {
        self.parts(old, new).map(|(a, b)| likeness(a, b)).sum()
    }

    fn spend(&self, steps: usize) -> bool {
        self.judge.effort.spend(steps as u64)
    }

    fn reserve(&self, bytes: usize) -> bool {
        self.judge.effort.require(bytes)
    }
}
