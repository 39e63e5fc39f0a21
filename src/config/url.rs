//! Where a side is: `url` and `urls`.

use crate::config::address::{self, check_authority};
use crate::config::problem::{Fault, shorten};
use crate::config::section::Section;
use crate::config::settings::Url;
use crate::config::walk::{Item, Sink};
use http::uri::Authority;
use rustls::pki_types::ServerName;
use std::path::Path;

/// More addresses of a side than this want a balancer of their own.
const MOST_URLS: usize = 64;

const NO_SCHEME: &str = "the url does not start with http://, https:// or unix:";

/// The system takes no longer one.
const LONGEST_UNIX_PATH: usize = 107;

/// No host and port is as long, and each mistake in a text is looked for from its beginning.
const LONGEST: usize = 2048;

/// Where the side is.
pub(super) fn urls(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    file_dir: &Path,
) -> Option<Vec<Url>> {
    let url = |item: &Item<'_>, sink: &mut Sink<'_>| url(item, sink, file_dir);
    let Some(list) = section.item("urls") else {
        return Some(vec![section.require(sink, "url", url).good()?]);
    };
    if section.has("url") {
        let fault = Fault::error("bad-url", "a side has either `url` or `urls`");
        list.report(sink, fault.hint("put every address in `urls`"));
        return None;
    }
    let items = list.array(sink, "urls")?;
    if !(1..=MOST_URLS).contains(&items.len()) {
        let message = format!("a side has 1 to {MOST_URLS} urls, not {}", items.len());
        list.report(sink, Fault::error("out-of-range", message));
        return None;
    }
    let mut known: Vec<Url> = Vec::new();
    let mut complete = true;
    for item in &items {
        match url(item, sink) {
            Some(url) if known.contains(&url) => {
                let fault = Fault::error("same-address", "this url is in the list already");
                item.report(sink, fault.hint("name each address once"));
                complete = false;
            }
            Some(url) => known.push(url),
            None => complete = false,
        }
    }
    complete.then_some(known)
}

/// `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:PATH`; `${NAME}` in it reads the environment.
pub(super) fn url(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<Url> {
    let written = item.text(sink)?;
    let filled = fill(written, item, sink)?;
    match parse_url(&filled, file_dir) {
        Ok(url) => Some(url),
        Err((at, fault)) => {
            // A place in a text with variables filled in is none in the file.
            let span = if filled == written {
                item.inside(sink, at)
            } else {
                item.span.clone()
            };
            sink.report(&span, &item.path, fault);
            None
        }
    }
}

/// `http://HOST[:PORT]`, where nothing else can be reached.
pub(super) fn http_url(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<Authority> {
    match url(item, sink, file_dir)? {
        Url::Http(authority) => Some(authority),
        Url::Https(_) | Url::Unix(_) => {
            let message = format!("`{}` is reached over http:// alone", item.name());
            item.report(sink, Fault::error("bad-url", message));
            None
        }
    }
}

/// Messages name nothing of the text: it may hold what came from the environment.
fn parse_url(text: &str, file_dir: &Path) -> Result<Url, (usize, Fault)> {
    let bad = |message: &str| {
        let hint = "a url is written as in \"http://127.0.0.1:7001\" or \"unix:/run/tags.sock\"";
        Fault::error("bad-url", message).hint(hint)
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_url(path, file_dir).map_err(|message| ("unix:".len(), bad(message)));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err((0, bad(NO_SCHEME)));
    };
    let is_secured = scheme.eq_ignore_ascii_case("https");
    if !is_secured && !scheme.eq_ignore_ascii_case("http") {
        return Err((0, bad(NO_SCHEME)));
    }
    let start = text.len() - rest.len();
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err((start, bad("the url can't have a user or a password")));
    }
    if let Err((at, message)) = check_authority(authority) {
        return Err((start + at, bad(message)));
    }
    if !matches!(tail, "" | "/") {
        let at = start + authority.len();
        let query = tail
            .find(['?', '#'])
            .filter(|at| matches!(&tail[..*at], "" | "/"));
        return Err(match query {
            Some(query) => (at + query, bad("the url can't have a query or a fragment")),
            None => (at, bad("the url can't have a path but /")),
        });
    }
    let authority: Authority = authority
        .parse()
        .map_err(|_| (start, bad("this is no host and port")))?;
    if !is_secured {
        return Ok(Url::Http(authority));
    }
    if ServerName::try_from(authority.host().trim_matches(['[', ']'])).is_err() {
        return Err((start, bad("no certificate can be for this host")));
    }
    Ok(Url::Https(authority))
}

fn unix_url(path: &str, file_dir: &Path) -> Result<Url, &'static str> {
    let path = address::unix_path(path, file_dir).map_err(|_| "the path names no file")?;
    if path.as_os_str().len() > LONGEST_UNIX_PATH {
        return Err("the path of a Unix socket has at most 107 bytes");
    }
    Ok(Url::Unix(path))
}

