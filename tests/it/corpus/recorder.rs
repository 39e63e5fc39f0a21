//! A side on raw sockets that reads requests by the letter of RFC 9112, in a way of its own, and remembers whatever is not exactly as it must be.

use crate::harness::PATIENCE;
use crate::harness::proxy::Listens;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running recorder. Its thread ends with the tests.
#[derive(Debug)]
pub(super) struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Listens for Recorder {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Recorder {
    /// Answers each whole request with 200.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&shared);
                let stream = stream.unwrap();
                thread::spawn(move || record(stream, &seen));
            }
        });
        Self { address, seen }
    }

    /// What was seen since the last time: each whole request as `METHOD TARGET = BODY`, or what was wrong with it.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn record(stream: TcpStream, seen: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = Reader {
        stream,
        unread: Vec::new(),
    };
    loop {
        let row = match reader.request() {
            Ok(row) if reader.unread.is_empty() => row,
            Ok(row) => format!("{row}, and more behind it: {:?}", reader.unread),
            Err(Fault::Ended) => return,
            Err(Fault::Wrong(what)) => what,
        };
        seen.lock().unwrap().push(row.trim_end().to_owned());
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if reader.stream.write_all(answer).is_err() {
            return;
        }
    }
}

enum Fault {
    /// No whole request came.
    Ended,
    Wrong(String),
}

fn wrong<T>(what: &str, where_: &str) -> Result<T, Fault> {
    Err(Fault::Wrong(format!("WRONG: {what}: {where_:?}")))
}

enum Framing {
    None,
    Length(usize),
    Chunked,
}

struct Reader {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Reader {
    fn request(&mut self) -> Result<String, Fault> {
        let line = self.line()?;
        let words: Vec<_> = line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else {
            return wrong("no request line", &line);
        };
        if !is_token(method) || target.is_empty() {
            return wrong("no method, or no target", &line);
        }
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            fields.push(field(&line)?);
        }
        let all = |name: &str| -> Vec<&str> {
            let same = fields.iter().filter(|field| field.0 == name);
            same.map(|field| field.1.as_str()).collect()
        };
        if all("host").len() != 1 {
            return wrong("not one Host", &format!("{fields:?}"));
        }
        let framing = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
            ([], []) => Framing::None,
            ([length], []) if is_length(length) => Framing::Length(length.parse().unwrap()),
            ([], ["chunked"]) => Framing::Chunked,
            _ => return wrong("no clear framing", &format!("{fields:?}")),
        };
        let body = match framing {
            Framing::None => Vec::new(),
            Framing::Length(length) => self.exactly(length)?,
            Framing::Chunked => self.chunks()?,
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(match framing {
            Framing::None => format!("{method} {target}"),
            Framing::Length(_) | Framing::Chunked => format!("{method} {target} = {body}"),
        })
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let hex = line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let Some(size) = usize::from_str_radix(&line, 16).ok().filter(|_| hex) else {
                return wrong("no size of a chunk", &line);
            };
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return wrong("a chunk has no end", &line);
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(body);
            }
            let (name, _) = field(&line)?;
            if matches!(&*name, "content-length" | "transfer-encoding" | "host") {
                return wrong("a trailer that is none", &line);
            }
        }
    }

    /// A line without its CR LF, and without any other control character.
    fn line(&mut self) -> Result<String, Fault> {
        let end = loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                break end;
            }
            self.more()?;
        };
        let line: Vec<u8> = self.unread.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&line[..end]).into_owned();
        if line[..end]
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return wrong("a control character", &text);
        }
        Ok(text)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        while self.unread.len() < length {
            self.more()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn more(&mut self) -> Result<(), Fault> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(read) if read > 0 => {
                self.unread.extend_from_slice(&buffer[..read]);
                Ok(())
            }
            Ok(_) | Err(_) => Err(Fault::Ended),
        }
    }
}

/// A field's name in small letters, and its value.
fn field(line: &str) -> Result<(String, String), Fault> {
    match line.split_once(':') {
        Some((name, value)) if is_token(name) => {
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        }
        Some(_) | None => wrong("no field", line),
    }
}

fn is_token(text: &str) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

/// Digits that nobody takes for an octal number.
fn is_length(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (!text.starts_with('0') || text.bytes().all(|byte| byte == b'0'))
}
