//! The truth behind both demo services: contents by name, and an index from each tag to its contents.
//!
//! Invariant: a content is in the index of a tag exactly if the tag is one of the content's, and no tag is there without contents. The new side's defects are made when an answer is rendered
//! (`defects.rs`), never in here.

use crate::demo::data::Entry;
use crate::demo::page::{Page, Rest};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Contents and tags, both sorted bytewise.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    contents: BTreeMap<Arc<str>, Content>,
    tags: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// What is known of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is, in one line.
    pub title: String,
    /// Where the distribution files it.
    pub section: String,
    /// Its tags.
    pub tags: BTreeSet<Arc<str>>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<'a, T> {
    /// Name and what else is shown of it, in order of the names.
    pub items: Vec<(&'a str, T)>,
    /// What to give as `after` for the following page; `None` on the last one.
    pub next: Option<&'a str>,
}

/// A change or a question about something that is not there, or is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No such content.
    #[error("there is no such content")]
    NoContent,
    /// No content has the tag.
    #[error("there is no such tag")]
    NoTag,
    /// The content does not have the tag.
    #[error("the content does not have this tag")]
    NotTagged,
    /// The content is there already.
    #[error("there is a content of this name already")]
    Exists,
}

impl Catalog {
    /// A catalog of entries; each gets an `updated_at` that depends on its place alone, so that two catalogs of the same entries agree.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let first = Timestamp::constant(1_704_067_200, 0); // 2024-01-01T00:00:00Z
        let mut catalog = Self::default();
        for (place, entry) in (0..).zip(entries) {
            catalog.insert(entry, first + SignedDuration::from_mins(place));
        }
        catalog
    }

    /// How many contents and how many tags there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.contents.len(), self.tags.len())
    }

    /// The names of all contents, sorted bytewise.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.contents.keys().cloned().collect()
    }

    /// A content by name.
    pub fn content(&self, name: &str) -> Result<&Content, CatalogError> {
        self.contents.get(name).ok_or(CatalogError::NoContent)
    }

    /// A page of the tags, each with the number of its contents.
    #[must_use]
    pub fn tags(&self, page: &Page) -> Listing<'_, usize> {
        let following = self.tags.range::<str, _>(range(page));
        listing(page.cut(following.map(|(tag, contents)| (tag.as_ref(), contents.len()))))
    }

    /// A page of a tag's contents, each with its title.
    pub fn tag_contents(&self, tag: &str, page: &Page) -> Result<Listing<'_, &str>, CatalogError> {
        let named = self.tags.get(tag).ok_or(CatalogError::NoTag)?;
        let following = named.range::<str, _>(range(page)).map(|name| {
            let content = self
                .contents
                .get(name)
                .expect("the index of a tag names contents that are there");
            (name.as_ref(), content.title.as_str())
        });
        Ok(listing(page.cut(following)))
    }

    /// Adds a content.
    pub fn add(&mut self, entry: Entry, now: Timestamp) -> Result<(), CatalogError> {
        if self.contents.contains_key(entry.content.as_str()) {
            return Err(CatalogError::Exists);
        }
        self.insert(entry, now);
        Ok(())
    }

    /// Gives a content a tag; one that it has already changes nothing.
    pub fn put_tag(
        &mut self,
        content: &str,
        tag: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let (name, _) = self
            .contents
            .get_key_value(content)
            .ok_or(CatalogError::NoContent)?;
        let (name, tag) = (name.clone(), self.shared_tag(tag));
        let entry = self
            .contents
            .get_mut(&name)
            .ok_or(CatalogError::NoContent)?;
        if entry.tags.insert(tag.clone()) {
            entry.updated_at = now;
            self.tags.entry(tag).or_default().insert(name);
        }
        Ok(())
    }

    /// Takes a tag from a content.
    pub fn delete_tag(
        &mut self,
        content: &str,
        tag: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let entry = self
            .contents
            .get_mut(content)
            .ok_or(CatalogError::NoContent)?;
        if !entry.tags.remove(tag) {
            return Err(CatalogError::NotTagged);
        }
        entry.updated_at = now;
        if let Some(named) = self.tags.get_mut(tag) {
            named.remove(content);
            if named.is_empty() {
                self.tags.remove(tag);
            }
        }
        Ok(())
    }

    fn insert(&mut self, entry: Entry, updated_at: Timestamp) {
        let name: Arc<str> = entry.content.into();
        let tags: BTreeSet<Arc<str>> = entry.tags.iter().map(|tag| self.shared_tag(tag)).collect();
        for tag in &tags {
            self.tags
                .entry(tag.clone())
                .or_default()
                .insert(name.clone());
        }
        self.contents.insert(
            name,
            Content {
                title: entry.title,
                section: entry.section,
                tags,
                updated_at,
            },
        );
    }

    /// The tag's text as the index holds it: 597 texts instead of 130,000.
    fn shared_tag(&self, tag: &str) -> Arc<str> {
        self.tags
            .get_key_value(tag)
            .map_or_else(|| tag.into(), |(shared, _)| shared.clone())
    }
}

