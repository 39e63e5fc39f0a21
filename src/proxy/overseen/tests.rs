//! What passes of the bytes of a client that asks much in few of them. Nothing here moves the clock: turns do not end by themselves.

use super::*;
use crate::proxy::frames::tests::frame;
use std::collections::VecDeque;
use std::task::Wake;
use tokio::runtime::{Builder, Runtime};

/// A socket on which everything is there already, in pieces.
struct Sent(VecDeque<Vec<u8>>);

impl AsyncRead for Sent {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut().0.pop_front() {
            Some(piece) => {
                buffer.put_slice(&piece);
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }
}

/// Whether somebody was woken.
#[derive(Default)]
struct Woken(Mutex<bool>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
    }
}

struct Reading {
    runtime: Runtime,
    overseen: Overseen<Sent>,
    woken: Arc<Woken>,
    /// What came of the client's bytes.
    scanner: Scanner,
    begun: Vec<u32>,
    bytes: usize,
}

impl Reading {
    /// Of a client that sends this in pieces of some size.
    fn of(bytes: &[u8], piece: usize) -> Self {
        let oversight = Oversight::new(&Telemetry::new(), 100);
        let sent = Sent(bytes.chunks(piece).map(<[u8]>::to_vec).collect());
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            overseen: Overseen::new(sent, &oversight),
            woken: Arc::default(),
            scanner: Scanner::after(PREFACE),
            begun: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads until there is nothing to read, or it must wait; how many requests have begun since.
    fn read(&mut self) -> usize {
        let _time = self.runtime.enter();
        let waker = Waker::from(Arc::clone(&self.woken));
        let before = self.begun.len();
        let mut room = [0; 64 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            let read = Pin::new(&mut self.overseen)
                .poll_read(&mut Context::from_waker(&waker), &mut buffer);
            if read.is_pending() {
                return self.begun.len() - before;
            }
            assert!(!buffer.filled().is_empty(), "the end of the connection");
            self.bytes += buffer.filled().len();
            let begun = &mut self.begun;
            self.scanner.pass(buffer.filled(), |passing| {
                if let Passing::Frame(frame) = passing
                    && frame.kind == HEADERS
                {
                    begun.push(frame.stream);
                }
            });
        }
    }

    /// Something is written to the client; whether its reader is woken.
    fn write(&mut self, frame: &[u8]) -> bool {
        self.overseen.oversight.lock().went(frame);
        std::mem::take(&mut self.woken.0.lock().unwrap())
    }
}

fn requests(count: u32) -> Vec<u8> {
    let preface = vec![b'p'; PREFACE];
    let heads = (0..count).map(|number| {
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * number + 1,
            &[0x82, 0x86, 0xbf, 0xbe],
        )
    });
    [preface, frame(SETTINGS, 0, 0, &[])]
        .into_iter()
        .chain(heads)
        .flatten()
        .collect()
}

#[test]
fn requests_begin_as_others_are_answered() {
    let bytes = requests(100);
    for piece in [1, 7, 13, 100, bytes.len()] {
        let mut reading = Reading::of(&bytes, piece);
        let first = reading.read();
        assert!(
            (4..=12).contains(&first),
            "{first} of 100 in pieces of {piece}"
        );
        assert_eq!(reading.read(), 0);
        // Whether an answer begins or a stream is reset, one more may begin; DATA is of an answer that has begun.
        assert!(reading.write(&frame(HEADERS, END_HEADERS, 1, &[0x88])));
        // Perhaps two: what comes pays, too.
        assert!((1..=2).contains(&reading.read()));
        assert!(!reading.write(&frame(DATA, END_STREAM, 1, b"x")));
        assert_eq!(reading.read(), 0);
        assert!(reading.write(&frame(RST_STREAM, 0, 5, &[0; 4])));
        assert!((1..=2).contains(&reading.read()));
        // Nothing is lost and nothing comes twice, however it was cut.
        let mut answered = 0;
        while reading.begun.len() < 100 {
            let stream = reading.begun[answered];
            reading.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]));
            reading.read();
            answered += 1;
        }
        assert!(
            reading
                .begun
                .iter()
                .copied()
                .eq((0..100).map(|number| 2 * number + 1))
        );
        assert_eq!(reading.bytes, bytes.len());
    }
}

#[test]
fn who_has_sent_enough_waits_for_nothing() {
    let first = frame(HEADERS, END_HEADERS, 1, &[0x82, 0x86, 0xbf, 0xbe]);
    let body = frame(DATA, END_STREAM, 1, &[b'x'; 52_000]);
    let more = (1..100).map(|number| {
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * number + 1,
            &[0x82, 0x86, 0xbf, 0xbe],
        )
    });
    let bytes: Vec<u8> = [vec![b'p'; PREFACE], first, body]
        .into_iter()
        .chain(more)
        .flatten()
        .collect();
    for piece in [11, 1_000, 60_000] {
        assert_eq!(Reading::of(&bytes, piece).read(), 100);
    }
}

#[test]
fn a_head_that_has_begun_comes_whole() {
    let mut bytes = requests(60);
    // The next one is in two frames, of which the second is no request of its own.
    bytes.extend(frame(HEADERS, END_STREAM, 121, &[0x82, 0x86, 0xbf]));
    bytes.extend(frame(CONTINUATION, END_HEADERS, 121, &[0xbe]));
    let mut reading = Reading::of(&bytes, bytes.len());
    reading.read();
    for answered in 0.. {
        if reading.begun.len() == 61 {
            break;
        }
        let stream = reading.begun[answered];
        reading.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]));
        reading.read();
    }
    assert_eq!(reading.bytes, bytes.len());
}

#[test]
fn a_turn_that_brings_no_answers_lets_twice_as_many_begin() {
    let mut reading = Reading::of(&requests(100), 5_000);
    let first = reading.read();
    let mut turns = 0;
    while reading.begun.len() < 100 {
        reading.overseen.oversight.lock().turns.next(Duration::ZERO);
        reading.read();
        turns += 1;
        assert!(reading.begun.len() >= (first << turns).min(100));
    }
    assert!(turns <= 5);
}
