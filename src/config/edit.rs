//! Edits of a routes.toml that touch nothing but what they change: comments, order, spaces and line ends stay byte for byte.
//!
//! The text is parsed only to find places in it; the new value is then written over the old one's bytes. What comes
//! out is TOML, and whether it is a good routes.toml is for [`load`](fn@crate::config::load) to say.

mod rules;

pub use rules::{Rule, RuleValue, add_rule, silencing};

use crate::config::problem::Lines;
use crate::config::words;
use crate::route::decide::Serve;
use std::ops::Range;
use toml_edit::{Document, InlineTable, Item, Key, Table, TableLike, TomlError, Value};

/// Why a text can't be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is no TOML.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// No route has the name.
    #[error("no route has the name \"{name}\"; {}", names(known))]
    UnknownRoute {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Several routes have the name.
    #[error("several routes have the name \"{name}\": give each a name of its own first")]
    AmbiguousRoute {
        /// The name.
        name: String,
    },
    /// A route has no such key.
    #[error("a route has no key `{key}`: {hint}")]
    UnknownKey {
        /// The key asked for.
        key: String,
        /// What to write instead.
        hint: String,
    },
    /// A later version reads this key.
    #[error("`{key}` is not implemented in this version")]
    NotImplemented {
        /// The key.
        key: String,
    },
    /// `key=` without a value.
    #[error("`{key}` has no value: write {key}=VALUE")]
    NoValue {
        /// The key.
        key: String,
    },
    /// The key holds a table under a header of its own, which one value can't replace.
    #[error("`{key}` is a table of several lines: edit it in the file")]
    Table {
        /// The key.
        key: String,
    },
    /// The file has no `[migration]`, so it has no total switch.
    #[error("the file has no [migration]")]
    NoMigration,
}

fn names(known: &[String]) -> String {
    match known {
        [] => "the file has no routes".to_owned(),
        known => format!("the file has {}", known.join(", ")),
    }
}

/// Keys whose value is a text, so that `serve=old` and `salt=2024` mean texts.
const TEXTS: [&str; 6] = ["name", "match", "host", "key", "serve", "salt"];

/// Sets keys of the route with this name. A value is a TOML literal, or a bare word that stands for a text.
/// A number for `shadow` where the file has a table sets that table's `percent`.
pub fn set_route(text: &str, route: &str, changes: &[(&str, &str)]) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for (key, value) in changes {
        let literal = literal(key, value)?;
        let document = parse(&text)?;
        let table = find_route(&document, route)?;
        let splice = match table {
            Found::Table(table) => set(&text, ("route", table), key, &literal),
            Found::Inline(table) => set_inline(&text, table, key, &literal),
        }?;
        splice.apply(&mut text);
    }
    Ok(text)
}

/// Sets the total switch, `migration.serve`.
pub fn set_total(text: &str, serve: Serve) -> Result<String, EditError> {
    let literal = match serve {
        Serve::Old => "\"old\"",
        Serve::Split => "\"split\"",
        Serve::New => "\"new\"",
    };
    let document = parse(text)?;
    let splice = match document.get("migration") {
        Some(Item::Table(table)) => set(text, ("migration", table), "serve", literal),
        Some(Item::Value(Value::InlineTable(table))) => set_inline(text, table, "serve", literal),
        _ => Err(EditError::NoMigration),
    }?;
    let mut text = text.to_owned();
    splice.apply(&mut text);
    Ok(text)
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error: TomlError| {
        let (line, column) = Lines::new(text).position(error.span().map_or(0, |span| span.start));
        EditError::Syntax {
            line,
            column,
            message: error.message().to_owned(),
        }
    })
}

/// The value as TOML.
fn literal(key: &str, value: &str) -> Result<String, EditError> {
    let value = value.trim();
    if words::ROUTE.later.contains(&key) {
        return Err(EditError::NotImplemented {
            key: key.to_owned(),
        });
    }
    if !words::ROUTE.known.contains(&key) {
        return Err(EditError::UnknownKey {
            key: key.to_owned(),
            hint: words::ROUTE.hint(key, words::ROUTE.nearest(key)),
        });
    }
    if value.is_empty() {
        return Err(EditError::NoValue {
            key: key.to_owned(),
        });
    }
    let takes = |parsed: &Value| !TEXTS.contains(&key) || parsed.is_str();
    match value.parse::<Value>() {
        Ok(parsed) if takes(&parsed) => Ok(value.to_owned()),
        _ => Ok(Value::from(value).to_string()),
    }
}

/// A route in either of the forms that TOML has for it.
enum Found<'d> {
    Table(&'d Table),
    Inline(&'d InlineTable),
}

impl<'d> Found<'d> {
    fn name(&self) -> Option<&'d str> {
        match self {
            Self::Table(table) => table.get("name")?.as_str(),
            Self::Inline(table) => table.get("name")?.as_str(),
        }
    }
}

