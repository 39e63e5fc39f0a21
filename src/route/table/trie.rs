//! The trie as it grows, route by route, and what tells which routes others hide. Lookups walk `packed`, which is made of it.

use crate::route::pattern::{Pattern, Segment};
use http::Method;

/// The routes of one host.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    /// The first is the root: what comes after the leading slash.
    pub(super) nodes: Vec<Node>,
}

/// What can follow the segments that led here.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The first place in the file among the routes at this node and below it.
    pub(super) first: usize,
    /// In order, so that one is found by halving.
    pub(super) literals: Vec<(Box<[u8]>, usize)>,
    /// Where any segment but an empty one leads.
    pub(super) one: Option<usize>,
    /// Routes whose last segment led here.
    pub(super) end: Leaf,
    /// Routes that take the rest of the path from here.
    pub(super) rest: Leaf,
}

/// The routes of one host and path, by method. Later ones that could never win are not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    /// The one that takes every method.
    pub(super) any: Option<usize>,
    /// The first one for each method that is named.
    pub(super) named: Vec<(Method, usize)>,
}

impl Leaf {
    pub(super) fn is_empty(&self) -> bool {
        self.any.is_none() && self.named.is_empty()
    }

    fn insert(&mut self, pattern: &Pattern, index: usize) {
        let Some(methods) = pattern.methods() else {
            self.any.get_or_insert(index);
            return;
        };
        for method in methods {
            if self.any.is_none() && !self.named.iter().any(|(named, _)| named == method) {
                self.named.push((method.clone(), index));
            }
        }
    }

    /// Lowers `best` to the first route with this method; with every method, if there is none.
    pub(super) fn improve(&self, method: Option<&Method>, best: &mut usize) {
        let named = self
            .named
            .iter()
            .find(|(named, _)| Some(named) == method)
            .map(|(_, index)| *index);
        for index in named.into_iter().chain(self.any) {
            *best = index.min(*best);
        }
    }
}

impl Node {
    fn new(first: usize) -> Self {
        Self {
            first,
            literals: Vec::new(),
            one: None,
            end: Leaf::default(),
            rest: Leaf::default(),
        }
    }

    fn place(&self, literal: &[u8]) -> Result<usize, usize> {
        self.literals
            .binary_search_by(|(known, _)| known.as_ref().cmp(literal))
    }

    fn literal(&self, literal: &[u8]) -> Option<usize> {
        self.place(literal).ok().map(|place| self.literals[place].1)
    }
}

impl Trie {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new(usize::MAX)],
        }
    }

    /// Routes come in the order of the file, so a node keeps the place of the one that made it.
    pub(super) fn insert(&mut self, pattern: &Pattern, index: usize) {
        let mut at = 0;
        self.nodes[at].first = index.min(self.nodes[at].first);
        for segment in pattern.segments() {
            let fresh = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match segment {
                Segment::Rest(_) => return node.rest.insert(pattern, index),
                Segment::One(_) => *node.one.get_or_insert(fresh),
                Segment::Literal(bytes) => match node.place(bytes) {
                    Ok(place) => node.literals[place].1,
                    Err(place) => {
                        node.literals
                            .insert(place, (bytes.as_slice().into(), fresh));
                        fresh
                    }
                },
            };
            if at == fresh {
                self.nodes.push(Node::new(index));
            }
        }
        self.nodes[at].end.insert(pattern, index);
    }

    /// Lowers `best` to the first route that matches every path that these segments match, if it stands before it.
    pub(super) fn search_covering(
        &self,
        method: Option<&Method>,
        segments: &[Segment],
        best: &mut usize,
    ) {
        // Its own stack, since a path in the file may be as deep as it likes.
        let mut waiting = vec![(0, segments)];
        while let Some((at, segments)) = waiting.pop() {
            let node = &self.nodes[at];
            if node.first >= *best {
                continue;
            }
            let Some((segment, after)) = segments.split_first() else {
                node.end.improve(method, best);
                continue;
            };
            node.rest.improve(method, best);
            let (literal, one) = match segment {
                Segment::Rest(_) => (None, None),
                Segment::One(_) => (None, node.one),
                Segment::Literal(bytes) => {
                    (node.literal(bytes), node.one.filter(|_| !bytes.is_empty()))
                }
            };
            waiting.extend(literal.into_iter().chain(one).map(|at| (at, after)));
        }
    }
}
