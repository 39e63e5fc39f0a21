//! What the tests of the samples work with. `ring` is about what is kept, `bound` about its file, `values` about what stands in it.

mod bound;
mod ring;
mod values;

use crate::config::settings::Values;
use crate::json::FieldPath;
use crate::side::Side;
use crate::store::samples::disk::{Batch, Disk, Encoded};
use crate::store::samples::{
    Bounds, Group, Hiding, LostSample, Page, Query, RawLook, RawSample, Samples,
};
use crate::store::{Redactor, StateDir};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// The samples of a folder, and how many were lost.
struct Rig {
    folder: TempDir,
    samples: Option<Arc<Samples>>,
    lost: Arc<[AtomicU64; 3]>,
}

impl Rig {
    fn new() -> Self {
        Self::below(
            "state",
            Bounds {
                max_size: 4 * MIB,
                max_age: DAY,
            },
        )
    }

    fn below(path: &str, bounds: Bounds) -> Self {
        let mut rig = Self {
            folder: tempfile::tempdir().unwrap(),
            samples: None,
            lost: Arc::default(),
        };
        rig.start(path, bounds);
        rig
    }

    fn start(&mut self, path: &str, bounds: Bounds) {
        let state = Arc::new(StateDir::new(self.folder.path().join(path)));
        let lost = Arc::clone(&self.lost);
        let count = move |why: LostSample, samples| {
            lost[why as usize].fetch_add(samples, Ordering::Relaxed);
        };
        let redactor = Arc::new(Redactor::new().unwrap());
        let samples = Samples::start(state, redactor, bounds, Arc::new(count));
        self.samples = Some(samples.unwrap());
    }

    fn samples(&self) -> &Samples {
        self.samples.as_ref().unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("state").join(super::FILE)
    }

    fn offer(&self, sample: RawSample) {
        let group = Group::new(&sample.route, sample.verdict);
        self.samples().offer(group, Box::new(sample));
    }

    fn page(&self) -> Page {
        self.samples().page(everything()).unwrap()
    }

    fn stop(&mut self) {
        if let Some(samples) = self.samples.take() {
            samples.finish(Duration::from_secs(60));
        }
    }

    fn lost(&self, why: LostSample) -> u64 {
        self.lost[why as usize].load(Ordering::Relaxed)
    }
}

fn everything() -> Query {
    Query {
        route: None,
        cause: None,
        before: None,
        limit: 1_000,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "samples of today are not too old"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn hiding(values: Values, show: &[&str]) -> Arc<Hiding> {
    Arc::new(Hiding {
        values,
        show: show
            .iter()
            .map(|path| FieldPath::parse(path).unwrap())
            .collect(),
        pattern: "GET /tags/{id}".to_owned(),
        key_placeholders: vec!["id".to_owned()],
        key_is_secret: false,
    })
}

fn look(body: &str) -> RawLook {
    let json = HeaderValue::from_static("application/json");
    RawLook {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
    }
}

/// A pair of now, hidden.
fn raw(route: &str, old: &str, new: &str) -> RawSample {
    RawSample {
        at: now(),
        route: route.into(),
        method: Method::GET,
        target: "/tags/7?page=2".to_owned(),
        key: Some("7".to_owned()),
        served: Side::Old,
        generation: 3,
        rules: 0,
        verdict: "mismatch",
        found: Arc::from([]),
        compared: vec![CONTENT_TYPE],
        hiding: hiding(Values::Redacted, &[]),
        old: look(old),
        new: look(new),
        old2: None,
        new2: None,
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Bytes that no coding makes shorter, with a sample around them that can be read.
fn encoded(group: &str, at: i64, len: usize) -> Encoded {
    let mut random = fastrand::Rng::with_seed(at.unsigned_abs());
    Encoded {
        group: group.to_owned(),
        at,
        bytes: std::iter::repeat_with(|| random.u8(..)).take(len).collect(),
    }
}

fn batch(samples: Vec<Encoded>) -> Batch {
    Batch {
        samples,
        ..Batch::default()
    }
}

/// Ids and groups of what a file has.
fn kept(path: &Path) -> Vec<(u64, String)> {
    let disk = Disk::open(path, 4 * MIB).unwrap();
    disk.entries()
}
