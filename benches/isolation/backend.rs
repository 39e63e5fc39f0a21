//! A backend whose behaviour can be changed while it runs. A change closes every connection and opens the listener anew, so that nothing of
//! what was before reaches into what comes.

use crate::fault::Mode;
use crate::wire;
use bytes::{Bytes, BytesMut};
use clap::{Args, ValueEnum};
use std::cell::Cell;
use std::future::pending;
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::thread;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Duration, sleep};

#[derive(Args)]
pub(crate) struct Options {
    /// Where requests come.
    #[arg(long)]
    port: u16,
    /// Where `GET /mode/NAME` changes the behaviour, and `GET /` tells what came.
    #[arg(long)]
    control: u16,
}

/// What came since the start.
#[derive(Debug, Default)]
struct Seen {
    requests: Cell<u64>,
    connections: Cell<usize>,
}

const BODY: usize = 1024;

/// What a healthy backend answers: JSON of 1 KiB.
pub(crate) fn body() -> Bytes {
    let mut text = String::from(r#"{"items":["#);
    let mut number = 0;
    while text.len() < BODY - 140 {
        text.push_str(&format!(r#"{{"id":{},"name":"item-{number}","price":"{}.90","tags":["field::science","use::viewing"]}},"#, 1000 + number, number % 90));
        number += 1;
    }
    text.pop();
    text.push_str(&format!(r#"],"total":{number},"note":""#));
    text.extend(std::iter::repeat_n('x', BODY - text.len() - 2));
    text.push_str("\"}");
    Bytes::from(text)
}

fn answer() -> Bytes {
    let body = body();
    let mut text = BytesMut::from(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    text.extend_from_slice(&body);
    text.freeze()
}

/// Answers until the process is ended.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, options.control)).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let (seen, answer) = (Rc::new(Seen::default()), answer());
    let mut mode = Mode::Healthy;
    let mut told: Option<TcpStream> = None;
    LocalSet::new()
        .run_until(async {
            loop {
                let socket = mode.socket()?;
                socket.bind(address)?;
                // Bound and not listening: the port stays ours, and refuses.
                let (_refusing, listener) = if mode == Mode::Refuse {
                    (Some(socket), None)
                } else {
                    (None, Some(socket.listen(4096)?))
                };
                if let Some(stream) = told.take() {
                    tell(stream, &seen).await?;
                }
                let next = tokio::select! {
                    accepted = accept(listener, mode, &answer, &seen) => match accepted? {},
                    next = orders(&control, &seen) => next?,
                };
                mode = next.0;
                told = Some(next.1);
            }
        })
        .await
}

enum Never {}

async fn accept(
    listener: Option<TcpListener>,
    mode: Mode,
    answer: &Bytes,
    seen: &Rc<Seen>,
) -> Result<Never> {
    let Some(listener) = listener else {
        return pending().await;
    };
    let mut connections = JoinSet::new();
    if mode == Mode::Pause {
        connections.spawn_local(async {
            loop {
                sleep(Duration::from_millis(900)).await;
                // The whole backend stands still, as it would for a collection of garbage.
                thread::sleep(Duration::from_millis(100));
            }
        });
    }
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let number = seen.connections.get();
                seen.connections.set(number + 1);
                let (answer, seen) = (answer.clone(), Rc::clone(seen));
                connections.spawn_local(async move {
                    let heard = || seen.requests.set(seen.requests.get() + 1);
                    // That a proxy leaves in the middle is what most of these modes make it do.
                    let _ = mode.serve(stream, number, &answer, heard).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Waits for an order to change; whoever asks what came is told here.
async fn orders(control: &TcpListener, seen: &Seen) -> Result<(Mode, TcpStream)> {
    loop {
        let (mut stream, _) = control.accept().await?;
        let Ok(Some(request)) = wire::read(&mut stream, &mut BytesMut::new()).await else {
            continue;
        };
        let target = request.line.split(' ').nth(1).unwrap_or_default();
        match target
            .strip_prefix("/mode/")
            .map(|name| Mode::from_str(name, false))
        {
            Some(Ok(mode)) => return Ok((mode, stream)),
            Some(Err(_)) => {
                stream
                    .write_all(
                        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                    )
                    .await?
            }
            None => tell(stream, seen).await?,
        }
    }
}

async fn tell(mut stream: TcpStream, seen: &Seen) -> Result<()> {
    let text = format!(
        r#"{{"requests": {}, "connections": {}}}"#,
        seen.requests.get(),
        seen.connections.get()
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(format!("{head}{text}").as_bytes()).await
}
