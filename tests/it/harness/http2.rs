//! Clients that speak HTTP/2: an honest one over the library, and frames by hand for those who are not.

use super::{Client, PATIENCE, wait_until};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// A connection. Its requests may run at once.
#[derive(Debug)]
pub(crate) struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Http2 {
    /// With prior knowledge, in the clear.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(|| async move { TcpStream::connect(address).await.unwrap() })
    }

    /// The same after some other bytes.
    #[track_caller]
    pub(crate) fn introduced(address: SocketAddr, first: &'static [u8]) -> Self {
        Self::over(|| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(first).await.unwrap();
            stream
        })
    }

    /// By ALPN, inside TLS.
    #[track_caller]
    pub(crate) fn secured(address: SocketAddr, name: &str, config: ClientConfig) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self::over(|| async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let stream = TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await;
            let stream = stream.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            stream
        })
    }

    fn over<S, F>(open: impl FnOnce() -> F) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = S>,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, connection) = runtime.block_on(async {
            let stream = open().await;
            h2::client::handshake(stream).await.unwrap()
        });
        let ended = runtime.spawn(connection);
        Self {
            runtime,
            sender,
            ended,
        }
    }

    /// Sends a head, and perhaps no more.
    #[track_caller]
    pub(crate) fn send(
        &self,
        request: Request<()>,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        self.try_send(request, end).unwrap()
    }

    /// The same, where the other end may take no more requests.
    pub(crate) fn try_send(
        &self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender = self.wait(self.sender.clone().ready())?;
        sender.send_request(request, end)
    }

    /// A request with a whole body, and its answer.
    #[track_caller]
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static [u8],
    ) -> Answered {
        let (response, mut stream) = self.send(head(method, path, headers), body.is_empty());
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
        self.answer(response).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answered {
        self.request("GET", path, &[], b"")
    }

    /// Waits until the other end has said that it knows extended CONNECT.
    #[track_caller]
    pub(crate) fn wait_for_extended_connect(&self) {
        wait_until("it may be asked for WebSockets", || {
            self.sender.is_extended_connect_protocol_enabled()
        });
    }

    /// A whole answer, or how it broke.
    #[track_caller]
    pub(crate) fn answer(&self, response: ResponseFuture) -> Result<Answered, h2::Error> {
        self.rest(self.wait(response)?)
    }

    /// The same of one whose head is there.
    #[track_caller]
    pub(crate) fn rest(&self, response: Response<RecvStream>) -> Result<Answered, h2::Error> {
        self.wait(async {
            let (head, mut stream) = response.into_parts();
            let mut body = Vec::new();
            while let Some(data) = stream.data().await {
                let data = data?;
                stream.flow_control().release_capacity(data.len())?;
                body.extend_from_slice(&data);
            }
            let trailers = stream.trailers().await?.unwrap_or_default();
            Ok(Answered {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.into(),
                trailers,
            })
        })
    }

    /// The next piece of a body.
    #[track_caller]
    pub(crate) fn piece(&self, stream: &mut RecvStream) -> Bytes {
        let data = self.wait(stream.data()).unwrap().unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        data
    }

    /// Waits for something, but not for ever.
    #[track_caller]
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let work = async { tokio::time::timeout(PATIENCE, work).await };
        self.runtime.block_on(work).expect("it never came")
    }

    /// Waits until the other end has closed the connection, though more could be asked on it.
    #[track_caller]
    pub(crate) fn closed(self) {
        let ended = self.runtime.block_on(async {
            let ended = tokio::time::timeout(PATIENCE, self.ended).await;
            drop(self.sender);
            ended
        });
        // Which end hears first of the other's leave is chance.
        let _ = ended.expect("the connection was never closed").unwrap();
    }
}

/// Asks several things at once, again and again, each for its own path and with that as its answer; how many were answered. A connection that says that it ends
/// is left for a new one, and what it has not taken up is asked there. Nothing else may go wrong.
pub(crate) fn ask_until(done: &AtomicBool, address: SocketAddr) -> usize {
    const AT_ONCE: usize = 8;
    let (mut answered, mut asked) = (0, 0);
    let mut again = Vec::new();
    while !(done.load(Relaxed) && again.is_empty()) {
        let client = Http2::connect(address);
        let mut stays = true;
        while stays && !(done.load(Relaxed) && again.is_empty()) {
            let mut waiting = Vec::new();
            while stays && waiting.len() < AT_ONCE {
                let path = again.pop().unwrap_or_else(|| {
                    asked += 1;
                    format!("/{asked}")
                });
                match client.try_send(head("GET", &path, &[]), true) {
                    Ok((answer, _)) => waiting.push((path, answer)),
                    Err(_) => {
                        again.push(path);
                        stays = false;
                    }
                }
            }
            for (path, answer) in waiting {
                match client.answer(answer) {
                    Ok(answer) => {
                        assert_eq!((answer.status, &answer.body[..]), (200, path.as_bytes()));
                        answered += 1;
                    }
                    Err(error) => {
                        let is_told = error.is_go_away() && error.is_remote();
                        assert!(is_told, "{path}: {error:?}");
                        assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
                        again.push(path);
                        stays = false;
                    }
                }
            }
        }
    }
    answered
}

/// A request to `test.example`.
#[track_caller]
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://test.example{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// An extended CONNECT to `test.example` (RFC 8441 §4).
#[track_caller]
pub(crate) fn connect(protocol: &'static str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = head("CONNECT", path, headers);
    let protocol = h2::ext::Protocol::from_static(protocol);
    request.extensions_mut().insert(protocol);
    request
}

/// What a connection begins with: the preface, and settings.
pub(crate) fn preface(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &payload));
    bytes
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// Of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 4;
/// Names in [`SETTINGS`].
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// One frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The next frame that comes: its kind, its flags, its payload.
#[track_caller]
pub(crate) fn next_frame(client: &mut Client) -> (u8, u8, Vec<u8>) {
    let head: [u8; 9] = client.read_exactly(9).try_into().unwrap();
    let [a, b, c, kind, flags, ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    (kind, flags, client.read_exactly(length))
}

/// Fields as HPACK writes them without a table (RFC 7541 §6.2.2).
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "lengths of one byte");
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The HEADERS of a request to `test.example`.
pub(crate) fn request(stream: u32, method: &str, path: &str, flags: u8) -> Vec<u8> {
    let block = fields(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test.example"),
    ]);
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}
