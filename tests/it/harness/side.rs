//! Sides that speak HTTP/2 frame by frame, as a test says: they say GOAWAY, reset, refuse, flood and fall silent.

use super::PATIENCE;
use super::http2::{self, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS};
use super::proxy::Listens;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A frame as it came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Whether it is the head of a request.
    pub(crate) fn is_request(&self) -> bool {
        self.kind == HEADERS
    }
}

/// A listener; each connection is a talk.
#[derive(Debug)]
pub(crate) struct Side {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Side {
    /// Each connection, told by its number from 0, is led by `lead`, and closed when that returns.
    pub(crate) fn start(lead: impl Fn(usize, &mut Talk) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let side = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            open: Arc::default(),
            stopped: Arc::default(),
        };
        let (accepted, open) = (Arc::clone(&side.accepted), Arc::clone(&side.open));
        let stopped = Arc::clone(&side.stopped);
        let lead = Arc::new(lead);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (lead, open) = (Arc::clone(&lead), Arc::clone(&open));
                let mut talk = Talk {
                    stream: stream.unwrap(),
                };
                thread::spawn(move || {
                    talk.stream.set_nodelay(true).unwrap();
                    talk.stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    talk.stream.set_write_timeout(Some(PATIENCE)).unwrap();
                    lead(number, &mut talk);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        side
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are led.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Listens for Side {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Talk {
    stream: TcpStream,
}

impl Talk {
    /// Reads the preface, and says its own settings.
    pub(crate) fn begin(&mut self, settings: &[(u16, u32)]) {
        let mut preface = [0; 24];
        if self.stream.read_exact(&mut preface).is_ok() {
            assert!(preface.starts_with(b"PRI * HTTP/2.0"));
            // Without the preface, which is the client's.
            self.send(&http2::preface(settings)[24..]);
        }
    }

    /// The next frame but for SETTINGS and PING, which are answered; `None` when the connection is over.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            match (frame.kind, frame.flags & 1) {
                (SETTINGS, 0) => self.send(&http2::frame(SETTINGS, 1, 0, &[])),
                (PING, 0) => self.send(&http2::frame(PING, 1, 0, &frame.payload)),
                (SETTINGS | PING, _) => {}
                _ => return Some(frame),
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let mut payload = vec![0; number(&head[..3]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload,
        })
    }

    /// The stream of the next request; `None` when the connection is over.
    pub(crate) fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.next()?;
            if frame.is_request() {
                return Some(frame.stream);
            }
        }
    }

    /// The stream of the next request that has come whole.
    pub(crate) fn whole_request(&mut self) -> Option<u32> {
        loop {
            let frame = self.next()?;
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return Some(frame.stream);
            }
        }
    }

    /// Sends bytes. That nobody takes them is no failure here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes);
    }

    /// Sends bytes; whether somebody took them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The head of an answer.
    pub(crate) fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let block = [&[(":status", "200")][..], fields].concat();
        let block = http2::fields(&block);
        self.send(&http2::frame(HEADERS, flags | END_HEADERS, stream, &block));
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, 0, &[]);
        self.send(&http2::frame(DATA, END_STREAM, stream, body.as_bytes()));
    }

    /// Ends a stream (RFC 9113 §7 names the reasons).
    pub(crate) fn reset(&mut self, stream: u32, reason: u32) {
        let frame = http2::frame(http2::RST_STREAM, 0, stream, &reason.to_be_bytes());
        self.send(&frame);
    }

    /// Says which stream was the last one.
    pub(crate) fn go_away(&mut self, last: u32, reason: u32) {
        let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
        self.send(&http2::frame(http2::GOAWAY, 0, 0, &payload));
    }

    /// Answers every request that comes until the connection is over.
    pub(crate) fn answer_all(&mut self, body: &str) {
        while let Some(stream) = self.whole_request() {
            self.answer(stream, body);
        }
    }

    /// Reads until the other end closes.
    pub(crate) fn drain(&mut self) {
        while self.read().is_some() {}
    }
}
