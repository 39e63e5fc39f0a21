//! Clients of the matrix: the same questions over HTTP/1.0, 1.1 and 2, in the clear and inside TLS.

use crate::harness::client::Coming;
use crate::harness::http2::{Http2, head};
use crate::harness::tls::Authority;
use crate::harness::{Client, Gate, Proxy, Setup};
use bytes::Bytes;
use std::path::Path;
use std::sync::OnceLock;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http10,
    Http11,
    Http2,
    Tls10,
    Tls11,
    Tls2,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody could take it for anything but whole.
    Clean,
    /// Nobody could take it for whole.
    Broken,
    /// Not: the client has waited for no more.
    Open,
}

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    /// Of the head, if there was one.
    pub(super) status: Option<u16>,
    /// For a document of the proxy its code.
    pub(super) body: String,
    pub(super) ended: Ended,
}

impl Got {
    /// A whole answer.
    pub(super) fn whole(status: u16, body: &str) -> Self {
        Self {
            status: Some(status),
            body: body.to_owned(),
            ended: Ended::Clean,
        }
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) enum Talk {
    One(Client, &'static str),
    Two(Http2),
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    pub(super) body: &'static str,
    /// What the side waits for, which opens when so much of a body is there.
    pub(super) gate: (Gate, usize),
    /// Whether the client has enough then.
    pub(super) leaves: bool,
}

const NAME: &str = "matrix.test";

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

impl Speaks {
    /// The proxy at a listener where this is spoken.
    pub(super) fn start(self, setup: Setup) -> Proxy {
        let listens = match self {
            Self::Http10 | Self::Http11 => return setup.start(),
            Self::Http2 => r#"{ address = "127.0.0.1:0", h2c = true }"#,
            Self::Tls10 | Self::Tls11 | Self::Tls2 => {
                r#"{ address = "127.0.0.1:0", tls = { certificates = [{ cert = "a.pem", key = "a.key" }] } }"#
            }
        };
        let place = |folder: &Path| authority().sign(&[NAME]).place(folder, "a");
        setup.listens(listens).start_beside(place)
    }

    pub(super) fn connect(self, proxy: &Proxy) -> Talk {
        let inside = |protocol| authority().client(None, &[protocol]);
        match self {
            Self::Http10 => Talk::One(proxy.client(), "HTTP/1.0"),
            Self::Http11 => Talk::One(proxy.client(), "HTTP/1.1"),
            Self::Http2 => Talk::Two(Http2::connect(proxy.address())),
            Self::Tls10 => Talk::One(proxy.secured(NAME, inside("http/1.1")), "HTTP/1.0"),
            Self::Tls11 => Talk::One(proxy.secured(NAME, inside("http/1.1")), "HTTP/1.1"),
            Self::Tls2 => Talk::Two(Http2::secured(proxy.address(), NAME, inside("h2"))),
        }
    }

    /// Whether an answer leaves the connection open.
    pub(super) fn stays(self) -> bool {
        !matches!(self, Self::Http10 | Self::Tls10)
    }
}

impl Talk {
    /// Asks, and takes what comes until it ends.
    pub(super) fn ask(&mut self, question: &Question) -> Got {
        let mut got = Got {
            status: None,
            body: String::new(),
            ended: Ended::Broken,
        };
        let mut body = Vec::new();
        let mut is_document = false;
        match self {
            Self::One(client, version) => {
                client.send(question.text(version));
                let Ok(head) = client.try_head() else {
                    return got;
                };
                got.status = Some(head.status);
                is_document = head.headers.get("content-type") == Some(&DOCUMENT);
                let mut coming = Coming::of(question.method, &head).unwrap();
                got.ended =
                    question.follow(&mut body, || client.try_piece(&mut coming).map_err(drop));
            }
            Self::Two(client) => {
                let request = head(question.method, question.target, &question.fields());
                let (response, mut upload) = client.send(request, question.body.is_empty());
                if !question.body.is_empty() {
                    upload.send_data(question.body.into(), true).unwrap();
                }
                if let Ok(response) = client.wait(response) {
                    got.status = Some(response.status().as_u16());
                    is_document = response.headers().get("content-type") == Some(&DOCUMENT);
                    let mut stream = response.into_body();
                    got.ended = question.follow(&mut body, || {
                        let piece = client.wait(stream.data()).transpose().map_err(drop)?;
                        Ok(piece.map(|piece: Bytes| piece.to_vec()))
                    });
                }
            }
        }
        got.body = String::from_utf8(body).unwrap();
        if is_document {
            let document: serde_json::Value = serde_json::from_str(&got.body).unwrap();
            got.body = document["code"].as_str().unwrap().to_owned();
        }
        got
    }
}

const DOCUMENT: http::HeaderValue = http::HeaderValue::from_static("application/problem+json");

impl Question {
    fn fields(&self) -> Vec<(&'static str, &'static str)> {
        let length = match self.body.len() {
            0 => None,
            4 => Some(("content-length", "4")),
            other => panic!("a body of {other} bytes"),
        };
        length.into_iter().collect()
    }

    fn text(&self, version: &str) -> String {
        let fields: String = self
            .fields()
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let Self {
            method,
            target,
            body,
            ..
        } = self;
        format!("{method} {target} {version}\r\nhost: test.example\r\n{fields}\r\n{body}")
    }

    /// Takes pieces of a body, and opens the gate in time.
    fn follow(
        &self,
        body: &mut Vec<u8>,
        mut next: impl FnMut() -> Result<Option<Vec<u8>>, ()>,
    ) -> Ended {
        loop {
            if body.len() >= self.gate.1 {
                self.gate.0.open();
                if self.leaves {
                    return Ended::Open;
                }
            }
            match next() {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => return Ended::Clean,
                Err(()) => return Ended::Broken,
            }
        }
    }
}
