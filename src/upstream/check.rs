//! An active check of an endpoint: one request on a connection of its own.

use crate::config::settings::{Health, Multiplexing, Protocol};
use crate::message::hop::make_http_2;
use crate::upstream::connect::connect;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::session::builder;
use crate::upstream::stream::Stream;
use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(1);

/// How much of an answer is read, so that the endpoint sees it taken.
const MOST: u64 = 16 * 1024;

/// Whether an endpoint answers a check with 2xx in time.
pub async fn check(endpoint: &Endpoint, health: &Health) -> bool {
    timeout(LIMIT, ask(endpoint, health))
        .await
        .is_ok_and(|healthy| healthy)
}

async fn ask(endpoint: &Endpoint, health: &Health) -> bool {
    let Ok(mut stream) = connect(endpoint.place(), LIMIT).await else {
        return false;
    };
    if let Protocol::Http2(multiplexing) = &endpoint.settings().protocol {
        let status = status_over_http_2(
            stream,
            make_http_2(head(endpoint, health), endpoint.scheme()),
            multiplexing,
        )
        .await;
        return status.is_some_and(|status| status.is_success());
    }
    let request = request(endpoint, health);
    if stream.write_all(&request).await.is_err() || stream.flush().await.is_err() {
        return false;
    }
    status(&mut stream).await.is_some_and(|class| class == b'2')
}

async fn status_over_http_2(
    stream: Stream,
    head: Request<()>,
    multiplexing: &Multiplexing,
) -> Option<StatusCode> {
    let (sender, connection) = builder(multiplexing, 1)
        .handshake::<_, Bytes>(stream)
        .await
        .ok()?;
    let ask = async {
        let mut sender = sender.ready().await.ok()?;
        let (answer, _) = sender.send_request(head, true).ok()?;
        Some(answer.await.ok()?.status())
    };
    tokio::select! {
        status = ask => status,
        _ = connection => None,
    }
}

fn head(endpoint: &Endpoint, health: &Health) -> Parts {
    let mut request = Request::new(());
    request.method_mut().clone_from(&health.method);
    if let Ok(target) = health.target.parse() {
        *request.uri_mut() = target;
    }
    endpoint.set_host(request.headers_mut());
    let agent = HeaderValue::from_static("crossfade");
    request.headers_mut().insert(USER_AGENT, agent);
    request.into_parts().0
}

/// The first digit of the answer's status.
async fn status(stream: &mut Stream) -> Option<u8> {
    let mut line = [0; b"HTTP/1.1 200".len()];
    stream.read_exact(&mut line).await.ok()?;
    let digit = line[9];
    let is_http = line.starts_with(b"HTTP/1.") && line[8] == b' ';
    // What the rest is like changes nothing.
    let mut rest = Vec::new();
    let _ = timeout(LIMIT / 10, stream.take(MOST).read_to_end(&mut rest)).await;
    is_http.then_some(digit)
}

fn request(endpoint: &Endpoint, health: &Health) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    endpoint.set_host(&mut headers);
    let head = format!("{} {} HTTP/1.1\r\nhost: ", health.method, health.target);
    let mut request = head.into_bytes();
    request.extend(
        headers
            .get(HOST)
            .into_iter()
            .flat_map(|host| host.as_bytes()),
    );
    request.extend_from_slice(b"\r\nuser-agent: crossfade\r\nconnection: close\r\n\r\n");
    request
}
