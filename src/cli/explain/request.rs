//! The request that is asked about, as the proxy would see it: what `curl` would send for the same words.

use crate::config::Settings;
use crate::config::settings::Listen;
use crate::message::forwarded::{Address, Peer, Scheme};
use crate::message::hop::{is_target, settle_host};
use crate::message::survey::Survey;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

/// The proxy's first address, as Host says it; one of Unix sockets alone is asked for as curl does.
fn own_address(settings: &Settings) -> String {
    let mut addresses = settings.server.listen.iter().filter_map(Listen::tcp);
    let own = addresses.next().map(|address| address.to_string());
    own.unwrap_or_else(|| "localhost".to_owned())
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) target: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    pub(super) client: IpAddr,
}

impl Asked {
    /// A request without body from this machine. Its Host is the one among the header fields, else the URL's, else the
    /// proxy's own address.
    pub(super) fn new(method: Method, url: &Url, fields: &[Field], settings: &Settings) -> Self {
        let mut headers = HeaderMap::new();
        for Field(name, value) in fields {
            headers.append(name, value.clone());
        }
        let host = url.host.clone().unwrap_or_else(|| own_address(settings));
        if !headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&host)
        {
            headers.insert(HOST, host);
        }
        Self {
            method,
            target: url.target.clone(),
            headers,
            body: None,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// Whether the proxy would take its target: `*` is one of OPTIONS only.
    pub(super) fn is_target_valid(&self) -> bool {
        is_target(&self.method, &Uri::from(self.target.clone()))
    }

    /// Whether the proxy would take its Host.
    pub(super) fn is_host_valid(&self) -> bool {
        let mut headers = self.headers.clone();
        let survey = Survey::of(&headers);
        settle_host(
            Version::HTTP_11,
            &Uri::from(self.target.clone()),
            &mut headers,
            survey,
        )
        .is_ok()
    }

    /// The connection that it comes by.
    pub(super) fn peer<'a>(&self, settings: &'a Settings) -> Peer<'a> {
        Peer {
            address: Arc::new(Address::new(self.client, Scheme::Http)),
            trusted_proxies: &settings.server.trusted_proxies,
        }
    }
}

/// A method as it stands in requests.
pub(super) fn parse_method(text: &str) -> Result<Method, String> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(_) if text.chars().any(|c| c.is_ascii_lowercase()) => Err(format!(
            "methods are written in capitals: {}",
            text.to_ascii_uppercase()
        )),
        Ok(method) => Ok(method),
        Err(_) => Err("write a method such as GET".to_owned()),
    }
}

/// A path, or a whole URL.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Url {
    host: Option<String>,
    target: PathAndQuery,
}

/// Why a text is no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("write a path that begins with a slash, or a URL that begins with http://")]
    NeitherPathNorUrl,
    #[error("only http:// and https:// URLs reach the proxy")]
    Scheme,
    #[error(
        "a space, a quote or another character that no URL has must be written as a %-code, such as %20"
    )]
    Characters,
    #[error("the host of the URL is malformed")]
    Host,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.starts_with('/') || text == "*" {
            let target = text.parse().map_err(|_| UrlError::Characters)?;
            return Ok(Self { host: None, target });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(UrlError::NeitherPathNorUrl);
        };
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(UrlError::Scheme);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority: http::uri::Authority = authority.parse().map_err(|_| UrlError::Host)?;
        // User names are for a field of their own; clients don't send them in Host.
        let host = authority
            .as_str()
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        Ok(Self {
            host: Some(host),
            target: target.parse().map_err(|_| UrlError::Characters)?,
        })
    }
}

/// One `NAME: VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field(HeaderName, HeaderValue);

/// Why a text is no header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FieldError {
    #[error("write it like 'x-user: 42'")]
    Colon,
    #[error("no header field can have this name")]
    Name,
    #[error("no header field can have this value")]
    Value,
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (name, value) = text.split_once(':').ok_or(FieldError::Colon)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::Name)?;
        // Bytes, since a value beyond ASCII travels as UTF-8.
        let value =
            HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| FieldError::Value)?;
        Ok(Self(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_read_or_refused_with_a_reason() {
        let good = [
            ("/contents/0ad?limit=5", None, "/contents/0ad?limit=5"),
            ("/a#fragment", None, "/a"),
            ("/a/../%2F/b%20c", None, "/a/../%2F/b%20c"),
            ("*", None, "*"),
            ("http://tags.example.org", Some("tags.example.org"), "/"),
            (
                "HTTP://tags.example.org:8080/a?b",
                Some("tags.example.org:8080"),
                "/a?b",
            ),
            (
                "https://user:word@tags.example.org?b",
                Some("tags.example.org"),
                "/?b",
            ),
            ("http://[::1]:8080/a", Some("[::1]:8080"), "/a"),
        ];
        for (text, host, target) in good {
            let url: Url = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (url.host.as_deref(), url.target.as_str()),
                (host, target),
                "{text}"
            );
        }
        let bad = [
            ("", UrlError::NeitherPathNorUrl),
            ("contents/0ad", UrlError::NeitherPathNorUrl),
            ("localhost:8080", UrlError::NeitherPathNorUrl),
            ("ftp://a/b", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http://a b/", UrlError::Host),
            ("http:///a", UrlError::Host),
            ("/a b", UrlError::Characters),
            ("http://a/b c", UrlError::Characters),
        ];
        for (text, expected) in bad {
            assert_eq!(text.parse::<Url>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn methods_and_fields_are_read_or_refused_with_a_reason() {
        assert_eq!(parse_method("PURGE").unwrap().as_str(), "PURGE");
        assert!(parse_method("get").unwrap_err().ends_with("GET"));
        assert!(parse_method("G T").is_err() && parse_method("").is_err());

        let field = |name, value| {
            Ok(Field(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            ))
        };
        assert_eq!("X-User:  42 ".parse(), field("x-user", b"42"));
        assert_eq!("x-empty:".parse(), field("x-empty", b""));
        assert_eq!("x-name: é".parse(), field("x-name", "é".as_bytes()));
        assert_eq!("x-user".parse::<Field>(), Err(FieldError::Colon));
        assert_eq!("x user: 1".parse::<Field>(), Err(FieldError::Name));
        assert_eq!(": 1".parse::<Field>(), Err(FieldError::Name));
        assert_eq!("x: a\nb".parse::<Field>(), Err(FieldError::Value));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn arbitrary_text_never_panics(text in "(https?://)?[\\[\\]:@/?#%a é]{0,16}|\\PC{0,24}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert!(url.target.as_str() == "*" || url.target.as_str().starts_with('/'));
            }
            let _ = (text.parse::<Field>(), parse_method(&text));
        }
    }
}
