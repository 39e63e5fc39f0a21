//! Whether a text is nested so deeply that the TOML parser need not see it: it keeps a hundred bytes and more for each bracket and each part of a key, and then
//! refuses what is nested deeper than some 80 levels. What is found here it would refuse too.

use std::ops::Range;

/// More than the parser takes.
const MOST: usize = 100;

/// The first place at which more brackets are opened at once, or a key has more parts, than any file needs. None of a text with texts of several lines, in which
/// that may be no more than a text.
pub(super) fn too_deep(text: &str) -> Option<Range<usize>> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(at) = in_line(line.as_bytes()) {
            return Some(start + at..start + at + 1);
        }
        start += line.len();
    }
    None
}

fn in_line(line: &[u8]) -> Option<usize> {
    let (mut brackets, mut dots) = (0, 0);
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'#' => return None,
            b'"' | b'\'' => {
                // What is in a text says nothing; one that never ends is another mistake.
                at += 1 + line[at + 1..].iter().position(|other| *other == byte)?;
                brackets = 0;
            }
            b'[' | b'{' => brackets += 1,
            b'.' => dots += 1,
            b'=' | b',' => (brackets, dots) = (0, 0),
            b' ' | b'\t' => {}
            _ => brackets = 0,
        }
        if brackets > MOST || dots > MOST {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    #[test]
    fn what_is_nested_too_deeply_is_no_toml_to_the_parser_either() {
        let check = |text: String, expected: bool| {
            assert_eq!(too_deep(&text).is_some(), expected, "{text}");
            assert!(!expected || DeTable::parse(&text).is_err(), "{text}");
        };
        let nested = |levels: usize| format!("a = {}{}\n", "[".repeat(levels), "]".repeat(levels));
        check(nested(100), false);
        check(nested(101), true);
        check(format!("a = {}", "[ ".repeat(200)), true);
        check(format!("a = {}", "{a=".repeat(200)), false);
        check(format!("{} = 1\n", vec!["a"; 101].join(".")), false);
        check(format!("b = 1\n{} = 1\n", vec!["a"; 102].join(".")), true);
        check(format!("{} = 1\n", vec!["'a'"; 102].join(" . ")), true);
        check(format!("[{}]\n", vec!["a"; 102].join(".")), true);
    }

    #[test]
    fn texts_and_comments_may_say_anything() {
        let check = |text: String| {
            assert_eq!(too_deep(&text), None, "{text}");
            assert!(DeTable::parse(&text).is_ok(), "{text}");
        };
        check(format!(
            "# {}\na = 1 # {}\n",
            "[".repeat(200),
            ".".repeat(200)
        ));
        check(format!(
            "a = \"{}\"\nb = '{}'\n",
            "[".repeat(200),
            ".".repeat(200)
        ));
        check(format!("a = '''\n{}\n'''\n", "[".repeat(200)));
        check(format!("a = [{}]\n", "[1.5, 2.5], ".repeat(200)));
    }

    #[test]
    fn the_place_is_that_of_the_bracket() {
        let text = format!("é = 1\na = {}", "[".repeat(200));
        assert_eq!(too_deep(&text), Some(111..112));
    }
}
