//! The words for what two values have in common.

/// What two values of one type have in common. Several may hold: 1 becomes 0 by one less, and by becoming zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trait {
    /// The same but for upper and lower case.
    Case,
    /// The same but for white space.
    Whitespace,
    /// A slash at the end.
    TrailingSlash,
    /// One moment, written in two ways.
    TimeFormat,
    /// Moments that are apart by the difference of two time zones.
    TimeZone,
    /// Two moments.
    Time,
    /// One number, written in two ways within a text.
    NumberFormat,
    /// The same once escapes of HTML, of URLs or of JSON are read.
    Escaping,
    /// The same but for letters beyond ASCII that were read in another charset.
    Charset,
    /// The same letters and digits, with other marks between them.
    Separators,
    /// The same parts in another order.
    Parts,
    /// URLs that differ in nothing but the scheme.
    UrlScheme,
    /// URLs that differ in the host.
    UrlHost,
    /// Something was put before it.
    Prefix,
    /// Its beginning is gone.
    Unprefixed,
    /// Something was put behind it.
    Suffix,
    /// Its end is gone.
    Truncated,
    /// A text became empty.
    ToEmpty,
    /// A text was empty.
    FromEmpty,
    /// Nearly the same number, as floats are.
    Precision,
    /// Fewer digits on one side.
    Rounding,
    /// One more or one less.
    OffByOne,
    /// The other sign.
    Sign,
    /// Times a power of ten, 60, 3600 or 1024.
    Scale,
    /// A number became 0.
    ToZero,
    /// A number was 0.
    FromZero,
}

impl Trait {
    /// Every trait, the more special one first where two may hold.
    pub const ALL: [Self; 26] = [
        Self::Case,
        Self::Whitespace,
        Self::TrailingSlash,
        Self::TimeFormat,
        Self::TimeZone,
        Self::Time,
        Self::NumberFormat,
        Self::Escaping,
        Self::Charset,
        Self::Separators,
        Self::Parts,
        Self::UrlScheme,
        Self::UrlHost,
        Self::Prefix,
        Self::Unprefixed,
        Self::Suffix,
        Self::Truncated,
        Self::ToEmpty,
        Self::FromEmpty,
        Self::Precision,
        Self::Rounding,
        Self::OffByOne,
        Self::Sign,
        Self::Scale,
        Self::ToZero,
        Self::FromZero,
    ];

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Whitespace => "whitespace",
            Self::TrailingSlash => "trailing_slash",
            Self::TimeFormat => "time_format",
            Self::TimeZone => "time_zone",
            Self::Time => "time",
            Self::NumberFormat => "number_format",
            Self::Escaping => "escaping",
            Self::Charset => "charset",
            Self::Separators => "separators",
            Self::Parts => "parts",
            Self::UrlScheme => "url_scheme",
            Self::UrlHost => "url_host",
            Self::Prefix => "prefix",
            Self::Unprefixed => "unprefixed",
            Self::Suffix => "suffix",
            Self::Truncated => "truncated",
            Self::ToEmpty => "to_empty",
            Self::FromEmpty => "from_empty",
            Self::Precision => "precision",
            Self::Rounding => "rounding",
            Self::OffByOne => "off_by_one",
            Self::Sign => "sign",
            Self::Scale => "scale",
            Self::ToZero => "to_zero",
            Self::FromZero => "from_zero",
        }
    }
}

/// A set of traits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traits(u32);

impl Traits {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a trait is among them.
    #[must_use]
    pub fn has(self, one: Trait) -> bool {
        self.0 & (1 << one as u32) != 0
    }

    /// Adds a trait if it holds.
    pub(crate) fn add_if(&mut self, holds: bool, one: Trait) {
        if holds {
            self.0 |= 1 << one as u32;
        }
    }
}

impl From<Trait> for Traits {
    fn from(one: Trait) -> Self {
        Self(1 << one as u32)
    }
}

impl FromIterator<Trait> for Traits {
    fn from_iter<I: IntoIterator<Item = Trait>>(traits: I) -> Self {
        Self(
            traits
                .into_iter()
                .fold(0, |set, one| set | Self::from(one).0),
        )
    }
}
