//! The demo's data: Debian packages with their real tags, embedded and decoded when a backend starts.
//!
//! What the services do with the data is not in here.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::io::{BufRead, BufReader};

/// One line of the data, and the body of `POST /contents`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The content's name: the key of everything.
    pub content: String,
    /// What it is, in one line.
    pub title: String,
    /// Where the distribution files it.
    pub section: String,
    /// Its tags, `facet::tag`.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Every entry, sorted bytewise by content.
#[must_use]
pub fn entries() -> Vec<Entry> {
    static PACKED: &[u8] = include_bytes!("debtags.jsonl.gz");
    BufReader::new(GzDecoder::new(PACKED))
        .lines()
        .map(|line| {
            let line = line.expect("the embedded data is sound gzip: a test decodes all of it");
            serde_json::from_str(&line)
                .expect("every embedded line is an entry: a test decodes them all")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_data_is_whole_sorted_and_without_duplicates() {
        let entries = entries();
        assert_eq!(entries.len(), 29_792);
        assert!(entries.is_sorted_by(|a, b| a.content < b.content));
        let tags: BTreeSet<&str> = entries
            .iter()
            .flat_map(|e| &e.tags)
            .map(String::as_str)
            .collect();
        assert_eq!(tags.len(), 597);
        for entry in &entries {
            assert!(entry.tags.is_sorted_by(|a, b| a < b), "{}", entry.content);
            assert!(!entry.tags.is_empty(), "{}", entry.content);
        }
        assert!(
            !tags.contains("role::application"),
            "the new side's wrong tag must not be a true one"
        );
    }
}
