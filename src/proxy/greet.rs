//! What comes before a client's first request: the handshake of TLS. It runs on the worker, never on the acceptor, which others wait for.

use crate::message::forwarded::{Address, Scheme};
use crate::proxy::socket::Socket;
use crate::proxy::tls::Tls;
use crate::telemetry::{Rejected, Telemetry};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// How the clients of a listener speak.
#[derive(Debug, Default)]
pub struct Terms {
    /// Inside TLS.
    pub tls: Option<Tls>,
}

/// A client that may ask.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) socket: Socket,
    pub(super) address: Address,
}

/// Makes a connection one that requests come by. `None`, and counted, if its client does not keep to the terms.
pub(super) async fn greet(
    socket: Socket,
    peer: IpAddr,
    terms: &Terms,
    telemetry: &Telemetry,
) -> Option<Guest> {
    let Some(tls) = &terms.tls else {
        return Some(Guest {
            socket,
            address: Address::new(peer, Scheme::Http),
        });
    };
    match timeout(TLS_TIMEOUT, Box::pin(tls.accept(socket))).await {
        Ok(Ok(stream)) => Some(Guest {
            socket: Socket::Tls(Box::new(stream)),
            address: Address::new(peer, Scheme::Https),
        }),
        failed => {
            telemetry.process().rejected(Rejected::Tls);
            if let Ok(Err(error)) = failed {
                tracing::debug!(%error, %peer, "a handshake of TLS failed");
            }
            None
        }
    }
}
