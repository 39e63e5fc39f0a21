//! Rules that are added to a route's `compare`, beside those that are there.

use super::{EditError, Found, Splice, find_route, parse, set, set_inline};
use crate::compare::proposal::{self, Silence};
use std::collections::BTreeSet;
use toml_edit::{Array, Item, TableLike, Value};

/// One rule more.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// A path more in a list, such as `ignore`, `unordered` or `shape`.
    Path {
        /// The list's key.
        list: &'static str,
        /// The path.
        path: String,
    },
    /// A path and its value more in a table, such as `match_by` or `tolerance`.
    Entry {
        /// The table's key.
        table: &'static str,
        /// The path.
        path: String,
        /// What it says: a name, several, or a number.
        value: RuleValue,
    },
}

/// What stands beside a path.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleValue {
    /// A name.
    Name(String),
    /// Several names.
    Names(Vec<String>),
    /// A number.
    Number(f64),
}

impl RuleValue {
    fn literal(&self) -> String {
        match self {
            Self::Name(name) => quoted(name),
            Self::Names(names) => {
                let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
                format!("[{}]", names.join(", "))
            }
            // TOML wants a sign of its own behind the e, or none: 1e-6.
            Self::Number(number) if *number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
            Self::Number(number) => Value::from(*number).to_string(),
        }
    }
}

impl Rule {
    /// The rule that is proposed for a path.
    #[must_use]
    pub fn proposed(path: &str, rule: &proposal::Rule) -> Self {
        let path = path.to_owned();
        let list = |list, path| Self::Path { list, path };
        match rule {
            proposal::Rule::Unordered => list("unordered", path),
            proposal::Rule::Shape => list("shape", path),
            proposal::Rule::Ignore => list("ignore", path),
            proposal::Rule::MatchBy(names) => Self::Entry {
                table: "match_by",
                path,
                value: match &names[..] {
                    [name] => RuleValue::Name(name.clone()),
                    names => RuleValue::Names(names.to_vec()),
                },
            },
            // A power of ten as it is written, not as it is computed.
            proposal::Rule::Tolerance(decade) => Self::Entry {
                table: "tolerance",
                path,
                value: RuleValue::Number(format!("1e{decade}").parse().unwrap_or(0.0)),
            },
        }
    }

    /// The key of `compare` that it belongs to.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Path { list, .. } => list,
            Self::Entry { table, .. } => table,
        }
    }

    /// What it adds to the key's value: a text, or an entry.
    fn addition(&self) -> String {
        match self {
            Self::Path { path, .. } => quoted(path),
            Self::Entry { path, value, .. } => format!("{} = {}", quoted(path), value.literal()),
        }
    }

    /// The rule as a value of its own.
    #[must_use]
    pub fn literal(&self) -> String {
        self.enclose(&self.addition())
    }

    /// A value of the rule's key that consists of this.
    fn enclose(&self, additions: &str) -> String {
        match self {
            Self::Path { .. } => format!("[{additions}]"),
            Self::Entry { .. } => format!("{{ {additions} }}"),
        }
    }
}

