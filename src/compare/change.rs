//! How one value became another: what tells a defect that rounds from one that changes case, on the same field.
//!
//! Invariant: a change says nothing of its values but of what types they are and what they have in common.

mod number;
mod text;
mod time;
mod traits;

use crate::compare::view::At;
use crate::json::Value;
use std::fmt;

pub use traits::{Trait, Traits};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// There is none.
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// A whole body that is JSON.
    Document,
    /// A whole body that is none.
    Bytes,
}

/// The shape of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// One value became another.
    Values {
        /// What it was.
        from: Type,
        /// What it is.
        to: Type,
        /// What they have in common.
        traits: Traits,
    },
    /// A member has the name of one that is gone, and its value.
    Renamed,
    /// The elements of an array stand in another order.
    Reordered,
    /// Arrays too long to align, of different lengths.
    Length,
    /// A key twice with different values.
    Duplicate,
    /// Values that are not one thing.
    Identity,
    /// Two statuses.
    Status(u16, u16),
}

impl fmt::Display for Form {
    /// In words that [`Form::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values { from, to, traits } => {
                write!(f, "{} {}", from.name(), to.name())?;
                let traits = Trait::ALL.into_iter().filter(|one| traits.has(*one));
                traits
                    .into_iter()
                    .try_for_each(|one| write!(f, " {}", one.name()))
            }
            Self::Renamed => f.write_str("renamed"),
            Self::Reordered => f.write_str("reordered"),
            Self::Length => f.write_str("length"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Identity => f.write_str("identity"),
            Self::Status(old, new) => write!(f, "{old} {new}"),
        }
    }
}

impl Form {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let alone = [
            Self::Renamed,
            Self::Reordered,
            Self::Length,
            Self::Duplicate,
            Self::Identity,
        ];
        if let Some(form) = alone.into_iter().find(|form| form.to_string() == text) {
            return Some(form);
        }
        let mut words = text.split(' ');
        let (from, to) = (words.next()?, words.next()?);
        if let (Ok(old), Ok(new)) = (from.parse(), to.parse()) {
            return words.next().is_none().then_some(Self::Status(old, new));
        }
        let named = |name: &str| Trait::ALL.into_iter().find(|one| one.name() == name);
        Some(Self::Values {
            from: Type::parse(from)?,
            to: Type::parse(to)?,
            traits: words
                .map(named)
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .collect(),
        })
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its shape.
    pub form: Form,
    /// How far two whole numbers are apart, at most; 0 for all that is none.
    pub gap: u32,
    /// The power of ten that two numbers of JSON are not further apart than.
    pub decade: Option<i16>,
}

impl From<Form> for Change {
    fn from(form: Form) -> Self {
        Self {
            form,
            gap: 0,
            decade: None,
        }
    }
}

impl Change {
    /// The change from one value of a document to another, of which one may be absent.
    pub(crate) fn between<'v>(old: Option<At<'v>>, new: Option<At<'v>>) -> Self {
        let value = |at: Option<At<'v>>| at.map(At::value);
        let mut decade = None;
        let (traits, gap) = match (value(old), value(new)) {
            (Some(Value::Number(old)), Some(Value::Number(new))) => {
                let numbers = number::traits(old, new);
                decade = numbers.decade;
                (numbers.traits, numbers.gap)
            }
            (Some(Value::String(old)), Some(Value::String(new))) => text::traits(old, new),
            _ => (Traits::default(), 0),
        };
        Self {
            form: Form::Values {
                from: Type::of(value(old)),
                to: Type::of(value(new)),
                traits,
            },
            gap,
            decade,
        }
    }

    /// The change from one text to another that are no JSON (a header field, a whole body), of which one may be absent.
    pub(crate) fn of_texts(old: Option<&str>, new: Option<&str>) -> Self {
        let kind = |text: Option<&str>| text.map_or(Type::Absent, |_| Type::String);
        let (traits, gap) = match (old, new) {
            (Some(old), Some(new)) => text::traits(old, new),
            _ => (Traits::default(), 0),
        };
        Self {
            form: Form::Values {
                from: kind(old),
                to: kind(new),
                traits,
            },
            gap,
            decade: None,
        }
    }

    /// The change between whole bodies of which one is no JSON.
    pub(crate) fn of_bodies(from: Type, to: Type) -> Self {
        let traits = Traits::default();
        Self::from(Form::Values { from, to, traits })
    }
}

impl Type {
    fn of(value: Option<Value<'_>>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(_)) => Self::Bool,
            Some(Value::Number(_)) => Self::Number,
            Some(Value::String(_)) => Self::String,
            Some(Value::Array) => Self::Array,
            Some(Value::Object) => Self::Object,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        const ALL: [Type; 9] = [
            Type::Absent,
            Type::Null,
            Type::Bool,
            Type::Number,
            Type::String,
            Type::Array,
            Type::Object,
            Type::Document,
            Type::Bytes,
        ];
        ALL.into_iter().find(|one| one.name() == name)
    }

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
            Self::Document => "json",
            Self::Bytes => "bytes",
        }
    }
}

#[cfg(test)]
mod tests;
