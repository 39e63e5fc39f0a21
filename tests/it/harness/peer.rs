//! Servers on raw sockets that follow a script: they close early, stall, reset, trickle, and break every rule that a test needs broken.

use super::{Gate, PATIENCE};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a peer does next on a connection. A connection whose script ends is closed.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads one head (to the empty line), and no further than it has to.
    ReadHead,
    /// Reads until this many bytes came after the head.
    ReadBody(usize),
    /// Reads one request, with the body that its head announces.
    ReadRequest,
    /// Sends exactly these bytes.
    Send(Vec<u8>),
    /// Sends them again and again, until nobody takes them any more.
    Flood(Vec<u8>),
    /// Sends what this makes of everything that was received.
    Reply(fn(&str) -> String),
    /// Sends them one by one.
    Trickle(Vec<u8>),
    /// Stalls until the test opens the gate.
    Wait(Gate),
    /// Reads and forgets until the proxy closes.
    Drain,
    /// Closes its sending half.
    FinishSending,
    /// Ends the connection with RST.
    Reset,
    /// Starts the script again: a keep-alive connection.
    Again,
}

/// `Step::Send` of a text.
pub(crate) fn send(text: impl Into<Vec<u8>>) -> Step {
    Step::Send(text.into())
}

/// Reads one head of a connection that follows no script, and no further.
#[track_caller]
pub(crate) fn read_head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    head
}

/// Switches as a request asks, and says again the four bytes that come then.
#[track_caller]
pub(crate) fn switch_and_echo(stream: &mut (impl Read + Write)) {
    read_head(stream);
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    stream.write_all(switch.as_bytes()).unwrap();
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).unwrap();
    stream.write_all(&heard).unwrap();
}

/// What a peer saw on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contact {
    /// Every byte.
    pub(crate) received: Vec<u8>,
    /// Whether the other end has closed or reset.
    pub(crate) ended: bool,
    /// Bytes that were sent.
    pub(crate) sent: usize,
}

impl Contact {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// A listener whose nth connection follows the nth script, the last one for ever after.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    contacts: Mutex<Vec<Contact>>,
    open: AtomicUsize,
    stopped: AtomicBool,
}

impl Peer {
    pub(crate) fn start(scripts: Vec<Vec<Step>>) -> Self {
        assert!(!scripts.is_empty(), "a peer needs a script");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let script = scripts[number.min(scripts.len() - 1)].clone();
                accepting.contacts.lock().unwrap().push(Contact::default());
                accepting.open.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                let stream = stream.unwrap();
                thread::spawn(move || {
                    Conversation {
                        stream,
                        shared: &shared,
                        number,
                        unread: 0,
                    }
                    .follow(&script);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// One script for every connection.
    pub(crate) fn always(script: Vec<Step>) -> Self {
        Self::start(vec![script])
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was seen on each connection so far, in the order of their acceptance.
    pub(crate) fn contacts(&self) -> Vec<Contact> {
        self.shared.contacts.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.shared.contacts.lock().unwrap().len()
    }

    /// Connections whose script runs.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The listener's thread sees the flag when it accepts once more.
        drop(TcpStream::connect(self.address));
    }
}

/// Ends a connection with RST.
pub(super) fn reset(stream: TcpStream) {
    let stream = {
        stream.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        stream.set_zero_linger().unwrap();
        stream.into_std().unwrap()
    };
    drop(stream);
}

struct Conversation<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    number: usize,
    /// Bytes at the end of what was received that no step has consumed.
    unread: usize,
}

impl Conversation<'_> {
    fn follow(mut self, script: &[Step]) {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.stream.set_nodelay(true).unwrap();
        let mut at = 0;
        while let Some(step) = script.get(at) {
            at += 1;
            let goes_on = match step {
                Step::ReadHead => self.read_head(),
                Step::ReadBody(length) => self.read_body(*length),
                Step::ReadRequest => self.read_request(),
                Step::Send(bytes) => self.send(bytes),
                Step::Reply(make) => {
                    let received = String::from_utf8_lossy(&self.received()).into_owned();
                    self.send(make(&received).as_bytes())
                }
                Step::Flood(bytes) => {
                    while self.send(bytes) {}
                    true
                }
                Step::Trickle(bytes) => bytes.iter().all(|byte| self.send(&[*byte])),
                Step::Wait(gate) => {
                    gate.wait();
                    true
                }
                Step::Drain => {
                    while self.more() {}
                    true
                }
                Step::FinishSending => self.stream.shutdown(Shutdown::Write).is_ok(),
                Step::Reset => return reset(self.stream),
                Step::Again => {
                    at = 0;
                    true
                }
            };
            if !goes_on {
                break;
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = self.stream.write_all(bytes).is_ok();
        if sent {
            self.shared.contacts.lock().unwrap()[self.number].sent += bytes.len();
        }
        sent
    }

    fn read_head(&mut self) -> bool {
        self.read_past(b"\r\n\r\n").is_some()
    }

    fn read_request(&mut self) -> bool {
        let Some(head) = self.read_past(b"\r\n\r\n") else {
            return false;
        };
        let head = String::from_utf8_lossy(&head).to_lowercase();
        match head.split_once("\r\ncontent-length: ") {
            Some((_, rest)) => {
                let length = rest.lines().next().unwrap().parse().unwrap();
                self.read_body(length)
            }
            None if head.contains("\r\ntransfer-encoding: chunked\r\n") => {
                self.read_past(b"0\r\n\r\n").is_some()
            }
            None => true,
        }
    }

    /// What was read up to these bytes, and them.
    fn read_past(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            let received = self.received();
            let unread = &received[received.len() - self.unread..];
            let found = unread.windows(mark.len()).position(|part| part == mark);
            if let Some(at) = found {
                let end = at + mark.len();
                self.unread -= end;
                return Some(unread[..end].to_vec());
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn read_body(&mut self, length: usize) -> bool {
        while self.unread < length {
            if !self.more() {
                return false;
            }
        }
        self.unread -= length;
        true
    }

    fn received(&self) -> Vec<u8> {
        self.shared.contacts.lock().unwrap()[self.number]
            .received
            .clone()
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer);
        let contact = &mut self.shared.contacts.lock().unwrap()[self.number];
        match read {
            Ok(read) if read > 0 => {
                contact.received.extend_from_slice(&buffer[..read]);
                self.unread += read;
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Ok(_) | Err(_) => {
                contact.ended = true;
                false
            }
        }
    }
}
