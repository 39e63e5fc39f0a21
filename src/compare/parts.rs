//! The parts of two values, side by side: which names two objects have, what tells elements apart, how much two values have in common.

use crate::compare::rules::Identity;
use crate::compare::view::At;
use crate::json::{Document, Node, Value};

/// A name of one or both of two objects.
#[derive(Clone, Debug)]
pub(crate) struct Member<'v> {
    pub(crate) name: &'v str,
    /// Its first value on each side.
    pub(crate) old: Option<At<'v>>,
    pub(crate) new: Option<At<'v>>,
    /// All its values, where it is repeated.
    pub(crate) all_old: Vec<At<'v>>,
    pub(crate) all_new: Vec<At<'v>>,
}

impl<'v> Member<'v> {
    /// The last value on each side, which is the one that other readers keep.
    pub(crate) fn last(&self) -> (Option<At<'v>>, Option<At<'v>>) {
        (
            self.all_old.last().copied().or(self.old),
            self.all_new.last().copied().or(self.new),
        )
    }
}

/// The names of two objects.
pub(crate) struct Members;

impl Members {
    /// Every name once: those of old in its order, then those that only new has in its order.
    pub(crate) fn of<'v>(old: At<'v>, new: At<'v>) -> Vec<Member<'v>> {
        let sorted = |object: At<'v>| {
            let mut members: Vec<_> = object.visible().collect();
            members.sort_unstable_by_key(|member| (member.key(), member.node));
            members
        };
        let (old_members, new_members) = (sorted(old), sorted(new));
        let (mut a, mut b) = (old_members.as_slice(), new_members.as_slice());
        let mut names = Vec::with_capacity(a.len().max(b.len()));
        loop {
            let name = match (a.first(), b.first()) {
                (Some(x), Some(y)) => x.key().min(y.key()),
                (Some(one), None) | (None, Some(one)) => one.key(),
                (None, None) => break,
            };
            let run = |members: &[At<'v>]| {
                members
                    .iter()
                    .take_while(|member| member.key() == name)
                    .count()
            };
            let (old_run, old_rest) = a.split_at(run(a));
            let (new_run, new_rest) = b.split_at(run(b));
            let repeated = |members: &[At<'v>]| {
                if members.len() > 1 {
                    members.to_vec()
                } else {
                    Vec::new()
                }
            };
            names.push(Member {
                name,
                old: old_run.first().copied(),
                new: new_run.first().copied(),
                all_old: repeated(old_run),
                all_new: repeated(new_run),
            });
            (a, b) = (old_rest, new_rest);
        }
        let node = |at: Option<At<'v>>| at.map(|at| at.node);
        names.sort_unstable_by_key(|member| {
            (member.old.is_none(), node(member.old).or(node(member.new)))
        });
        names
    }
}

/// How the elements of two arrays find each other, where a rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArrayRule {
    Unordered,
    MatchBy(usize),
}

impl ArrayRule {
    /// The rule for two arrays: what holds for one of them holds for both.
    pub(crate) fn of(old: At<'_>, new: At<'_>) -> Option<Self> {
        let (a, b) = (old.mark(), new.mark());
        match a.match_by().or(b.match_by()) {
            Some(identity) => Some(Self::MatchBy(identity)),
            None => (a.unordered || b.unordered).then_some(Self::Unordered),
        }
    }
}

/// The values that tell an element apart, one a field and in its order. What is ignored in the comparison still counts here.
pub(crate) fn identity_of<'v>(
    element: At<'v>,
    fields: &[Identity],
) -> impl Iterator<Item = Option<At<'v>>> {
    let nodes = identity_nodes(element.view.document, element.node, fields);
    nodes.map(move |node| node.map(|node| element.view.at(node)))
}

/// Whether an element has a value in each field that tells elements apart.
pub(crate) fn has_identity(element: At<'_>, fields: &[Identity]) -> bool {
    identity_of(element, fields).all(|part| part.is_some())
}

/// The same values, in a document.
pub(crate) fn identity_nodes(
    document: &Document<'_>,
    element: Node,
    fields: &[Identity],
) -> impl Iterator<Item = Option<Node>> {
    fields
        .iter()
        .map(move |field| identity_node(document, element, field))
}

/// The last value of its name, as other readers have it; none if it is null or absent.
fn identity_node(document: &Document<'_>, mut node: Node, field: &Identity) -> Option<Node> {
    for name in field.names() {
        if document.value(node) != Value::Object {
            return None;
        }
        node = document
            .children(node)
            .filter(|&child| document.key(child) == name)
            .last()?;
    }
    (document.value(node) != Value::Null).then_some(node)
}

/// 1 for two types, 2 for one type, up to 10 for arrays and objects by the share of children that hash alike in the same place.
pub(crate) fn likeness(old: At<'_>, new: At<'_>) -> u32 {
    /// Children that are looked at.
    const SEEN: usize = 16;
    let names = match (old.value(), new.value()) {
        (Value::Object, Value::Object) => true,
        (Value::Array, Value::Array) => false,
        (a, b) => return 1 + u32::from(std::mem::discriminant(&a) == std::mem::discriminant(&b)),
    };
    let list = |container: At<'_>| -> Vec<(Node, u64)> {
        container
            .visible()
            .take(SEEN)
            .map(|child| (child.node, child.hash()))
            .collect()
    };
    let (a, b) = (list(old), list(new));
    let key = |container: At<'_>, node: Node| container.view.at(node).key().len();
    let same_name = |x: Node, y: Node| old.view.document.key(x) == new.view.document.key(y);
    let mut shared = 0;
    for (place, &(x, hash)) in a.iter().enumerate() {
        let in_place = b.get(place).filter(|&&(y, _)| !names || same_name(x, y));
        let partner = match in_place {
            Some(partner) => Some(partner),
            None if names => b
                .iter()
                .find(|&&(y, _)| key(old, x) == key(new, y) && same_name(x, y)),
            None => None,
        };
        shared += usize::from(partner.is_some_and(|&(_, other)| other == hash));
    }
    let most = a.len().max(b.len()).max(1);
    2 + u32::try_from(8 * shared / most).unwrap_or(0)
}