/// Fills in `${NAME}`.
fn fill(text: &str, item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    if text.len() > LONGEST {
        let fault = Fault::error("bad-url", format!("a url has at most {LONGEST} bytes"));
        item.report(
            sink,
            fault.hint("write http://HOST:PORT, or ${NAME} for parts of it"),
        );
        return None;
    }
    let mut filled = String::new();
    let mut rest = text;
    let mut complete = true;
    while let Some(start) = rest.find("${") {
        let at = text.len() - rest.len() + start;
        filled.push_str(&rest[..start]);
        let mut fail = |fault: Fault| {
            let span = item.inside(sink, at);
            sink.report(&span, &item.path, fault);
            complete = false;
        };
        let Some(end) = rest[start..].find('}') else {
            fail(
                Fault::error("bad-url", "`${` is never closed")
                    .hint("a variable is written ${NAME}"),
            );
            return None;
        };
        let name = &rest[start + 2..start + end];
        rest = &rest[start + end + 1..];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(word)
        {
            let message = format!("`{}` is no name of a variable", shorten(name));
            fail(
                Fault::error("bad-url", message)
                    .hint("a variable is written ${NAME}: letters, digits and `_`"),
            );
            continue;
        }
        match (sink.env)(name).filter(|value| !value.is_empty()) {
            Some(value) => filled.push_str(&value),
            None => {
                let message = format!("the environment has no {name}");
                let span = item.inside(sink, at);
                let fault = Fault::error("env-unset", message)
                    .hint(format!("set {name} before crossfade starts"));
                sink.report(&span, &item.path, fault);
                complete = false;
            }
        }
    }
    filled.push_str(rest);
    complete.then_some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls() {
        let check = |text: &str, expected: Result<&str, (usize, &str)>| {
            let found = parse_url(text, Path::new("/etc")).map_err(|(at, fault)| (at, fault.code));
            assert_eq!(
                found.map(|url| url.to_string()),
                expected.map(ToOwned::to_owned),
                "{text}"
            );
        };
        check("http://127.0.0.1:7001", Ok("http://127.0.0.1:7001"));
        check("http://127.0.0.1:7001/", Ok("http://127.0.0.1:7001"));
        check("HTTP://tags.internal", Ok("http://tags.internal"));
        check("http://[::1]:7001", Ok("http://[::1]:7001"));
        check("http://[::1]", Ok("http://[::1]"));
        check("unix:/run/a.sock", Ok("unix:/run/a.sock"));
        check("unix:a b?.sock", Ok("unix:/etc/a b?.sock"));
        check("unix:", Err((5, "bad-url")));
        check("unix:/run/", Err((5, "bad-url")));
        check("unix:a\0b", Err((5, "bad-url")));
        let long = |length: usize| format!("unix:/{}", "x".repeat(length - 1));
        check(&long(107), Ok(&long(107)));
        check(&long(108), Err((5, "bad-url")));
        check("https://x", Ok("https://x"));
        check("HTTPS://[::1]:7443/", Ok("https://[::1]:7443"));
        check("https://a-:1", Err((8, "bad-url")));
        check("https://a/b", Err((9, "bad-url")));
        check("127.0.0.1:7001", Err((0, "bad-url")));
        check("ftp://x", Err((0, "bad-url")));
        check("http://", Err((7, "bad-url")));
        check("http:///x", Err((7, "bad-url")));
        check("http://x/v2", Err((8, "bad-url")));
        check("http://x/v2?y", Err((8, "bad-url")));
        check("http://x?y", Err((8, "bad-url")));
        check("http://x/?y", Err((9, "bad-url")));
        check("http://x/#y", Err((9, "bad-url")));
        check("http://u:p@x", Err((7, "bad-url")));
        check("http://x:99999", Err((9, "bad-url")));
        check("http://a b", Err((8, "bad-url")));
        check("http://1.2.3.400", Err((7, "bad-url")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_url_is_read_or_refused_at_a_place_in_it(text in "(https?://|unix:)?\\PC{0,20}") {
            match parse_url(&text, Path::new("")) {
                Ok(url) => prop_assert_ne!(url.authority().and_then(|host| host.port_u16()), Some(0)),
                Err((at, _)) => prop_assert!(text.is_char_boundary(at)),
            }
        }
    }
}
