//! Spans on their way to a collector: gathered for a moment, sent together, and lost if it does not take them. Nobody waits for it.

use crate::plan::Live;
use crate::telemetry::Telemetry;
use crate::telemetry::trace::{Span, otlp};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long spans may gather.
const PAUSE: Duration = Duration::from_millis(500);

/// Spans that are sent at once.
const BATCH: usize = 512;

/// How long a collector may take, and how long a stop waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends what is told, until the proxy stops; what is left then goes in one last request.
pub(super) async fn export(
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    mut stop: watch::Receiver<bool>,
) {
    let Some(mut spans) = telemetry.traces().spans() else {
        return;
    };
    let mut failing = false;
    let mut batch = Vec::new();
    loop {
        let stopped = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            _ = spans.recv_many(&mut batch, 1) => false,
        };
        let stopped = stopped
            || tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                () = sleep(PAUSE) => false,
            };
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        let collector = live.snapshot().settings.log.traces.clone();
        if let (Some(collector), false) = (&collector, batch.is_empty()) {
            let sent = timeout(PATIENCE, send(collector, &batch)).await;
            let sent = sent.unwrap_or_else(|late| Err(late.into()));
            if let Err(error) = &sent {
                telemetry.traces().lose(batch.len());
                if !failing {
                    tracing::warn!(%error, %collector, "spans can't be sent: they are lost");
                }
            } else if failing {
                tracing::info!(%collector, "spans are sent again");
            }
            failing = sent.is_err();
        }
        batch.clear();
        if stopped {
            return;
        }
    }
}

async fn send(collector: &Authority, spans: &[Span]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let port = collector.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((collector.host().trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/traces")
        .header(HOST, collector.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(otlp::body(spans))))?;
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer?,
        ended = connection => return Err(ended.err().map_or("the connection was closed".into(), Into::into)),
    };
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {status}").into()),
    }
}
