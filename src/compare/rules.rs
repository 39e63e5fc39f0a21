//! What a route's `compare` table says, and its form for a comparison.
//!
//! Invariant: paths are matched against each document by itself, so an index means a place in that document. Where several paths of one kind select
//! a place, the first one of the file holds; `match_by` goes before `unordered`.

use crate::compare::hash::hash_text;
use crate::compare::ids::{Ids, Pairing};
use crate::json::{FieldPath, PathError};
use http::HeaderName;

/// The rules by which a route's answers are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Fields that are dropped on both sides.
    pub ignore: Vec<FieldPath>,
    /// Arrays that are compared as multisets. What is ignored within their elements does not count; numbers with a tolerance are paired with near
    /// ones greedily, in the order of their sums, and elements that are still alone when the budget for that ends count as different.
    pub unordered: Vec<FieldPath>,
    /// Arrays whose elements are aligned by one or several fields, in any order (each a name, or a path of names below the element: see
    /// [`Identity::parse`]). Elements belong together if all these fields are equal; of several with one identity the first belongs to the first. Those
    /// that lack a field, or have null there, are a multiset.
    pub match_by: Vec<(FieldPath, Vec<String>)>,
    /// Numbers that may differ by an absolute amount, finite and not negative.
    pub tolerance: Vec<(FieldPath, f64)>,
    /// Values of which the shape is compared, and nothing else: see [`Shape`](crate::compare::shape::Shape).
    pub shape: Vec<FieldPath>,
    /// Texts and numbers that must be one to one between old and new, whatever they are, and the name of `[ids]` under which their pairings are known. They count
    /// only where a comparison is told what is known ([`By`]); elsewhere they are values as others are. This goes before `tolerance` and `shape` of the same
    /// value, and after `ignore`.
    pub ids: Vec<(FieldPath, String)>,
    /// Objects whose keys are data.
    pub maps: Vec<FieldPath>,
    /// A field that is null is as one that is absent.
    pub null_is_absent: bool,
    /// Header fields that are compared.
    pub headers: Vec<HeaderName>,
    /// Whether statuses must be equal, or of one class.
    pub status: StatusRule,
}

/// By what answers are compared: rules, and what is known of values that have other names on the other side.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The route's rules.
    pub rules: &'a Rules,
    /// What is known; only where the rules ask for it.
    pub(crate) ids: Option<&'a Ids>,
}

impl<'a> By<'a> {
    /// Old against new.
    #[must_use]
    pub fn new(rules: &'a Rules, ids: &'a Ids) -> Self {
        let ids = (!rules.ids.is_empty()).then_some(ids);
        Self { rules, ids }
    }

    /// Learns which values stand for each other, as a pair has shown in which nothing was wrong but noise. `record` is its route, and what it is about.
    pub fn learn(self, pairings: &[Pairing], record: [&str; 2]) {
        if let Some(ids) = self.ids {
            ids.learn(&self.rules.id_names(), pairings, record);
        }
    }

    /// A side against itself: there a thing has one name.
    #[must_use]
    pub fn itself(self) -> Self {
        self.rules.into()
    }
}

impl<'a> From<&'a Rules> for By<'a> {
    fn from(rules: &'a Rules) -> Self {
        Self { rules, ids: None }
    }
}

/// How statuses are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusRule {
    /// Equal.
    #[default]
    Exact,
    /// Of the same hundred.
    Class,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ignore: Vec::new(),
            unordered: Vec::new(),
            match_by: Vec::new(),
            tolerance: Vec::new(),
            shape: Vec::new(),
            ids: Vec::new(),
            maps: Vec::new(),
            null_is_absent: false,
            headers: vec![http::header::CONTENT_TYPE],
            status: StatusRule::Exact,
        }
    }
}

impl Rules {
    /// Paths of fields that are compared in a way of their own.
    pub fn named(&self) -> impl Iterator<Item = &FieldPath> {
        let lists = self.unordered.iter().chain(&self.maps).chain(&self.shape);
        let aligned = self.match_by.iter().map(|(path, _)| path);
        let near = self.tolerance.iter().map(|(path, _)| path);
        let named = self.ids.iter().map(|(path, _)| path);
        lists.chain(aligned).chain(near).chain(named)
    }

    /// All paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.ignore.iter().chain(self.named())
    }

    /// The names of `[ids]` that it asks for, each once.
    #[must_use]
    pub fn id_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, name) in &self.ids {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// A hash of what they say, the same in all processes of one version.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        hash_text(0, format!("{self:?}").as_bytes())
    }
}

/// Fields that one rule may align elements by, at most.
pub const MAX_IDENTITY: usize = 8;

/// A field that tells an array's elements apart, by itself or with others: names from the element down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    names: Vec<String>,
}

