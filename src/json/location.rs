//! Where a walk over a document stands, and how that reads: `$.tags[3].name`, and generalised `$.tags[*].name`.
//!
//! Invariant: a rendered path that was not shortened is a field path again, and selects the place that it was made from.

use crate::json::path::is_shorthand;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One step of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part<'d> {
    /// To an object's member.
    Member(&'d str),
    /// To a member whose name is data: it generalises to `.*`.
    Entry(&'d str),
    /// To an array's element.
    Element(usize),
}

/// A place in a document, as the steps from its root.
#[derive(Clone, Debug, Default)]
pub struct Location<'d> {
    parts: Vec<Part<'d>>,
    shapes: Vec<u64>,
}

/// Names and paths are cut behind so many bytes, so that hostile names can't multiply.
const MAX_NAME: usize = 128;
const MAX_PATH: usize = 1_024;

impl<'d> Location<'d> {
    /// Goes one step down.
    pub fn push(&mut self, part: Part<'d>) {
        // A hasher without random keys: the same location has the same shape everywhere.
        let mut hasher = DefaultHasher::new();
        self.shape().hash(&mut hasher);
        match part {
            Part::Member(name) => name.hash(&mut hasher),
            Part::Entry(_) => 1_u8.hash(&mut hasher),
            Part::Element(_) => 2_u8.hash(&mut hasher),
        }
        self.shapes.push(hasher.finish());
        self.parts.push(part);
    }

    /// Goes one step up.
    pub fn pop(&mut self) {
        self.shapes.pop();
        self.parts.pop();
    }

    /// The steps from the root.
    #[must_use]
    pub fn parts(&self) -> &[Part<'d>] {
        &self.parts
    }

    /// A hash of the generalised path.
    #[must_use]
    pub fn shape(&self) -> u64 {
        self.shapes.last().copied().unwrap_or(0)
    }

    /// The path with every index as `[*]` and every name that is data as `.*`. Names are cut behind 128 bytes, the whole behind 1,024.
    #[must_use]
    pub fn generalised(&self) -> String {
        self.render(|out, part| match part {
            Part::Member(name) => write_name(out, name),
            Part::Entry(_) => out.push_str(".*"),
            Part::Element(_) => out.push_str("[*]"),
        })
    }

    /// The path as it is, cut like the generalised one.
    #[must_use]
    pub fn concrete(&self) -> String {
        self.render(|out, part| match part {
            Part::Member(name) | Part::Entry(name) => write_name(out, name),
            Part::Element(index) => {
                write!(out, "[{index}]").expect("writing to a String never fails")
            }
        })
    }

    fn render(&self, write_part: impl Fn(&mut String, Part<'d>)) -> String {
        let mut out = String::from("$");
        for &part in &self.parts {
            let len = out.len();
            write_part(&mut out, part);
            if out.len() > MAX_PATH {
                out.truncate(len);
                out.push('…');
                break;
            }
        }
        out
    }
}

/// Appends `.name`, or `['a name']` if it is no identifier.
fn write_name(out: &mut String, name: &str) {
    let shown = &name[..name.floor_char_boundary(MAX_NAME)];
    let whole = shown.len() == name.len();
    // Characters that are no letters may break lines or hide others on a terminal: those names are quoted.
    if whole
        && is_shorthand(name)
        && name
            .chars()
            .all(|character| character == '_' || character.is_alphanumeric())
    {
        out.push('.');
        out.push_str(name);
        return;
    }
    out.push_str("['");
    for character in shown.chars() {
        match character {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                write!(out, "\\u{:04x}", u32::from(control))
                    .expect("writing to a String never fails");
            }
            plain => out.push(plain),
        }
    }
    if !whole {
        out.push('…');
    }
    out.push_str("']");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::path::{FieldPath, Step};
    use proptest::prelude::*;

    fn check(parts: &[Part<'_>], generalised: &str, concrete: &str) {
        let mut location = Location::default();
        for part in parts {
            location.push(*part);
        }
        assert_eq!(location.generalised(), generalised);
        assert_eq!(location.concrete(), concrete);
    }

    #[test]
    fn paths_read_as_documented() {
        use Part::{Element, Entry, Member};
        check(&[], "$", "$");
        check(
            &[Member("tags"), Element(3), Member("name")],
            "$.tags[*].name",
            "$.tags[3].name",
        );
        check(&[Member("a b")], "$['a b']", "$['a b']");
        check(&[Member("")], "$['']", "$['']");
        check(&[Member("0")], "$['0']", "$['0']");
        check(&[Member("ünï")], "$.ünï", "$.ünï");
        check(&[Member("it's\\")], r"$['it\'s\\']", r"$['it\'s\\']");
        check(&[Member("\n\u{7}")], r"$['\n\u0007']", r"$['\n\u0007']");
        check(
            &[Member("a\u{202e}b")],
            "$['a\u{202e}b']",
            "$['a\u{202e}b']",
        );
        check(
            &[Member("counts"), Entry("x"), Member("n")],
            "$.counts.*.n",
            "$.counts.x.n",
        );
        check(&[Element(0), Element(12)], "$[*][*]", "$[0][12]");
    }

    #[test]
    fn hostile_names_are_cut() {
        let name = "é".repeat(1_000);
        let mut location = Location::default();
        location.push(Part::Member(&name));
        assert_eq!(location.concrete(), format!("$['{}…']", "é".repeat(64)));
        for _ in 0..100 {
            location.push(Part::Member(&name));
        }
        assert!(location.concrete().len() <= MAX_PATH + 3);
        assert!(location.concrete().ends_with('…'));
    }

    #[test]
    fn shapes_follow_the_generalised_path() {
        let shape = |parts: &[Part<'static>]| {
            let mut location = Location::default();
            parts.iter().for_each(|part| location.push(*part));
            location.shape()
        };
        assert_eq!(shape(&[Part::Element(1)]), shape(&[Part::Element(2)]));
        assert_eq!(shape(&[Part::Entry("a")]), shape(&[Part::Entry("b")]));
        assert_ne!(shape(&[Part::Member("a")]), shape(&[Part::Member("b")]));
        assert_ne!(shape(&[Part::Element(1)]), shape(&[Part::Entry("b")]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_rendered_path_selects_its_place(names in proptest::collection::vec(("\\PC{0,6}|.{0,6}", any::<bool>(), 0..5_usize), 0..6)) {
            let mut location = Location::default();
            for (name, element, index) in &names {
                location.push(if *element { Part::Element(*index) } else { Part::Member(name) });
            }
            for text in [location.generalised(), location.concrete()] {
                let path = FieldPath::parse(&text).unwrap();
                let mut progress = path.start();
                for (name, element, index) in &names {
                    let step = if *element { Step::Index { at: *index, len: 5 } } else { Step::Name(name) };
                    progress = path.advance(progress, step);
                }
                prop_assert!(path.selects(progress), "{text}");
            }
        }
    }
}
