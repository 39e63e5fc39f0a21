//! First match wins over methods, host and path; generic over what a route holds.
//!
//! A trie of decoded segments, one for each host, whose leaves know the place of their routes in the file: `trie` is how
//! it grows and what tells which routes are hidden, `packed` is what a lookup walks. What a route does is no matter of
//! this file.

mod packed;
mod steps;
mod trie;

use crate::route::pattern::{Pattern, Place, Segment, decode_segment, split_segment};
use crate::route::table::packed::Packed;
use crate::route::table::trie::Trie;
use http::Method;
use std::borrow::Cow;
use std::collections::HashMap;

/// The routes of a file in order, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Table<P> {
    policies: Vec<P>,
    patterns: Vec<Pattern>,
    any_host: Packed,
    by_host: HashMap<Box<str>, Packed>,
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
            .map(|(_, text)| decode_segment(text.as_bytes()))
    }

    /// The decoded bytes of the placeholder at a place of the pattern, which is not read for it.
    pub(in crate::route) fn at(&self, place: Place) -> Option<Cow<'a, [u8]>> {
        let (_, path) = self.found?;
        let mut rest = path.strip_prefix('/')?;
        let (Place::One(before) | Place::Rest(before)) = place;
        for _ in 0..before {
            rest = split_segment(rest).1?;
        }
        let text = match place {
            Place::One(_) => split_segment(rest).0,
            Place::Rest(_) => rest,
        };
        Some(decode_segment(text.as_bytes()))
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
        let mut policies = Vec::with_capacity(entries.len());
        let mut patterns = Vec::with_capacity(entries.len());
        let mut any_host = Trie::new();
        let mut by_host: HashMap<Box<str>, Trie> = HashMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let trie = match &entry.host {
                None => &mut any_host,
                Some(host) => by_host
                    .entry(normal_host(host).into())
                    .or_insert_with(Trie::new),
            };
            trie.insert(&entry.pattern, index);
            patterns.push(entry.pattern);
            policies.push(entry.policy);
        }
        Self {
            policies,
            patterns,
            any_host: Packed::new(&any_host),
            by_host: by_host
                .into_iter()
                .map(|(host, trie)| (host, Packed::new(&trie)))
                .collect(),
        }
    }

    /// The first route in the order of the file that matches.
    pub fn lookup<'t, 'a>(&'t self, target: Target<'a>) -> Option<Found<'t, 'a, P>>
    where
        't: 'a,
    {
        let mut best = usize::MAX;
        if !self.by_host.is_empty()
            && let Some(host) = target.host
            && let Some(packed) = self.by_host.get(normal_host(host).as_ref())
        {
            packed.search(target.method, target.path, &mut best);
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
        if let Some(hider) = hider {
            // What it hides, those hide that hide it, and they are the first to be named.
            hidden.push((index, hider));
            continue;
        }
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
        let decoded = decode_segment(segment.as_bytes());
        decoded.contains(&b'/') || matches!(decoded.as_ref(), b"." | b"..")
    })
}

#[cfg(test)]
mod tests;
