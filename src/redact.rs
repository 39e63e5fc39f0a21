//! What may be written where people read: which names have secret values, and texts that nobody can make look like two. Pure.
//!
//! Invariant: whatever writes what came from outside (a log, a sample, an explanation) asks here, so that there is one list.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt::{self, Write};

/// Stands for a value that is not shown.
pub const HIDDEN: &str = "$redacted";

/// Whether what a field, a parameter, a cookie or a member of this name says is a secret: the name has `authorization`, `cookie`, `token`, `secret` or
/// `password` in it, in upper case or lower.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 5] = ["authorization", "cookie", "token", "secret", "password"];
    PARTS.iter().any(|part| {
        name.as_bytes()
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
    })
}

/// A query in which the values of secret parameters read as `hide` says. Names count as they are meant, decoded.
#[must_use]
pub fn query<'q>(query: &'q str, hide: &dyn Fn(&str) -> String) -> Cow<'q, str> {
    let is_hidden = |part: &str| {
        let name = part.split_once('=').map_or(part, |(name, _)| name);
        let name: Vec<u8> = percent_decode_str(name).collect();
        is_secret(&String::from_utf8_lossy(&name))
    };
    if !query.split('&').any(is_hidden) {
        return Cow::Borrowed(query);
    }
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, value)) if is_hidden(part) => format!("{name}={}", hide(value)),
        Some(_) | None => part.to_owned(),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("&"))
}

/// A path and query in which the values of secret parameters are hidden.
#[must_use]
pub fn target(target: &str) -> Cow<'_, str> {
    let Some((path, rest)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    match query(rest, &|_| HIDDEN.to_owned()) {
        Cow::Borrowed(_) => Cow::Borrowed(target),
        Cow::Owned(rest) => Cow::Owned(format!("{path}?{rest}")),
    }
}

/// Whether a character moves a cursor, ends a line, or turns the direction of a text, where it should only be seen.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a text on one line: control characters read as `\n`, `\u{1b}`. A backslash stays what it is.
pub fn write_plain(text: &str, to: &mut dyn Write) -> fmt::Result {
    let mut rest = text;
    while let Some((at, control)) = rest.char_indices().find(|(_, c)| is_control(*c)) {
        to.write_str(&rest[..at])?;
        write!(to, "{}", control.escape_default())?;
        rest = &rest[at + control.len_utf8()..];
    }
    to.write_str(rest)
}

/// Writes a text as a string of JSON, with every control character escaped, not only those that JSON forbids.
pub fn write_json(text: &str, to: &mut dyn Write) -> fmt::Result {
    to.write_char('"')?;
    let mut rest = text;
    let is_special = |c: char| matches!(c, '"' | '\\') || is_control(c);
    while let Some((at, special)) = rest.char_indices().find(|(_, c)| is_special(*c)) {
        to.write_str(&rest[..at])?;
        match special {
            '"' | '\\' => write!(to, "\\{special}")?,
            '\n' => to.write_str("\\n")?,
            '\r' => to.write_str("\\r")?,
            '\t' => to.write_str("\\t")?,
            // Every one of them is in the first plane.
            control => write!(to, "\\u{:04x}", u32::from(control))?,
        }
        rest = &rest[at + special.len_utf8()..];
    }
    to.write_str(rest)?;
    to.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "cookie",
            "Set-Cookie",
            "token",
            "access_token",
            "X-CSRF-TOKEN",
            "client_secret",
            "secrets",
            "password",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["", "tok", "author", "x-request-id", "tags", "cook ie"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn queries_lose_the_values_of_secrets_alone() {
        let check = |text: &str, expected: &str| assert_eq!(target(text), expected, "{text}");
        check("/a", "/a");
        check("/a?", "/a?");
        check("/token?a=1&b=%20", "/token?a=1&b=%20");
        check("/a?token=x&b=1", "/a?token=$redacted&b=1");
        check("/a?b=1&to%6ben=x=y&c", "/a?b=1&to%6ben=$redacted&c");
        check("/a?Client_Secret=", "/a?Client_Secret=$redacted");
        check("/a?token", "/a?token");
    }

    fn plain(text: &str) -> String {
        let mut plain = String::new();
        write_plain(text, &mut plain).unwrap();
        plain
    }

    fn json(text: &str) -> String {
        let mut json = String::new();
        write_json(text, &mut json).unwrap();
        json
    }

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(
            plain("a\nb\r\u{1b}[31m é\\n\u{7f}"),
            "a\\nb\\r\\u{1b}[31m é\\n\\u{7f}"
        );
        assert_eq!(
            json("a\"\\\n\u{85}\u{202e}é"),
            "\"a\\\"\\\\\\n\\u0085\\u202eé\""
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn whatever_is_written_has_no_control_character(text in any::<String>()) {
            for written in [plain(&text), json(&text)] {
                prop_assert!(!written.chars().any(is_control), "{written:?}");
            }
            let read: String = serde_json::from_str(&json(&text)).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn a_planted_secret_is_nowhere(
            before in "([a-z]{1,8}=[a-z]{0,8}&){0,3}",
            name in "[a-z_]{0,6}(token|Secret|AUTHORIZATION|cookie)[a-z_]{0,6}",
            after in "(&[a-z]{1,8}=[a-z]{0,8}){0,3}",
        ) {
            let shown = target(&format!("/a?{before}{name}=PLANTED{after}")).into_owned();
            prop_assert!(!shown.contains("PLANTED"), "{shown}");
            prop_assert!(shown.starts_with(&format!("/a?{before}")) && shown.ends_with(&after), "{shown}");
        }
    }
}
