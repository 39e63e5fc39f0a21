//! The PROXY protocol, versions 1 and 2: what a balancer says of a connection before anything else, so that the client's address is not lost.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Only the source address is wanted; of what else stands in a header only the length counts.

use std::net::IpAddr;

/// What version 2 begins with. No other protocol does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is taken, in bytes after the first 16. Balancers add some hundred bytes of TLVs.
const LONGEST_BODY: usize = 4096;

/// What a connection's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preamble {
    /// They may be a header, of which more must come.
    Incomplete,
    /// They are none.
    Bad,
    /// They begin with a header.
    Whole {
        /// Bytes of it.
        length: usize,
        /// The client's address; `None` where the sender speaks for itself, or knows none.
        source: Option<IpAddr>,
    },
}

impl Preamble {
    /// Reads the first bytes of a connection.
    pub(super) fn read(bytes: &[u8]) -> Self {
        if bytes.starts_with(SIGNATURE) {
            return version_2(bytes);
        }
        let start = |of: &[u8]| bytes.len() < of.len() && of.starts_with(bytes);
        if bytes.starts_with(b"PROXY ") {
            version_1(bytes)
        } else if start(SIGNATURE) || start(b"PROXY ") {
            Self::Incomplete
        } else {
            Self::Bad
        }
    }
}

fn version_1(bytes: &[u8]) -> Preamble {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_LINE {
            Preamble::Incomplete
        } else {
            Preamble::Bad
        };
    };
    let whole = |source| Preamble::Whole {
        length: end + 2,
        source,
    };
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return Preamble::Bad;
    };
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return whole(None);
    }
    let mut address = || words.next()?.parse::<IpAddr>().ok();
    let (source, target) = (address(), address());
    let mut port = || words.next()?.parse::<u16>().ok();
    let ports = (port(), port());
    match (family, source, target, ports, words.next()) {
        (
            Some("TCP4"),
            Some(source @ IpAddr::V4(_)),
            Some(IpAddr::V4(_)),
            (Some(_), Some(_)),
            None,
        )
        | (
            Some("TCP6"),
            Some(source @ IpAddr::V6(_)),
            Some(IpAddr::V6(_)),
            (Some(_), Some(_)),
            None,
        ) => whole(Some(source)),
        _ => Preamble::Bad,
    }
}

fn version_2(bytes: &[u8]) -> Preamble {
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<16>() else {
        return Preamble::Incomplete;
    };
    let size = usize::from(u16::from_be_bytes([high, low]));
    if size > LONGEST_BODY || !matches!(command, 0x20 | 0x21) {
        return Preamble::Bad;
    }
    let Some(body) = rest.get(..size) else {
        return Preamble::Incomplete;
    };
    let source = match (command, family >> 4) {
        // LOCAL: the balancer itself, to see whether we are well.
        (0x20, _) => Some(None),
        (_, 1) => body
            .get(..12)
            .and_then(|addresses| addresses.first_chunk::<4>())
            .map(|source| Some(IpAddr::from(*source))),
        (_, 2) => body
            .get(..36)
            .and_then(|addresses| addresses.first_chunk::<16>())
            .map(|source| Some(IpAddr::from(*source))),
        // Unknown, or a Unix socket.
        (_, 0 | 3) => Some(None),
        (_, _) => None,
    };
    source.map_or(Preamble::Bad, |source| Preamble::Whole {
        length: 16 + size,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// A header, what it says of the source, and that every part of it is incomplete.
    fn check(header: &[u8], source: Option<&str>) {
        let expected = Preamble::Whole {
            length: header.len(),
            source: source.map(|source| source.parse().unwrap()),
        };
        for more in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\0\r\n"] {
            assert_eq!(Preamble::read(&[header, more].concat()), expected);
        }
        for end in 0..header.len() {
            let part = &header[..end];
            assert_eq!(Preamble::read(part), Preamble::Incomplete, "{part:?}");
        }
    }

    #[test]
    fn headers_of_both_versions() {
        check(
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\n",
            Some("192.0.2.1"),
        );
        check(
            b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n",
            Some("2001:db8::1"),
        );
        check(b"PROXY UNKNOWN\r\n", None);
        check(b"PROXY UNKNOWN whatever stands here\r\n", None);
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 4, 210, 0, 80];
        check(&v2(0x21, 0x11, &four), Some("192.0.2.1"));
        check(
            &v2(0x21, 0x12, &[&four[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
            Some("192.0.2.1"),
        );
        check(&v2(0x20, 0x11, &four), None);
        check(&v2(0x20, 0, &[]), None);
        check(&v2(0x21, 0, &[]), None);
        check(&v2(0x21, 0x31, &[0; 216]), None);
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        six[15] = 1;
        check(&v2(0x21, 0x21, &six), Some("2001:db8::1"));
    }

    #[test]
    fn what_is_no_header() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXX",
            b"\r\n\r\n\r",
            b"\x16\x03\x01",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1234\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80 90\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 65536\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n",
            b"PROXY \xff\r\n",
            b"PROXY \r\n",
            long.as_bytes(),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x41, &[0; 36]),
            &v2(0x21, 0x11, &[0; LONGEST_BODY + 1])[..16],
        ] {
            assert_eq!(Preamble::read(bytes), Preamble::Bad, "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_read_and_a_header_is_never_longer_than_they_are(
            begin in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [begin, &bytes[..]].concat();
            match Preamble::read(&bytes) {
                Preamble::Whole { length, .. } => prop_assert!(length <= bytes.len()),
                Preamble::Incomplete => prop_assert!(bytes.len() < 16 + LONGEST_BODY),
                Preamble::Bad => {}
            }
        }

        #[test]
        fn every_address_is_read_back(ip in any::<[u8; 16]>(), port in any::<u16>()) {
            let six = Ipv6Addr::from(ip);
            let four = Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]);
            for (family, address) in [("TCP4", IpAddr::V4(four)), ("TCP6", IpAddr::V6(six))] {
                let header = format!("PROXY {family} {address} {address} {port} {port}\r\n");
                let read = Preamble::read(header.as_bytes());
                prop_assert_eq!(read, Preamble::Whole { length: header.len(), source: Some(address) });
            }
        }
    }
}
