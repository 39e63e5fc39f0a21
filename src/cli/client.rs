//! A small client of the admin API: one request, one connection, hard limits of time and size.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::future;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Twice what a proxy keeps of mismatches.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// Where an admin API is: `127.0.0.1:9900`, or the same with `http://` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AdminAddress {
    host: String,
    port: u16,
    /// What the Host field says.
    authority: String,
}

/// A text that is no admin address.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("the admin API speaks plain http: write http://HOST:PORT or HOST:PORT")]
    Https,
    #[error("write HOST:PORT, as in 127.0.0.1:9900, without a path")]
    Malformed,
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("https://") {
            return Err(AddressError::Https);
        }
        let (text, default_port) = match text.strip_prefix("http://") {
            Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), Some(80)),
            None => (text, None),
        };
        let authority: Authority = text.parse().map_err(|_| AddressError::Malformed)?;
        let port = authority
            .port_u16()
            .or(default_port)
            .ok_or(AddressError::Malformed)?;
        // A colon that no number follows, and user names, which http's parser lets through.
        if authority.as_str().contains('@')
            || authority.as_str().ends_with(':')
            || authority.host().is_empty()
        {
            return Err(AddressError::Malformed);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self {
            host,
            port,
            authority: authority.to_string(),
        })
    }
}

impl From<SocketAddr> for AdminAddress {
    /// An address that stands for all of a machine's is reached, and named in Host, as this machine.
    fn from(address: SocketAddr) -> Self {
        let port = address.port();
        if address.ip().is_unspecified() {
            let host = if address.is_ipv4() {
                "127.0.0.1"
            } else {
                "::1"
            };
            return Self {
                host: host.to_owned(),
                port,
                authority: format!("localhost:{port}"),
            };
        }
        Self {
            host: address.ip().to_string(),
            port,
            authority: address.to_string(),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// Why a running proxy did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error("no proxy can be reached at {address}")]
    Unreachable {
        address: AdminAddress,
        source: std::io::Error,
    },
    #[error("the proxy at {address} did not answer in time")]
    Timeout { address: AdminAddress },
    #[error("the answer of {address} is not that of an admin API")]
    Garbled {
        address: AdminAddress,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the proxy at {address} refused: {status}{detail}")]
    Refused {
        address: AdminAddress,
        status: StatusCode,
        detail: String,
    },
}

/// An admin API, with what it takes to be let in.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: AdminAddress,
    pub(super) token: Option<HeaderValue>,
}

impl Client {
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None)
    }

    /// The same as it came.
    pub(super) fn get_text(&self, path: &str) -> Result<Bytes> {
        self.send(Method::GET, path, None)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body))
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body))
    }

    /// `null` for an answer without a body.
    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.send(method, path, body)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let garbled = |error: serde_json::Error| AdminError::Garbled {
            address: self.address.clone(),
            source: error.into(),
        };
        Ok(serde_json::from_slice(&text).map_err(garbled)?)
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.context("a runtime for one request can't be started")?;
        let request = self.request(method, path, body)?;
        let answer = runtime.block_on(async { timeout(TIMEOUT, self.exchange(request)).await });
        Ok(answer.unwrap_or_else(|_| {
            Err(AdminError::Timeout {
                address: self.address.clone(),
            })
        })?)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address.authority);
        request = request.header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let body = match body {
            None => Bytes::new(),
            Some(value) => {
                request = request.header(CONTENT_TYPE, "application/json");
                value.to_string().into()
            }
        };
        request
            .body(Full::new(body))
            .context("the request to the admin API can't be built")
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, AdminError> {
        let garbled = |source: Box<dyn std::error::Error + Send + Sync>| AdminError::Garbled {
            address: self.address.clone(),
            source,
        };
        let unreachable = |source| AdminError::Unreachable {
            address: self.address.clone(),
            source,
        };
        let connecting = timeout(
            CONNECT_TIMEOUT,
            TcpStream::connect((self.address.host.as_str(), self.address.port)),
        );
        let stream = match connecting.await {
            Ok(stream) => stream.map_err(unreachable)?,
            Err(_) => {
                return Err(AdminError::Timeout {
                    address: self.address.clone(),
                });
            }
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| garbled(error.into()))?;
        let answering = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|error| garbled(error.into()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_LIMIT)
                .collect()
                .await
                .map_err(garbled)?;
            Ok((status, body.to_bytes()))
        };
        // The connection moves only while it is polled. How it ends is told by the exchange, which it fails.
        let moving = async {
            let _ = connection.await;
            future::pending::<()>().await
        };
        let (status, body) = tokio::select! {
            answer = answering => answer?,
            () = moving => unreachable!("a pending future never ends"),
        };
        if !status.is_success() {
            return Err(AdminError::Refused {
                address: self.address.clone(),
                status,
                detail: detail(&body),
            });
        }
        Ok(body)
    }
}

