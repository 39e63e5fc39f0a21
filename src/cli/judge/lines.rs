//! Recorded pairs: one JSON object a line, read one after the other, so that a file may be as long as it likes.
//!
//! The documents stay the text that they are: what a reader of values would round, drop or put in order is what has to be compared.

use crate::cli::judge::answered::Answered;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::time::Duration;

/// Bytes of a line; a longer one is refused, and skipped without being held.
const LONGEST: u64 = 64 << 20;

/// A pair that somebody recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded<'l> {
    /// The route's name.
    pub(super) route: Cow<'l, str>,
    /// The request's key.
    pub(super) key: Option<Cow<'l, str>>,
    /// When it was, in milliseconds since 1970.
    pub(super) at: Option<i64>,
    /// What old answered.
    pub(super) old: Answered<'l>,
    /// What new answered.
    pub(super) new: Answered<'l>,
    /// What old answered when it alone was asked again.
    pub(super) own: Option<Answered<'l>>,
    /// What both answered when they were asked again; old's first.
    pub(super) again: Option<[Answered<'l>; 2]>,
    /// How long before the request its key was written.
    pub(super) written: Option<Duration>,
    /// A name on the line that nobody reads.
    pub(super) unread: Option<String>,
}

/// Lines of a file, with their numbers.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    number: u64,
    line: Vec<u8>,
}

/// A line that is no pair.
#[derive(Debug, thiserror::Error)]
#[error("line {number}: {what}")]
pub(super) struct BadLine {
    /// Counts from 1.
    pub(super) number: u64,
    what: String,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            number: 0,
            line: Vec::new(),
        }
    }

    /// Gives the next line that is not blank to whoever reads it; `None` at the end.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(Recorded<'_>) -> T,
    ) -> io::Result<Option<Result<T, BadLine>>> {
        loop {
            self.line.clear();
            let mut part = Read::take(&mut self.from, LONGEST);
            if part.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let whole = self.line.ends_with(b"\n") || (self.line.len() as u64) < LONGEST;
            if !whole {
                self.skip()?;
                return Ok(Some(Err(self.bad("it has more than 64 MiB"))));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some(match parse(&self.line) {
            Ok(recorded) => Ok(read(recorded)),
            Err(what) => Err(self.bad(what)),
        }))
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn skip(&mut self) -> io::Result<()> {
        self.line = Vec::new();
        loop {
            let part = self.from.fill_buf()?;
            let end = part.iter().position(|byte| *byte == b'\n');
            let read = end.map_or(part.len(), |at| at + 1);
            let done = end.is_some() || read == 0;
            self.from.consume(read);
            if done {
                return Ok(());
            }
        }
    }

    fn bad(&self, what: impl Into<String>) -> BadLine {
        BadLine {
            number: self.number,
            what: what.into(),
        }
    }
}

fn parse(line: &[u8]) -> Result<Recorded<'_>, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("it is no UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    // serde_json says at which line it was, of the one that there is.
    serde_json::from_str(text).map_err(|error| {
        let (what, place) = (error.to_string(), format!(" at line {} ", error.line()));
        match what.rsplit_once(&place) {
            Some((what, column)) => format!("{what} at {column}"),
            None => what,
        }
    })
}

impl<'de> Deserialize<'de> for Recorded<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pair)
    }
}

/// Reads a line's object.
struct Pair;

impl<'de> Visitor<'de> for Pair {
    type Value = Recorded<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with route, old and new")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        const NAMES: [&str; 14] = [
            "route",
            "key",
            "at",
            "written",
            "old",
            "new",
            "own",
            "old2",
            "new2",
            "old_head",
            "new_head",
            "own_head",
            "old2_head",
            "new2_head",
        ];
        let mut values: [Option<&RawValue>; NAMES.len()] = [None; NAMES.len()];
        let mut unread = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match NAMES.iter().position(|known| *known == name) {
                Some(place) if values[place].is_some() => {
                    return Err(de::Error::duplicate_field(NAMES[place]));
                }
                Some(place) => values[place] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                    unread = Some(name.into_owned());
                }
            }
        }
        let given = |value: Option<&'de RawValue>| value.filter(|value| value.get() != "null");
        let [route, key, at, written, documents @ ..] = values;
        let [old, new, own, old2, new2, heads @ ..] = documents;
        let [old_head, new_head, own_head, old2_head, new2_head] = heads.map(given);
        let answered = |body: &'de RawValue, head| Answered::read(body.get(), head);
        let second = |body, head| given(body).map(|body| answered(body, head)).transpose();
        let again = match (second(old2, old2_head)?, second(new2, new2_head)?) {
            (Some(old), Some(new)) => Some([old, new]),
            (None, None) => None,
            (Some(_), None) => return Err(de::Error::missing_field("new2")),
            (None, Some(_)) => return Err(de::Error::missing_field("old2")),
        };
        let route = route.ok_or_else(|| de::Error::missing_field("route"))?;
        let route: Cow<'de, str> = serde_json::from_str(route.get())
            .map_err(|_| de::Error::custom("`route` is no text"))?;
        Ok(Recorded {
            route,
            key: given(key).map(text_of).transpose()?,
            at: given(at).map(|at| moment(at.get())).transpose()?,
            old: answered(
                old.ok_or_else(|| de::Error::missing_field("old"))?,
                old_head,
            )?,
            new: answered(
                new.ok_or_else(|| de::Error::missing_field("new"))?,
                new_head,
            )?,
            own: second(own, own_head)?,
            again,
            written: given(written).map(age).transpose()?,
            unread,
        })
    }
}

