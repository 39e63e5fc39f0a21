//! `[old]` and `[new]`.

use crate::config::address::check_authority;
use crate::config::limits::multiplexing;
use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::settings::{Health, HostRule, Http2, Pool, Protocol, SideTls, Upstream, Url};
use crate::config::tls::side_tls;
use crate::config::url::{url, urls};
use crate::config::walk::{Item, Sink};
use crate::config::words::{self, POOL};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use std::path::Path;
use std::time::Duration;

/// More connections than this no machine has.
const MOST_CONNECTIONS: u64 = 1_000_000;

/// Reads `[old]` or `[new]`. Paths in it are relative to `file_dir`.
pub(super) fn upstream(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    file_dir: &Path,
) -> Option<Upstream> {
    let urls = urls(section, sink, file_dir);
    let health = section.read(sink, "health", health);
    let connect_timeout = section.read(sink, "connect_timeout", scalar::duration);
    let timeout = section.read(sink, "timeout", scalar::duration);
    let host = section.read(sink, "host", host);
    let pool = section.read(sink, "pool", |item, sink| {
        Some(pool(&Section::of(item, &POOL, sink)?, sink))
    });
    let pool = pool.good().unwrap_or_default();
    let protocol = section.read(sink, "protocol", protocol);
    let tls = side_tls(section, sink, file_dir, urls.as_deref());
    let breaker = section.read(sink, "breaker", Item::bool);
    let urls = urls?;
    let is_secured = urls.iter().any(|url| matches!(url, Url::Https(_)));
    let tls = match tls {
        Found::Absent => is_secured.then(SideTls::default),
        Found::Broken => return None,
        Found::Good(tls) => Some(tls),
    };
    Some(Upstream {
        urls,
        tls,
        connect_timeout: connect_timeout.good().unwrap_or(Duration::from_secs(1)),
        timeout: timeout.good().unwrap_or(Duration::from_secs(15)),
        host: host.good().unwrap_or(HostRule::Preserve),
        protocol: protocol.good().unwrap_or(Protocol::Http1),
        in_flight: pool.max_connections,
        pool,
        breaker: breaker.good().unwrap_or(true),
        health: health.good(),
    })
}

/// What the side is spoken to in. What `[limits]` says of it is filled in where that is known.
fn protocol(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Protocol> {
    const NAMES: [(&str, bool); 2] = [("h1", false), ("h2", true)];
    let is_http_2 = item.one_of(sink, &NAMES)?;
    Some(if is_http_2 {
        Protocol::Http2(multiplexing(&Http2::default()))
    } else {
        Protocol::Http1
    })
}

/// Reads `twin`: an old side at another url, with all else as `old` has it.
pub(super) fn twin(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    file_dir: &Path,
    old: Option<&Upstream>,
) -> Option<Upstream> {
    let twin = section.read(sink, "twin", |item, sink| url(item, sink, file_dir));
    let (url, old) = (twin.good()?, old?);
    let is_secured = matches!(url, Url::Https(_));
    Some(Upstream {
        urls: vec![url],
        tls: is_secured.then(|| old.tls.clone().unwrap_or_default()),
        health: None,
        ..old.clone()
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