/// The words of a problem document, after a colon.
fn detail(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = problem["detail"]
        .as_str()
        .or_else(|| problem["title"].as_str());
    words.map(|words| format!(": {words}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn addresses_are_read() {
        let rows = [
            (
                "127.0.0.1:9900",
                Some(("127.0.0.1", 9900, "127.0.0.1:9900")),
            ),
            (
                "http://127.0.0.1:9900/",
                Some(("127.0.0.1", 9900, "127.0.0.1:9900")),
            ),
            (
                "http://proxy.internal",
                Some(("proxy.internal", 80, "proxy.internal")),
            ),
            ("[::1]:9900", Some(("::1", 9900, "[::1]:9900"))),
            ("localhost", None),
            ("localhost:", None),
            (":9900", None),
            ("", None),
            ("127.0.0.1:99000", None),
            ("127.0.0.1:9900/api", None),
            ("https://127.0.0.1:9900", None),
            ("http://user@127.0.0.1:9900", None),
        ];
        for (text, expected) in rows {
            let address = text.parse::<AdminAddress>().ok();
            let parts = address
                .as_ref()
                .map(|a| (a.host.as_str(), a.port, a.authority.as_str()));
            assert_eq!(parts, expected, "{text}");
        }
        let everywhere = AdminAddress::from("0.0.0.0:9900".parse::<SocketAddr>().unwrap());
        assert_eq!(
            (everywhere.host.as_str(), everywhere.to_string().as_str()),
            ("127.0.0.1", "localhost:9900")
        );
        let v6 = AdminAddress::from("[2001:db8::1]:9900".parse::<SocketAddr>().unwrap());
        assert_eq!(
            (v6.host.as_str(), v6.to_string().as_str()),
            ("2001:db8::1", "[2001:db8::1]:9900")
        );
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// What the client makes of an answer, and what it had asked.
    fn ask(answer: String) -> (Result<Value>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = AdminAddress::from(listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                let mut bytes = [0; 1024];
                let n = peer.read(&mut bytes).unwrap();
                asked.extend_from_slice(&bytes[..n]);
            }
            peer.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let client = Client {
            address,
            token: Some(HeaderValue::from_static("Bearer t0ken")),
        };
        let result = client.put("/api/override", &serde_json::json!({"serve": "old"}));
        (result, server.join().unwrap())
    }

    #[test]
    fn one_request_is_asked_and_its_answer_read() {
        let (read, asked) = ask(answer("200 OK", "{\"generation\": 3}"));
        assert_eq!(read.unwrap(), serde_json::json!({"generation": 3}));
        assert!(
            asked.starts_with("PUT /api/override HTTP/1.1\r\n"),
            "{asked}"
        );
        for part in [
            "authorization: Bearer t0ken\r\n",
            "content-type: application/json\r\n",
            "\r\n\r\n{\"serve\":\"old\"}",
        ] {
            assert!(asked.contains(part), "{asked}");
        }
        assert_eq!(
            ask("HTTP/1.1 204 No Content\r\n\r\n".to_owned()).0.unwrap(),
            Value::Null
        );
    }

    #[test]
    fn every_failure_says_what_it_was() {
        let no_api = "not that of an admin API";
        let cut = answer("200 OK", "{}").replace("length: 2", "length: 9");
        let rows = [
            (
                answer("422 Unprocessable Entity", "{\"detail\": \"no route x\"}"),
                "refused: 422 Unprocessable Entity: no route x",
            ),
            (
                answer("403 Forbidden", "{\"title\": \"wrong host\"}"),
                "refused: 403 Forbidden: wrong host",
            ),
            (answer("401 Unauthorized", ""), "refused: 401 Unauthorized"),
            (answer("200 OK", "<>"), no_api),
            (cut, no_api),
            ("SSH-2.0-x\r\n".to_owned(), no_api),
            (String::new(), no_api),
        ];
        for (answer, expected) in rows {
            let error = ask(answer.clone()).0.unwrap_err().to_string();
            assert!(error.ends_with(expected), "{answer:?}: {error}");
        }
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let client = Client {
            address: closed.into(),
            token: None,
        };
        assert_eq!(
            client.get("/api/config").unwrap_err().to_string(),
            format!("no proxy can be reached at {closed}")
        );
    }
}
