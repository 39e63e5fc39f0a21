//! routes.toml: text -> [`Settings`], or every problem.

use crate::config::address;
use crate::config::ids::{self, Ids};
use crate::config::judging;
use crate::config::limits;
use crate::config::log;
use crate::config::problem::{Fault, Lines, Problem, is_valid};
use crate::config::route::{self, Placed};
use crate::config::samples;
use crate::config::section::{Found, Section};
use crate::config::server;
use crate::config::settings::{Listen, ListenAddress, Protocol, Route, Settings, Upstream, Url};
use crate::config::syntax::Source;
use crate::config::upstream;
use crate::config::walk::{Env, Item, Sink};
use crate::config::words::{
    self, LIMITS, LOG, MIGRATION, NEW, NOISE, OLD, ROUTE, SAMPLES, SERVER, Words,
};
use crate::route::pattern::Pattern;
use crate::route::table;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What a text says.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings, if no problem is an error.
    pub settings: Option<Settings>,
    /// Every problem, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Reads a whole routes.toml. Paths in it are relative to `file_dir`; `${NAME}` in a url asks `env`.
///
/// Every problem is found, not the first only, and one mistake is one problem.
#[must_use]
pub fn load(text: &str, file_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let source = Source::new(text);
    let (settings, found) = if source.readable {
        walk(&source, file_dir, env)
    } else {
        (None, Vec::new())
    };
    let mut problems = source.problems;
    problems.extend(found);
    problems.sort_by_key(|p| (p.line, p.column, p.severity));
    let settings = settings.filter(|_| is_valid(&problems));
    Loaded { settings, problems }
}

/// TOML made of a text by leaving out what is broken, for who needs a few keys of a file that can't be used as a whole.
/// `None` if too little of it is TOML.
#[must_use]
pub fn repaired(text: &str) -> Option<String> {
    let source = Source::new(text);
    source.readable.then_some(source.toml)
}

/// An error about a value that is good as a text, at its place; at that of what it stands in, where the text does not have it.
#[must_use]
pub fn problem_at(
    text: &str,
    keys: &[&str],
    code: &'static str,
    message: String,
    hint: &str,
) -> Problem {
    let (tree, _) = DeTable::parse_recoverable(text);
    let mut table = Some(tree.get_ref());
    let (mut span, mut path) = (0..0, Vec::new());
    for key in keys {
        let Some(value) = table.and_then(|table| table.get(*key)) else {
            break;
        };
        span = value.span();
        path.push(*key);
        table = value.get_ref().as_table();
    }
    let fault = Fault::error(code, message).hint(hint);
    fault.at(&Lines::new(text), &span, &path.join("."))
}

fn walk(source: &Source<'_>, file_dir: &Path, env: Env<'_>) -> (Option<Settings>, Vec<Problem>) {
    let (tree, _) = DeTable::parse_recoverable(&source.toml);
    let mut sink = Sink::new(source, env);
    let settings = settings(tree.get_ref(), &mut sink, file_dir);
    (settings, sink.into_problems())
}

fn settings(tree: &DeTable<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<Settings> {
    let top = Section::top(tree, &words::TOP, sink);
    let migration =
        table(&top, sink, "migration", &MIGRATION).and_then(|s| server::migration(&s, sink));
    let server = table(&top, sink, "server", &SERVER).map(|s| server::server(&s, sink, file_dir));
    let old_table = table(&top, sink, "old", &OLD);
    let old = old_table
        .as_ref()
        .and_then(|s| upstream::upstream(s, sink, file_dir));
    let twin = old_table.and_then(|s| upstream::twin(&s, sink, file_dir, old.as_ref()));
    let new = table(&top, sink, "new", &NEW).and_then(|s| upstream::upstream(&s, sink, file_dir));
    let limits = table(&top, sink, "limits", &LIMITS).map(|s| limits::limits(&s, sink));
    let log = table(&top, sink, "log", &LOG).map(|s| log::log(&s, sink, file_dir));
    let noise = table(&top, sink, "noise", &NOISE).map(|s| judging::noise(&s, sink));
    let samples = table(&top, sink, "samples", &SAMPLES).map(|s| samples::samples(&s, sink));
    let ids = ids::ids(&top, sink);
    let routes = top.read(sink, "route", |item, sink| routes(item, sink, &ids));
    if let Some(server) = &server {
        for (name, side) in [("old", &old), ("new", &new)] {
            if let (Some(side), Some(item)) = (side, top.item(name)) {
                check_loop(&server.listen, side, &item, sink);
            }
        }
    }
    let routes = match routes {
        Found::Absent => Vec::new(),
        Found::Broken => return None,
        Found::Good(routes) => routes,
    };
    let used = routes.iter().flat_map(|route| &route.compare.ids);
    ids.check_use(&used.map(|(_, name)| name.as_str()).collect(), sink);
    let limits = limits?;
    let bounded = |mut side: Upstream| {
        side.in_flight = match &mut side.protocol {
            // Each request that a side answers has a connection of its own.
            Protocol::Http1 => side.pool.max_connections.min(limits.in_flight),
            Protocol::Http2(multiplexing) => {
                *multiplexing = limits::multiplexing(&limits.http2);
                limits.in_flight
            }
        };
        side
    };
    Some(Settings {
        migration: migration?,
        server: server?,
        twin: twin.map(bounded),
        old: bounded(old?),
        new: bounded(new?),
        limits,
        log: log?,
        samples: samples?,
        noise: noise?,
        ids: ids.into_tables(),
        routes,
    })
}

/// A table of the top level; one that the file lacks has every default. `None` if it is no table.
fn table<'d>(
    top: &Section<'d>,
    sink: &mut Sink<'_>,
    name: &str,
    words: &'static Words,
) -> Option<Section<'d>> {
    match top.item(name) {
        Some(item) => Section::of(&item, words, sink),
        None => Some(Section::absent(name, words)),
    }
}