impl Identity {
    /// Compiles a field of a `match_by` rule: a name (`id`, `content-id`), names with dots between them (`meta.id`), or, for names that
    /// have dots themselves, a field path of names (`$['a.b'].id`).
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.starts_with('$') {
            let path = FieldPath::parse(text)?;
            let names: Vec<_> = path
                .names()
                .into_iter()
                .flatten()
                .map(str::to_owned)
                .collect();
            if names.is_empty() {
                return Err(PathError {
                    at: 0,
                    message: "a field of an element is a path of names only".into(),
                });
            }
            return Ok(Self { names });
        }
        let mut at = 0;
        for name in text.split('.') {
            if name.is_empty() {
                return Err(PathError {
                    at,
                    message: "a name is missing here".into(),
                });
            }
            at += name.len() + 1;
        }
        Ok(Self {
            names: text.split('.').map(str::to_owned).collect(),
        })
    }

    /// The names from the element down.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// What a path of the rules does to the place that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Ignore,
    Unordered,
    /// By an identity of the program.
    MatchBy(usize),
    /// By a tolerance of the program.
    Tolerance(usize),
    /// Of a name of the program.
    Ids(usize),
    Shape,
    Map,
}

/// Rules as a walk over a document wants them.
#[derive(Debug)]
pub(crate) struct Program<'r> {
    /// Paths with their effects, in the order in which they take precedence.
    pub(crate) paths: Vec<(&'r FieldPath, Effect)>,
    /// The fields of each rule that aligns elements by them.
    pub(crate) identities: Vec<Vec<Identity>>,
    /// Each tolerance as the text of a decimal number.
    pub(crate) tolerances: Vec<String>,
    /// Names of `[ids]`, and what is known of them; only where it counts.
    pub(crate) names: Vec<&'r str>,
    pub(crate) ids: Option<&'r Ids>,
    pub(crate) null_is_absent: bool,
    /// Whether some values are compared in a way that is neither by value nor by what they consist of: by their shapes, or by what is known of them.
    pub(crate) has_own_ways: bool,
    /// Whether some path asks for elements by their places, so that what is said of an element depends on where it stands.
    pub(crate) has_indexes: bool,
}

impl<'r> Program<'r> {
    pub(crate) fn new(by: impl Into<By<'r>>) -> Self {
        let By { rules, ids } = by.into();
        let mut paths = Vec::new();
        paths.extend(rules.ignore.iter().map(|path| (path, Effect::Ignore)));
        paths.extend(rules.unordered.iter().map(|path| (path, Effect::Unordered)));
        paths.extend(rules.maps.iter().map(|path| (path, Effect::Map)));
        paths.extend(rules.shape.iter().map(|path| (path, Effect::Shape)));
        let mut identities = Vec::new();
        for (path, fields) in &rules.match_by {
            paths.push((path, Effect::MatchBy(identities.len())));
            let field = |text: &String| {
                Identity::parse(text).unwrap_or_else(|_| Identity {
                    names: vec![text.clone()],
                })
            };
            identities.push(fields.iter().map(field).collect());
        }
        let mut tolerances = Vec::new();
        for (path, amount) in &rules.tolerance {
            if amount.is_finite() && *amount >= 0.0 {
                paths.push((path, Effect::Tolerance(tolerances.len())));
                // The shortest decimal that means this float is what stood in the file: 0.1 is a tenth.
                tolerances.push(format!("{amount:e}"));
            }
        }
        let names = ids.map_or_else(Vec::new, |_| rules.id_names());
        if ids.is_some() {
            let of = |name: &str| names.iter().position(|known| *known == name).unwrap_or(0);
            let named = rules.ids.iter();
            paths.extend(named.map(|(path, name)| (path, Effect::Ids(of(name)))));
        }
        Self {
            names,
            ids,
            has_own_ways: !rules.shape.is_empty() || ids.is_some(),
            has_indexes: paths.iter().any(|(path, _)| path.has_indexes()),
            paths,
            identities,
            tolerances,
            null_is_absent: rules.null_is_absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_names() {
        let check = |text: &str, expected: Result<&[&str], usize>| {
            let found = Identity::parse(text).map_err(|error| error.at);
            let found = found.as_ref().map(|identity| {
                identity
                    .names()
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
            });
            assert_eq!(found.as_deref().map_err(|at| **at), expected, "{text}");
        };
        check("id", Ok(&["id"]));
        check("content-id", Ok(&["content-id"]));
        check("meta.id", Ok(&["meta", "id"]));
        check("$['a.b'].id", Ok(&["a.b", "id"]));
        check("", Err(0));
        check("a.", Err(2));
        check(".a", Err(0));
        check("$", Err(0));
        check("$.a[0]", Err(0));
        check("$.a[", Err(4));
    }

    #[test]
    fn tolerances_mean_what_was_written() {
        let path = |text| FieldPath::parse(text).unwrap();
        let amounts = [0.1, 1e-6, 0.0, 250.0, f64::NAN, f64::INFINITY, -1.0];
        let rules = Rules {
            tolerance: amounts.map(|amount| (path("$.a"), amount)).to_vec(),
            ..Rules::default()
        };
        assert_eq!(
            Program::new(&rules).tolerances,
            ["1e-1", "1e-6", "0e0", "2.5e2"]
        );
    }
}
