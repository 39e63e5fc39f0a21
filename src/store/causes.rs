//! What the mismatches of each route have in common, and what was said of it. The lab writes and the admin API reads; no worker comes here.

use crate::compare::Divergence;
use crate::compare::cause::{Book, Cause, CauseId, MARKS, Mark, Seen};
use crate::store::mismatch::Mismatch;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Marks of all routes together.
const ALL_MARKS: usize = 8 * 1024;
/// Bytes of a target beyond which an example is known by its row alone.
const TARGET: usize = 2 * 1024;
/// Causes that are acknowledged at a time.
pub const ACKS: usize = 1_000;
/// An acknowledged cause of so many times its pairs is open again.
pub const GROWTH: u64 = 10;

/// An example of a cause: what was asked, as its row shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The row's.
    pub id: u64,
    /// When it was found, RFC 3339.
    pub at: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query; `None` if they are long.
    pub target: Option<String>,
}

/// What somebody said of a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// The cause.
    pub id: String,
    /// In the words of whoever said it.
    pub note: String,
    /// Until when it holds, RFC 3339.
    pub until: String,
    /// When it was said, RFC 3339.
    pub at: String,
    /// Pairs that the cause had then.
    pub pairs: u64,
}

impl Ack {
    /// Whether it holds for a cause with so many pairs.
    #[must_use]
    pub fn holds(&self, pairs: u64, now: Timestamp) -> bool {
        let until = self.until.parse::<Timestamp>();
        until.is_ok_and(|until| now < until) && pairs < self.pairs.max(1).saturating_mul(GROWTH)
    }
}

/// The causes of one route.
#[derive(Debug)]
pub struct RouteCauses {
    /// The route's name.
    pub route: String,
    /// Its mismatches.
    pub mismatches: u64,
    /// How often something differed that no cause is told of, since there were too many.
    pub rest: u64,
    /// Those of most pairs first.
    pub causes: Vec<Cause<Arc<Example>>>,
}

impl RouteCauses {
    /// The causes of a row, the rarest first: nobody needs help to find the others.
    #[must_use]
    pub fn of(&self, marks: &[Mark]) -> Vec<CauseId> {
        let explains =
            |cause: &&Cause<_>| marks.iter().any(|mark| cause.explains(*mark, &self.causes));
        let causes = self.causes.iter().rev().filter(explains);
        causes.map(|cause| cause.id).collect()
    }

    /// The cause that goes by this name.
    #[must_use]
    pub fn named(&self, id: CauseId) -> Option<&Cause<Arc<Example>>> {
        self.causes.iter().find(|cause| cause.is(id))
    }
}

/// All routes' causes.
#[derive(Debug, Default)]
pub struct Causes {
    books: Mutex<BTreeMap<String, Book<Arc<Example>>>>,
    acks: Mutex<Vec<Ack>>,
}

impl Causes {
    /// Without any mismatch, but with what was said before.
    #[must_use]
    pub fn new(acks: Vec<Ack>) -> Self {
        Self {
            books: Mutex::default(),
            acks: Mutex::new(acks),
        }
    }

    /// Counts a mismatch, and names its cause ([`Book::name`]). `row` is what is kept of it; `trials` tells how many pairs of its route were judged.
    pub fn add(
        &self,
        row: &Mismatch,
        (at, key): (Timestamp, Option<&str>),
        divergences: &[Divergence],
        trials: impl FnOnce() -> u64,
    ) -> Option<CauseId> {
        let example = Arc::new(Example {
            id: row.id,
            at: row.at.clone(),
            method: row.method.clone(),
            target: Some(row.target.clone()).filter(|target| target.len() <= TARGET),
        });
        let seen = Seen {
            at: at.as_millisecond(),
            generation: row.generation,
            key,
            divergences,
            example: &example,
        };
        let mut books = lock(&self.books);
        let held: usize = books.values().map(Book::len).sum();
        if !books.contains_key(&row.route) {
            books.insert(row.route.clone(), Book::new(&row.route));
        }
        let book = books.get_mut(&row.route)?;
        let spare = ALL_MARKS.saturating_sub(held);
        let room = (book.len() + spare).min(MARKS);
        book.add(&seen, room);
        book.name(divergences, trials)
    }

    /// The causes of one route or of all. `trials` tells how many pairs of a route were judged.
    #[must_use]
    pub fn list(&self, route: Option<&str>, trials: &dyn Fn(&str) -> u64) -> Vec<RouteCauses> {
        let books = lock(&self.books);
        let wanted = books
            .iter()
            .filter(|(name, _)| route.is_none_or(|route| route == *name));
        wanted
            .map(|(name, book)| RouteCauses {
                route: name.clone(),
                mismatches: book.mismatches(),
                rest: book.rest(),
                causes: book.causes(trials(name)),
            })
            .collect()
    }

    /// Everything that was said.
    #[must_use]
    pub fn acks(&self) -> Vec<Ack> {
        lock(&self.acks).clone()
    }

    /// What was said of a cause.
    #[must_use]
    pub fn ack_of<E>(&self, cause: &Cause<E>) -> Option<Ack> {
        let of_it = |ack: &&Ack| CauseId::parse(&ack.id).is_some_and(|id| cause.is(id));
        lock(&self.acks).iter().find(of_it).cloned()
    }

