//! First match wins over methods, host and path; generic over what a route holds.
//!
//! A trie of decoded segments, one for each host, whose leaves know the place of their routes in the file. A lookup
//! follows literals and placeholders both, and leaves out every branch in which all routes stand behind the best match
//! so far, so that its cost depends on the depth of the trie and not on the number of routes. What a route does is no
//! matter of this file.

use crate::route::pattern::{Pattern, Segment, decode_segment};
use http::Method;
use std::borrow::Cow;
use std::collections::HashMap;

/// The routes of a file in order, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Table<P> {
    policies: Vec<P>,
    patterns: Vec<Pattern>,
    any_host: Trie,
    by_host: HashMap<Box<str>, Trie>,
}

/// One route to be put in a table.
#[derive(Clone, Debug)]
pub struct Entry<P> {
    /// Methods and path.
    pub pattern: Pattern,
    /// Host that it is limited to; case and port don't matter.
    pub host: Option<String>,
    /// What the route holds.
    pub policy: P,
}

/// What a lookup looks at.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's host, port and all.
    pub host: Option<&'a str>,
    /// The path's bytes as they came, without query.
    pub path: &'a str,
}

/// The first route that matches.
#[derive(Debug)]
pub struct Found<'t, 'a, P> {
    /// What the route holds.
    pub policy: &'t P,
    /// Its place in the file, from 0.
    pub index: usize,
    /// Values of its placeholders.
    pub captures: Captures<'a>,
}

/// Values of a pattern's placeholders in a path that it matches; none by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captures<'a> {
    found: Option<(&'a Pattern, &'a str)>,
}

impl<'a> Captures<'a> {
    /// The decoded bytes of a placeholder.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.values()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| decode_segment(text))
    }

    /// The placeholders, and what they stand for as it came. Decoding all of a rest at once is decoding each segment: a slash is never part of a code.
    fn values(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (segments, path) = self
            .found
            .map_or((&[][..], ""), |(pattern, path)| (pattern.segments(), path));
        let mut rest = path.strip_prefix('/');
        segments.iter().filter_map(move |segment| {
            let here = rest?;
            let (text, next) = split_segment(here);
            rest = next;
            match segment {
                Segment::Literal(_) => None,
                Segment::One(name) => Some((name.as_str(), text)),
                Segment::Rest(name) => Some((name.as_str(), here)),
            }
        })
    }
}

impl<P> Table<P> {
    /// A table of routes in the order of the file.
    #[must_use]
    pub fn new(entries: Vec<Entry<P>>) -> Self {
        let mut table = Self {
            policies: Vec::new(),
            patterns: Vec::new(),
            any_host: Trie::new(),
            by_host: HashMap::new(),
        };
        for (index, entry) in entries.into_iter().enumerate() {
            let trie = match &entry.host {
                None => &mut table.any_host,
                Some(host) => table
                    .by_host
                    .entry(normal_host(host).into())
                    .or_insert_with(Trie::new),
            };
            trie.insert(&entry.pattern, index);
            table.patterns.push(entry.pattern);
            table.policies.push(entry.policy);
        }
        table
    }

    /// The first route in the order of the file that matches.
    pub fn lookup<'t, 'a>(&'t self, target: Target<'a>) -> Option<Found<'t, 'a, P>>
    where
        't: 'a,
    {
        let mut best = usize::MAX;
        if !self.by_host.is_empty()
            && let Some(host) = target.host
            && let Some(trie) = self.by_host.get(normal_host(host).as_ref())
        {
            trie.search(target.method, target.path, &mut best);
        }
        self.any_host.search(target.method, target.path, &mut best);
        let pattern = self.patterns.get(best)?;
        Some(Found {
            policy: &self.policies[best],
            index: best,
            captures: Captures {
                found: Some((pattern, target.path)),
            },
        })
    }

    /// Values of the placeholders of the route at this place in a path that it matches.
    pub fn captures<'a>(&'a self, index: usize, path: &'a str) -> Option<Captures<'a>> {
        let pattern = self.patterns.get(index)?;
        Some(Captures {
            found: Some((pattern, path)),
        })
    }

    /// What the routes hold, in order.
    pub fn policies(&self) -> &[P] {
        &self.policies
    }
}

/// A host without port, in small letters.
fn normal_host(host: &str) -> Cow<'_, str> {
    // The colons of an address in brackets are no port's.
    let name_end = host.find(']').map_or(0, |bracket| bracket + 1);
    let end = host[name_end..]
        .find(':')
        .map_or(host.len(), |colon| name_end + colon);
    let name = &host[..end];
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

