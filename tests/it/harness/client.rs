//! A client on a raw socket: it sends exactly the bytes that a test gives it, and reads answers strictly by RFC 9112.

use super::wire::Wire;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Wire,
    read: Vec<u8>,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `HTTP/1.1` as it came.
    pub(crate) version: String,
    pub(crate) headers: HeaderMap,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
    /// The statuses of the 1xx answers before it.
    pub(crate) interim: Vec<u16>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The field's value, if it came exactly once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} came {} times", values.len());
        values.first().map(|value| value.to_str().unwrap())
    }
}

/// What is to come of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// Nothing; these were its trailers.
    Over(HeaderMap),
    /// So many bytes.
    Sized(usize),
    /// Chunks.
    Chunked,
    /// All that comes before the connection is closed, and not reset.
    UntilClosed,
}

impl Coming {
    /// What follows a head that answers this method.
    pub(crate) fn of(method: &str, head: &Head) -> io::Result<Self> {
        if method == "HEAD" || matches!(head.status, 204 | 304) {
            return Ok(Self::Over(HeaderMap::new()));
        }
        if let Some(coding) = head.headers.get("transfer-encoding") {
            if coding != "chunked" || head.headers.contains_key("content-length") {
                return Err(wrong("framed twice, or not as chunked"));
            }
            return Ok(Self::Chunked);
        }
        match head.headers.get("content-length") {
            Some(length) => {
                let length = length.to_str().map_err(wrong)?.parse().map_err(wrong)?;
                Ok(Self::Sized(length))
            }
            None => Ok(Self::UntilClosed),
        }
    }
}

/// How the other end ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Closed,
    Reset,
}

/// One request on a connection of its own, which is closed after it.
#[track_caller]
pub(crate) fn get(address: SocketAddr, target: &str) -> Answer {
    Client::connect(address).get(target)
}

