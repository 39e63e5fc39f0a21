//! `GET /contents/{content}/tags`: methods and path template of a route.
//!
//! Case and a trailing slash matter, and nothing is normalised: the path is split on `/`, then each segment is decoded
//! once. A literal of the template is decoded the same way, so that it may be written as it stands in a URL. Which of
//! several patterns wins is `table`'s to say.

use http::Method;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::sync::Arc;

/// Methods and path template of a route. What is cloned shares them: a file may have as many as it has lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    /// `None` for `*`.
    methods: Option<Arc<[Method]>>,
    segments: Arc<[Segment]>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::route) enum Segment {
    /// These bytes, once decoded; empty after a trailing slash.
    Literal(Vec<u8>),
    /// `{name}`: anything but nothing.
    One(String),
    /// `{name*}`: this segment and all that follow it, each of which may be empty.
    Rest(String),
}

/// Where a placeholder stands in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The segment of this number, from 0.
    One(u8),
    /// That segment and all after it.
    Rest(u8),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Byte offset in the text where the problem stands.
    pub at: usize,
    /// What is wrong, in one short sentence without a full stop.
    pub message: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

impl PatternError {
    fn new(at: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Pattern {
    /// Compiles `METHODS TEMPLATE`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(path_at) = text.find('/') else {
            return Err(PatternError::new(
                text.len(),
                "the path is missing",
                EXAMPLE,
            ));
        };
        let (methods, path) = text.split_at(path_at);
        if !methods.is_empty() && !methods.ends_with(' ') {
            return Err(PatternError::new(
                path_at,
                "a space must stand between the methods and the path",
                EXAMPLE,
            ));
        }
        Ok(Self {
            text: text.into(),
            methods: parse_methods(methods)?.map(Arc::from),
            segments: parse_path(path, path_at)?.into(),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a method is one of the route's ("*" has all; GET includes HEAD).
    #[must_use]
    pub fn has_method(&self, method: &Method) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.contains(method))
    }

    /// The methods named, HEAD added to GET; `None` for "*".
    #[must_use]
    pub fn methods(&self) -> Option<&[Method]> {
        self.methods.as_deref()
    }

    /// Names of the placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(name) | Segment::Rest(name) => Some(name.as_str()),
        })
    }

    /// Where a placeholder stands, if it has one of this name; `None` too where it stands beyond 256 segments.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Place> {
        let mut places = (0..=u8::MAX).zip(&*self.segments);
        places.find_map(|(at, segment)| match segment {
            Segment::One(known) if known == name => Some(Place::One(at)),
            Segment::Rest(known) if known == name => Some(Place::Rest(at)),
            Segment::One(_) | Segment::Rest(_) | Segment::Literal(_) => None,
        })
    }

    pub(in crate::route) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// A segment of a path as it is matched and captured: decoded once. A `%` that begins no code stands for itself.
pub(in crate::route) fn decode_segment(segment: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(segment).into()
}

/// The first segment of a path without its leading slash, and what follows the next slash.
pub(in crate::route) fn split_segment(path: &str) -> (&str, Option<&str>) {
    // Segments are short: a plain walk finds the slash sooner than a search that first prepares for long texts.
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

const EXAMPLE: &str = "write it like \"GET /contents/{content}/tags\", \"GET,PUT /items/{id}\" or \"* /files/{path*}\"";

fn parse_methods(text: &str) -> Result<Option<Vec<Method>>, PatternError> {
    match text.trim() {
        "" => return Err(PatternError::new(0, "the methods are missing", EXAMPLE)),
        "*" => return Ok(None),
        _ => {}
    }
    let mut methods: Vec<Method> = Vec::new();
    let mut at = 0;
    for part in text.split(',') {
        let name = part.trim();
        let name_at = at + (part.len() - part.trim_start().len());
        at += part.len() + 1;
        let wrong = |message: String, hint: &str| Err(PatternError::new(name_at, message, hint));
        match Method::from_bytes(name.as_bytes()) {
            _ if name.is_empty() => {
                return wrong("a method is missing beside the comma".to_owned(), EXAMPLE);
            }
            _ if name == "*" => {
                return wrong(
                    "* is every method and stands alone".to_owned(),
                    "write * alone, or name the methods",
                );
            }
            Err(_) => {
                return wrong(
                    format!("\"{name}\" is no method"),
                    "methods stand in a comma list: GET,PUT",
                );
            }
            Ok(_) if name.chars().any(|c| c.is_ascii_lowercase()) => {
                return wrong(
                    format!(
                        "methods are written in capitals: {}",
                        name.to_ascii_uppercase()
                    ),
                    EXAMPLE,
                );
            }
            Ok(method) if matches!(method, Method::CONNECT | Method::TRACE) => {
                return wrong(
                    format!("no {method} request reaches a route: the proxy answers 405 to them"),
                    "leave it out",
                );
            }
            Ok(method) if methods.contains(&method) => {
                return wrong(format!("{method} is named twice"), "name each method once");
            }
            Ok(method) => methods.push(method),
        }
    }
    if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
        methods.push(Method::HEAD);
    }
    Ok(Some(methods))
}

