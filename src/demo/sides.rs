//! Where the demo's parts listen and connect, as a settings file names it. Anything but this machine is refused: the demo must never load a service that is not its own.

use crate::config::Settings;
use crate::config::settings::{Listen, Url};
use crate::demo::error::DemoError;
use crate::side::Side;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// The addresses of the demo's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    backends: [SocketAddr; 2],
    /// Where the load connects: the proxy's first address.
    pub proxy: SocketAddr,
}

impl Sides {
    /// The addresses that the settings name; both sides must be loopback.
    pub fn of(settings: &Settings) -> Result<Self, DemoError> {
        let backend = |side: Side| {
            let addresses = settings.upstream(side).urls.iter().map(|url| {
                loopback(url).map_err(|problem| DemoError::NotLoopback {
                    side,
                    url: url.to_string(),
                    problem,
                })
            });
            let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
            // The demo's service listens at the first of them.
            Ok(addresses[0])
        };
        let mut addresses = settings.server.listen.iter().filter_map(Listen::tcp);
        let proxy = addresses.next().ok_or(DemoError::NoPort)?;
        Ok(Self {
            backends: [backend(Side::Old)?, backend(Side::New)?],
            proxy: reachable(proxy),
        })
    }

    /// The same, with the proxy where it listens in truth.
    #[must_use]
    pub fn with_proxy(self, address: SocketAddr) -> Self {
        Self {
            proxy: reachable(address),
            ..self
        }
    }

    /// Where a side's service listens.
    #[must_use]
    pub fn backend(&self, side: Side) -> SocketAddr {
        self.backends[side.index()]
    }
}

fn loopback(url: &Url) -> Result<SocketAddr, String> {
    let Url::Http(authority) = url else {
        return Err("which is not http".to_owned());
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let found = (host, authority.port_u16().unwrap_or(80)).to_socket_addrs();
    let addresses: Vec<SocketAddr> = found
        .map_err(|error| format!("which cannot be found ({error})"))?
        .collect();
    // Every address of a name: the proxy may connect to any of them.
    if let Some(other) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        let what = if other.ip().to_string() == host {
            String::new()
        } else {
            format!(" ({})", other.ip())
        };
        return Err(format!("which is not loopback{what}"));
    }
    addresses
        .first()
        .copied()
        .ok_or_else(|| "which has no address".to_owned())
}

/// An address that one can connect to: who listens everywhere listens on loopback too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, expected: Result<&str, &str>) {
        let got = loopback(&Url::Http(authority.parse().unwrap()));
        let expected = expected
            .map(|address| address.parse().unwrap())
            .map_err(str::to_owned);
        assert_eq!(got, expected, "{authority}");
    }

    #[test]
    fn only_this_machine_is_a_side() {
        check("127.0.0.1:7001", Ok("127.0.0.1:7001"));
        check("127.9.9.9:7001", Ok("127.9.9.9:7001"));
        check("127.0.0.1", Ok("127.0.0.1:80"));
        check("[::1]:7001", Ok("[::1]:7001"));
        check("192.0.2.1:7001", Err("which is not loopback"));
        check("0.0.0.0:7001", Err("which is not loopback"));
        check("[2001:db8::1]:80", Err("which is not loopback"));
    }

    #[test]
    fn the_load_connects_to_loopback_where_the_proxy_listens_everywhere() {
        for (listen, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("192.0.2.7:1", "192.0.2.7:1"),
        ] {
            assert_eq!(
                reachable(listen.parse().unwrap()),
                expected.parse().unwrap()
            );
        }
    }
}
