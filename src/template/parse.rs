//! Key templates: parse, list of sources, render.
//!
//! A template is literal text and placeholders in braces; inside one pair of braces alternatives stand after `|`, and
//! the first that is present wins; `{{` and `}}` are literal braces. A part without a value makes the whole text absent,
//! so that two requests never share a key only because both lack something.

use http::HeaderName;
use http::header::COOKIE;
use std::borrow::Cow;

/// A compiled key template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// Alternatives; at least one.
    Placeholder(Box<[Source]>),
}

/// Where a part of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `path.NAME`: a placeholder of the route's path template.
    Path(String),
    /// `query.NAME`: the first occurrence of a query parameter.
    Query(String),
    /// `header.NAME`.
    Header(HeaderName),
    /// `cookie.NAME`.
    Cookie(String),
    /// `body.POINTER`, an RFC 6901 pointer such as `/user/id`.
    Body(String),
    /// `client.ip`.
    ClientIp,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte offset in the text where the problem stands.
    pub at: usize,
    /// What is wrong, in one short sentence without a full stop.
    pub message: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

impl TemplateError {
    fn new(at: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Template {
    /// Compiles a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::new(
                0,
                "the key is empty",
                "write what tells one client or thing from another, such as \"{path.id}\"",
            ));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find(['{', '}']) {
            let brace = at + found;
            literal.push_str(&text[at..brace]);
            let sign = &text[brace..=brace];
            if text[brace + 1..].starts_with(sign) {
                literal.push_str(sign);
                at = brace + 2;
                continue;
            }
            if sign == "}" {
                return Err(TemplateError::new(
                    brace,
                    "a closing brace without an opening one",
                    "write }} for a literal brace",
                ));
            }
            let inside = &text[brace + 1..];
            let end = inside
                .find(['{', '}'])
                .filter(|&end| inside[end..].starts_with('}'));
            let Some(end) = end else {
                return Err(TemplateError::new(
                    brace,
                    "this placeholder is not closed",
                    "end it with }, or write {{ for a literal brace",
                ));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Placeholder(parse_alternatives(
                &inside[..end],
                brace + 1,
            )?));
            at = brace + 1 + end + 1;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            text: text.to_owned(),
            parts: parts.into(),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Every source it may read, in order of appearance.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.parts.iter().flat_map(|part| match part {
            Part::Literal(_) => &[][..],
            Part::Placeholder(sources) => &**sources,
        })
    }

    /// The source that is all of it: no text beside it, and no alternative.
    #[must_use]
    pub fn lone_source(&self) -> Option<&Source> {
        match &*self.parts {
            [Part::Placeholder(sources)] if sources.len() == 1 => sources.first(),
            _ => None,
        }
    }

    /// True if a source is the request's body.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.sources().any(|s| matches!(s, Source::Body(_)))
    }

    /// True if a source is this header field, or a cookie in it.
    #[must_use]
    pub fn reads_field(&self, name: &HeaderName) -> bool {
        self.sources().any(|source| match source {
            Source::Header(field) => field == name,
            Source::Cookie(_) => *name == COOKIE,
            Source::Path(_) | Source::Query(_) | Source::Body(_) | Source::ClientIp => false,
        })
    }

    /// The text with every placeholder filled; `None` if all alternatives of one are absent.
    pub fn render<'a>(
        &self,
        mut value: impl FnMut(&Source) -> Option<Cow<'a, str>>,
    ) -> Option<String> {
        let mut text = String::with_capacity(USUAL_SIZE);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(sources) => text.push_str(&sources.iter().find_map(&mut value)?),
            }
        }
        Some(text)
    }
}

/// Most rendered texts fit into this many bytes.
const USUAL_SIZE: usize = 32;

/// What stands between one pair of braces, which begins at `at`.
fn parse_alternatives(inside: &str, mut at: usize) -> Result<Box<[Source]>, TemplateError> {
    let mut sources = Vec::new();
    for alternative in inside.split('|') {
        sources.push(parse_source(alternative, at)?);
        at += alternative.len() + 1;
    }
    Ok(sources.into())
}

const SOURCES: &str =
    "the sources are path.NAME, query.NAME, header.NAME, cookie.NAME, body./POINTER and client.ip";

