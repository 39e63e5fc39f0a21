//! What two texts have in common.
//!
//! What is more special goes before what would hold as well: a slash at the end is not a suffix, nor is a moment a text with other marks in it.

use crate::compare::change::traits::{Trait, Traits};
use crate::compare::change::{number, time};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Texts beyond this are looked at from their ends alone.
const LONG: usize = 4_096;
/// Of a text that only a part of another is left of, at least so much: fewer letters are there by chance.
const SHARED: usize = 3;

/// What two texts that differ have in common, and how far whole numbers in them are apart.
pub(super) fn traits(old: &str, new: &str) -> (Traits, u32) {
    if old.is_empty() || new.is_empty() {
        let one = if new.is_empty() {
            Trait::ToEmpty
        } else {
            Trait::FromEmpty
        };
        return (one.into(), 0);
    }
    if old.len().max(new.len()) > LONG {
        return (affixes(old, new), 0);
    }
    if let (Some(a), Some(b)) = (time::parse(old), time::parse(new)) {
        return (moments(a, b), 0);
    }
    if let Some(one) = spelling(old, new) {
        return (one.into(), 0);
    }
    if is_number(old) && is_number(new) {
        if old.parse::<f64>() == new.parse::<f64>() {
            return (Trait::NumberFormat.into(), 0);
        }
        let numbers = number::traits(old, new);
        if !numbers.traits.is_empty() {
            return (numbers.traits, numbers.gap);
        }
        return (affixes(old, new), numbers.gap);
    }
    if let Some(one) = url(old, new) {
        return (one.into(), 0);
    }
    let ends = affixes(old, new);
    if !ends.is_empty() {
        return (ends, 0);
    }
    let mut traits = Traits::default();
    let same = |a: Option<_>, b| a.is_some() && a == b;
    if same(letters(old), letters(new)) {
        traits.add_if(true, Trait::Separators);
    } else if parts(old).is_some() && parts(old) == parts(new) {
        traits.add_if(true, Trait::Parts);
    }
    (traits, 0)
}

fn moments(a: time::Moment, b: time::Moment) -> Traits {
    const SECOND: i128 = 1_000_000_000;
    const QUARTER: i128 = 15 * 60 * SECOND;
    let far = (a.instant() - b.instant()).abs();
    let is_cut = |moment: time::Moment| moment.local % SECOND == 0;
    // Fractions of a second, or the time of day, that one side leaves out are a matter of writing.
    let written = far == 0
        || far < SECOND && (is_cut(a) || is_cut(b))
        || far < 96 * QUARTER && a.is_date != b.is_date;
    let one = if written {
        Trait::TimeFormat
    } else if a.local == b.local || far % QUARTER == 0 && far <= 14 * 4 * QUARTER {
        Trait::TimeZone
    } else {
        Trait::Time
    };
    one.into()
}

/// Ways of writing the same.
fn spelling(old: &str, new: &str) -> Option<Trait> {
    let slashless = |text: &str| text.trim_end_matches('/').len();
    let words = |text: &str| text.split_whitespace().collect::<String>();
    if words(old) == words(new) {
        Some(Trait::Whitespace)
    } else if old.to_lowercase() == new.to_lowercase() {
        Some(Trait::Case)
    } else if old[..slashless(old)] == new[..slashless(new)] {
        Some(Trait::TrailingSlash)
    } else if unescaped(old) == unescaped(new) {
        Some(Trait::Escaping)
    } else if is_recoded(old, new) || is_recoded(new, old) {
        Some(Trait::Charset)
    } else {
        None
    }
}

fn is_number(text: &str) -> bool {
    let first = text.strip_prefix('-').unwrap_or(text).as_bytes();
    first.first().is_some_and(u8::is_ascii_digit) && text.parse::<f64>().is_ok()
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '&', '\\', '+', ' ']) {
        return Cow::Borrowed(text);
    }
    let mut text = percent_decode_str(text).decode_utf8_lossy().into_owned();
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    for (entity, letter) in entities {
        text = text.replace(entity, letter);
    }
    Cow::Owned(text.replace(['\\', '+'], " ").split_whitespace().collect())
}

/// Whether the second is the first with its letters beyond ASCII read in another charset: as Latin-1, or lost.
fn is_recoded(text: &str, other: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let latin: String = text.bytes().map(char::from).collect();
    if latin == other {
        return true;
    }
    let kept = |c: &char| c.is_ascii() && *c != '?';
    let lost = |c: char| c == '?' || c == '\u{fffd}';
    other.chars().any(lost)
        && other.chars().all(|c| c.is_ascii() || lost(c))
        && text.chars().filter(kept).eq(other.chars().filter(kept))
}

fn url(old: &str, new: &str) -> Option<Trait> {
    let (old_scheme, old) = old.split_once("://")?;
    let (new_scheme, new) = new.split_once("://")?;
    if old == new {
        return (old_scheme != new_scheme).then_some(Trait::UrlScheme);
    }
    let path = |text: &str| text.find('/').map_or(text.len(), |at| at);
    (old[path(old)..] == new[path(new)..]).then_some(Trait::UrlHost)
}

fn affixes(old: &str, new: &str) -> Traits {
    let mut traits = Traits::default();
    let enough =
        |shared: &str, whole: &str| shared.len() >= SHARED || shared.len() * 2 >= whole.len();
    let begins = |new: &str, old: &str| {
        let shared = new
            .strip_suffix('…')
            .or_else(|| new.strip_suffix("..."))
            .unwrap_or(new);
        !shared.is_empty() && old.starts_with(shared) && enough(shared, old)
    };
    let ends = |new: &str, old: &str| old.ends_with(new) && enough(new, old);
    traits.add_if(begins(new, old), Trait::Truncated);
    traits.add_if(begins(old, new), Trait::Suffix);
    traits.add_if(ends(new, old), Trait::Unprefixed);
    traits.add_if(ends(old, new), Trait::Prefix);
    traits
}

/// Letters and digits in lower case; nothing of a text that has none.
fn letters(text: &str) -> Option<String> {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    (!letters.is_empty()).then_some(letters)
}

/// The parts of a list, sorted.
fn parts(text: &str) -> Option<Vec<&str>> {
    let mut parts: Vec<_> = text
        .split([',', ';', '|', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort_unstable();
    (parts.len() > 1).then_some(parts)
}
