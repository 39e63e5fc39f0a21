//! The floors of the house: which room may import which, what a pure room may touch, and how long a file may be.
//!
//! The check reads the sources as text, so it is exact only about what it looks for: paths that begin with `crate::`, `super::`, `self::`,
//! a child module or a crate's name, in `use` lines and inline. Paths made inside macros of our own are not seen.

mod planted;
mod source;

use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms from the bottom floor up. A room imports from lower floors only. Rooms of later versions have their places already.
const FLOORS: [&[&str]; 13] = [
    &["side", "redact", "json", "template"],
    &["route", "compare", "adapt", "agree", "stage"],
    &["config"],
    &["message", "telemetry", "store"],
    &["upstream"],
    &["plan"],
    &["shadow", "write", "sync"],
    &["proxy"],
    &["admin"],
    &["app"],
    &["demo"],
    &["cli"],
    &["main"],
];

/// Rooms of judgement: values in, values out.
const PURE: [&str; 9] = [
    "side", "redact", "json", "template", "route", "compare", "adapt", "agree", "stage",
];

/// What no pure room names outside its tests: the outside world, the time, and chance.
const IMPURE: [&str; 26] = [
    "arc_swap",
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "hyper_util",
    "http_body_util",
    "jiff",
    "metrics",
    "metrics_exporter_prometheus",
    "notify",
    "rand",
    "rustix",
    "tokio",
    "tower",
    "tracing",
    "tracing_subscriber",
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
];

/// Values of `std::net` that open no socket.
const NET_VALUES: [&str; 5] = [
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "AddrParseError",
];

/// Lines of a file, tests included.
const LONGEST_FILE: usize = 500;

/// Everything that is wrong with these sources, as (path below the top of the repository, text).
fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            found.push(format!(
                "{path}: {lines} lines, more than {LONGEST_FILE}: split it by concern"
            ));
        }
    }
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|(path, text)| Some(Source::read(path, path.strip_prefix("src/")?, text)))
        .collect();
    let house = House::new(&sources);
    for source in &sources {
        let Some(room) = source.module.first() else {
            continue;
        };
        match floor(room) {
            None => found.push(format!(
                "{}: room \"{room}\" has no floor in tests/it/tidy.rs",
                source.path
            )),
            Some(own) => found.extend(house.climbs(source, room, own)),
        }
        if PURE.contains(&room.as_str()) {
            found.extend(impurities(source));
        }
    }
    found.extend(house.cycles());
    found
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn impurities(source: &Source) -> Vec<String> {
    let tested = source.paths.iter().filter(|path| !path.in_test);
    let named = tested.filter(|path| is_impure(&path.segments)).map(|path| {
        format!(
            "{}:{}: a pure room names {}",
            source.path,
            path.line,
            path.segments.join("::")
        )
    });
    let waits = source
        .awaits
        .iter()
        .map(|line| format!("{}:{line}: a pure room is async", source.path));
    named.chain(waits).collect()
}

fn is_impure(segments: &[String]) -> bool {
    let std_net_value = segments.len() > 2
        && matches!(segments[0].as_str(), "std" | "core")
        && segments[1] == "net"
        && NET_VALUES.contains(&segments[2].as_str());
    let named = segments.strip_suffix(&["*".to_owned()]).unwrap_or(segments);
    !std_net_value
        && IMPURE.iter().any(|rule| {
            let rule: Vec<&str> = rule.split("::").collect();
            // `use std::time;` opens the door to `time::Instant`, so a module that holds something impure counts too.
            named.len() >= rule.len().min(2)
                && rule
                    .iter()
                    .zip(named)
                    .all(|(left, right)| *left == right.as_str())
        })
}

/// All modules, and what their `mod.rs` passes on from others.
struct House<'a> {
    sources: BTreeMap<&'a [String], &'a Source>,
}

impl<'a> House<'a> {
    fn new(sources: &'a [Source]) -> Self {
        Self {
            sources: sources
                .iter()
                .map(|source| (source.module.as_slice(), source))
                .collect(),
        }
    }

