//! Where a character of a TOML string's value stands in the file, so that a mistake inside a template or a path is
//! shown under the character and not under the whole string.

use crate::config::problem::floor_char;

/// The offset in a string or key as written (quotes and all) of the byte `at` of its value. `raw` is valid TOML.
pub(super) fn offset(raw: &str, at: usize) -> usize {
    let (quotes, escapes) = if raw.starts_with("\"\"\"") {
        (3, true)
    } else if raw.starts_with("'''") {
        (3, false)
    } else if raw.starts_with('"') {
        (1, true)
    } else if raw.starts_with('\'') {
        (1, false)
    } else {
        (0, false)
    };
    // A line end right behind three quotes is not part of the value.
    let first = match &raw[quotes..] {
        rest if quotes == 3 && rest.starts_with("\r\n") => quotes + 2,
        rest if quotes == 3 && rest.starts_with('\n') => quotes + 1,
        _ => quotes,
    };
    let close = floor_char(raw, raw.len().saturating_sub(quotes)).max(first);
    if !escapes {
        return floor_char(raw, (first + at).min(close));
    }
    let mut rest = &raw[first..close];
    let mut seen = 0;
    while let Some((written, means)) = unit(rest) {
        if seen + means > at {
            break;
        }
        seen += means;
        rest = &rest[written..];
    }
    close - rest.len()
}

/// Bytes of the first character or escape as written, and of what it means.
fn unit(rest: &str) -> Option<(usize, usize)> {
    let first = rest.chars().next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let digits = match rest[1..].chars().next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some(c) if c.is_whitespace() => {
            // A backslash at the end of a line joins it with the next text.
            let joined = rest[1..].trim_start();
            return Some((rest.len() - joined.len(), 0));
        }
        Some(c) => return Some((1 + c.len_utf8(), 1)),
        None => return Some((1, 0)),
    };
    let code = rest
        .get(2..2 + digits)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let means = code.and_then(char::from_u32).map_or(1, char::len_utf8);
    Some((floor_char(rest, 2 + digits), means))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_place_in_the_value_is_found_in_what_was_written() {
        let check = |raw: &str, at: usize, expected: &str| {
            assert!(
                raw[offset(raw, at)..].starts_with(expected),
                "{raw} {at}: {}",
                &raw[offset(raw, at)..]
            );
        };
        check(r#""{path.x}""#, 1, "path.x");
        check(r"'{path.x}'", 1, "path.x");
        check("bare", 2, "re");
        check(r#""\"x\u00e9y""#, 4, "y\"");
        check(r#""\t\\x""#, 2, "x\"");
        check(r#""abc""#, 3, "\"");
        check(r#""abc""#, 9, "\"");
        check("\"\"\"\nabc\"\"\"", 1, "bc");
        check("'''\r\nabc'''", 1, "bc");
        check("\"\"\"a\\\n   bc\"\"\"", 1, "bc");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_character_that_needs_no_escape_is_found(text in "([a-z\"\\\\\t\u{e9}\u{1f600}]){0,20}", at in 0usize..20) {
            let raw = toml_edit::Value::from(text.as_str()).to_string();
            let at = text.char_indices().nth(at).map_or(text.len(), |(i, _)| i);
            if let Some(c) = text[at..].chars().next().filter(char::is_ascii_lowercase) {
                prop_assert!(raw[offset(&raw, at)..].starts_with(c), "{raw}");
            }
        }

        #[test]
        fn any_text_has_an_answer(raw in any::<String>(), at in 0usize..100) {
            prop_assert!(raw.is_char_boundary(offset(&raw, at)));
        }
    }
}