/// A key: a text, or a number as it is written.
fn text_of<'de, E: de::Error>(value: &'de RawValue) -> Result<Cow<'de, str>, E> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).map_err(E::custom),
        Some(b'-' | b'0'..=b'9') => Ok(Cow::Borrowed(value.get())),
        Some(_) | None => Err(E::custom("`key` is neither a text nor a number")),
    }
}

/// A time: RFC 3339, or seconds since 1970.
fn moment<E: de::Error>(text: &str) -> Result<i64, E> {
    let wrong = || E::custom("`at` is neither RFC 3339 nor seconds since 1970");
    if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(text) {
        let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        return Ok(at.as_millisecond());
    }
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    let at = jiff::Timestamp::from_millisecond((seconds * 1_000.0) as i64);
    at.map(|at| at.as_millisecond()).map_err(|_| wrong())
}

/// Seconds.
fn age<E: de::Error>(value: &RawValue) -> Result<Duration, E> {
    let wrong = || E::custom("`written` is no number of seconds");
    let seconds: f64 = value.get().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answered: &Answered<'_>) -> String {
        String::from_utf8(answered.body.clone().unwrap().into_owned()).unwrap()
    }

    /// What is made of each line: the pair's documents, or what is wrong.
    fn read(text: &[u8]) -> Vec<Result<String, String>> {
        let mut lines = Lines::new(text);
        let mut read = Vec::new();
        while let Some(line) = lines
            .next(|pair| {
                let own = pair.own.as_ref().map(said);
                let again = pair.again.as_ref().map(|again| again.each_ref().map(said));
                format!(
                    "{} {:?} {:?} {} {} {own:?} {again:?} {:?}",
                    pair.route,
                    pair.key,
                    pair.at,
                    said(&pair.old),
                    said(&pair.new),
                    pair.written
                )
            })
            .unwrap()
        {
            read.push(line.map_err(|bad| bad.to_string()));
        }
        read
    }

    #[track_caller]
    fn good(line: &str, expected: &str) {
        assert_eq!(read(line.as_bytes()), [Ok(expected.to_owned())], "{line}");
    }

    #[track_caller]
    fn bad(line: &[u8], expected: &str) {
        let found = read(line);
        let [Err(what)] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(what.contains(expected), "{what}");
    }

    #[test]
    fn documents_stay_the_text_that_they_are() {
        good(
            r#"{"route": "a", "key": "k", "at": 1.5, "old": {"n": 1e400, "n": 2.0}, "new": [9007199254740993]}"#,
            r#"a Some("k") Some(1500) {"n": 1e400, "n": 2.0} [9007199254740993] None None None"#,
        );
        good(
            r#"{"new2": 2, "old2": 1, "new": null, "old": "x", "at": "1970-01-01T00:00:02Z", "route": "\u0061", "key": 7.0}"#,
            r#"a Some("7.0") Some(2000) "x" null None Some(["1", "2"]) None"#,
        );
        good(
            r#"{"route": "a", "old": 1, "new": 1, "key": null, "old2": null, "new2": null, "more": {}}"#,
            "a None None 1 1 None None None",
        );
        good(
            r#"{"route": "a", "old": 1, "new": 1, "own": 2, "written": 1.5}"#,
            "a None None 1 1 Some(\"2\") None Some(1.5s)",
        );
    }

    #[test]
    fn a_line_that_is_no_pair_is_told_by_its_number() {
        let text =
            b"\n{\"route\": \"a\", \"old\": 1, \"new\": 2}\n \n{\"route\": \"a\"}\nnothing\n";
        let lines = read(text);
        assert!(lines[0].is_ok());
        let told: Vec<&str> = lines[1..]
            .iter()
            .map(|line| &**line.as_ref().unwrap_err())
            .collect();
        assert!(
            told[0].starts_with("line 4: missing field `old`"),
            "{told:?}"
        );
        assert!(told[1].starts_with("line 5: "), "{told:?}");
        assert_eq!(told.len(), 2);
        bad(
            b"{\"route\": 1, \"old\": 1, \"new\": 1}",
            "`route` is no text",
        );
        bad(b"{\"old\": 1, \"new\": 1}", "missing field `route`");
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"old\": 1, \"new\": 1}",
            "duplicate field `old`",
        );
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"new\": 1, \"old2\": 1}",
            "missing field `new2`",
        );
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"new\": 1, \"written\": -1}",
            "`written` is no",
        );
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"new\": 1, \"old_head\": {\"body\": \"text\"}}",
            "the body is no text",
        );
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"new\": 1, \"at\": \"noon\"}",
            "`at` is neither",
        );
        bad(
            b"{\"route\": \"a\", \"old\": 1, \"new\": 1, \"key\": []}",
            "`key` is neither",
        );
        bad(b"{\"route\": \"a\", \"old\": 1, \"new\": 1", "EOF");
        bad(b"{\"route\": \"a\", \"old\": 1, \"new\": 1} {}", "trailing");
        bad(b"[]", "expected an object with route, old and new");
        bad(b"{\"route\": \"\xff\", \"old\": 1, \"new\": 1}", "no UTF-8");
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let long = vec![b' '; LONGEST as usize + 10];
        let text = [&long[..], b"\n{\"route\": \"a\", \"old\": 1, \"new\": 2}"].concat();
        let lines = read(&text);
        assert_eq!(lines[0], Err("line 1: it has more than 64 MiB".to_owned()));
        assert!(lines[1].is_ok() && lines.len() == 2);
    }
}