/// The first segment of a path without its leading slash, and what follows the next slash.
fn split_segment(path: &str) -> (&str, Option<&str>) {
    // Segments are short: a plain walk finds the slash sooner than a search that first prepares for long texts.
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

#[derive(Clone, Debug)]
struct Trie {
    /// The first is the root: what comes after the leading slash.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    /// The first place in the file among the routes at this node and below it.
    first: usize,
    /// In order, so that one is found by halving.
    literals: Vec<(Box<[u8]>, usize)>,
    one: Option<usize>,
    /// Routes whose last segment led here.
    end: Leaf,
    /// Routes that take the rest of the path from here.
    rest: Leaf,
}

/// The routes of one host and path, by method. Later ones that could never win are not kept.
#[derive(Clone, Debug, Default)]
struct Leaf {
    any: Option<usize>,
    named: Vec<(Method, usize)>,
}

impl Leaf {
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
    fn improve(&self, method: Option<&Method>, best: &mut usize) {
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
    fn new() -> Self {
        Self {
            nodes: vec![Node::new(usize::MAX)],
        }
    }

    /// Routes come in the order of the file, so a node keeps the place of the one that made it.
    fn insert(&mut self, pattern: &Pattern, index: usize) {
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

    /// Lowers `best` to the first route that matches, if it stands before it.
    fn search(&self, method: &Method, path: &str, best: &mut usize) {
        let Some(path) = path.strip_prefix('/') else {
            return;
        };
        // A loop with its own stack, since a path in the file may be as deep as it likes. It allocates only where a
        // literal and a placeholder both lead on.
        let mut waiting: Vec<(usize, Option<&str>)> = Vec::new();
        let mut next = Some((0, Some(path)));
        while let Some((at, rest)) = next.take().or_else(|| waiting.pop()) {
            let node = &self.nodes[at];
            if node.first >= *best {
                continue;
            }
            let Some(rest) = rest else {
                node.end.improve(Some(method), best);
                continue;
            };
            node.rest.improve(Some(method), best);
            let (text, after) = split_segment(rest);
            let segment = decode_segment(text);
            if let Some(literal) = node.literal(&segment) {
                next = Some((literal, after));
            }
            if let Some(one) = node.one.filter(|_| !segment.is_empty()) {
                match next {
                    Some(_) => waiting.push((one, after)),
                    None => next = Some((one, after)),
                }
            }
        }
    }

    /// Lowers `best` to the first route that matches every path that these segments match, if it stands before it.
    fn search_covering(&self, method: Option<&Method>, segments: &[Segment], best: &mut usize) {
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

/// Routes that can never be reached, as (index of the route, index of an earlier one that hides it). Where several
/// earlier routes share its methods between them, the first of these is named.
#[must_use]
pub fn unreachable(routes: &[(&Pattern, Option<&str>)]) -> Vec<(usize, usize)> {
    let mut any_host = Trie::new();
    let mut by_host: HashMap<Cow<'_, str>, Trie> = HashMap::new();
    let mut hidden = Vec::new();
    for (index, (pattern, host)) in routes.iter().enumerate() {
        let host = host.map(normal_host);
        let own = host.as_ref().and_then(|host| by_host.get(host));
        let hider_of = |method: Option<&Method>| {
            let mut first = usize::MAX;
            for trie in own.into_iter().chain([&any_host]) {
                trie.search_covering(method, pattern.segments(), &mut first);
            }
            (first != usize::MAX).then_some(first)
        };
        let hider = match pattern.methods() {
            None => hider_of(None),
            Some(methods) => {
                let hiders: Option<Vec<usize>> = methods
                    .iter()
                    .map(|method| hider_of(Some(method)))
                    .collect();
                hiders.and_then(|hiders| hiders.into_iter().min())
            }
        };
        hidden.extend(hider.map(|hider| (index, hider)));
        let trie = match host {
            None => &mut any_host,
            Some(host) => by_host.entry(host).or_insert_with(Trie::new),
        };
        trie.insert(pattern, index);
    }
    hidden
}

/// Whether two parsers could read the path's segments differently: `%2F`, or a dot segment, plain or encoded.
#[must_use]
pub fn is_ambiguous(path: &str) -> bool {
    // Nearly every path has neither an escape nor a dot, and is told by one look.
    if !path.bytes().any(|byte| matches!(byte, b'%' | b'.')) {
        return false;
    }
    path.split('/').any(|segment| {
        let decoded = decode_segment(segment);
        decoded.contains(&b'/') || matches!(decoded.as_ref(), b"." | b"..")
    })
}

#[cfg(test)]
mod tests;