fn parse_source(text: &str, at: usize) -> Result<Source, TemplateError> {
    if text.is_empty() {
        return Err(TemplateError::new(at, "a source is missing here", SOURCES));
    }
    let Some((kind, name)) = text.split_once('.') else {
        return Err(TemplateError::new(
            at,
            format!("\"{text}\" is no source of a key"),
            SOURCES,
        ));
    };
    let name_at = at + kind.len() + 1;
    let wrong = |message: &str, hint: &str| Err(TemplateError::new(name_at, message, hint));
    match kind {
        "client" if name == "ip" => Ok(Source::ClientIp),
        "path" | "query" | "header" | "cookie" if name.is_empty() => {
            wrong("the name of the source is missing", SOURCES)
        }
        "path" => Ok(Source::Path(name.to_owned())),
        "query" => Ok(Source::Query(name.to_owned())),
        "header" => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Ok(Source::Header(name)),
            Err(_) => wrong(
                "no header field can have this name",
                "a name has letters, digits and -, without spaces: {header.x-user}",
            ),
        },
        "cookie" if name.contains([';', '=', ',', '"']) || name.contains(char::is_whitespace) => {
            wrong(
                "no cookie can have this name",
                "a name has letters, digits, - and _: {cookie.sid}",
            )
        }
        "cookie" => Ok(Source::Cookie(name.to_owned())),
        "body" if !name.starts_with('/') => wrong(
            "a place in the body is a JSON pointer, which begins with a slash",
            "write {body./user/id} for the field id of the field user",
        ),
        "body" if !tildes_are_escapes(name) => wrong(
            "in a JSON pointer a tilde is followed by 0 or 1",
            "write ~0 for a tilde and ~1 for a slash",
        ),
        "body" => Ok(Source::Body(name.to_owned())),
        _ => Err(TemplateError::new(
            at,
            format!("\"{text}\" is no source of a key"),
            SOURCES,
        )),
    }
}

/// RFC 6901 §3: `~` stands only in `~0` and `~1`.
fn tildes_are_escapes(pointer: &str) -> bool {
    pointer
        .split('~')
        .skip(1)
        .all(|after| after.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Renders with a value for each source but those whose name is "absent"; an error reads `@AT`.
    fn rendered(text: &str) -> Option<String> {
        match Template::parse(text) {
            Err(error) => Some(format!("@{}", error.at)),
            Ok(template) => template.render(|source| match source {
                Source::Path(name) if name == "absent" => None,
                Source::Path(name) => Some(format!("p:{name}").into()),
                Source::Query(name) => Some(format!("q:{name}").into()),
                Source::Header(name) => Some(format!("h:{name}").into()),
                Source::Cookie(name) => Some(format!("c:{name}").into()),
                Source::Body(pointer) => Some(format!("b:{pointer}").into()),
                Source::ClientIp => Some("ip".into()),
            }),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(rendered(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn templates_render_as_written() {
        check("{path.content}", Some("p:content"));
        check("user-{cookie.sid|header.X-User}!", Some("user-c:sid!"));
        check("{path.absent|header.X-User}", Some("h:x-user"));
        check("{path.absent}", None);
        check("a{path.absent|path.absent}b", None);
        check("{query.a.b}:{client.ip}", Some("q:a.b:ip"));
        check("{body./a~1b/~0/0}", Some("b:/a~1b/~0/0"));
        check("{body./}", Some("b:/"));
        check("{{{path.x}}}", Some("{p:x}"));
        check("{{path.x}}", Some("{path.x}"));
        check("all", Some("all"));
    }

    #[test]
    fn problems_are_placed() {
        check("", Some("@0"));
        check("a}", Some("@1"));
        check("a{path.x", Some("@1"));
        check("a{path.x{", Some("@1"));
        check("{}", Some("@1"));
        check("{path.x|}", Some("@8"));
        check("{path.}", Some("@6"));
        check("{path}", Some("@1"));
        check("{é.x}", Some("@1"));
        check("{path.x|file.y}", Some("@8"));
        check("{header.a b}", Some("@8"));
        check("{cookie.a;b}", Some("@8"));
        check("{body.user}", Some("@6"));
        check("{body./a~2}", Some("@6"));
        check("{body./a~}", Some("@6"));
        check("{client.port}", Some("@1"));
    }

    #[test]
    fn sources_are_listed_in_order() {
        let template = Template::parse("{path.a|client.ip}-{body./x}").unwrap();
        let expected = [
            Source::Path("a".into()),
            Source::ClientIp,
            Source::Body("/x".into()),
        ];
        assert_eq!(template.sources().cloned().collect::<Vec<_>>(), expected);
        assert!(template.reads_body());
        assert!(!Template::parse("{path.a}").unwrap().reads_body());
        assert_eq!(template.as_str(), "{path.a|client.ip}-{body./x}");
        let template = Template::parse("{header.X-User}{cookie.sid}").unwrap();
        let reads = |name| template.reads_field(&HeaderName::from_static(name));
        assert_eq!(["x-user", "cookie", "sid"].map(reads), [true, true, false]);
    }

    #[test]
    fn a_source_is_alone_without_text_and_alternatives() {
        let lone = |text| Template::parse(text).unwrap().lone_source().cloned();
        assert_eq!(lone("{path.a}"), Some(Source::Path("a".into())));
        for text in [
            "{path.a|path.b}",
            "{path.a}{path.b}",
            "x{path.a}",
            "{path.a}-",
            "all",
        ] {
            assert_eq!(lone(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn arbitrary_text_never_panics_and_errors_lie_within_it(text in "[{}|./~a-zé ]{0,24}|\\PC{0,24}") {
            match Template::parse(&text) {
                Ok(template) => prop_assert_eq!(template.as_str(), text.as_str()),
                Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
            }
        }

        #[test]
        fn text_with_doubled_braces_renders_to_itself(text in "[{}a-zé:-]{1,24}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(Template::parse(&doubled).unwrap().render(|_| None), Some(text));
        }
    }
}