fn find_route<'d>(document: &'d Document<&str>, name: &str) -> Result<Found<'d>, EditError> {
    let routes: Vec<Found<'d>> = match document.get("route") {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(Found::Table).collect(),
        Some(Item::Value(Value::Array(values))) => values
            .iter()
            .filter_map(Value::as_inline_table)
            .map(Found::Inline)
            .collect(),
        _ => Vec::new(),
    };
    let known = routes
        .iter()
        .filter_map(Found::name)
        .map(str::to_owned)
        .collect();
    let mut named = routes
        .into_iter()
        .filter(|route| route.name() == Some(name));
    match (named.next(), named.next()) {
        (Some(route), None) => Ok(route),
        (Some(_), Some(_)) => Err(EditError::AmbiguousRoute {
            name: name.to_owned(),
        }),
        (None, _) => Err(EditError::UnknownRoute {
            name: name.to_owned(),
            known,
        }),
    }
}

/// A range of the text, and what takes its place.
struct Splice {
    span: Range<usize>,
    with: String,
}

impl Splice {
    fn apply(self, text: &mut String) {
        text.replace_range(self.span, &self.with);
    }
}

/// Sets a key of a table that has a header or dotted keys; `name` is the table's own key.
fn set(
    text: &str,
    (name, table): (&str, &Table),
    key: &str,
    literal: &str,
) -> Result<Splice, EditError> {
    if let Some(splice) = replace(text, table, key, literal)? {
        return Ok(splice);
    }
    // A table without keys is extended below its header.
    let line = last_line(table).or_else(|| table.span());
    let Range { start, end } = line.ok_or_else(|| EditError::Table {
        key: key.to_owned(),
    })?;
    let indent = &text[text[..start].rfind('\n').map_or(0, |at| at + 1)..start];
    let indent = if indent.trim().is_empty() { indent } else { "" };
    let prefix = if table.is_dotted() {
        format!("{name}.")
    } else {
        String::new()
    };
    let line = format!("{indent}{prefix}{key} = {literal}");
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    Ok(match text[end..].find('\n') {
        Some(at) => Splice {
            span: end + at + 1..end + at + 1,
            with: format!("{line}{newline}"),
        },
        None => Splice {
            span: text.len()..text.len(),
            with: format!("{newline}{line}"),
        },
    })
}

/// The last `key = value` of a table, from its key to its value.
fn last_line(table: &Table) -> Option<Range<usize>> {
    let line = |(name, item): (&str, &Item)| {
        let key = table.key(name).and_then(Key::span)?;
        match item {
            Item::Value(value) => Some(key.start..value.span()?.end),
            // The line starts with the first part of the dotted key.
            Item::Table(inner) if inner.is_dotted() => {
                last_line(inner).map(|line| key.start.min(line.start)..line.end)
            }
            Item::Table(_) | Item::ArrayOfTables(_) | Item::None => None,
        }
    };
    table.iter().filter_map(line).max_by_key(|line| line.end)
}

/// Sets a key of a table between braces.
fn set_inline(
    text: &str,
    table: &InlineTable,
    key: &str,
    literal: &str,
) -> Result<Splice, EditError> {
    if let Some(splice) = replace(text, table, key, literal)? {
        return Ok(splice);
    }
    let span = table.span().ok_or(EditError::Table {
        key: key.to_owned(),
    })?;
    let last = table
        .iter()
        .filter_map(|(_, value)| value.span())
        .map(|value| value.end)
        .max();
    Ok(match last {
        Some(end) => Splice {
            span: end..end,
            with: format!(", {key} = {literal}"),
        },
        None => Splice {
            span,
            with: format!("{{ {key} = {literal} }}"),
        },
    })
}

/// Writes over the value of a key that is there.
fn replace(
    text: &str,
    table: &dyn TableLike,
    key: &str,
    literal: &str,
) -> Result<Option<Splice>, EditError> {
    let number = literal
        .parse::<Value>()
        .is_ok_and(|value| value.is_integer() || value.is_float());
    let of_table = key == "shadow" && number;
    match table.get(key) {
        None | Some(Item::None) => Ok(None),
        Some(Item::Value(Value::InlineTable(inner))) if of_table => {
            set_inline(text, inner, "percent", literal).map(Some)
        }
        Some(Item::Table(inner)) if of_table => {
            set(text, (key, inner), "percent", literal).map(Some)
        }
        Some(Item::Value(value)) => {
            let span = value.span().ok_or(EditError::Table {
                key: key.to_owned(),
            })?;
            Ok(Some(Splice {
                span,
                with: literal.to_owned(),
            }))
        }
        Some(Item::Table(_) | Item::ArrayOfTables(_)) => Err(EditError::Table {
            key: key.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
