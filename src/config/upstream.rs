//! `[old]` and `[new]`.

use crate::config::address::check_authority;
use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::Section;
use crate::config::settings::{Health, HostRule, Pool, Upstream};
use crate::config::walk::{Item, Sink};
use crate::config::words::{self, POOL};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method};
use std::time::Duration;

/// More connections than this no machine has.
const MOST_CONNECTIONS: u64 = 1_000_000;

/// More addresses of a side than this want a balancer of their own.
const MOST_URLS: usize = 64;

/// Reads `[old]` or `[new]`.
pub(super) fn upstream(section: &Section<'_>, sink: &mut Sink<'_>) -> Option<Upstream> {
    let urls = urls(section, sink);
    let health = section.read(sink, "health", health);
    let connect_timeout = section.read(sink, "connect_timeout", scalar::duration);
    let timeout = section.read(sink, "timeout", scalar::duration);
    let host = section.read(sink, "host", host);
    let pool = section.read(sink, "pool", |item, sink| {
        Some(pool(&Section::of(item, &POOL, sink)?, sink))
    });
    let pool = pool.good().unwrap_or_default();
    let breaker = section.read(sink, "breaker", Item::bool);
    Some(Upstream {
        urls: urls?,
        connect_timeout: connect_timeout.good().unwrap_or(Duration::from_secs(1)),
        timeout: timeout.good().unwrap_or(Duration::from_secs(15)),
        host: host.good().unwrap_or(HostRule::Preserve),
        in_flight: pool.max_connections,
        pool,
        breaker: breaker.good().unwrap_or(true),
        health: health.good(),
    })
}

fn pool(section: &Section<'_>, sink: &mut Sink<'_>) -> Pool {
    let mut count = |name, least| {
        section
            .read(sink, name, |item, sink| {
                scalar::count(item, sink, least..=MOST_CONNECTIONS)
            })
            .good()
    };
    let (max_connections, max_idle, queue) = (
        count("max_connections", 1),
        count("max_idle", 0),
        count("queue", 0),
    );
    let mut duration = |name| section.read(sink, name, scalar::duration).good();
    let (idle_timeout, max_age) = (duration("idle_timeout"), duration("max_age"));
    let default = Pool::default();
    Pool {
        max_connections: max_connections.unwrap_or(default.max_connections),
        max_idle: max_idle.unwrap_or(default.max_idle),
        idle_timeout: idle_timeout.unwrap_or(default.idle_timeout),
        max_age: max_age.unwrap_or(default.max_age),
        queue: queue.unwrap_or(default.queue),
    }
}

/// The Host that the side sees.
fn host(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<HostRule> {
    let text = item.text(sink)?;
    match text {
        "preserve" => return Some(HostRule::Preserve),
        "upstream" => return Some(HostRule::Upstream),
        _ => {}
    }
    let name = check_authority(text)
        .ok()
        .and_then(|()| HeaderValue::from_str(text).ok());
    let near = words::nearest(text, &["preserve", "upstream"]);
    let fault = match (&name, near) {
        (Some(_), None) => return name.map(HostRule::Name),
        (Some(_), Some(_)) => Fault::warning(
            "odd-host",
            format!("\"{text}\" is taken as the name of a host"),
        ),
        (None, _) => Fault::error("bad-host", format!("\"{}\" is no host name", shorten(text))),
    };
    let hint = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write \"preserve\", \"upstream\" or a name, as in \"tags.example.org\"".to_owned(),
    };
    item.report(sink, fault.hint(hint));
    name.map(HostRule::Name)
}

/// Where the side is.
fn urls(section: &Section<'_>, sink: &mut Sink<'_>) -> Option<Vec<Authority>> {
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
    let mut known: Vec<Authority> = Vec::new();
    let mut complete = true;
    for item in &items {
        match url(item, sink) {
            Some(authority) if known.contains(&authority) => {
                let fault = Fault::error("same-address", "this url is in the list already");
                item.report(sink, fault.hint("name each address once"));
                complete = false;
            }
            Some(authority) => known.push(authority),
            None => complete = false,
        }
    }
    complete.then_some(known)
}

/// `GET /healthz`.
fn health(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Health> {
    let text = item.text(sink)?;
    let parsed = text.split_once(' ').and_then(|(method, target)| {
        let method = [Method::GET, Method::HEAD]
            .into_iter()
            .find(|known| known.as_str() == method)?;
        let read: PathAndQuery = target.parse().ok()?;
        (target.starts_with('/') && read.as_str() == target).then(|| Health {
            method,
            target: target.to_owned(),
        })
    });
    if parsed.is_none() {
        let message = format!("\"{}\" is no request to check a side by", shorten(text));
        let fault = Fault::error("bad-value", message);
        let hint = "write GET or HEAD and a path, as in \"GET /healthz\"";
        item.report(sink, fault.hint(hint));
    }
    parsed
}

/// `http://HOST[:PORT]`; `${NAME}` in it reads the environment.
fn url(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Authority> {
    let written = item.text(sink)?;
    let filled = fill(written, item, sink)?;
    match parse_url(&filled) {
        Ok(authority) => Some(authority),
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

/// Messages name nothing of the text: it may hold what came from the environment.
fn parse_url(text: &str) -> Result<Authority, (usize, Fault)> {
    let bad = |message: &str| {
        Fault::error("bad-url", message).hint("a url is written as in \"http://127.0.0.1:7001\"")
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err((0, bad("the url does not start with http://")));
    };
    if scheme.eq_ignore_ascii_case("https") {
        let fault = Fault::error(
            "not-implemented",
            "TLS towards a side is not implemented in this version",
        );
        return Err((
            0,
            fault.hint("write http://, or put a TLS proxy in between"),
        ));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err((0, bad("the url does not start with http://")));
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
    authority
        .parse()
        .map_err(|_| (start, bad("this is no host and port")))
}

/// No host and port is as long, and each mistake in a text is looked for from its beginning.
const LONGEST: usize = 2048;

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
            let found = parse_url(text).map_err(|(at, fault)| (at, fault.code));
            assert_eq!(
                found.as_ref().map(Authority::as_str).map_err(|e| *e),
                expected,
                "{text}"
            );
        };
        check("http://127.0.0.1:7001", Ok("127.0.0.1:7001"));
        check("http://127.0.0.1:7001/", Ok("127.0.0.1:7001"));
        check("HTTP://tags.internal", Ok("tags.internal"));
        check("http://[::1]:7001", Ok("[::1]:7001"));
        check("http://[::1]", Ok("[::1]"));
        check("https://x", Err((0, "not-implemented")));
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
        fn a_url_is_read_or_refused_at_a_place_in_it(text in "(http://)?\\PC{0,20}") {
            match parse_url(&text) {
                Ok(authority) => prop_assert_ne!(authority.port_u16(), Some(0)),
                Err((at, _)) => prop_assert!(text.is_char_boundary(at)),
            }
        }
    }
}