/// A request to an admin API; a body is sent as JSON.
#[track_caller]
pub(crate) fn admin(
    address: SocketAddr,
    method: &str,
    target: &str,
    body: Option<&serde_json::Value>,
) -> Answer {
    let text = body.map(ToString::to_string).unwrap_or_default();
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n"
    );
    if body.is_some() {
        head.push_str(&format!("content-length: {}\r\n", text.len()));
    }
    let mut client = Client::connect(address);
    client.send(format!("{head}\r\n{text}"));
    client.answer(method)
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(Wire::tcp(stream))
    }

    /// A connection to a Unix socket.
    #[track_caller]
    pub(crate) fn connect_unix(path: &Path) -> Self {
        Self::over(Wire::unix(path))
    }

    /// One that stands already.
    pub(crate) fn over(stream: Wire) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    #[track_caller]
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.socket().local_addr().unwrap()
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, &[], b"")
    }

    /// A request with `host: test.example`, these fields, and a sized body unless it is empty; then its answer.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.send_request(method, target, headers, body);
        self.answer(method)
    }

    #[track_caller]
    pub(crate) fn send_request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nhost: test.example\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes);
    }

    /// The next whole answer, to a request of this method.
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method).unwrap_or_else(|error| {
            panic!(
                "no whole answer to {method}: {error}; read: {:?}",
                Bytes::copy_from_slice(&self.read)
            )
        })
    }

    /// The same, or how it broke off.
    pub(crate) fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.try_head()?;
            if !(100..200).contains(&head.status) {
                break head;
            }
            interim.push(head.status);
        };
        let (body, trailers) = self.body(method, &head)?;
        Ok(Answer {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: body.into(),
            trailers,
            interim,
        })
    }

    /// The next head, an interim one too.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().unwrap()
    }

    pub(crate) fn try_head(&mut self) -> io::Result<Head> {
        let text = self.take_past(b"\r\n\r\n")?;
        let text = String::from_utf8(text).map_err(wrong)?;
        let mut lines = text.split("\r\n");
        let mut status_line = lines.next().unwrap_or_default().splitn(3, ' ');
        let version = status_line.next().unwrap_or_default().to_owned();
        let status = status_line
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(wrong)?;
        Ok(Head {
            status,
            version,
            headers: fields(lines)?,
        })
    }

    fn body(&mut self, method: &str, head: &Head) -> io::Result<(Vec<u8>, HeaderMap)> {
        let mut coming = Coming::of(method, head)?;
        let mut body = Vec::new();
        while let Some(piece) = self.try_piece(&mut coming)? {
            body.extend(piece);
        }
        match coming {
            Coming::Over(trailers) => Ok((body, trailers)),
            Coming::Sized(_) | Coming::Chunked | Coming::UntilClosed => {
                Ok((body, HeaderMap::new()))
            }
        }
    }

    /// The next bytes of a body, `None` at its end, or how it broke off.
    pub(crate) fn try_piece(&mut self, coming: &mut Coming) -> io::Result<Option<Vec<u8>>> {
        match coming {
            Coming::Over(_) => Ok(None),
            Coming::Sized(0) => {
                *coming = Coming::Over(HeaderMap::new());
                Ok(None)
            }
            Coming::Sized(left) => {
                if self.read.is_empty() {
                    self.more()?;
                }
                let piece = self.try_read_exactly(self.read.len().min(*left))?;
                *left -= piece.len();
                Ok(Some(piece))
            }
            Coming::Chunked => {
                let line = String::from_utf8(self.take_past(b"\r\n")?).map_err(wrong)?;
                let size = usize::from_str_radix(line.trim_end(), 16).map_err(wrong)?;
                if size == 0 {
                    *coming = Coming::Over(self.trailers()?);
                    return Ok(None);
                }
                let piece = self.try_read_exactly(size)?;
                if self.try_read_exactly(2)? != b"\r\n" {
                    return Err(wrong("a chunk has no end"));
                }
                Ok(Some(piece))
            }
            Coming::UntilClosed => {
                if self.read.is_empty() {
                    // Inside TLS an end without its last word is an error here.
                    let mut buffer = [0; 16 * 1024];
                    let read = self.stream.read(&mut buffer)?;
                    self.read.extend_from_slice(&buffer[..read]);
                }
                if self.read.is_empty() {
                    *coming = Coming::Over(HeaderMap::new());
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.read)))
            }
        }
    }

    fn trailers(&mut self) -> io::Result<HeaderMap> {
        let mut lines = Vec::new();
        loop {
            let line = String::from_utf8(self.take_past(b"\r\n")?).map_err(wrong)?;
            if line == "\r\n" {
                return fields(lines.iter().map(String::as_str));
            }
            lines.push(line.trim_end().to_owned());
        }
    }

    #[track_caller]
    pub(crate) fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        self.try_read_exactly(length).unwrap()
    }

    fn try_read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.more()?;
        }
        Ok(self.read.drain(..length).collect())
    }

    fn take_past(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self
                .read
                .windows(mark.len())
                .position(|window| window == mark)
            {
                return Ok(self.read.drain(..at + mark.len()).collect());
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.read.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }

    /// Asks to switch, says something, and hears the rest: the other end of [`super::peer::switch_and_echo`].
    #[track_caller]
    pub(crate) fn switch_and_hear(&mut self, said: &[u8]) -> (Vec<u8>, Ending) {
        self.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        assert_eq!(self.head().status, 101);
        self.send(said);
        self.rest()
    }

    /// Everything until the other end closes, and how it did.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Ending) {
        let ending = loop {
            match self.more() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Ending::Closed,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break Ending::Reset,
                Err(error) => panic!("the other end did not close: {error}"),
            }
        };
        (std::mem::take(&mut self.read), ending)
    }

    /// How the other end closes, where nothing comes before that. An end without the last word of TLS is an error.
    pub(crate) fn ending(&mut self) -> io::Result<Ending> {
        match self.stream.read(&mut [0]) {
            Ok(0) => Ok(Ending::Closed),
            Ok(_) => Err(wrong("more came")),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Ending::Reset),
            Err(error) => Err(error),
        }
    }

    /// Reads and forgets what has arrived; whether the other end has closed.
    pub(crate) fn skim(&mut self) -> bool {
        self.stream.socket().set_nonblocking(true).unwrap();
        let closed = loop {
            match self.more() {
                Ok(()) => self.read.clear(),
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.socket().set_nonblocking(false).unwrap();
        closed
    }

    /// Whether bytes or an end have arrived that were not read yet.
    pub(crate) fn has_news(&mut self) -> bool {
        let socket = self.stream.socket();
        socket.set_nonblocking(true).unwrap();
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false).unwrap();
        !self.read.is_empty()
            || !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Says that no more will be sent, and keeps reading.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.finish_sending();
    }

    /// Ends the connection with RST, as a client that crashed does.
    pub(crate) fn reset(self) {
        super::peer::reset(self.stream.into_socket());
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| wrong("a field without a colon"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(wrong)?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(wrong)?);
    }
    Ok(headers)
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
