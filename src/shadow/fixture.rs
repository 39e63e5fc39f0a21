//! What the tests of this room work with.

use crate::compare::Ids;
use crate::config;
use crate::message::capture::{Budget, Reservation};
use crate::message::fields::Fields;
use crate::plan::{Live, RoutePlan};
use crate::shadow::offer::{AnswerCopy, Pair, RequestCopy};
use crate::side::Side;
use crate::telemetry::Telemetry;
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A route between two sides that nobody listens for.
pub(super) fn route() -> Arc<RoutePlan> {
    let text = "[migration]\nname = \"a\"\n[old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"http://127.0.0.1:2\"";
    let loaded = config::load(text, Path::new("."), &|_| None);
    let settings = loaded.settings.expect("the settings are good");
    let live = Live::new(
        settings,
        String::new(),
        None,
        Telemetry::new(),
        Arc::new(Ids::unkeyed()),
    );
    Arc::clone(&live.snapshot().unmatched)
}

/// An empty pair that old served, and that pays for so many bytes.
pub(super) fn pair(budget: &Arc<Budget>, bytes: usize) -> Box<Pair> {
    let mut memory = Reservation::new(Arc::clone(budget));
    assert!(memory.grow(bytes), "there is room for {bytes} bytes");
    Box::new(Pair {
        at: Timestamp::UNIX_EPOCH,
        began: Instant::now(),
        generation: 1,
        key: None,
        bucket: None,
        served: Side::Old,
        request: RequestCopy {
            method: Method::GET,
            head: Fields::default(),
            body: Bytes::new(),
        },
        answer: AnswerCopy {
            status: StatusCode::OK,
            headers: Fields::default(),
            body: Bytes::new(),
            latency: Duration::ZERO,
        },
        memory,
    })
}
