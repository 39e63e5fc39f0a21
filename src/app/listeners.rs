//! The sockets of a proxy, open before anything else starts, so that a port in use is told at once.

use crate::app::failure::StartError;
use crate::config::Settings;
use std::net::{SocketAddr, TcpListener};

/// The sockets of a proxy.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub clients: Vec<TcpListener>,
    /// For the admin API.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens what `server.listen` and `server.admin` name.
    ///
    /// # Errors
    /// [`StartError::Listen`] names the address that can't be opened.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        let clients = settings
            .server
            .listen
            .iter()
            .map(|address| bind("server.listen", *address));
        Ok(Self {
            clients: clients.collect::<Result<_, _>>()?,
            admin: bind("server.admin", settings.server.admin)?,
        })
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Listen {
        key,
        address,
        source,
    })
}
