//! The two sides of a migration. The lowest room: everything else speaks of `Side::Old` and `Side::New`.

use std::fmt;
use std::str::FromStr;

/// One of the two sides between which a service moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The system that is left.
    Old,
    /// The system that takes over.
    New,
}

impl Side {
    /// Both sides, old first; [`Side::index`] is the place in it.
    pub const BOTH: [Self; 2] = [Self::Old, Self::New];

    /// The side that this one is compared with.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// 0 for old, 1 for new: an index into an array with a place for each side.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Old => 0,
            Self::New => 1,
        }
    }

    /// The public name: in routes.toml, headers, metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names neither side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"old\" or \"new\"")]
pub struct UnknownSide;

impl FromStr for Side {
    type Err = UnknownSide;

    fn from_str(text: &str) -> Result<Self, UnknownSide> {
        match text {
            "old" => Ok(Self::Old),
            "new" => Ok(Self::New),
            _ => Err(UnknownSide),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sides_are_the_same_thing() {
        for side in Side::BOTH {
            assert_eq!(side.name().parse(), Ok(side));
            assert_eq!(side.other().other(), side);
            assert_ne!(side.other(), side);
            assert_eq!(Side::BOTH[side.index()], side);
        }
        assert_eq!("Old".parse::<Side>(), Err(UnknownSide));
    }
}
