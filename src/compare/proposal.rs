//! Which rule would say that differences are harmless: the narrowest that covers all that was seen of them.

use crate::compare::change::Form;
use crate::compare::finding::{Divergence, Kind};

/// A rule about one path.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `unordered`.
    Unordered,
    /// `match_by`, with the name or names.
    MatchBy(Vec<String>),
    /// `tolerance`, with the amount: a power of ten.
    Tolerance(i16),
    /// `shape`.
    Shape,
    /// `ignore`.
    Ignore,
}

impl Rule {
    /// For an array whose elements stand in another order; with the names that tell them apart, if some do.
    #[must_use]
    pub fn of_order(identity: Option<&[String]>) -> Self {
        identity.map_or(Self::Unordered, |names| Self::MatchBy(names.to_vec()))
    }
}

/// What would silence a cause. Whether it is harmless is not for a program to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Silence {
    /// Not to compare the header field of this name.
    Header(String),
    /// To compare classes of statuses.
    StatusClass,
    /// `null_is_absent`.
    NullIsAbsent,
    /// A rule for each path.
    Paths(Vec<(String, Rule)>),
}

impl Silence {
    /// The same, with arrays aligned by what tells their elements apart, where `identity` knows that of a path.
    #[must_use]
    pub fn aligned(mut self, identity: impl Fn(&str) -> Option<Vec<String>>) -> Self {
        if let Self::Paths(rules) = &mut self {
            for (path, rule) in rules {
                if *rule == Rule::Unordered {
                    *rule = Rule::of_order(identity(path).as_deref());
                }
            }
        }
        self
    }
}

/// What was seen of the differences at one path, or of one kind of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Differences {
    /// Pairs that differ here.
    pub pairs: u64,
    /// Of these, pairs in which nothing but the order of elements differs here.
    pub reordered: u64,
    /// Of these, pairs in which all that differs here are numbers.
    numbers: u64,
    /// Of these, pairs in which all values that differ here have the same shape on both sides.
    pub in_shape: u64,
    /// The power of ten that no two numbers were further apart than.
    decade: Option<i16>,
}

impl Differences {
    /// One pair more, with all that differs here in it.
    pub fn remember<'d>(&mut self, same: impl Iterator<Item = &'d Divergence> + Clone) {
        let all = |holds: fn(&Divergence) -> bool| u64::from(same.clone().all(holds));
        self.pairs += 1;
        self.reordered += all(|one| one.change.form == Form::Reordered);
        self.numbers += all(|one| one.change.decade.is_some());
        self.in_shape +=
            all(|one| one.kind == Kind::Changed && one.seen[0].shape == one.seen[1].shape);
        let decade = same.filter_map(|one| one.change.decade).max();
        self.decade = self.decade.max(decade);
    }

    /// The pairs of both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            pairs: self.pairs + other.pairs,
            reordered: self.reordered + other.reordered,
            numbers: self.numbers + other.numbers,
            in_shape: self.in_shape + other.in_shape,
            decade: self.decade.max(other.decade),
        }
    }

    /// The narrowest rule that covers all of them, but for those of order. Numbers that are `near` each other for what they are may be so by whole units;
    /// of others a tolerance of a whole unit and more would hide what counts.
    #[must_use]
    pub fn rule(&self, near: bool) -> Rule {
        match self.decade {
            Some(decade) if self.numbers == self.pairs && (near || decade <= -1) => {
                Rule::Tolerance(decade)
            }
            _ if self.in_shape == self.pairs => Rule::Shape,
            _ => Rule::Ignore,
        }
    }
}
