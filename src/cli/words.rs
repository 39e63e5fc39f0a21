//! Values of the admin API as words on a terminal.

use serde_json::Value;

/// A value as one word: a redacted one by its hash, so that equal ones can be recognised.
pub(super) fn word(value: &Value) -> String {
    match (value, value["hash"].as_str()) {
        (Value::String(text), _) => printable(text),
        (Value::Null, _) => "-".to_owned(),
        (_, Some(hash)) => format!("#{}", printable(hash)),
        (other, None) => other.to_string(),
    }
}

/// What a backend answered must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