/// The lines of a route's table that would silence a cause.
#[must_use]
pub fn silencing(silence: &Silence) -> String {
    match silence {
        // The list says which fields are compared: the one to leave out is not in it.
        Silence::Header(name) => {
            format!(
                "compare.headers = []    # or a list without {}",
                quoted(name)
            )
        }
        Silence::StatusClass => "compare.status = \"class\"".to_owned(),
        Silence::NullIsAbsent => "compare.null_is_absent = true".to_owned(),
        Silence::Paths(paths) => {
            let rules: Vec<_> = paths
                .iter()
                .map(|(path, rule)| Rule::proposed(path, rule))
                .collect();
            let keys: BTreeSet<_> = rules.iter().map(Rule::key).collect();
            let line = |key: &str| {
                let mut same = rules.iter().filter(|rule| rule.key() == key).peekable();
                let first = same.peek().copied();
                let additions: Vec<_> = same.map(Rule::addition).collect();
                let value = first.map(|rule| rule.enclose(&additions.join(", ")));
                format!("compare.{key} = {}", value.unwrap_or_default())
            };
            keys.into_iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

/// A basic string, as all of a path's quotes are often single ones.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Adds a rule to the `compare` of the route with this name. What is there stays as it is written; a rule that is there already is not added twice.
pub fn add_rule(text: &str, route: &str, rule: &Rule) -> Result<String, EditError> {
    let document = parse(text)?;
    let splice = match find_route(&document, route)? {
        Found::Table(table) => match table.get("compare") {
            None | Some(Item::None) => {
                set(text, ("route", table), "compare", &whole(rule)).map(Some)
            }
            Some(compare) => within(text, compare, rule),
        },
        Found::Inline(table) => match table.get("compare") {
            None => set_inline(text, table, "compare", &whole(rule)).map(Some),
            Some(Value::InlineTable(compare)) => member(text, compare, rule, |text| {
                set_inline(text, compare, rule.key(), &rule.literal())
            }),
            Some(_) => Err(unreadable()),
        },
    }?;
    let mut text = text.to_owned();
    if let Some(splice) = splice {
        splice.apply(&mut text);
    }
    Ok(text)
}

fn whole(rule: &Rule) -> String {
    format!("{{ {} = {} }}", rule.key(), rule.literal())
}

fn unreadable() -> EditError {
    EditError::Table {
        key: "compare".to_owned(),
    }
}

fn within(text: &str, compare: &Item, rule: &Rule) -> Result<Option<Splice>, EditError> {
    match compare {
        Item::Value(Value::InlineTable(compare)) => member(text, compare, rule, |text| {
            set_inline(text, compare, rule.key(), &rule.literal())
        }),
        Item::Table(compare) => member(text, compare, rule, |text| {
            set(text, ("compare", compare), rule.key(), &rule.literal())
        }),
        Item::Value(_) | Item::ArrayOfTables(_) | Item::None => Err(unreadable()),
    }
}

/// Adds to the member of `compare` that the rule belongs to, or makes it.
fn member(
    text: &str,
    compare: &dyn TableLike,
    rule: &Rule,
    make: impl FnOnce(&str) -> Result<Splice, EditError>,
) -> Result<Option<Splice>, EditError> {
    match (compare.get(rule.key()), rule) {
        (None | Some(Item::None), _) => make(text).map(Some),
        (Some(Item::Value(Value::Array(paths))), Rule::Path { path, .. }) => {
            if paths.iter().any(|one| one.as_str() == Some(path)) {
                return Ok(None);
            }
            append(text, paths, rule).map(Some)
        }
        (Some(Item::Value(Value::InlineTable(entries))), Rule::Entry { path, value, .. }) => {
            if entries.contains_key(path) {
                return Ok(None);
            }
            set_inline(text, entries, &quoted(path), &value.literal()).map(Some)
        }
        (Some(Item::Table(entries)), Rule::Entry { table, path, value }) => {
            if entries.contains_key(path) {
                return Ok(None);
            }
            set(text, (table, entries), &quoted(path), &value.literal()).map(Some)
        }
        (Some(_), _) => Err(EditError::Table {
            key: format!("compare.{}", rule.key()),
        }),
    }
}

/// One path more at the end of a list, in a line of its own if the last one stands in one.
fn append(text: &str, paths: &Array, rule: &Rule) -> Result<Splice, EditError> {
    let addition = rule.addition();
    let Some(last) = paths.iter().last() else {
        let span = paths.span().ok_or_else(unreadable)?;
        return Ok(Splice {
            span,
            with: format!("[{addition}]"),
        });
    };
    let end = last.span().ok_or_else(unreadable)?.end;
    let before = last.decor().prefix().and_then(|prefix| prefix.span());
    let before = before.map_or("", |span| &text[span]);
    let indent = match before.rfind('\n') {
        Some(at) => {
            let start = if before[..at].ends_with('\r') {
                at - 1
            } else {
                at
            };
            &before[start..]
        }
        None => " ",
    };
    // A comment at the end of the line before would swallow what follows it, so only blanks are taken over.
    let indent = if indent.trim().is_empty() {
        indent
    } else {
        " "
    };
    Ok(Splice {
        span: end..end,
        with: format!(",{indent}{addition}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use std::path::Path;

    fn path(list: &'static str, path: &str) -> Rule {
        Rule::Path {
            list,
            path: path.to_owned(),
        }
    }

    fn entry(table: &'static str, path: &str, value: RuleValue) -> Rule {
        Rule::Entry {
            table,
            path: path.to_owned(),
            value,
        }
    }

    const HEAD: &str = "[migration]\nname = \"m\"\n[old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:2\"\n";

    /// The edit of one route, which must then be a good file.
    #[track_caller]
    fn check(route: &str, rule: &Rule, expected: &str) {
        let edited = add_rule(&format!("{HEAD}{route}"), "a", rule).unwrap();
        assert_eq!(edited.strip_prefix(HEAD), Some(expected));
        let loaded = load(&edited, Path::new("/srv"), &|_| None);
        assert!(loaded.settings.is_some(), "{edited}\n{:?}", loaded.problems);
        assert_eq!(add_rule(&edited, "a", rule).unwrap(), edited, "added twice");
    }

    #[test]
    fn rules_are_added_beside_those_that_are_there() {
        let a = "[[route]]\nname = \"a\"\nmatch = \"GET /a\"\n";
        let ignore = path("ignore", "$.x");
        check(
            a,
            &ignore,
            &format!("{a}compare = {{ ignore = [\"$.x\"] }}\n"),
        );
        check(
            &format!("{a}compare = {{ ignore = [\"$.y\"] }} # why\n"),
            &ignore,
            &format!("{a}compare = {{ ignore = [\"$.y\", \"$.x\"] }} # why\n"),
        );
        check(
            &format!("{a}compare = {{ ignore = [] }}\n"),
            &ignore,
            &format!("{a}compare = {{ ignore = [\"$.x\"] }}\n"),
        );
        check(
            &format!("{a}compare = {{ unordered = [\"$.y\"] }}\n"),
            &ignore,
            &format!("{a}compare = {{ unordered = [\"$.y\"], ignore = [\"$.x\"] }}\n"),
        );
        check(
            &format!("{a}[route.compare]\nignore = [\n  \"$.y\", # the clock\n]\n"),
            &ignore,
            &format!("{a}[route.compare]\nignore = [\n  \"$.y\",\n  \"$.x\", # the clock\n]\n"),
        );
        check(
            &format!("{a}compare.ignore = [\"$.y\"]\n"),
            &path("unordered", "$.t"),
            &format!("{a}compare.ignore = [\"$.y\"]\ncompare.unordered = [\"$.t\"]\n"),
        );
        // Keys of the file itself stand before its tables.
        let inline = format!("route = [{{ name = \"a\", match = \"GET /a\" }}]\n{HEAD}");
        let edited = add_rule(&inline, "a", &ignore).unwrap();
        assert_eq!(
            edited,
            inline.replace(" }]", ", compare = { ignore = [\"$.x\"] } }]")
        );
        assert_eq!(add_rule(&edited, "a", &ignore).unwrap(), edited);
    }

    #[test]
    fn tables_get_one_entry_more() {
        let a = "[[route]]\nname = \"a\"\nmatch = \"GET /a\"\n";
        let tolerance = entry("tolerance", "$['a b\"']", RuleValue::Number(1e-6));
        check(
            a,
            &tolerance,
            &format!("{a}compare = {{ tolerance = {{ \"$['a b\\\"']\" = 1e-6 }} }}\n"),
        );
        let by = entry("match_by", "$.items", RuleValue::Name("id".to_owned()));
        check(
            &format!("{a}compare = {{ match_by = {{ \"$.tags\" = \"name\" }} }}\n"),
            &by,
            &format!(
                "{a}compare = {{ match_by = {{ \"$.tags\" = \"name\", \"$.items\" = \"id\" }} }}\n"
            ),
        );
        check(
            &format!("{a}[route.compare.match_by]\n\"$.tags\" = \"name\"\n"),
            &by,
            &format!("{a}[route.compare.match_by]\n\"$.tags\" = \"name\"\n\"$.items\" = \"id\"\n"),
        );
        let names = ["kind", "no"].map(str::to_owned).to_vec();
        check(
            &format!("{a}compare = {{ match_by = {{ \"$.tags\" = \"name\" }} }} # why\n"),
            &entry("match_by", "$.items", RuleValue::Names(names)),
            &format!(
                "{a}compare = {{ match_by = {{ \"$.tags\" = \"name\", \"$.items\" = [\"kind\", \"no\"] }} }} # why\n"
            ),
        );
    }

    #[test]
    fn what_silences_a_cause_is_a_line_for_each_key() {
        use proposal::Rule as Proposed;
        let paths = [
            ("$.b", Proposed::Shape),
            ("$.a", Proposed::MatchBy(vec!["id".to_owned()])),
            ("$.c", Proposed::Shape),
            ("$.d", Proposed::Tolerance(-6)),
        ];
        let paths = paths.map(|(path, rule)| (path.to_owned(), rule));
        for (silence, expected) in [
            (
                Silence::Paths(paths.to_vec()),
                "compare.match_by = { \"$.a\" = \"id\" }\ncompare.shape = [\"$.b\", \"$.c\"]\ncompare.tolerance = { \"$.d\" = 1e-6 }",
            ),
            (
                Silence::Header("etag".to_owned()),
                "compare.headers = []    # or a list without \"etag\"",
            ),
            (Silence::StatusClass, "compare.status = \"class\""),
            (Silence::NullIsAbsent, "compare.null_is_absent = true"),
        ] {
            let lines = silencing(&silence);
            assert_eq!(lines, expected);
            let text = format!("{HEAD}[[route]]\nname = \"a\"\nmatch = \"GET /a\"\n{lines}\n");
            let loaded = load(&text, Path::new("/srv"), &|_| None);
            assert!(loaded.settings.is_some(), "{text}\n{:?}", loaded.problems);
        }
    }
}
