//! Both ends of a connection, for the tests of this room.

use crate::telemetry::GaugeCell;
use crate::upstream::line::Held;
use crate::upstream::stream::Stream;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

/// Our end, what goes with it, and the side's end.
pub(super) async fn connected() -> (Stream, Held, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let held = (permit, GaugeCell::default().hold());
    (Stream::Tcp(ours.unwrap()), held, theirs.unwrap().0)
}

pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}
