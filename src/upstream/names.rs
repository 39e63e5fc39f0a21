//! Where an endpoint is: its addresses, resolved beside the requests once they are known.

use http::uri::Authority;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use tokio::net::lookup_host;

/// The addresses of a host and port.
#[derive(Debug)]
pub struct Names {
    /// As the file has it, without brackets.
    host: Box<str>,
    port: u16,
    is_name: bool,
    /// None until somebody asks for the first time. Locked only to copy or replace them.
    known: Mutex<Vec<SocketAddr>>,
}

impl Names {
    pub(super) fn new(authority: &Authority, default_port: u16) -> Self {
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(default_port);
        let literal = host.parse::<IpAddr>().ok();
        Self {
            host: host.into(),
            port,
            is_name: literal.is_none(),
            known: Mutex::new(
                literal
                    .map(|ip| SocketAddr::new(ip, port))
                    .into_iter()
                    .collect(),
            ),
        }
    }

    /// Every address. A name is looked up here only as long as none is known.
    pub(super) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let known = self.known();
        if !known.is_empty() {
            return Ok(known);
        }
        let found: Vec<_> = lookup_host((&*self.host, self.port)).await?.collect();
        self.learn(found.clone());
        Ok(found)
    }

    /// Looks a name up again, if it was before. What is known stays if that fails.
    pub async fn refresh(&self) {
        if !self.is_name || self.known().is_empty() {
            return;
        }
        match lookup_host((&*self.host, self.port)).await {
            Ok(found) => self.learn(found.collect()),
            Err(error) => {
                tracing::debug!(host = %self.host, %error, "a name can't be resolved; its addresses stay in use");
            }
        }
    }

    /// Puts other addresses in place of those that are known, but never none.
    fn learn(&self, found: Vec<SocketAddr>) {
        if !found.is_empty() {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    fn known(&self) -> Vec<SocketAddr> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    fn names(authority: &'static str) -> Names {
        Names::new(&Authority::from_static(authority), 80)
    }

    #[test]
    fn an_address_is_known_from_the_start() {
        for (authority, expected) in [
            ("127.0.0.1:7001", "127.0.0.1:7001"),
            ("[::1]:7001", "[::1]:7001"),
            ("10.0.0.1", "10.0.0.1:80"),
        ] {
            assert_eq!(names(authority).known(), [expected.parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_is_looked_up_once_and_then_beside_the_requests() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let names = names("localhost:7001");
        let elsewhere: SocketAddr = "127.9.9.9:7001".parse().unwrap();
        runtime.block_on(async {
            names.refresh().await;
            assert_eq!(names.known(), [], "nobody has asked for it");
            let found = names.addresses().await.unwrap();
            assert!(found.iter().all(|address| address.ip().is_loopback()));
            names.learn(vec![elsewhere]);
            assert_eq!(names.addresses().await.unwrap(), [elsewhere]);
            names.learn(Vec::new());
            assert_eq!(names.known(), [elsewhere], "never none");
            names.refresh().await;
            assert_eq!(names.known(), found);
        });
    }

    #[test]
    fn a_name_that_is_lost_keeps_its_addresses() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let names = names("no-such-host.invalid:7001");
        let before: SocketAddr = "127.9.9.9:7001".parse().unwrap();
        runtime.block_on(async {
            assert!(names.addresses().await.is_err());
            names.learn(vec![before]);
            names.refresh().await;
            assert_eq!(names.addresses().await.unwrap(), [before]);
        });
    }
}
