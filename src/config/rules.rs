//! A route's `compare`.

use crate::compare::{Identity, MAX_IDENTITY, Rules, StatusRule};
use crate::config::ids::Ids;
use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::Section;
use crate::config::walk::{Item, Sink};
use crate::json::{FieldPath, PathError};
use http::HeaderName;
use toml::de::DeValue;

const STATUS: [(&str, StatusRule); 2] =
    [("exact", StatusRule::Exact), ("class", StatusRule::Class)];

/// Reads `compare`.
pub(super) fn rules(section: &Section<'_>, sink: &mut Sink<'_>, names: &Ids) -> Rules {
    let ignore = section.read(sink, "ignore", paths);
    let unordered = section.read(sink, "unordered", paths);
    let maps = section.read(sink, "maps", paths);
    let shape = section.read(sink, "shape", paths);
    let match_by = section.read(sink, "match_by", |item, sink| {
        by_path(item, sink, "fields", fields)
    });
    let tolerance = section.read(sink, "tolerance", |item, sink| {
        by_path(item, sink, "numbers", tolerance)
    });
    let ids = section.read(sink, "map", |item, sink| {
        by_path(item, sink, "names of [ids]", |item, sink| {
            names.known(item, sink)
        })
    });
    let null_is_absent = section.read(sink, "null_is_absent", Item::bool);
    let headers = section.read(sink, "headers", |item, sink| {
        item.texts(sink, "header names", header)
    });
    let status = section.read(sink, "status", |item, sink| item.one_of(sink, &STATUS));
    let default = Rules::default();
    Rules {
        ignore: ignore.good().unwrap_or_default(),
        unordered: unordered.good().unwrap_or_default(),
        match_by: match_by.good().unwrap_or_default(),
        tolerance: tolerance.good().unwrap_or_default(),
        shape: shape.good().unwrap_or_default(),
        ids: ids.good().unwrap_or_default(),
        maps: maps.good().unwrap_or_default(),
        null_is_absent: null_is_absent.good().unwrap_or(default.null_is_absent),
        headers: headers.good().unwrap_or(default.headers),
        status: status.good().unwrap_or_default(),
    }
}

/// A list of field paths.
pub(super) fn paths(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Vec<FieldPath>> {
    item.texts(
        sink,
        "field paths, as in [\"$..updated_at\"]",
        |item, sink| {
            let text = item.text(sink)?;
            FieldPath::parse(text)
                .map_err(|error| bad_path(&item.inside(sink, error.at), item, sink, &error))
                .ok()
        },
    )
}

/// A table from field paths to values.
fn by_path<T>(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    of: &str,
    read: impl Fn(&Item<'_>, &mut Sink<'_>) -> Option<T>,
) -> Option<Vec<(FieldPath, T)>> {
    let mut all = Vec::new();
    let mut complete = true;
    for (key, item) in item.entries(sink, &format!("field paths and {of}"))? {
        let path = FieldPath::parse(key)
            .map_err(|error| bad_path(&item.inside_key(sink, error.at), &item, sink, &error));
        match (path, read(&item, sink)) {
            (Ok(path), Some(value)) => all.push((path, value)),
            _ => complete = false,
        }
    }
    complete.then_some(all)
}

fn bad_path(
    span: &std::ops::Range<usize>,
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    error: &PathError,
) {
    let hint = "a path is RFC 9535 JSONPath of names, [*], indexes and .., as in \"$..updated_at\" or \"$.tags[*].name\"";
    sink.report(
        span,
        &item.path,
        Fault::error("bad-path", error.message.clone()).hint(hint),
    );
}

/// The fields by which `match_by` aligns elements: one, or a list of those that together tell them apart.
fn fields(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<Vec<String>> {
    const HINT: &str = "name one field, as in \"id\", or several that together tell the elements apart, as in [\"kind\", \"id\"]";
    let list = match item.value {
        DeValue::String(_) => return field(item, sink).map(|(text, _)| vec![text]),
        DeValue::Array(list) => item.elements(list),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => {
            item.wrong_type(sink, "a field or a list of fields", Some(HINT));
            return None;
        }
    };
    if list.is_empty() || list.len() > MAX_IDENTITY {
        let fault = if list.is_empty() {
            Fault::error("bad-value", "elements can't be told apart by no field").hint(HINT)
        } else {
            let message = format!("elements can't be told apart by {} fields", list.len());
            Fault::error("out-of-range", message).hint(format!("name at most {MAX_IDENTITY}"))
        };
        item.report(sink, fault);
        return None;
    }
    let mut fields: Vec<(String, Identity)> = Vec::new();
    let mut complete = true;
    for item in &list {
        match field(item, sink) {
            Some((_, again)) if fields.iter().any(|(_, field)| *field == again) => {
                let fault = Fault::error("bad-value", "this field is in the list already");
                item.report(sink, fault.hint("name each field once"));
                complete = false;
            }
            Some(field) => fields.push(field),
            None => complete = false,
        }
    }
    complete.then(|| fields.into_iter().map(|(text, _)| text).collect())
}

/// A field of an element: a name, names with dots between them, or a field path of names.
fn field(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<(String, Identity)> {
    const HINT: &str = "name the field that tells the elements apart, as in \"id\" or \"user.id\"; a name with dots as in \"$['a.b']\"";
    let text = item.text(sink)?;
    match Identity::parse(text) {
        Ok(field) => Some((text.to_owned(), field)),
        Err(PathError { at, message }) => {
            let span = item.inside(sink, at);
            let fault = Fault::error("bad-path", message).hint(HINT);
            sink.report(&span, &item.path, fault);
            None
        }
    }
}

fn tolerance(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<f64> {
    let number = scalar::number(item, sink)?;
    if number.is_finite() && number >= 0.0 {
        return Some(number);
    }
    let fault = Fault::error("out-of-range", format!("a tolerance can't be {number}"));
    item.report(
        sink,
        fault.hint("it is an absolute difference: a number that is not negative, as in 0.001"),
    );
    None
}

fn header(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<HeaderName> {
    let text = item.text(sink)?;
    if let Ok(name) = HeaderName::from_bytes(text.as_bytes()) {
        return Some(name);
    }
    let fault = Fault::error(
        "bad-header",
        format!("\"{}\" is no name of a header field", shorten(text)),
    );
    item.report(
        sink,
        fault.hint("write it without a colon, as in \"content-type\""),
    );
    None
}
