//! Pages of a sorted listing: what `after` and `limit` ask for, and the cut. Pure.

use std::fmt;

/// Items of a page if the request names no limit.
const DEFAULT_LIMIT: usize = 100;
/// Items of a page at most.
const MAX_LIMIT: usize = 1_000;

/// Which part of a listing is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only what is greater, bytewise; it need not exist.
    pub after: Option<String>,
    /// How many items at most, 1..=1,000.
    pub limit: usize,
}

/// A query that asks for no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageError {
    /// `limit` is no whole number from 1 to 1,000.
    Limit(String),
    /// A parameter is there twice.
    Twice(&'static str),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(text) => write!(
                f,
                "limit is a whole number from 1 to {MAX_LIMIT}, not {text:?}"
            ),
            Self::Twice(name) => write!(f, "the parameter {name} is given twice"),
        }
    }
}

impl std::error::Error for PageError {}

impl Page {
    /// Reads `after` and `limit` from a query; other parameters are not looked at.
    pub fn parse(query: Option<&str>) -> Result<Self, PageError> {
        let (mut after, mut limit) = (None, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let (place, name) = match name.as_ref() {
                "after" => (&mut after, "after"),
                "limit" => (&mut limit, "limit"),
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(PageError::Twice(name));
            }
        }
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=MAX_LIMIT) => limit,
                Ok(_) | Err(_) => return Err(PageError::Limit(text)),
            },
        };
        Ok(Self { after, limit })
    }

    /// Takes a page's items from those that follow `after`; the flag says whether more remain.
    pub(crate) fn cut<T>(&self, following: impl IntoIterator<Item = T>) -> (Vec<T>, Rest) {
        let mut following = following.into_iter();
        let items: Vec<T> = following.by_ref().take(self.limit).collect();
        let rest = if following.next().is_some() {
            Rest::More
        } else {
            Rest::Nothing
        };
        (items, rest)
    }
}

/// What stands after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// At least one item more.
    More,
    /// It was the last page.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: Option<&str>, expected: Result<(Option<&str>, usize), PageError>) {
        let expected = expected.map(|(after, limit)| Page {
            after: after.map(str::to_owned),
            limit,
        });
        assert_eq!(Page::parse(query), expected, "{query:?}");
    }

    #[test]
    fn queries() {
        let bad = |text: &str| Err(PageError::Limit(text.to_owned()));
        check(None, Ok((None, 100)));
        check(Some(""), Ok((None, 100)));
        check(Some("limit=1"), Ok((None, 1)));
        check(
            Some("limit=1000&after=role%3A%3Aprogram"),
            Ok((Some("role::program"), 1000)),
        );
        check(Some("after=libstdc%2B%2B6"), Ok((Some("libstdc++6"), 100)));
        check(Some("after="), Ok((Some(""), 100)));
        check(Some("other=1&other=2"), Ok((None, 100)));
        check(Some("limit=0"), bad("0"));
        check(Some("limit=1001"), bad("1001"));
        check(Some("limit=-1"), bad("-1"));
        check(Some("limit="), bad(""));
        check(Some("limit=ten"), bad("ten"));
        check(
            Some("limit=99999999999999999999"),
            bad("99999999999999999999"),
        );
        check(Some("limit=1&limit=2"), Err(PageError::Twice("limit")));
        check(Some("after=a&after=a"), Err(PageError::Twice("after")));
    }

    #[test]
    fn the_cut_says_whether_more_remain() {
        let page = Page {
            after: None,
            limit: 3,
        };
        assert_eq!(page.cut(0..2), (vec![0, 1], Rest::Nothing));
        assert_eq!(page.cut(0..3), (vec![0, 1, 2], Rest::Nothing));
        assert_eq!(page.cut(0..4), (vec![0, 1, 2], Rest::More));
        assert_eq!(page.cut(0..0), (vec![], Rest::Nothing));
    }
}
