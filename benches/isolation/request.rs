//! One request of the load, and what came of it.

use crate::wire;
use bytes::{Bytes, BytesMut};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Keys that the requests go around.
const KEYS: u64 = 1_000;

/// The bytes of all requests, and of the answer that each must get.
#[derive(Debug)]
pub(crate) struct Texts {
    gets: Vec<Bytes>,
    posts: Vec<Bytes>,
    post_every: Option<u64>,
    answer: Bytes,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Answered,
    /// No connection could be opened.
    Connect,
    /// The connection broke, or what came is no answer.
    Broken,
    /// Another status than 200.
    Status,
    /// Not the bytes that the main backend sends.
    Body,
    /// Nothing, or not all, within the limit, counted from when it was due.
    Timeout,
}

impl Ending {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Status => "status",
            Self::Body => "body",
            Self::Timeout => "timeout",
        }
    }
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(4096),
        })
    }
}

/// What became of a request: when it was sent, how and when it ended, and the connection if it can be used again.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) number: u64,
    pub(crate) sent: Option<Instant>,
    pub(crate) ended: Instant,
    pub(crate) ending: Ending,
    pub(crate) connection: Option<Connection>,
}

impl Texts {
    /// Requests below `path`; every so many are a POST of so many bytes.
    pub(crate) fn new(
        path: &str,
        post_every: Option<u64>,
        post_bytes: usize,
        answer: Bytes,
    ) -> Self {
        let gets = (0..KEYS).map(|key| {
            Bytes::from(format!(
                "GET {path}k{key} HTTP/1.1\r\nhost: isolation.example\r\n\r\n"
            ))
        });
        let posts = (0..KEYS).map(|key| {
            let mut text = format!(
                "POST {path}k{key} HTTP/1.1\r\nhost: isolation.example\r\ncontent-type: text/plain\r\ncontent-length: {post_bytes}\r\n\r\n"
            );
            text.extend(std::iter::repeat_n('x', post_bytes));
            Bytes::from(text)
        });
        let posts = if post_every.is_some() {
            posts.collect()
        } else {
            Vec::new()
        };
        Self {
            gets: gets.collect(),
            posts,
            post_every,
            answer,
        }
    }

    fn of(&self, number: u64) -> &Bytes {
        let from = match self.post_every {
            Some(every) if number.is_multiple_of(every) => &self.posts,
            _ => &self.gets,
        };
        &from[usize::try_from(number % KEYS).unwrap_or_default()]
    }
}

/// Sends a request and reads its answer, on this connection or on a new one.
pub(crate) async fn exchange(
    texts: &Texts,
    number: u64,
    address: SocketAddr,
    connection: Option<Connection>,
    limit: Instant,
) -> Outcome {
    let mut sent = None;
    let work = async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => Connection::open(address)
                .await
                .map_err(|_| Ending::Connect)?,
        };
        sent = Some(Instant::now());
        let last = talk(texts, number, &mut connection).await?;
        Ok((!last).then_some(connection))
    };
    let (ending, connection) = match timeout_at(limit, work).await {
        Ok(Ok(connection)) => (Ending::Answered, connection),
        Ok(Err(ending)) => (ending, None),
        Err(_) => (Ending::Timeout, None),
    };
    Outcome {
        number,
        sent,
        ended: Instant::now(),
        ending,
        connection,
    }
}

/// Whether the connection ends with this answer.
async fn talk(texts: &Texts, number: u64, connection: &mut Connection) -> Result<bool, Ending> {
    let Connection { stream, buffer } = connection;
    // A proxy may answer before it has taken the whole request, so that what breaks the writing is told by the answer, if there is one.
    let written = stream.write_all(texts.of(number)).await;
    let answer = wire::read(stream, buffer)
        .await
        .and_then(|answer| answer.ok_or(ErrorKind::UnexpectedEof.into()));
    let answer = answer.map_err(|_| Ending::Broken)?;
    if answer.line.split(' ').nth(1) != Some("200") {
        return Err(Ending::Status);
    }
    if answer.body != texts.answer {
        return Err(Ending::Body);
    }
    Ok(answer.last || written.is_err())
}
