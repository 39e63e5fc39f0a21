//! Connections of the admin listener. Few are needed, so few are allowed; beyond that the oldest one makes room, so that neither idle
//! nor slow peers can keep a rollback out.

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// Bounds of the admin listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time; the oldest is closed for the next.
    pub connections: usize,
    /// For the head of a request to arrive, and for a connection to be idle.
    pub head: Duration,
    /// A connection ends after this, once its request is answered.
    pub age: Duration,
    /// For a connection's first request, if there was none, when the listener stops: whoever has just connected is about to ask.
    pub first: Duration,
    /// For requests to end when the listener stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(30),
            age: Duration::from_secs(600),
            first: Duration::from_secs(1),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop` ends, then lets the requests that run end. Fails only where the listener can't be used.
pub async fn serve(
    listener: StdListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (stopping, stopped) = watch::channel(());
    let mut open = Connections::default();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = open.tasks.join_next(), if !open.tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => open.start(connection(stream, router.clone(), limits, stopped.clone()), limits.connections),
                // Out of file descriptors, or a peer that is gone already: neither ends by trying at once again.
                Err(error) => {
                    tracing::warn!(%error, "a connection to the admin listener could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    drop(stopped);
    // Receivers see that the sender is gone.
    drop(stopping);
    let _ = timeout(limits.drain, async {
        while open.tasks.join_next().await.is_some() {}
    })
    .await;
    // What still runs is aborted when the set is dropped.
    Ok(())
}

/// The open connections, oldest first.
#[derive(Debug, Default)]
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
}

impl Connections {
    fn start(&mut self, task: impl Future<Output = ()> + Send + 'static, most: usize) {
        self.order.retain(|task| !task.is_finished());
        while self.order.len() >= most.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                oldest.abort();
            }
        }
        self.order.push_back(self.tasks.spawn(task));
    }
}

/// One connection, until either side closes it, it has grown old, or the listener stops.
async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    // Answers are small and whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let (ask, mut asked) = watch::channel(false);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        ask.send_replace(true);
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // What a peer does wrong is its own affair.
        _ = &mut connection => return,
        _ = stopped.changed() => {}
        () = sleep(limits.age) => {}
    }
    tokio::select! {
        _ = &mut connection => return,
        _ = timeout(limits.first, asked.wait_for(|asked| *asked)) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.drain, connection).await;
}
