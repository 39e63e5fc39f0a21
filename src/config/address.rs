//! Addresses, host names and networks of a routes.toml: readers of items, strict, each error with what to write.

use crate::config::problem::{Fault, shorten};
use crate::config::walk::{Item, Sink};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// `127.0.0.1:8080`, as `server.admin` is.
pub(super) fn socket(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<SocketAddr> {
    let text = item.text(sink)?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let fault = Fault::error(
        "bad-address",
        format!("\"{}\" is no address with a port", shorten(text)),
    );
    let hint = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
        Some(("" | "*", port)) => format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\""),
        _ if text.parse::<IpAddr>().is_ok() => {
            let ip: Option<Ipv6Addr> = text.parse().ok();
            ip.map_or_else(
                || format!("add a port: \"{text}:8080\""),
                |ip| format!("add a port: \"[{ip}]:8080\""),
            )
        }
        _ => {
            "it is an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned()
        }
    };
    item.report(sink, fault.hint(hint));
    None
}

/// What stands behind `unix:`: the path of a socket, relative to `file_dir`. Why it is none, if so.
pub(super) fn unix_path(text: &str, file_dir: &Path) -> Result<PathBuf, Fault> {
    if text.is_empty() || text.ends_with('/') || text.contains('\0') {
        let message = format!("\"unix:{}\" names no file", shorten(text));
        let fault = Fault::error("bad-address", message);
        return Err(fault.hint("write the path of the socket, as in \"unix:/run/crossfade.sock\""));
    }
    Ok(file_dir.join(text))
}

/// Whether two sockets can't both listen.
pub(super) fn clash(one: &SocketAddr, other: &SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let same_ip = one.ip() == other.ip()
        || (one.is_ipv4() == other.is_ipv4() && (any(one.ip()) || any(other.ip())))
        // An unspecified IPv6 address takes the IPv4 ones too.
        || one.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        || other.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    // Port 0 is another free port each time.
    one.port() == other.port() && one.port() != 0 && same_ip
}

/// A network, or a plain address for one host.
pub(super) fn network(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<IpNet> {
    let text = item.text(sink)?;
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(IpNet::from(ip));
    }
    let fault = Fault::error(
        "bad-network",
        format!("\"{}\" is no network", shorten(text)),
    );
    item.report(
        sink,
        fault.hint(
            "it is a CIDR or an address, as in \"10.0.0.0/8\", \"fd00::/8\" or \"127.0.0.1\"",
        ),
    );
    None
}

/// Why a text is no host name: where, and what is wrong.
pub(super) type HostError = (usize, &'static str);

/// Checks a host without port: a DNS name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn check_host(host: &str) -> Result<(), HostError> {
    if let Some(rest) = host.strip_prefix('[') {
        let inner = rest
            .strip_suffix(']')
            .ok_or((host.len(), "the bracket of an IPv6 address is not closed"))?;
        return inner
            .parse::<Ipv6Addr>()
            .map(|_| ())
            .map_err(|_| (1, "this is no IPv6 address"));
    }
    if host.is_empty() {
        return Err((0, "the host is empty"));
    }
    if host.len() > 253 {
        return Err((253, "a host name has at most 253 characters"));
    }
    if let Some((at, _)) = host
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_alphanumeric() || "-_.".contains(*c)))
    {
        return Err((
            at,
            "a host name has only letters, digits, `-`, `_` and dots",
        ));
    }
    let numeric = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    let last = host
        .strip_suffix('.')
        .unwrap_or(host)
        .rsplit('.')
        .next()
        .unwrap_or_default();
    if numeric(last) && host.parse::<Ipv4Addr>().is_err() {
        return Err((
            0,
            "this is no IPv4 address, and no host name ends in a number",
        ));
    }
    let mut at = 0;
    for label in host.strip_suffix('.').unwrap_or(host).split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err((at, "each part of a host name has 1 to 63 characters"));
        }
        at += label.len() + 1;
    }
    Ok(())
}

/// Host and port of an authority; the port may be missing.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let from = match authority.rfind(']') {
        Some(at) => at + 1,
        None if authority.starts_with('[') => authority.len(),
        None => 0,
    };
    match authority[from..].find(':') {
        Some(at) => (&authority[..from + at], Some(&authority[from + at + 1..])),
        None => (authority, None),
    }
}

/// Checks a host with an optional port. An error's offset is one of the text.
pub(super) fn check_authority(text: &str) -> Result<(), HostError> {
    let (host, port) = split_port(text);
    check_host(host)?;
    let Some(port) = port else { return Ok(()) };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err((host.len() + 1, "a port is a number from 1 to 65535")),
    }
}

/// A host with an optional port, in lower case.
pub(super) fn authority(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    checked(item, sink, check_authority)
}

/// A host without port, in lower case.
pub(super) fn host(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    checked(item, sink, |text| match split_port(text) {
        (host, Some(_)) => Err((host.len(), "a host is compared without its port")),
        (host, None) => check_host(host),
    })
}

fn checked(
    item: &Item<'_>,
    sink: &mut Sink<'_>,
    check: impl Fn(&str) -> Result<(), HostError>,
) -> Option<String> {
    let text = item.text(sink)?;
    match check(text) {
        Ok(()) => Some(text.to_ascii_lowercase()),
        Err((at, message)) => {
            let span = item.inside(sink, at);
            let fault = Fault::error("bad-host", message)
                .hint("a host is written as in \"tags.example.org\"");
            sink.report(&span, &item.path, fault);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_with_and_without_ports() {
        let check = |text: &str, expected: Result<(), usize>| {
            assert_eq!(
                check_authority(text).map_err(|(at, _)| at),
                expected,
                "{text}"
            );
        };
        for good in [
            "a",
            "tags.example.org",
            "tags.example.org.",
            "127.0.0.1:7001",
            "[::1]:80",
            "a_b-c:65535",
            "1a",
        ] {
            check(good, Ok(()));
        }
        check("", Err(0));
        check(":80", Err(0));
        check("a..b", Err(2));
        check(".", Err(0));
        check("a b", Err(1));
        check("tägs", Err(1));
        check("127.0.0.256", Err(0));
        check("1.2.3", Err(0));
        check("a:", Err(2));
        check("a:0", Err(2));
        check("a:65536", Err(2));
        check("a:+80", Err(2));
        check("a:80:90", Err(2));
        check("[::1", Err(4));
        check("[::x]:80", Err(1));
        check("[::1]x", Err(6));
    }

    #[test]
    fn sockets_that_clash() {
        let check = |one: &str, other: &str, expected: bool| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(
                (clash(&one, &other), clash(&other, &one)),
                (expected, expected),
                "{one} {other}"
            );
        };
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
        check("0.0.0.0:80", "127.0.0.1:80", true);
        check("[::]:80", "127.0.0.1:80", true);
        check("0.0.0.0:80", "[::1]:80", false);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_good_authority_is_one_for_http_too(text in "[a-zA-Z0-9.:_\\[\\]@/-]{0,20}") {
            if check_authority(&text).is_ok() {
                prop_assert!(text.parse::<http::uri::Authority>().is_ok(), "{text}");
            }
        }
    }
}
