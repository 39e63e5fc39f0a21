//! Field paths: the RFC 9535 subset of name, wildcard, index and descendant segments.
//!
//! Invariant: a path is matched by steps from the root down, in constant time for each step, so that a walk over a document learns at every place
//! which paths select it. Filters, slices and several selectors in one pair of brackets are refused with their place in the text.

use std::fmt;

/// A compiled field path such as `$..updated_at` or `$.tags[*].name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    text: String,
    segments: Vec<Segment>,
}

/// Why a text is no field path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Byte offset in the text where the problem stands.
    pub at: usize,
    /// What is wrong, in one short sentence without a full stop.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Segment {
    reach: Reach,
    selector: Selector,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reach {
    Child,
    Descendant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Selector {
    Name(String),
    Wildcard,
    Index(i64),
}

/// One step from a value to a child of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// To an object's member.
    Name(&'s str),
    /// To an array's element.
    Index {
        /// Its place, from 0.
        at: usize,
        /// How many elements the array has, for indexes from the end.
        len: usize,
    },
}

/// How far a path has been followed: a set of segments that may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress(u64);

/// One bit of [`Progress`] for each segment, and one for the end.
const MAX_SEGMENTS: usize = 63;

impl FieldPath {
    /// Compiles a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        if !parser.eat("$") {
            return Err(parser.error("a path begins with `$`"));
        }
        let mut segments = Vec::new();
        loop {
            let end = parser.at;
            parser.blank();
            if parser.rest().is_empty() {
                if parser.at != end {
                    return Err(PathError {
                        at: end,
                        message: "blanks at the end of the path".into(),
                    });
                }
                break;
            }
            if segments.len() == MAX_SEGMENTS {
                return Err(parser.error("a path has at most 63 segments"));
            }
            segments.push(parser.segment()?);
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The progress at a document's root.
    #[must_use]
    pub fn start(&self) -> Progress {
        Progress(1)
    }

    /// The progress at a child, from that at its parent.
    #[must_use]
    pub fn advance(&self, progress: Progress, step: Step<'_>) -> Progress {
        let mut open = progress.0 & (self.end() - 1);
        let mut next = 0;
        while open != 0 {
            let place = open.trailing_zeros();
            open &= open - 1;
            let Some(segment) = self.segments.get(place as usize) else {
                break;
            };
            if segment.selector.selects(step) {
                next |= 2 << place;
            }
            match segment.reach {
                Reach::Child => {}
                Reach::Descendant => next |= 1 << place,
            }
        }
        Progress(next)
    }

    /// Whether the path selects the place that was reached.
    #[must_use]
    pub fn selects(&self, progress: Progress) -> bool {
        progress.0 & self.end() != 0
    }

    /// Whether the path may select something below the place that was reached.
    #[must_use]
    pub fn continues(&self, progress: Progress) -> bool {
        progress.0 & (self.end() - 1) != 0
    }

    /// Whether the path asks for elements by their places.
    pub(crate) fn has_indexes(&self) -> bool {
        let mut selectors = self.segments.iter().map(|segment| &segment.selector);
        selectors.any(|selector| matches!(selector, Selector::Index(_)))
    }

    /// The names that the path consists of, if it consists of child names alone.
    #[must_use]
    pub fn names<'a>(&'a self) -> Option<Vec<&'a str>> {
        let name = |segment: &'a Segment| match (segment.reach, &segment.selector) {
            (Reach::Child, Selector::Name(name)) => Some(name.as_str()),
            (Reach::Child | Reach::Descendant, _) => None,
        };
        self.segments.iter().map(name).collect()
    }

    fn end(&self) -> u64 {
        1 << self.segments.len()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Selector {
    fn selects(&self, step: Step<'_>) -> bool {
        match (self, step) {
            (Self::Wildcard, _) => true,
            (Self::Name(name), Step::Name(step)) => name == step,
            (Self::Index(index), Step::Index { at, len }) => match usize::try_from(*index) {
                Ok(index) => index == at,
                Err(_) => usize::try_from(index.unsigned_abs()).is_ok_and(|back| at + back == len),
            },
            (Self::Name(_), Step::Index { .. }) | (Self::Index(_), Step::Name(_)) => false,
        }
    }
}

/// Whether a name may follow a dot without quotes (RFC 9535 `member-name-shorthand`).
pub(crate) fn is_shorthand(name: &str) -> bool {
    name.chars()
        .next()
        .is_some_and(|first| !first.is_ascii_digit())
        && name.chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn segment(&mut self) -> Result<Segment, PathError> {
        let (reach, dotted) = if self.eat("..") {
            (Reach::Descendant, true)
        } else {
            (Reach::Child, self.eat("."))
        };
        let selector =
            match self.peek() {
                Some('[') if reach == Reach::Descendant || !dotted => self.brackets()?,
                Some('*') if dotted => {
                    self.at += 1;
                    Selector::Wildcard
                }
                Some(_) | None if dotted => Selector::Name(self.name(reach)?.to_owned()),
                Some(_) | None => return Err(self.error(
                    "expected `.`, `..` or `[`; a name with other characters is written `['..']`",
                )),
            };
        Ok(Segment { reach, selector })
    }

    fn name(&mut self, reach: Reach) -> Result<&'t str, PathError> {
        let rest = self.rest();
        let len = rest
            .find(|character| !is_name_character(character))
            .unwrap_or(rest.len());
        let name = &rest[..len];
        if name.is_empty() {
            return Err(self.error(match reach {
                Reach::Child => "expected a name or `*` behind `.`",
                Reach::Descendant => "expected a name, `*` or `[` behind `..`",
            }));
        }
        if !is_shorthand(name) {
            return Err(
                self.error("a name that begins with a digit is written `['..']`, an index `[0]`")
            );
        }
        self.at += len;
        Ok(name)
    }

    fn brackets(&mut self) -> Result<Selector, PathError> {
        self.at += 1;
        self.blank();
        let selector = match self.peek() {
            Some('*') => {
                self.at += 1;
                Selector::Wildcard
            }
            Some(quote @ ('\'' | '"')) => Selector::Name(self.quoted(quote)?),
            Some('-' | '0'..='9') => Selector::Index(self.index()?),
            Some('?') => return Err(self.error("filters are not supported")),
            Some(':') => return Err(self.error("slices are not supported")),
            Some(_) | None => return Err(self.error("expected a quoted name, an index or `*`")),
        };
        self.blank();
        match self.peek() {
            Some(']') => self.at += 1,
            Some(',') => return Err(self.error("only one selector may stand in brackets")),
            Some(':') => return Err(self.error("slices are not supported")),
            Some(_) | None => return Err(self.error("expected `]`")),
        }
        Ok(selector)
    }

    fn index(&mut self) -> Result<i64, PathError> {
        /// RFC 9535 §2.1: numbers stay within those that I-JSON can exchange.
        const MAX: i64 = (1 << 53) - 1;
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let text = &rest[..sign + digits];
        let leading_zero = text[sign..].starts_with('0');
        if digits == 0 || (leading_zero && text != "0") {
            return Err(self.error("an index is `0`, or has no leading zero"));
        }
        let index = text.parse().ok().filter(|index: &i64| index.abs() <= MAX);
        let Some(index) = index else {
            return Err(self.error("the index is too large"));
        };
        self.at += text.len();
        Ok(index)
    }

    fn quoted(&mut self, quote: char) -> Result<String, PathError> {
        let open = self.at;
        self.at += 1;
        let mut name = String::new();
        while let Some(character) = self.peek() {
            if character == quote {
                self.at += 1;
                return Ok(name);
            }
            name.push(match character {
                '\\' => self.escape(quote)?,
                '\0'..='\u{1f}' => {
                    return Err(self.error("a control character in a name is written as an escape"));
                }
                plain => {
                    self.at += plain.len_utf8();
                    plain
                }
            });
        }
        Err(PathError {
            at: open,
            message: "the quote is not closed".into(),
        })
    }

    fn escape(&mut self, quote: char) -> Result<char, PathError> {
        let unknown = self.error("an unknown escape sequence");
        let letter = self.rest()[1..].chars().next();
        self.at += 2;
        Ok(match letter {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('/') => '/',
            Some('\\') => '\\',
            Some(letter) if letter == quote => quote,
            Some('u') => {
                let high = self.hex4().ok_or(unknown.clone())?;
                let code = if (0xD800..0xDC00).contains(&high) && self.eat("\\u") {
                    let low = self
                        .hex4()
                        .filter(|low| (0xDC00..0xE000).contains(low))
                        .ok_or(unknown.clone())?;
                    0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                } else {
                    high
                };
                char::from_u32(code).ok_or(unknown)?
            }
            Some(_) | None => return Err(unknown),
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let code = digits
            .chars()
            .try_fold(0, |code, digit| Some(code * 16 + digit.to_digit(16)?))?;
        self.at += 4;
        Some(code)
    }

    fn blank(&mut self) {
        while let Some(' ' | '\t' | '\n' | '\r') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, message: &str) -> PathError {
        PathError {
            at: self.at,
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
