//! Values that stand at one place of both documents and may be two names for one thing: which pairings they are, and what can't be.
//!
//! A pairing is believed only where it is clear which values belong together: beside arrays, in arrays whose elements go by their places if there are as many
//! of both, and among elements that are paired by an identity or by being equal, if no other one would do as well.

use crate::compare::align::Alignment;
use crate::compare::effort::Effort;
use crate::compare::equal::Pairs;
use crate::compare::ids::{Digest, MAX_LEARNT, Pairing};
use crate::compare::named::Both;
use crate::compare::parts::ArrayRule;
use crate::side::Side;
use std::collections::HashMap;

/// Bytes of a pairing in all that it stands in.
const BYTES: usize = 2 * 2 * size_of::<((u16, Side, Digest), Digest)>() + 2 * size_of::<Pairing>();

/// What a walk has met of such values.
#[derive(Default)]
pub(super) struct Meetings {
    /// In how many arrays around the place of the walk it is not clear which elements belong together.
    pub(super) unclear: usize,
    /// Some value was found to differ by what is not confirmed.
    pub(super) premature: bool,
    /// Those that may be learnt, each once.
    pub(super) pairings: Vec<Pairing>,
    /// The partner of each value, by name and side.
    partners: HashMap<(u16, Side, Digest), Digest>,
    /// Those that would have to be true if the others are.
    unsure: Vec<Pairing>,
    doubtful: bool,
}

impl Meetings {
    /// Whether it is not known of all of them that they are one thing.
    pub(super) fn are_doubtful(&self) -> bool {
        self.doubtful
            || self
                .unsure
                .iter()
                .any(|one| self.is_new(*one) != Some(false))
    }

    /// Whether a pairing is one that was not met; none if it contradicts another.
    fn is_new(&self, Pairing { name, pair }: Pairing) -> Option<bool> {
        let partner = |side: Side| self.partners.get(&(name, side, pair[side.index()]));
        match (partner(Side::Old), partner(Side::New)) {
            (None, None) => Some(true),
            (Some(new), _) if *new == pair[1] => Some(false),
            _ => None,
        }
    }

    /// Two values that may be names for one thing. False if one of them is the name of something else here, or is known to be.
    pub(super) fn meet(&mut self, both: &Both<'_>, effort: &Effort<'_>) -> bool {
        let pairing = Pairing {
            name: both.named[0].name,
            pair: both.pair(),
        };
        if !both.agree() {
            self.premature |= !both.contradict_what_is_confirmed();
            return false;
        }
        if both.are_unnamed() {
            self.doubtful |= both.are_doubtful();
            if self.unclear > 0 {
                if !both.are_candidates() && effort.require(size_of::<Pairing>()) {
                    self.unsure.push(pairing);
                }
                return true;
            }
        }
        let is_new = self.is_new(pairing);
        if is_new == Some(true) && effort.require(BYTES) {
            self.add(pairing);
        }
        is_new.is_some()
    }

    fn add(&mut self, pairing: Pairing) {
        let Pairing {
            name,
            pair: [old, new],
        } = pairing;
        self.partners.insert((name, Side::Old, old), new);
        self.partners.insert((name, Side::New, new), old);
        if self.pairings.len() < MAX_LEARNT {
            self.pairings.push(pairing);
        }
    }
}

/// Of which elements of old it is not clear that they belong to those that a rule has paired them with.
pub(super) fn unclear(pairs: &Pairs<'_>, rule: ArrayRule, alignment: &Alignment) -> Vec<bool> {
    /// What was seen of elements of one hash: the first text of each side, and whether there are others.
    #[derive(Clone, Copy, Default)]
    struct Alike<'t> {
        first: [Option<&'t [u8]>; 2],
        several: [bool; 2],
    }
    let mut alike: HashMap<u64, Alike<'_>> = HashMap::new();
    for (side, list) in [&pairs.old, &pairs.new].into_iter().enumerate() {
        for &element in list {
            let seen = alike.entry(pairs.tag(rule, element)).or_default();
            let text = element.view.document.raw(element.node);
            let first = *seen.first[side].get_or_insert(text);
            seen.several[side] |= first != text;
        }
    }
    let mut unclear = vec![false; pairs.old.len()];
    for &(old, new) in &alignment.pairs {
        let tags = [pairs.old[old], pairs.new[new]].map(|element| pairs.tag(rule, element));
        let seen = alike.get(&tags[0]).copied().unwrap_or_default();
        unclear[old] = tags[0] != tags[1] || seen.several == [true, true];
    }
    unclear
}
