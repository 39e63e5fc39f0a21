//! A TCP connection to an endpoint: every address is tried in turn within one time limit.

use crate::upstream::failure::Fault;
use crate::upstream::names::Names;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) async fn connect(names: &Names, limit: Duration) -> Result<TcpStream, Fault> {
    let stream = timeout(limit, dial(names))
        .await
        .map_err(|_| Fault::ConnectTimeout)?;
    let stream = stream.map_err(Fault::Connect)?;
    // A head and a small body go out in two writes; waiting for more to send would only add latency.
    stream.set_nodelay(true).map_err(Fault::Connect)?;
    Ok(stream)
}

async fn dial(names: &Names) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in names.addresses().await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
