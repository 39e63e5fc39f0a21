//! What a backend does with a connection: its duty, or one of the ways in which a shadow can fail.

use crate::wire;
use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use std::io::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Duration, sleep};

/// How a backend behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Healthy,
    /// Answers after a second.
    Slow,
    /// Reads requests, and never answers.
    Never,
    /// Accepts no connection.
    Refuse,
    /// Ends the connection with RST in the middle of a body.
    Reset,
    /// Sends a byte of the body each second.
    Trickle,
    /// Sends 1 GiB, of known length and in chunks in turn.
    Huge,
    /// Sends what is no HTTP, or contradicts itself.
    Framing,
    /// Reads nothing.
    Unread,
    /// Healthy, but does nothing for 100 ms of each second. For a check of the load.
    Pause,
}

/// How much a huge answer has.
const HUGE: u64 = 1 << 30;
/// What of it goes out at a time, and how long after the one before: some 10 MB/s for each connection. As fast as it is read, the kernel alone would keep
/// the load, which shares a core with this backend, from its schedule.
const PIECE: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// Answers that break the rules of RFC 9112; the connection stays open after them.
const BROKEN: [&str; 4] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello, world",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 12x\r\n\r\nhello, world",
    "\x16\x03\x01 hello, world\r\n\r\n",
];

impl Mode {
    /// A socket for the mode's connections, whose buffers they inherit.
    pub(crate) fn socket(self) -> Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        match self {
            // What the system took in for a peer that does not read would hide that it does not read.
            Self::Unread => socket.set_recv_buffer_size(4 * 1024)?,
            // Not megabytes ahead of what the proxy takes.
            Self::Huge => socket.set_send_buffer_size(64 * 1024)?,
            Self::Healthy
            | Self::Slow
            | Self::Never
            | Self::Refuse
            | Self::Reset
            | Self::Trickle
            | Self::Framing
            | Self::Pause => {}
        }
        Ok(socket)
    }

    /// Serves one connection to its end. `heard` is told of each request.
    pub(crate) async fn serve(
        self,
        mut stream: TcpStream,
        number: usize,
        answer: &Bytes,
        heard: impl Fn(),
    ) -> Result<()> {
        stream.set_nodelay(true)?;
        if self == Self::Unread {
            return ignore(&stream).await;
        }
        let mut buffer = BytesMut::with_capacity(4096);
        while wire::read(&mut stream, &mut buffer).await?.is_some() {
            heard();
            match self {
                Self::Healthy | Self::Pause => stream.write_all(answer).await?,
                Self::Slow => {
                    sleep(Duration::from_secs(1)).await;
                    stream.write_all(answer).await?;
                }
                Self::Never | Self::Refuse | Self::Unread => {}
                Self::Reset => return reset(stream, answer).await,
                Self::Trickle => return trickle(stream, answer).await,
                Self::Huge => return huge(stream, number.is_multiple_of(2)).await,
                Self::Framing => {
                    stream
                        .write_all(BROKEN[number % BROKEN.len()].as_bytes())
                        .await?
                }
            }
        }
        Ok(())
    }
}

/// Keeps the connection until the other end closes it, and reads nothing.
async fn ignore(stream: &TcpStream) -> Result<()> {
    while !stream.ready(Interest::READABLE).await?.is_read_closed() {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn reset(mut stream: TcpStream, answer: &Bytes) -> Result<()> {
    stream.write_all(&answer[..answer.len() / 2]).await?;
    // So that the head is read before the connection is gone.
    sleep(Duration::from_millis(5)).await;
    stream.set_zero_linger()
}

async fn trickle(mut stream: TcpStream, answer: &Bytes) -> Result<()> {
    let body = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(0, |place| place + 4);
    stream.write_all(&answer[..body]).await?;
    let (mut reading, mut writing) = stream.split();
    let trickling = async {
        for byte in &answer[body..] {
            sleep(Duration::from_secs(1)).await;
            writing.write_all(&[*byte]).await?;
        }
        Ok(())
    };
    tokio::select! {
        // Somebody who has left takes no more bytes, which writing alone would learn late.
        _ = reading.read_u8() => Ok(()),
        ended = trickling => ended,
    }
}

async fn huge(mut stream: TcpStream, known: bool) -> Result<()> {
    let (framing, before, after) = if known {
        (format!("content-length: {HUGE}"), String::new(), "")
    } else {
        (
            "transfer-encoding: chunked".to_owned(),
            format!("{PIECE:x}\r\n"),
            "\r\n",
        )
    };
    let mut piece = BytesMut::from(before.as_bytes());
    piece.resize(before.len() + PIECE, b' ');
    piece.extend_from_slice(after.as_bytes());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..HUGE / PIECE as u64 {
        stream.write_all(&piece).await?;
        sleep(PAUSE).await;
    }
    if known {
        Ok(())
    } else {
        stream.write_all(b"0\r\n\r\n").await
    }
}
