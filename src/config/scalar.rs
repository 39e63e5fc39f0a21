//! Readers of single values: numbers within bounds, percents, durations, sizes, names.

use crate::config::problem::{Fault, shorten};
use crate::config::units::{self, UnitError};
use crate::config::walk::{Item, Sink};
use crate::route::bucket::Share;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// An integer within bounds.
pub(super) fn count(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    bounds: RangeInclusive<u64>,
) -> Option<usize> {
    let DeValue::Integer(integer) = item.value else {
        item.wrong_type(
            sink,
            "an integer",
            Some("write a number without quotes or dot"),
        );
        return None;
    };
    let value = u64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .filter(|n| bounds.contains(n));
    if let Some(value) = value.and_then(|n| usize::try_from(n).ok()) {
        return Some(value);
    }
    let message = format!("`{}` can't be {}", item.name(), shorten(integer.as_str()));
    let hint = format!("it is a number from {} to {}", bounds.start(), bounds.end());
    item.report(sink, Fault::error("out-of-range", message).hint(hint));
    None
}

/// An integer or a float.
pub(super) fn number(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<f64> {
    match item.value {
        // The widest integers are rounded; every bound that is checked lies far below.
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .map_or_else(|| Some(f64::INFINITY), |n| n.to_string().parse().ok()),
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            item.wrong_type(
                sink,
                "a number",
                Some("write a number without quotes, as in 5 or 0.25"),
            );
            None
        }
    }
}

/// A percent, 0 to 100 in steps of 0.01.
pub(super) fn percent(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Share> {
    let number = number(item, sink)?;
    if let Ok(share) = Share::from_percent(number) {
        return Some(share);
    }
    let name = item.name();
    let fault = if (0.0..=100.0).contains(&number) {
        let below = (number * 100.0).floor() / 100.0;
        Fault::error(
            "bad-percent",
            format!("`{name}` has steps of 0.01, and {number} lies between two of them"),
        )
        .hint(format!("write {below:.2} or {:.2}", below + 0.01))
    } else {
        Fault::error("out-of-range", format!("`{name}` can't be {number}"))
            .hint("it is a number from 0 to 100, in steps of 0.01")
    };
    item.report(sink, fault);
    None
}

/// A duration of at least a millisecond.
pub(super) fn duration(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Duration> {
    let duration = delay(item, sink)?;
    if !duration.is_zero() {
        return Some(duration);
    }
    let fault = Fault::error("out-of-range", format!("`{}` can't be zero", item.name()));
    item.report(sink, fault.hint("it is at least 1ms"));
    None
}

/// A duration that may be zero.
pub(super) fn delay(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Duration> {
    if let DeValue::Integer(n) = item.value {
        let hint = format!(
            "write \"{n}s\" or \"{n}ms\": a duration is a text of an integer and ms, s, m or h"
        );
        item.wrong_type(sink, "a duration", Some(&hint));
        return None;
    }
    let text = item.text(sink)?;
    match units::duration(text) {
        Ok(duration) => Some(duration),
        Err(error) => no_unit(item, sink, "bad-duration", error),
    }
}

/// A size in bytes within bounds.
pub(super) fn size(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    bounds: RangeInclusive<u64>,
) -> Option<usize> {
    if let DeValue::Integer(n) = item.value {
        let hint = format!(
            "write \"{n}B\" or \"{n}KiB\": a size is a text of an integer and B, KiB, MiB or GiB"
        );
        item.wrong_type(sink, "a size", Some(&hint));
        return None;
    }
    let text = item.text(sink)?;
    match units::size(text) {
        Ok(size) if bounds.contains(&size) => usize::try_from(size).ok(),
        Ok(_) => {
            let fault = Fault::error(
                "out-of-range",
                format!("`{}` can't be \"{text}\"", item.name()),
            );
            let hint = format!(
                "it is from {} to {}",
                units::written(*bounds.start()),
                units::written(*bounds.end())
            );
            item.report(sink, fault.hint(hint));
            None
        }
        Err(error) => no_unit(item, sink, "bad-size", error),
    }
}

fn no_unit<T>(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    code: &'static str,
    error: UnitError,
) -> Option<T> {
    item.report(
        sink,
        Fault::error(code, shorten(&error.message)).hint(error.hint),
    );
    None
}

/// `migration.name` or a route's `salt`: what a client that computes buckets has to type, so no controls.
pub(super) fn salt(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    let text = item.text(sink)?;
    if (1..=256).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    let fault = Fault::error("bad-name", format!("`{}` is no salt", item.name()));
    item.report(
        sink,
        fault.hint("it has 1 to 256 bytes, and no control characters"),
    );
    None
}

/// A path of a file.
pub(super) fn path(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<PathBuf> {
    let text = item.text(sink)?;
    if text.is_empty() || text.contains('\0') {
        let fault = Fault::error("bad-value", format!("`{}` is no path", item.name()));
        item.report(
            sink,
            fault.hint("a path is relative to the file, or absolute"),
        );
        return None;
    }
    Some(PathBuf::from(text))
}

/// The name of a route.
pub(super) fn route_name(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    let text = item.text(sink)?;
    if matches!(text, "unmatched" | "other") {
        let fault = Fault::error("reserved-name", format!("the name \"{text}\" is taken"));
        item.report(
            sink,
            fault.hint("metrics use it for requests of no route; choose another"),
        );
        return None;
    }
    name(text, sink, |sink, at| item.inside(sink, at), &item.path).then(|| text.to_owned())
}

/// Whether a text is a name, as labels of metrics are; `inside` says where its byte `at` stands.
pub(super) fn name(
    text: &str,
    sink: &mut Sink<'_>,
    inside: impl FnOnce(&Sink<'_>, usize) -> Range<usize>,
    path: &str,
) -> bool {
    const GRAMMAR: &str =
        "a name is [a-z0-9][a-z0-9._-]{0,63}: small letters, digits, `.`, `_` and `-`";
    let wrong = |(at, c): &(usize, char)| {
        let inner = *at > 0 && matches!(c, '.' | '_' | '-');
        !(c.is_ascii_lowercase() || c.is_ascii_digit() || inner)
    };
    let (at, message) = match text.char_indices().find(wrong) {
        Some((at, c)) if !c.is_control() => (at, format!("a name can't have `{c}` here")),
        Some((at, _)) => (at, "a name can't have control characters".to_owned()),
        None if text.is_empty() => (0, "a name can't be empty".to_owned()),
        None if text.len() > 64 => (64, "a name has at most 64 characters".to_owned()),
        None => return true,
    };
    let span = inside(sink, at);
    sink.report(&span, path, Fault::error("bad-name", message).hint(GRAMMAR));
    false
}
