//! The demo's load: steady, skewed reads through the proxy over a few keep-alive connections.
//!
//! It is bounded and paced: one request at a time on each connection, each connection with a rhythm of its own. A request that comes late is left out, never caught up with.

use crate::demo::skew::Mix;
use bytes::Bytes;
use fastrand::Rng;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

/// Requests a second in all, unless told otherwise.
pub const RATE: u32 = 200;
/// Connections that share the rate.
pub const CONNECTIONS: u32 = 8;
/// A request that has no whole answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked, where, and how it goes.
#[derive(Debug)]
pub struct Load {
    mix: Mix,
    target: SocketAddr,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Why a request got no answer that counts.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
}

impl Load {
    /// A load on one address.
    #[must_use]
    pub fn new(mix: Mix, target: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            mix,
            target,
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Requests that were answered below 500, and others.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }

    /// The tasks that make the load, at a rate of requests a second in all. They end when the set is dropped.
    pub fn start(self: &Arc<Self>, rate: u32) -> JoinSet<()> {
        let rhythm = Duration::from_secs(1) * CONNECTIONS / rate.max(1);
        let mut tasks = JoinSet::new();
        for place in 0..CONNECTIONS {
            // Evenly staggered, so that the requests come one by one and not in waves.
            let offset = rhythm * place / CONNECTIONS;
            tasks.spawn(Arc::clone(self).drive(Rng::new(), rhythm, offset));
        }
        tasks
    }

    async fn drive(self: Arc<Self>, mut rng: Rng, rhythm: Duration, offset: Duration) {
        let mut ticks = interval_at(tokio::time::Instant::now() + offset, rhythm);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut connection = None;
        loop {
            ticks.tick().await;
            let target = self.mix.target(&mut rng);
            let asked = timeout(PATIENCE, self.read(&mut connection, &target)).await;
            match asked.unwrap_or(Err(LoadError::Timeout)) {
                Ok(()) => self.answered.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    tracing::debug!(%error, target, "a request of the load failed");
                    connection = None;
                    self.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }

    async fn read(&self, place: &mut Option<Connection>, target: &str) -> Result<(), LoadError> {
        let mut connection = match place.take() {
            Some(connection) if !connection.sender.is_closed() => connection,
            Some(_) | None => self.connect().await?,
        };
        connection.sender.ready().await?;
        let request = Request::get(target)
            .header(header::HOST, self.target.to_string())
            .header(header::USER_AGENT, "crossfade-demo-load")
            .body(Empty::new())
            .expect("a target of the mix is a valid one: a test draws thousands");
        let response = connection.sender.send_request(request).await?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        *place = Some(connection);
        if head.status.is_server_error() {
            Err(LoadError::Status(head.status))
        } else {
            Ok(())
        }
    }

    async fn connect(&self) -> Result<Connection, LoadError> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            // What goes wrong on the connection is told to the request that waits for it.
            let _ = driver.await;
        });
        Ok(Connection {
            sender,
            _driving: driving,
        })
    }
}

/// A keep-alive connection, closed when it is dropped.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _driving: JoinSet<()>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::catalog::Catalog;
    use crate::demo::data::Entry;
    use crate::demo::service;
    use crate::side::Side;
    use axum::middleware::{Next, from_fn};
    use axum::serve::ListenerExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    fn catalog() -> Catalog {
        Catalog::new([Entry {
            content: "a+b".to_owned(),
            title: String::new(),
            section: String::new(),
            tags: vec!["x::1".to_owned()],
        }])
    }

    #[tokio::test]
    async fn reads_are_answered_over_few_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let load = Load::new(Mix::new(&catalog()), listener.local_addr().unwrap());
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let (asked, mut requests) = mpsc::unbounded_channel();
        let told = move |request, next: Next| {
            asked.send(()).unwrap();
            next.run(request)
        };
        let service = service::router(Side::Old, catalog()).layer(from_fn(told));
        let mut tasks = load.start(2_000);
        tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
        for _ in 0..500 {
            requests.recv().await.unwrap();
        }
        let (answered, failed) = load.counts();
        assert!(
            answered >= 500 - u64::from(CONNECTIONS),
            "{answered}: one request at a time on each connection"
        );
        assert_eq!(failed, 0);
        assert!(connections.load(Ordering::Relaxed) <= u64::from(CONNECTIONS));
    }

    #[tokio::test]
    async fn a_broken_connection_is_counted_and_the_load_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let load = Load::new(Mix::new(&catalog()), listener.local_addr().unwrap());
        let mut tasks = load.start(1_000);
        for _ in 0..100 {
            drop(listener.accept().await.unwrap());
        }
        let (answered, failed) = load.counts();
        assert_eq!(answered, 0);
        assert!(failed >= 100 - u64::from(CONNECTIONS), "{failed}");
        assert!(tasks.try_join_next().is_none(), "no task has ended");
    }
}
