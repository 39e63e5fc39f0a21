//! `[[route]]`.

use crate::config::ids::Ids;
use crate::config::judging;
use crate::config::problem::Fault;
use crate::config::rules;
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::server::SERVE;
use crate::config::settings::{Fallback, Route, Shadow};
use crate::config::walk::{Item, Sink};
use crate::config::words::{COMPARE, FALLBACK, PIN, SHADOW};
use crate::config::{address, words};
use crate::route::bucket::Share;
use crate::route::decide::Pins;
use crate::route::pattern::Pattern;
use crate::template::{Source, Template};
use http::Method;
use std::collections::HashSet;
use std::ops::Range;
use toml::de::DeValue;

/// Bodies above this would take all the memory that shadows have.
const LARGEST_BODY: u64 = 48 << 20;

/// A route, and where its `name` and `match` stand.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: Option<(String, Range<usize>, String)>,
    pub(super) pattern: Option<(Range<usize>, String)>,
    /// `None` if something is wrong with it.
    pub(super) route: Option<Route>,
    /// What `unreachable` looks at; `None` if that part is wrong.
    pub(super) matcher: Option<(Pattern, Option<String>)>,
}

/// Reads one `[[route]]`.
pub(super) fn route(section: &Section<'_>, sink: &mut Sink<'_>, ids: &Ids) -> Placed {
    let name = section.require(sink, "name", scalar::route_name);
    let pattern = section.require(sink, "match", pattern);
    let host = section.read(sink, "host", address::host);
    let key = section.read(sink, "key", key);
    check_placeholders(section, sink, &pattern, &key);
    let percent = section.read(sink, "percent", scalar::percent);
    let serve = section.read(sink, "serve", |item, sink| item.one_of(sink, &SERVE));
    let pins = section.read(sink, "pin", |item, sink| {
        pins(&Section::of(item, &PIN, sink)?, sink)
    });
    let salt = section.read(sink, "salt", scalar::salt);
    let fallback = section.read(sink, "fallback", fallback);
    let shadow = section.read(sink, "shadow", shadow);
    let read = section.read(sink, "read", Item::bool);
    let compare = section.read(sink, "compare", |item, sink| {
        let section = Section::of(item, &COMPARE, sink)?;
        let rules = rules::rules(&section, sink, ids);
        Some((rules, judging::again(&section, sink)))
    });
    let split = Split {
        key: &key,
        percent: &percent,
        pins: &pins,
        shadow: &shadow,
    };
    if has_reads(section, sink, &pattern, &read) {
        check_key(section, sink, &split);
    } else {
        check_no_reads(section, sink, &split);
    }
    let placed = |name: &str| section.item(name).map(|item| (item.span, item.path));
    let matcher = match (pattern.as_ref(), host.as_ref()) {
        (Found::Good(pattern), Found::Good(host)) => Some((pattern.clone(), Some(host.clone()))),
        (Found::Good(pattern), Found::Absent) => Some((pattern.clone(), None)),
        _ => None,
    };
    let name = name.good();
    let (compare, again) = compare.good().unwrap_or_default();
    Placed {
        name: name
            .clone()
            .zip(placed("name"))
            .map(|(name, (span, path))| (name, span, path)),
        pattern: placed("match"),
        matcher,
        route: name.zip(pattern.good()).map(|(name, pattern)| Route {
            name,
            pattern,
            host: host.good(),
            key: key.good(),
            percent: percent.good().unwrap_or(Share::NONE),
            serve: serve.good().unwrap_or_default(),
            pins: pins.good().unwrap_or_default(),
            salt: salt.good(),
            fallback: fallback.good().unwrap_or(Fallback::On { after: None }),
            shadow: shadow.good().unwrap_or_default(),
            read: read.good().unwrap_or(false),
            compare,
            again,
        }),
    }
}

