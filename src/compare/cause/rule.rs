//! The line of a route that would silence a cause. Whether it is harmless is not for a program to say.

use crate::compare::Kind;
use crate::compare::cause::settle::Strand;
use crate::json::FieldPath;

/// A line of TOML for the route's table; `None` where no rule can silence it, or none that would not silence everything.
pub(super) fn rule(strands: &[Strand]) -> Option<String> {
    if let Some(name) = strands
        .iter()
        .find_map(|strand| strand.path.strip_prefix("header:"))
    {
        // The list says which fields are compared: the one to leave out is not in it.
        return (strands.len() == 1)
            .then(|| format!("compare.headers = []    # or a list without \"{name}\""));
    }
    if strands.iter().any(|strand| !is_path(&strand.path)) {
        let same_class = strands.iter().all(|strand| is_of_one_class(&strand.shape));
        return same_class.then(|| "compare.status = \"class\"".to_owned());
    }
    let nulls = |strand: &Strand| matches!(&*strand.shape, "null_to_absent" | "absent_to_null");
    if strands.iter().all(nulls) {
        return Some("compare.null_is_absent = true".to_owned());
    }
    let near = |strand: &Strand| matches!(&*strand.shape, "rounding" | "precision" | "off_by_one");
    let tolerances = strands.iter().map(|strand| {
        let decade = strand.decade.filter(|_| near(strand))?;
        Some(format!("{} = 1e{decade}", quoted(&strand.path)))
    });
    if let Some(tolerances) = tolerances.collect::<Option<Vec<_>>>() {
        return Some(format!(
            "compare.tolerance = {{ {} }}",
            tolerances.join(", ")
        ));
    }
    let key = if strands.iter().all(|strand| strand.kind == Kind::Order) {
        "unordered"
    } else {
        "ignore"
    };
    let mut paths: Vec<_> = strands.iter().map(|strand| quoted(&strand.path)).collect();
    paths.dedup();
    Some(format!("compare.{key} = [{}]", paths.join(", ")))
}

/// Whether a path is one that rules may have: not a place outside the document, nor one that was cut, nor the whole document.
fn is_path(path: &str) -> bool {
    path != "$" && !path.contains('…') && FieldPath::parse(path).is_ok()
}

/// Whether statuses differ within their class.
fn is_of_one_class(shape: &str) -> bool {
    shape
        .split_once("_to_")
        .is_some_and(|(old, new)| old.len() == 3 && new.len() == 3 && old[..1] == new[..1])
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)))
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
