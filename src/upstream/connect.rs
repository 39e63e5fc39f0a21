//! A TCP connection to an endpoint. Names are resolved at each connect; every address is tried in turn within one time limit.

use crate::upstream::failure::Fault;
use http::uri::Authority;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) async fn connect(authority: &Authority, limit: Duration) -> Result<TcpStream, Fault> {
    let stream = timeout(limit, dial(authority))
        .await
        .map_err(|_| Fault::ConnectTimeout)?;
    let stream = stream.map_err(Fault::Connect)?;
    // A head and a small body go out in two writes; waiting for more to send would only add latency.
    stream.set_nodelay(true).map_err(Fault::Connect)?;
    Ok(stream)
}

async fn dial(authority: &Authority) -> io::Result<TcpStream> {
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    if let Ok(address) = host.parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(address, port)).await;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
