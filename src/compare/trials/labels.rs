//! Which paths of a route have a name of their own, where names must stay few: in metrics and in the statistics of noise.
//!
//! Invariant: a name is never taken back, and there are at most [`LABELS`] of them. Paths that the rules name have theirs reserved; the others come
//! first come, first served, and whoever comes later is `other`.

use std::collections::BTreeSet;

/// Names of a route.
pub const LABELS: usize = 50;

/// Bytes of a name.
pub const LENGTH: usize = 200;

/// The name of all paths that have none.
pub const OTHER: &str = "other";

/// The names of one route.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    given: BTreeSet<Box<str>>,
    /// Named by the rules, not seen yet.
    reserved: BTreeSet<Box<str>>,
}

impl Labels {
    /// Names with room for those that the rules know.
    #[must_use]
    pub fn new<'a>(named: impl IntoIterator<Item = &'a str>) -> Self {
        let mut labels = Self::default();
        labels.reserve(named);
        labels
    }

    /// Keeps room for those that the rules know by now, as far as there is any. Names that were given stay.
    pub fn reserve<'a>(&mut self, named: impl IntoIterator<Item = &'a str>) {
        let is_new = |name: &&str| name.len() <= LENGTH && !self.given.contains(*name);
        let named = named.into_iter().filter(is_new);
        let room = LABELS - self.given.len();
        self.reserved = named.take(room).map(Into::into).collect();
    }

    /// Whether a path has a name; it gets one if there is one left.
    pub fn has(&mut self, path: &str) -> bool {
        if self.given.contains(path) {
            return true;
        }
        let room = self.given.len() + self.reserved.len() < LABELS && path.len() <= LENGTH;
        if !self.reserved.remove(path) && !room {
            return false;
        }
        self.given.insert(path.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fifty_have_names_and_keep_them() {
        let mut labels = Labels::new(["$.rule"]);
        let paths: Vec<String> = (0..60).map(|n| format!("$.f{n}")).collect();
        let given: Vec<bool> = paths.iter().map(|path| labels.has(path)).collect();
        assert!(given[..49].iter().all(|&given| given));
        assert!(
            given[49..].iter().all(|&given| !given),
            "one name is reserved"
        );
        assert!(
            labels.has("$.rule"),
            "what the rules name comes first, however late it comes"
        );
        assert!(labels.has("$.rule") && labels.has("$.f0") && !labels.has("$.f59"));
        assert!(!Labels::default().has(&"x".repeat(LENGTH + 1)));
    }

    #[test]
    fn other_rules_reserve_what_is_left() {
        let mut labels = Labels::new(["$.before"]);
        let paths: Vec<String> = (0..LABELS).map(|n| format!("$.f{n}")).collect();
        assert!(paths[..LABELS - 2].iter().all(|path| labels.has(path)));
        labels.reserve(["$.f0", "$.now", "$.later"]);
        assert!(!labels.has("$.before") && !labels.has(&paths[LABELS - 2]));
        assert!(labels.has("$.later") && labels.has("$.now") && labels.has("$.f0"));
        labels.reserve(["$.none"]);
        assert!(!labels.has("$.none"));
    }

    #[test]
    fn rules_with_many_paths_reserve_no_more_than_there_is() {
        let paths: Vec<String> = (0..99).map(|n| format!("$.f{n}")).collect();
        let mut labels = Labels::new(paths.iter().map(String::as_str));
        assert_eq!(paths.iter().filter(|path| labels.has(path)).count(), LABELS);
    }
}