    /// Keeps what is said of a cause in place of what was said before; the oldest goes where there is too much.
    pub fn acknowledge<E>(&self, cause: &Cause<E>, ack: Ack) {
        let mut acks = lock(&self.acks);
        acks.retain(|other| !CauseId::parse(&other.id).is_some_and(|id| cause.is(id)));
        if acks.len() >= ACKS {
            acks.remove(0);
        }
        acks.push(ack);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::cause::marks;
    use crate::compare::{Rules, compare_documents};
    use crate::config;
    use crate::config::edit::silencing;
    use crate::store::mismatch::tests::row;
    use std::path::Path;

    fn add(causes: &Causes, route: &str, id: u64, old: &str, new: &str) -> Vec<Mark> {
        let found =
            compare_documents(old.as_bytes(), new.as_bytes(), &Rules::default()).divergences;
        let row = Mismatch { id, ..row(route) };
        causes.add(&row, (Timestamp::UNIX_EPOCH, Some("k")), &found, || 1_000);
        marks(&found)
    }

    #[test]
    fn each_route_has_its_own_and_all_have_a_bound() {
        let causes = Causes::default();
        let marks = add(&causes, "a", 7, r#"{"x":"A"}"#, r#"{"x":"a"}"#);
        let other = add(&causes, "b", 8, r#"{"y":"A"}"#, r#"{"y":1}"#);
        let listed = causes.list(None, &|_| 100);
        assert_eq!(
            (listed.len(), &*listed[0].route, listed[0].mismatches),
            (2, "a", 1)
        );
        assert_eq!(listed[0].of(&marks), [listed[0].causes[0].id]);
        assert!(listed[0].of(&other).is_empty());
        assert_eq!(listed[0].causes[0].examples[0].id, 7);
        assert_eq!(causes.list(Some("b"), &|_| 100).len(), 1);
        for route in 0..100 {
            for field in 0..MARKS + 1 {
                add(
                    &causes,
                    &format!("r{route}"),
                    1,
                    &format!("{{\"f{field}\":1}}"),
                    "{}",
                );
            }
        }
        let held: usize = lock(&causes.books).values().map(Book::len).sum();
        assert!((ALL_MARKS..=ALL_MARKS + 100).contains(&held), "{held}");
    }

    #[test]
    fn what_was_said_holds_until_its_end_or_until_the_cause_has_grown() {
        let causes = Causes::default();
        add(&causes, "a", 1, r#"{"x":"A"}"#, r#"{"x":"a"}"#);
        let cause = || causes.list(None, &|_| 1_000).remove(0).causes.remove(0);
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let ack = |note: &str| Ack {
            id: cause().id.to_string(),
            note: note.to_owned(),
            until: "2024-02-01T00:00:00Z".to_owned(),
            at: "2024-01-01T00:00:00Z".to_owned(),
            pairs: 3,
        };
        assert_eq!(causes.ack_of(&cause()), None);
        causes.acknowledge(&cause(), ack("one"));
        causes.acknowledge(&cause(), ack("two"));
        let said = causes.ack_of(&cause()).unwrap();
        assert_eq!((causes.acks().len(), &*said.note), (1, "two"));
        for (pairs, now, expected) in [
            (29, "2024-01-31T23:59:59Z", true),
            (30, "2024-01-31T23:59:59Z", false),
            (3, "2024-02-01T00:00:00Z", false),
        ] {
            assert_eq!(said.holds(pairs, time(now)), expected, "{pairs} {now}");
        }
        add(&causes, "b", 1, r#"{"x":"A"}"#, r#"{"x":"a"}"#);
        let other = causes
            .list(Some("b"), &|_| 1_000)
            .remove(0)
            .causes
            .remove(0);
        assert_eq!(causes.ack_of(&other), None);
        for number in 0..ACKS + 5 {
            let id = format!("{number:012x}");
            causes.acknowledge(&other, Ack { id, ..ack("many") });
        }
        assert_eq!(causes.acks().len(), ACKS);
    }

    #[test]
    fn rules_silence_what_they_were_made_for() {
        for (old, new, expected) in [
            (
                r#"{"a":[1,2]}"#,
                r#"{"a":[2,1]}"#,
                r#"compare.unordered = ["$.a"]"#,
            ),
            (r#"{"a":null}"#, "{}", "compare.null_is_absent = true"),
            (
                r#"{"a":1.234}"#,
                r#"{"a":1.23}"#,
                r#"compare.tolerance = { "$.a" = 0.01 }"#,
            ),
            (
                r#"{"a b\"":"x"}"#,
                r#"{"a b\"":1}"#,
                r#"compare.ignore = ["$['a b\"']"]"#,
            ),
            (
                r#"[{"a":1}]"#,
                r#"[{"a":12}]"#,
                r#"compare.ignore = ["$[*].a"]"#,
            ),
            (
                r#"{"a":"x1"}"#,
                r#"{"a":"y2"}"#,
                "compare.shape = [\"$.a\"]",
            ),
        ] {
            let causes = Causes::default();
            add(&causes, "r", 1, old, new);
            let silence = causes.list(None, &|_| 1).remove(0).causes.remove(0).silence;
            let rule = silencing(&silence.unwrap());
            assert_eq!(rule, expected);
            let text = format!(
                "[migration]\nname = \"a\"\n[old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:2\"\n\
                 [[route]]\nname = \"r\"\nmatch = \"GET /\"\n{rule}"
            );
            let loaded = config::load(&text, Path::new("."), &|_| None);
            let settings = loaded
                .settings
                .unwrap_or_else(|| panic!("{:?}", loaded.problems));
            let found =
                compare_documents(old.as_bytes(), new.as_bytes(), &settings.routes[0].compare);
            assert_eq!(found.divergences, [], "{rule}");
        }
        let causes = Causes::default();
        add(&causes, "r", 1, "[]", "{}");
        assert_eq!(causes.list(None, &|_| 1).remove(0).causes[0].silence, None);
    }
}
