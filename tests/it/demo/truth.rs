//! What the demo's two services really differ in, worked out from the data alone: nothing here asks the services, their catalog or their defects.

use crossfade::route::bucket::bucket;
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// One difference of a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// Generalised path.
    pub(crate) path: String,
    pub(crate) kind: String,
    /// Where it was. Empty for what only the new side has: its order is another one each time.
    pub(crate) at: String,
}

impl Difference {
    pub(crate) fn new(path: &str, kind: &str, at: &str) -> Self {
        let at = if kind == "extra" { "" } else { at };
        Self {
            path: path.to_owned(),
            kind: kind.to_owned(),
            at: at.to_owned(),
        }
    }
}

/// Of each path and kind a report lists this many places, the first ones.
const LISTED: usize = 16;

/// One request, and what the pair that it makes must show.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) route: &'static str,
    pub(crate) target: String,
    pub(crate) differences: Vec<Difference>,
}

impl Expected {
    /// Path and kind of the differences, each once.
    pub(crate) fn kinds(&self) -> BTreeSet<(&str, &str)> {
        self.differences
            .iter()
            .map(|found| (found.path.as_str(), found.kind.as_str()))
            .collect()
    }
}

/// Every content on both content routes, every page of the tags, every page of contents of each tag.
pub(crate) fn everything() -> Vec<Expected> {
    let mut text = String::new();
    let packed = include_bytes!("../../../src/demo/debtags.jsonl.gz").as_slice();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let (mut all, mut contents_of) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let content = row["content"].as_str().unwrap();
        let tags: Vec<&str> = row["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag.as_str().unwrap())
            .collect();
        let differences = of_content(content, &tags);
        for (route, end) in [("content", ""), ("content-tags", "/tags")] {
            let target = format!("/contents/{}{end}", encoded(content));
            all.push(Expected {
                route,
                target,
                differences: differences.clone(),
            });
        }
        for tag in tags {
            contents_of
                .entry(tag.to_owned())
                .or_default()
                .push(content.to_owned());
        }
    }
    let tags: Vec<&String> = contents_of.keys().collect();
    for (page, after) in pages(&tags) {
        // Counts are texts on the new side, in every row of every page.
        let row = |row| Difference::new("$.tags[*].count", "type", &format!("$.tags[{row}].count"));
        let differences = (0..page.len().min(LISTED)).map(row).collect();
        all.push(Expected {
            route: "tags",
            target: format!("/tags{}", query(after)),
            differences,
        });
    }
    for (tag, mut contents) in contents_of {
        contents.sort_unstable();
        for (_, after) in pages(&contents.iter().collect::<Vec<_>>()) {
            let target = format!("/tags/{}/contents{}", encoded(&tag), query(after));
            all.push(Expected {
                route: "tag-contents",
                target,
                differences: Vec::new(),
            });
        }
    }
    all
}

/// The last tag in byte order is left out of one content in a hundred; `role::program`, where it is left, reads `role::application`. The old side shows the tags in byte order.
fn of_content(content: &str, tags: &[&str]) -> Vec<Difference> {
    let mut shown: BTreeSet<&str> = tags.iter().copied().collect();
    if bucket("demo-missing", content) < 100 {
        let last = shown.iter().next_back().copied().unwrap();
        shown.remove(last);
    }
    if shown.remove("role::program") {
        shown.insert("role::application");
    }
    let missing = tags
        .iter()
        .enumerate()
        .filter(|(_, tag)| !shown.contains(*tag));
    let extra = shown.iter().filter(|tag| !tags.contains(tag));
    missing
        .map(|(place, _)| Difference::new("$.tags[*]", "missing", &format!("$.tags[{place}]")))
        .chain(extra.map(|_| Difference::new("$.tags[*]", "extra", "")))
        .collect()
}

/// Pages of a hundred, each with what stands before it: nothing before the first.
fn pages<'a, 's>(
    sorted: &'s [&'a String],
) -> impl Iterator<Item = (&'s [&'a String], Option<&'a str>)> {
    sorted.chunks(100).scan(None, |before, page| {
        let after = before.replace(page[page.len() - 1].as_str());
        Some((page, after))
    })
}

fn query(after: Option<&str>) -> String {
    after.map_or_else(String::new, |after| format!("?after={}", encoded(after)))
}

/// Every byte that is no letter and no digit as `%XX`: right in a path and in a query.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn the_truth_has_the_size_of_the_data() {
    let all = everything();
    let of = |route: &str| all.iter().filter(|e| e.route == route).collect::<Vec<_>>();
    let with = |route: &str, kind: &str| {
        of(route)
            .iter()
            .filter(|e| e.kinds().iter().any(|(_, k)| *k == kind))
            .count()
    };
    assert_eq!([of("content").len(), of("content-tags").len()], [29_792; 2]);
    assert_eq!([of("tags").len(), of("tag-contents").len()], [6, 1_499]);
    assert_eq!(
        [with("tags", "type"), with("tag-contents", "missing")],
        [6, 0]
    );
    // 8,149 contents have role::program; it is left out of a few of them.
    assert!(
        (8_060..8_149).contains(&with("content", "extra")),
        "{}",
        with("content", "extra")
    );
    assert!(
        (8_300..8_500).contains(&with("content", "missing")),
        "{}",
        with("content", "missing")
    );
    let kept = (0..)
        .map(|n| n.to_string())
        .find(|name| bucket("demo-missing", name) >= 100)
        .unwrap();
    let missing = |at| Difference::new("$.tags[*]", "missing", at);
    let extra = Difference::new("$.tags[*]", "extra", "");
    assert_eq!(of_content(&kept, &["a::b"]), []);
    assert_eq!(
        of_content(&kept, &["a::b", "role::program"]),
        [missing("$.tags[1]"), extra.clone()]
    );
    let lost = (0..)
        .map(|n| n.to_string())
        .find(|name| bucket("demo-missing", name) < 100)
        .unwrap();
    assert_eq!(
        of_content(&lost, &["a::b", "role::program"]),
        [missing("$.tags[1]")]
    );
    assert_eq!(
        of_content(&lost, &["role::program", "z"]),
        [missing("$.tags[0]"), missing("$.tags[1]"), extra]
    );
}
