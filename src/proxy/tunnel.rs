//! A connection, or a stream of HTTP/2, after a side's 101: bytes go both ways, each way until its own end, for as long as both sides like.
//!
//! Nothing of it is read before that answer, and nothing is passed on: what a client sends early waits with its request.

use crate::message::websocket::{Handshake, remove_handshake};
use crate::proxy::phases::Pulse;
use crate::proxy::streams::Streams;
use crate::proxy::worker::Worker;
use crate::telemetry::Telemetry;
use crate::upstream::{Far, Switch};
use http::{HeaderValue, Method, StatusCode, request, response};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};

/// What a request may switch to, and what becomes the client's end then.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) switch: Switch,
    near: Near,
}

/// The client's end of a tunnel.
#[derive(Debug)]
enum Near {
    /// Its whole connection, which looks for the side when its last answer is written.
    Connection(Arc<Pulse>),
    /// A stream among others.
    Stream(OnUpgrade, Arc<Streams>),
}

impl Upgrade {
    /// Over HTTP/1.1.
    pub(super) fn by_connection(protocols: HeaderValue, connection: &Arc<Pulse>) -> Self {
        Self {
            switch: Switch {
                protocols,
                handshake: None,
            },
            near: Near::Connection(Arc::clone(connection)),
        }
    }

    /// A side has switched, with this answer: the client is told in its own protocol, and then both hear each other.
    pub(super) fn open(self, far: Far, answer: &mut response::Parts, worker: &Worker) {
        match self.near {
            Near::Connection(pulse) => pulse.exit.open(far),
            Near::Stream(stream, streams) => {
                answer.status = StatusCode::OK;
                remove_handshake(&mut answer.headers);
                let telemetry = Arc::clone(worker.telemetry());
                worker.spawn(async move {
                    let _lasts = streams.stay();
                    if let Ok(near) = stream.await {
                        run(TokioIo::new(near), far, &telemetry).await;
                    }
                });
            }
        }
    }
}

/// Makes a request for a WebSocket over HTTP/2 (RFC 8441 §4) the request of HTTP/1.1 that asks for the same. No other CONNECT is one.
pub(super) fn by_stream(head: &mut request::Parts) -> Option<Box<Upgrade>> {
    if head.method != Method::CONNECT {
        return None;
    }
    let protocol = head.extensions.remove::<Protocol>()?;
    let stream = head.extensions.remove::<OnUpgrade>()?;
    let streams = head.extensions.remove::<Arc<Streams>>()?;
    if !protocol.as_str().eq_ignore_ascii_case("websocket") {
        return None;
    }
    head.method = Method::GET;
    let nonce = fastrand::u128(..).to_be_bytes();
    Some(Box::new(Upgrade {
        switch: Switch {
            protocols: HeaderValue::from_static("websocket"),
            handshake: Some(Handshake::begin(&mut head.headers, nonce)),
        },
        near: Near::Stream(stream, streams),
    }))
}

/// Passes on what a client and a side say to each other.
pub(super) async fn run<N>(mut near: N, mut far: Far, telemetry: &Telemetry)
where
    N: AsyncRead + AsyncWrite + Unpin,
{
    let _shown = telemetry.process().tunnels.hold();
    let begun = std::mem::take(&mut far.begun);
    // How it ends is between the two: an end of one way is passed on as an end, and an error ends both.
    if near.write_all(&begun).await.is_ok() {
        let _ = copy_bidirectional(&mut near, &mut far.stream).await;
    }
}
