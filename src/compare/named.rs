//! Pairs of values that may be two names for one thing.

use crate::compare::ids::{Asked, Digest, Ids, Secret, Standing};
use crate::compare::names::{Named, Names};
use crate::compare::view::{At, View};
use crate::json::Node;
use crate::side::Side;

/// Two values that stand at one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both<'v> {
    pub(crate) named: [&'v Named; 2],
    tokens: [Option<Digest>; 2],
}

/// Two values as names for something, if both are. Values of one side are what they are.
pub(crate) fn named<'v>(old: At<'v>, new: At<'v>) -> Option<Both<'v>> {
    let both = [old.named()?, new.named()?];
    let comparable = both[0].name == both[1].name && both[0].side != both[1].side;
    comparable.then(|| Both {
        named: both,
        tokens: [
            both[0].token(&old.view.names),
            both[1].token(&new.view.names),
        ],
    })
}

/// Whether a value may have another name on the other side, and it is not known which.
pub(crate) fn is_unnamed(at: At<'_>) -> bool {
    let named = at.named();
    named.is_some_and(|named| named.token(&at.view.names).is_none())
}

impl Both<'_> {
    /// Whether they count as the same.
    pub(crate) fn agree(&self) -> bool {
        self.tokens[0] == self.tokens[1]
    }

    /// Whether neither has a partner.
    pub(crate) fn are_unnamed(&self) -> bool {
        self.tokens == [None, None]
    }

    pub(crate) fn pair(&self) -> [Digest; 2] {
        self.named.map(|named| named.digest)
    }

    /// Whether one of them is known to have another partner.
    pub(crate) fn contradict_what_is_confirmed(&self) -> bool {
        self.are_one(
            |standing, other| matches!(standing, Standing::Confirmed(partner) if partner != other),
        )
    }

    /// Whether one record has shown them as each other's partners.
    pub(crate) fn are_candidates(&self) -> bool {
        let [old, new] = self.named;
        old.standing == Standing::Candidate(new.digest)
    }

    /// Whether nothing can be said of them: one may have another partner.
    pub(crate) fn are_doubtful(&self) -> bool {
        self.are_one(|standing, other| match standing {
            Standing::Unknown => true,
            Standing::Candidate(partner) => partner != other,
            Standing::Confirmed(_) | Standing::Free => false,
        })
    }

    fn are_one(&self, is: impl Fn(Standing, Digest) -> bool) -> bool {
        let [old, new] = self.named;
        is(old.standing, new.digest) || is(new.standing, old.digest)
    }
}

/// How many values of a document may have other names on the other side.
pub(crate) fn count(view: &View<'_>) -> usize {
    nodes(view).count()
}

/// Asks what is known of all such values of two documents: of nothing, before it was read what makes digests of them.
pub(crate) fn resolve(old: &mut View<'_>, new: &mut View<'_>, names: &[&str], ids: &Ids) {
    let views = [(Side::Old, &*old), (Side::New, &*new)];
    let secret = ids.secret().cloned();
    let is_known = secret.is_some();
    let secret = secret.unwrap_or_else(|| Secret::new([0; 32]));
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for (side, view) in views {
        for (node, name) in nodes(view) {
            if let Some(value) = secret.digest(view.document.value(node)) {
                asked.push(Asked { name, side, value });
                places.push(node);
            }
        }
    }
    let standings = match is_known {
        true => ids.standings(names, &asked),
        false => vec![Standing::Unknown; asked.len()],
    };
    let all = places.into_iter().zip(asked).zip(standings);
    let mut lists = [Vec::new(), Vec::new()];
    for ((Node(node), Asked { name, side, value }), standing) in all {
        lists[side.index()].push(Named {
            node,
            name,
            side,
            digest: value,
            standing,
        });
    }
    let [of_old, of_new] = lists.map(|list| Names {
        list,
        distrust: false,
    });
    old.know(of_old);
    new.know(of_new);
}

/// The texts and numbers that the rules name, in document order.
fn nodes<'v>(view: &'v View<'_>) -> impl Iterator<Item = (Node, u16)> + 'v {
    let marked = view.document.subtree(Node::ROOT);
    marked.filter_map(|node| {
        let name = view.mark(node).ids()?;
        view.document.is_scalar(node).then_some((node, name))
    })
}