/// `path` begins with a slash, and stands at `at` in the whole text.
fn parse_path(path: &str, at: usize) -> Result<Vec<Segment>, PatternError> {
    if let Some(found) = path.find(['?', '#']) {
        let message = "a match has no query and no fragment";
        return Err(PatternError::new(
            at + found,
            message,
            "write the path only; a key can read {query.NAME}",
        ));
    }
    if let Some(found) = path.find(char::is_whitespace) {
        return Err(PatternError::new(
            at + found,
            "a path has no spaces",
            "write %20 for a space in a path",
        ));
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut next = at + 1;
    for text in path[1..].split('/') {
        let segment_at = next;
        next += text.len() + 1;
        if let Some(Segment::Rest(name)) = segments.last() {
            let message =
                format!("{{{name}*}} takes the rest of the path, so nothing can follow it");
            let hint = format!("write {{{name}}} for one segment, or end the path here");
            return Err(PatternError::new(segment_at - 1, message, hint));
        }
        let segment = parse_segment(text, segment_at)?;
        if let Segment::One(name) | Segment::Rest(name) = &segment
            && segments
                .iter()
                .any(|s| matches!(s, Segment::One(n) | Segment::Rest(n) if n == name))
        {
            let message = format!("the placeholder {name} stands in this path twice");
            return Err(PatternError::new(
                segment_at,
                message,
                "give each placeholder a name of its own",
            ));
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn parse_segment(text: &str, at: usize) -> Result<Segment, PatternError> {
    let Some(brace) = text.find(['{', '}']) else {
        return parse_literal(text, at);
    };
    let Some(inside) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        let message = "a placeholder is a whole segment";
        let hint = "write {name} between two slashes; a literal brace is %7B or %7D";
        return Err(PatternError::new(at + brace, message, hint));
    };
    let name = inside.strip_suffix('*').unwrap_or(inside);
    if name.is_empty()
        || !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    {
        let message = "the name of a placeholder has letters, digits, _ and -";
        return Err(PatternError::new(
            at + 1,
            message,
            "write it like {content}, or {path*} for the rest of the path",
        ));
    }
    let name = name.to_owned();
    Ok(if inside.ends_with('*') {
        Segment::Rest(name)
    } else {
        Segment::One(name)
    })
}

fn parse_literal(text: &str, at: usize) -> Result<Segment, PatternError> {
    for (percent, _) in text.match_indices('%') {
        let code = text.as_bytes().get(percent + 1..percent + 3);
        if !code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)) {
            let message = "a % is followed by two hexadecimal digits";
            return Err(PatternError::new(
                at + percent,
                message,
                "write %25 for a literal %",
            ));
        }
    }
    Ok(Segment::Literal(
        decode_segment(text.as_bytes()).into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `METHODS|SEGMENTS`, or `@AT` for an error.
    fn shape(text: &str) -> String {
        let pattern = match Pattern::parse(text) {
            Ok(pattern) => pattern,
            Err(error) => return format!("@{}", error.at),
        };
        let methods = pattern.methods().map_or("*".to_owned(), |methods| {
            methods
                .iter()
                .map(Method::as_str)
                .collect::<Vec<_>>()
                .join(",")
        });
        let segments = pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(bytes) => bytes.escape_ascii().to_string(),
            Segment::One(name) => format!("<{name}>"),
            Segment::Rest(name) => format!("<{name}..>"),
        });
        format!("{methods}|{}", segments.collect::<Vec<_>>().join("/"))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shape(text), expected, "{text}");
    }

    #[test]
    fn patterns_are_read() {
        check(
            "GET /contents/{content}/tags",
            "GET,HEAD|contents/<content>/tags",
        );
        check("GET,HEAD /", "GET,HEAD|");
        check("GET, PUT  /a/", "GET,PUT,HEAD|a/");
        check("PUT,PURGE /A/a", "PUT,PURGE|A/a");
        check("* /files/{path*}", "*|files/<path..>");
        check("* //{a}", "*|/<a>");
        check("GET /a%20b/%7Bx%7D/%2f%25", "GET,HEAD|a b/{x}//%");
        check("GET /é/*", "GET,HEAD|\\xc3\\xa9/*");
    }

    #[test]
    fn problems_are_placed() {
        check("", "@0");
        check("GET", "@3");
        check("/contents", "@0");
        check("  /contents", "@0");
        check("GET/contents", "@3");
        check("get /a", "@0");
        check("GET,get /a", "@4");
        check("GET, /a", "@5");
        check("GET,* /a", "@4");
        check("GET,GET /a", "@4");
        check("G\"T /a", "@0");
        check("TRACE /a", "@0");
        check("GET, CONNECT /a", "@5");
        check("GET /a?b", "@6");
        check("GET /a#b", "@6");
        check("GET /a b", "@6");
        check("GET /{a}x", "@5");
        check("GET /x{a}", "@6");
        check("GET /{a", "@5");
        check("GET /{}", "@6");
        check("GET /{a b}", "@7");
        check("GET /{a.b}", "@6");
        check("GET /{*}", "@6");
        check("GET /{a*}/b", "@9");
        check("GET /{a*}/", "@9");
        check("GET /{a}/{a}", "@9");
        check("GET /a%2", "@6");
        check("GET /a%zz", "@6");
        check("GET /a%é", "@6");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn arbitrary_text_never_panics_and_errors_lie_within_it(text in "(GET|[*, A-Z]{0,4})? ?[/{}*%a-z0-9é]{0,16}|\\PC{0,24}") {
            match Pattern::parse(&text) {
                Ok(pattern) => prop_assert_eq!(pattern.as_str(), text.as_str()),
                Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
            }
        }
    }
}
