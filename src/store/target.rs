//! A request's target without what may be private in it. Pure: the hash comes in as an argument.

use percent_encoding::percent_decode_str;

/// Marks a part that is hidden; its hash follows.
const MARK: &str = "$redacted:";

/// Replaces every query value, and every path segment that `pattern` gives a name in `hidden`, by `$redacted:HASH`. Hashed is what the
/// request means, decoded once: the same value has the same hash in a path, a query and a body.
///
/// `pattern` is `METHODS TEMPLATE`; `{name*}` stands for the rest of the path, which gets one hash. A query part without `=` is hidden
/// whole, for nobody can tell whether it is a name or a value.
pub(super) fn redact(
    target: &str,
    pattern: &str,
    hidden: &[String],
    hash: &dyn Fn(&[u8]) -> String,
) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut text = redact_path(path, pattern, hidden, hash);
    if let Some(query) = query {
        let parts: Vec<_> = query
            .split('&')
            .map(|part| redact_part(part, hash))
            .collect();
        text.push('?');
        text.push_str(&parts.join("&"));
    }
    text
}

fn redact_path(
    path: &str,
    pattern: &str,
    hidden: &[String],
    hash: &dyn Fn(&[u8]) -> String,
) -> String {
    if hidden.is_empty() {
        return path.to_owned();
    }
    let template = pattern.find('/').map_or("", |at| &pattern[at..]);
    let is_hidden = |name: &str| hidden.iter().any(|secret| secret == name);
    let mut text = Vec::new();
    let mut segments = path.split('/');
    for part in template.split('/') {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        let name = name.unwrap_or_default();
        let Some(segment) = segments.next() else {
            return mark(path, hash);
        };
        match name.strip_suffix('*') {
            Some(name) => {
                let rest: Vec<_> = std::iter::once(segment).chain(segments.by_ref()).collect();
                let rest = rest.join("/");
                text.push(if is_hidden(name) {
                    mark(&rest, hash)
                } else {
                    rest
                });
            }
            None if is_hidden(name) => text.push(mark(segment, hash)),
            None => text.push(segment.to_owned()),
        }
    }
    // A path that is not of this pattern: nobody can tell where in it the key is.
    match segments.next() {
        None => text.join("/"),
        Some(_) => mark(path, hash),
    }
}

/// The hash of a segment, or of several.
fn mark(segment: &str, hash: &dyn Fn(&[u8]) -> String) -> String {
    let decoded: Vec<u8> = percent_decode_str(segment).collect();
    format!("{MARK}{}", hash(&decoded))
}

/// What stands for a query value.
pub(super) fn hidden(value: &str, hash: &dyn Fn(&[u8]) -> String) -> String {
    format!("{MARK}{}", hash(&form_decoded(value)))
}

fn redact_part(part: &str, hash: &dyn Fn(&[u8]) -> String) -> String {
    match part.split_once('=') {
        Some((_, "")) => part.to_owned(),
        Some((name, value)) => format!("{name}={}", hidden(value, hash)),
        None if part.is_empty() => String::new(),
        None => hidden(part, hash),
    }
}

/// A query value as forms write it: `+` is a space.
fn form_decoded(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(target: &str, pattern: &str, hidden: &[&str], expected: &str) {
        let hidden: Vec<String> = hidden.iter().map(|name| (*name).to_owned()).collect();
        let hash = |value: &[u8]| format!("<{}>", String::from_utf8_lossy(value));
        assert_eq!(
            redact(target, pattern, &hidden, &hash),
            expected,
            "{target}"
        );
    }

    #[test]
    fn key_segments_and_query_values_are_hidden() {
        let tags = "GET /contents/{content}/tags";
        check(
            "/contents/0ad/tags",
            tags,
            &["content"],
            "/contents/$redacted:<0ad>/tags",
        );
        check("/contents/0ad/tags", tags, &[], "/contents/0ad/tags");
        check(
            "/contents/a%20b/tags",
            tags,
            &["content"],
            "/contents/$redacted:<a b>/tags",
        );
        check(
            "/contents/a+b/tags",
            tags,
            &["content"],
            "/contents/$redacted:<a+b>/tags",
        );
        check(
            "/a/b",
            "GET,POST /{one}/{two}",
            &["two"],
            "/a/$redacted:<b>",
        );
        check(
            "/a/b/",
            "* /{one}/{two}/",
            &["one", "two"],
            "/$redacted:<a>/$redacted:<b>/",
        );
        check(
            "/files/a/b%2Fc",
            "* /files/{path*}",
            &["path"],
            "/files/$redacted:<a/b/c>",
        );
        check("/files/a/b", "* /files/{path*}", &["other"], "/files/a/b");
        check("/", "GET /", &["path"], "/");
        for strange in [
            "/contents/0ad",
            "/x/contents/0ad/tags",
            "http://a/contents/0ad/tags",
            "*",
        ] {
            check(
                strange,
                tags,
                &["content"],
                &format!("$redacted:<{strange}>"),
            );
        }
    }

    #[test]
    fn queries() {
        let tags = "GET /tags";
        check(
            "/tags?after=x&limit=10",
            tags,
            &[],
            "/tags?after=$redacted:<x>&limit=$redacted:<10>",
        );
        check("/tags?q=a+b%26c", tags, &[], "/tags?q=$redacted:<a b&c>");
        check("/tags?token", tags, &[], "/tags?$redacted:<token>");
        check("/tags?a=&&b=1=2", tags, &[], "/tags?a=&&b=$redacted:<1=2>");
        check("/tags?", tags, &[], "/tags?");
        check("/tags?a=1?b=2", tags, &[], "/tags?a=$redacted:<1?b=2>");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn no_hidden_value_is_left(path in "[A-Z]{8}", value in "[A-Z0-9%+]{8}", more in "[A-Z]{8}", open in "[a-z]{1,5}") {
            let hidden = ["id".to_owned()];
            let target = format!("/{open}/{path}/{open}?{open}={value}&{more}");
            let text = redact(&target, "GET /{shown}/{id}/x", &hidden, &|_| "0".to_owned());
            prop_assert_eq!(text, format!("/{open}/$redacted:0/{open}?{open}=$redacted:0&$redacted:0"));
        }

        #[test]
        fn no_target_and_no_pattern_panics(target in ".{0,40}", pattern in "[ -~]{0,20}") {
            let _ = redact(&target, &pattern, &["a".to_owned()], &|_| String::new());
        }
    }
}