    /// Imports of rooms on the same floor or above.
    fn climbs(&self, source: &Source, room: &str, own: usize) -> Vec<String> {
        let inside = source
            .paths
            .iter()
            .filter_map(|path| Some((path, self.absolute(source, path)?)));
        inside
            .filter(|(_, target)| target[0] != room)
            .filter_map(|(path, target)| {
                let other = floor(&target[0])?;
                let manner = if other > own {
                    "climbs"
                } else {
                    "goes sideways"
                };
                (other >= own).then(|| {
                    format!(
                        "{}:{}: {room} (floor {own}) {manner} to {} (floor {other})",
                        source.path, path.line, target[0]
                    )
                })
            })
            .collect()
    }

    /// The path from the top of the crate, if it leads into the crate.
    fn absolute(&self, source: &Source, path: &source::Path) -> Option<Vec<String>> {
        let here = path.module.as_slice();
        let (first, rest) = path.segments.split_first()?;
        let whole = match first.as_str() {
            "crate" => rest.to_vec(),
            "crossfade" if source.module[0] == "main" => rest.to_vec(),
            "self" => [here, rest].concat(),
            "super" => {
                let ups = path
                    .segments
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                let base = here.len().checked_sub(ups)?;
                [&here[..base], &path.segments[ups..]].concat()
            }
            child => {
                let inside = [here, &[child.to_owned()]].concat();
                self.sources
                    .contains_key(inside.as_slice())
                    .then(|| [here, &path.segments].concat())?
            }
        };
        (!whole.is_empty()).then_some(whole)
    }

    /// The file that holds what this path names: through the `pub use` lines of the modules on the way.
    fn home(&self, target: &[String]) -> Option<&'a Source> {
        let mut target = target.to_vec();
        for _ in 0..8 {
            let length = (1..=target.len())
                .rev()
                .find(|length| self.sources.contains_key(&target[..*length]))?;
            let source = self.sources[&target[..length]];
            let passed_on = target.get(length).and_then(|item| {
                source
                    .passed_on
                    .iter()
                    .find(|path| path.segments.last() == Some(item))
            });
            match passed_on.and_then(|path| self.absolute(source, path)) {
                Some(next) => target = [next.as_slice(), &target[length + 1..]].concat(),
                None => return Some(source),
            }
        }
        None
    }

    /// Circles of files within one room, each told once.
    fn cycles(&self) -> Vec<String> {
        let edges: BTreeMap<&str, BTreeSet<&str>> = self
            .sources
            .values()
            .map(|source| (source.path.as_str(), self.neighbours(source)))
            .collect();
        let reach = |start: &'a str| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(file) = open.pop() {
                open.extend(
                    edges
                        .get(file)
                        .into_iter()
                        .flatten()
                        .copied()
                        .filter(|next| seen.insert(*next)),
                );
            }
            seen
        };
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            edges.keys().map(|file| (*file, reach(file))).collect();
        let mut circles = BTreeSet::new();
        for (file, others) in &reached {
            if others.contains(file) {
                let circle: Vec<&str> = others
                    .iter()
                    .copied()
                    .filter(|other| reached[other].contains(file))
                    .collect();
                circles.insert(format!(
                    "{}: these files of one room import each other in a circle",
                    circle.join(", ")
                ));
            }
        }
        circles.into_iter().collect()
    }

    /// The other files of the room that a file imports, tests aside.
    fn neighbours(&self, source: &'a Source) -> BTreeSet<&'a str> {
        let imports = source
            .paths
            .iter()
            .filter(|path| !path.in_test && !path.passed_on);
        imports
            .filter_map(|path| self.home(&self.absolute(source, path)?))
            .filter(|home| home.path != source.path && home.module.first() == source.module.first())
            .map(|home| home.path.as_str())
            .collect()
    }
}

/// All Rust files of the repository, as (path below its top, text).
fn files() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["src", "tests", "benches"]
        .map(|folder| top.join(folder))
        .into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_house_is_in_order() {
    let files = files();
    assert!(
        files.iter().any(|(path, _)| path == "src/side.rs"),
        "the sources were not found"
    );
    let found = violations(&files);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
