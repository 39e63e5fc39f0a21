//! A connection after a side's 101: bytes go both ways, each way until its own end, for as long as both sides like.
//!
//! Nothing of it is read before that answer, and nothing is passed on: what a client sends early waits with its request.

use crate::proxy::phases::Pulse;
use crate::proxy::socket::Socket;
use crate::telemetry::Telemetry;
use crate::upstream::Far;
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

/// What a request may switch to, and the connection that looks for the side then.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) protocols: HeaderValue,
    pub(super) connection: Arc<Pulse>,
}

/// Passes on what a client and a side say to each other. `early` is what the client had sent before the answer.
pub(super) async fn run(near: Socket, early: Bytes, mut far: Far, telemetry: &Telemetry) {
    let _shown = telemetry.process().tunnels.hold();
    let mut near = near.with(early);
    let begun = std::mem::take(&mut far.begun);
    // How it ends is between the two: an end of one way is passed on as an end, and an error ends both.
    if near.write_all(&begun).await.is_ok() {
        let _ = copy_bidirectional(&mut near, &mut far.stream).await;
    }
}