fn pattern(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Pattern> {
    let text = item.text(sink)?;
    Pattern::parse(text)
        .map_err(|error| {
            inside(
                item,
                sink,
                "bad-match",
                (error.at, error.message, error.hint),
            )
        })
        .ok()
}

fn key(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Template> {
    let text = item.text(sink)?;
    Template::parse(text)
        .map_err(|error| inside(item, sink, "bad-key", (error.at, error.message, error.hint)))
        .ok()
}

/// Reports an error inside a text under the character where it stands.
fn inside(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    code: &'static str,
    (at, message, hint): (usize, String, Option<String>),
) {
    let span = item.inside(sink, at);
    sink.report(
        &span,
        &item.path,
        hint.into_iter()
            .fold(Fault::error(code, message), Fault::hint),
    );
}

/// Every `{path.X}` of the key needs a `{X}` in the path.
fn check_placeholders(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    pattern: &Found<Pattern>,
    key: &Found<Template>,
) {
    let (Found::Good(pattern), Found::Good(key), Some(item)) = (pattern, key, section.item("key"))
    else {
        return;
    };
    let has: Vec<&str> = pattern.placeholders().collect();
    let mut told = HashSet::new();
    for source in key.sources() {
        let Source::Path(name) = source else { continue };
        if has.contains(&name.as_str()) || !told.insert(name) {
            continue;
        }
        let written = format!("path.{name}");
        let starts = |at: &usize| {
            let text = key.as_str();
            let before = text[..*at].trim_end().ends_with(['{', '|']);
            let after = text[at + written.len()..]
                .trim_start()
                .starts_with(['}', '|']);
            before && after
        };
        let at = key
            .as_str()
            .match_indices(&written)
            .map(|(at, _)| at)
            .find(starts)
            .unwrap_or(0);
        let span = item.inside(sink, at).start..item.inside(sink, at + written.len()).start;
        let hint = match has.as_slice() {
            [] => "the path has no placeholders: write one, as in \"GET /items/{id}\"".to_owned(),
            has => format!("the path has {}", words::list(has)),
        };
        let message = format!("the path has no placeholder {{{name}}}");
        sink.report(
            &span,
            &item.path,
            Fault::error("unknown-placeholder", message).hint(hint),
        );
    }
}

fn pins(section: &Section<'_>, sink: &mut Sink<'_>) -> Option<Pins> {
    let keys =
        |item: &Item<'_>, sink: &mut Sink<'_>| item.texts(sink, "keys, as in [\"0ad\"]", pinned);
    let new = section.read(sink, "new", keys);
    let old = section.read(sink, "old", keys);
    let broken = matches!(new, Found::Broken) || matches!(old, Found::Broken);
    let (new, old) = (
        new.good().unwrap_or_default(),
        old.good().unwrap_or_default(),
    );
    let new: HashSet<String> = new.into_iter().collect();
    let mut told = HashSet::new();
    for (index, key) in old.iter().enumerate() {
        if !new.contains(key) || !told.insert(key) {
            continue;
        }
        let elements = section
            .item("old")
            .and_then(|item| item.array(sink, "keys"));
        if let Some(element) = elements.as_ref().and_then(|elements| elements.get(index)) {
            let fault = Fault::error("pin-on-both-sides", "this key is pinned to old and to new");
            element.report(sink, fault.hint("keep it in one of the two lists"));
        }
    }
    let both = !told.is_empty();
    (!broken && !both).then(|| Pins {
        new,
        old: old.into_iter().collect(),
    })
}

fn pinned(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    let text = item.text(sink)?;
    if text.is_empty() {
        let fault = Fault::error(
            "bad-value",
            "a pinned key can't be empty: no request has an empty key",
        );
        item.report(sink, fault.hint("remove it"));
        return None;
    }
    Some(text.to_owned())
}

/// A boolean, or `{ after = ".." }`.
fn fallback(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Fallback> {
    match item.value {
        DeValue::Boolean(true) => Some(Fallback::On { after: None }),
        DeValue::Boolean(false) => Some(Fallback::Off),
        DeValue::Table(_) => {
            let section = Section::of(item, &FALLBACK, sink)?;
            let after = section.read(sink, "after", scalar::duration);
            Some(Fallback::On {
                after: after.good(),
            })
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            item.wrong_type(
                sink,
                "true, false or a table",
                Some("write true, false or { after = \"1s\" }"),
            );
            None
        }
    }
}

/// A percent, or `{ percent, timeout, max_body }`.
fn shadow(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Shadow> {
    match item.value {
        DeValue::Integer(_) | DeValue::Float(_) => {
            scalar::percent(item, sink).map(|percent| Shadow {
                percent,
                ..Shadow::default()
            })
        }
        DeValue::Table(_) => {
            let section = Section::of(item, &SHADOW, sink)?;
            let percent = section.read(sink, "percent", scalar::percent);
            let timeout = section.read(sink, "timeout", scalar::duration);
            let max_body = section.read(sink, "max_body", |item, sink| {
                scalar::size(item, sink, 1..=LARGEST_BODY)
            });
            let default = Shadow::default();
            Some(Shadow {
                percent: percent.good().unwrap_or(default.percent),
                timeout: timeout.good().unwrap_or(default.timeout),
                max_body: max_body.good().unwrap_or(default.max_body),
            })
        }
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            let hint = "write a percent, as in 100, or { percent = 100, timeout = \"5s\", max_body = \"256KiB\" }";
            item.wrong_type(sink, "a percent or a table", Some(hint));
            None
        }
    }
}

/// What of a route concerns its reads, or its key.
struct Split<'a> {
    key: &'a Found<Template>,
    percent: &'a Found<Share>,
    pins: &'a Found<Pins>,
    shadow: &'a Found<Shadow>,
}

/// Whether a route has reads, as far as can be known; checks that `read = true` stands only where it may.
fn has_reads(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    pattern: &Found<Pattern>,
    read: &Found<bool>,
) -> bool {
    let Found::Good(pattern) = pattern else {
        return true;
    };
    let is_read = |m: &Method| matches!(*m, Method::GET | Method::HEAD | Method::OPTIONS);
    let may_read = |m: &Method| matches!(*m, Method::POST | Method::PUT);
    match (read, pattern.methods()) {
        (Found::Good(true), methods) => {
            let allowed = methods.is_some_and(|all| all.iter().all(|m| is_read(m) || may_read(m)));
            if let (false, Some(item)) = (allowed, section.item("read")) {
                let what = match methods
                    .and_then(|all| all.iter().find(|m| !is_read(m) && !may_read(m)))
                {
                    Some(method) => format!("`read = true` can't make {method} a read"),
                    None => "`read = true` can't make every method a read".to_owned(),
                };
                let hint =
                    "only POST and PUT can be declared to be reads: name those methods in `match`";
                item.report(sink, Fault::error("read-methods", what).hint(hint));
            }
            true
        }
        (Found::Broken, _) | (_, None) => true,
        (Found::Absent | Found::Good(false), Some(methods)) => methods.iter().any(is_read),
    }
}

/// On a route without reads nothing can be split or mirrored.
fn check_no_reads(section: &Section<'_>, sink: &mut Sink<'_>, split: &Split<'_>) {
    let mut tell = |name: &str, what: &str| {
        if let Some(item) = section.item(name) {
            let message = format!("{what} acts on reads, and this route has none");
            let hint = "writes go to old; add `read = true` if its POST or PUT only reads";
            item.report(sink, Fault::error("no-reads", message).hint(hint));
        }
    };
    if matches!(split.percent, Found::Good(share) if *share > Share::NONE) {
        tell("percent", "`percent` above 0");
    }
    if matches!(split.shadow, Found::Good(shadow) if shadow.percent > Share::NONE) {
        tell("shadow", "`shadow` above 0");
    }
    if matches!(split.pins, Found::Good(_)) {
        tell("pin", "`pin`");
    }
}

/// Without a key there is nothing to split by.
fn check_key(section: &Section<'_>, sink: &mut Sink<'_>, split: &Split<'_>) {
    if !split.key.is_absent() || !sink.absence_is_sure() {
        return;
    }
    let hint = "add a `key`, as in key = \"{path.id}\" or key = \"{header.x-user}\"";
    let split_share = |share: &Share| *share != Share::NONE && *share != Share::ALL;
    if let (Found::Good(share), Some(item)) = (split.percent, section.item("percent"))
        && split_share(share)
    {
        let message = "a `percent` between 0 and 100 needs a `key`";
        item.report(
            sink,
            Fault::error("percent-without-key", message).hint(hint),
        );
    }
    if let (Found::Good(_), Some(item)) = (split.pins, section.item("pin")) {
        item.report(
            sink,
            Fault::error("pin-without-key", "`pin` needs a `key`").hint(hint),
        );
    }
}