/// Reads every `[[route]]`, and what concerns several of them.
fn routes(item: &Item<'_>, sink: &mut Sink<'_>, ids: &Ids) -> Option<Vec<Route>> {
    let DeValue::Array(array) = item.value else {
        item.wrong_type(
            sink,
            "a list of tables",
            Some("write each route under a line [[route]]"),
        );
        return None;
    };
    // Each is large: room for twice as many, beside half of them, would be most of what a file takes.
    let mut placed = Vec::with_capacity(array.len());
    let mut complete = true;
    for item in item.elements(array) {
        match Section::of(&item, &ROUTE, sink) {
            Some(section) => placed.push(route::route(&section, sink, ids)),
            None => complete = false,
        }
    }
    check_names(&placed, sink);
    check_reach(&placed, sink);
    complete &= placed.iter().all(|placed| placed.route.is_some());
    if !complete {
        return None;
    }
    // In the memory that they are in.
    Some(
        placed
            .into_iter()
            .filter_map(|placed| placed.route)
            .collect(),
    )
}

/// A name is a label of metrics, and `crossfade set` looks for it.
fn check_names(routes: &[Placed], sink: &mut Sink<'_>) {
    let mut first = HashMap::new();
    for (name, span, path) in routes.iter().filter_map(|r| r.name.as_ref()) {
        let line = sink.line(span);
        if let Some(first) = first.get(name) {
            let message =
                format!("a route with the name \"{name}\" stands on line {first} already");
            let fault =
                Fault::error("duplicate-name", message).hint("give each route a name of its own");
            sink.report(span, path, fault);
        } else {
            first.insert(name, line);
        }
    }
}

/// Warns of routes that earlier ones hide.
fn check_reach(routes: &[Placed], sink: &mut Sink<'_>) {
    let known: Vec<&Placed> = routes.iter().filter(|r| r.matcher.is_some()).collect();
    let matchers: Vec<(&Pattern, Option<&str>)> = known
        .iter()
        .filter_map(|r| r.matcher.as_ref())
        .map(|(p, host)| (p, host.as_deref()))
        .collect();
    for (hidden, by) in table::unreachable(&matchers) {
        let (Some((span, path)), Some((earlier, _))) = (&known[hidden].pattern, &known[by].pattern)
        else {
            continue;
        };
        let line = sink.line(earlier);
        let message = format!(
            "no request reaches this route: the one on line {line} matches all of its requests"
        );
        let fault = Fault::warning("unreachable-route", message);
        sink.report(
            span,
            path,
            fault.hint("the first match wins: move it before that one, or remove it"),
        );
    }
}

/// Warns of a side that is this proxy itself: every request would come back, and be answered 508.
fn check_loop(listen: &[Listen], side: &Upstream, item: &Item<'_>, sink: &mut Sink<'_>) {
    let mut addresses = listen.iter().map(|listen| &listen.address);
    let is_side = |own: &&ListenAddress| side.urls.iter().any(|url| leads_to(url, own));
    let (Some(own), DeValue::Table(table)) = (addresses.find(is_side), item.value) else {
        return;
    };
    let written = ["url", "urls"]
        .iter()
        .find_map(|key| Some((key, table.get(*key)?)));
    if let Some((key, url)) = written {
        let message = format!("this side is the proxy itself, which listens on {own}");
        let fault = Fault::warning("own-address", message).hint("name the address of the service");
        sink.report(&url.span(), &format!("{}.{key}", item.path), fault);
    }
}

/// Whether a url is an address of our own. A name is not looked up.
fn leads_to(url: &Url, own: &ListenAddress) -> bool {
    match (url, own) {
        (Url::Unix(path), ListenAddress::Unix(own)) => path.components().eq(own.components()),
        (url, ListenAddress::Tcp(own)) => url.authority().is_some_and(|authority| {
            let host = authority.host().trim_matches(['[', ']']);
            let port = authority.port_u16().unwrap_or(url.default_port());
            host.parse()
                .is_ok_and(|ip| address::clash(own, &SocketAddr::new(ip, port)))
        }),
        (Url::Http(_) | Url::Https(_), ListenAddress::Unix(_)) => false,
    }
}