fn range(page: &Page) -> (Bound<&str>, Bound<&str>) {
    (
        page.after
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

fn listing<T>((items, rest): (Vec<(&str, T)>, Rest)) -> Listing<'_, T> {
    let next = match rest {
        Rest::More => items.last().map(|(name, _)| *name),
        Rest::Nothing => None,
    };
    Listing { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::data;

    fn small() -> Catalog {
        let entry = |content: &str, tags: &[&str]| Entry {
            content: content.to_owned(),
            title: format!("about {content}"),
            section: "test".to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        };
        Catalog::new([
            entry("a", &["x::1", "x::2"]),
            entry("a+", &["x::1"]),
            entry("b", &["x::2", "y::1"]),
        ])
    }

    fn page(after: Option<&str>, limit: usize) -> Page {
        Page {
            after: after.map(str::to_owned),
            limit,
        }
    }

    fn tags(catalog: &Catalog) -> Vec<(String, usize)> {
        catalog
            .tags(&page(None, 1000))
            .items
            .into_iter()
            .map(|(tag, count)| (tag.to_string(), count))
            .collect()
    }

    #[test]
    fn pages_of_tags() {
        let catalog = small();
        for (after, limit, expected, next) in [
            (None, 100, vec![("x::1", 2), ("x::2", 2), ("y::1", 1)], None),
            (None, 2, vec![("x::1", 2), ("x::2", 2)], Some("x::2")),
            (Some("x::2"), 2, vec![("y::1", 1)], None),
            (Some("x::1a"), 1, vec![("x::2", 2)], Some("x::2")),
            (Some("z"), 5, vec![], None),
        ] {
            let got = catalog.tags(&page(after, limit));
            assert_eq!((got.items, got.next), (expected, next), "{after:?} {limit}");
        }
    }

    #[test]
    fn pages_of_contents() {
        let catalog = small();
        let got = catalog.tag_contents("x::1", &page(None, 1)).unwrap();
        assert_eq!(
            got,
            Listing {
                items: vec![("a", "about a")],
                next: Some("a")
            }
        );
        let got = catalog.tag_contents("x::1", &page(Some("a"), 1)).unwrap();
        assert_eq!(
            got,
            Listing {
                items: vec![("a+", "about a+")],
                next: None
            }
        );
        assert_eq!(
            catalog.tag_contents("nothing", &page(None, 1)),
            Err(CatalogError::NoTag)
        );
    }

    #[test]
    fn writes_change_contents_and_index_together() {
        let now: Timestamp = "2030-01-02T03:04:05Z".parse().unwrap();
        let mut catalog = small();
        let before = catalog.content("a").unwrap().updated_at;
        assert_eq!(catalog.put_tag("a", "x::1", now), Ok(()));
        assert_eq!(
            catalog.content("a").unwrap().updated_at,
            before,
            "nothing changed"
        );
        assert_eq!(catalog.put_tag("a", "z::new", now), Ok(()));
        assert_eq!(catalog.content("a").unwrap().updated_at, now);
        assert_eq!(catalog.delete_tag("b", "y::1", now), Ok(()));
        assert_eq!(catalog.content("b").unwrap().updated_at, now);
        let expected =
            [("x::1", 2), ("x::2", 2), ("z::new", 1)].map(|(tag, count)| (tag.to_owned(), count));
        assert_eq!(tags(&catalog), expected, "a tag without contents is gone");
        assert_eq!(
            catalog.delete_tag("b", "y::1", now),
            Err(CatalogError::NotTagged)
        );
        assert_eq!(
            catalog.delete_tag("none", "y::1", now),
            Err(CatalogError::NoContent)
        );
        assert_eq!(
            catalog.put_tag("none", "y::1", now),
            Err(CatalogError::NoContent)
        );

        let entry = Entry {
            content: "c".to_owned(),
            title: String::new(),
            section: String::new(),
            tags: vec!["x::1".to_owned(), "x::1".to_owned()],
        };
        assert_eq!(catalog.add(entry.clone(), now), Ok(()));
        assert_eq!(catalog.add(entry, now), Err(CatalogError::Exists));
        assert_eq!(
            tags(&catalog)[0],
            ("x::1".to_owned(), 3),
            "a tag given twice counts once"
        );
    }

    #[test]
    fn following_next_shows_everything_once() {
        let entries = data::entries();
        let catalog = Catalog::new(entries.clone());
        assert_eq!(catalog.counts(), (29_792, 597));
        let mut true_contents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in &entries {
            for tag in &entry.tags {
                true_contents.entry(tag).or_default().push(&entry.content);
            }
        }
        for (tag, contents) in true_contents {
            let (mut seen, mut asked) = (Vec::new(), page(None, 100));
            loop {
                let got = catalog.tag_contents(tag, &asked).unwrap();
                seen.extend(got.items.into_iter().map(|(name, _)| name));
                let Some(next) = got.next else { break };
                asked.after = Some(next.to_owned());
            }
            assert_eq!(seen, contents, "{tag}");
        }
    }
}
