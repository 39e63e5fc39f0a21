//! Which of the fields that matter to a proxy stand in a head: one walk over its names instead of a search for each.

use http::HeaderName;
use http::header::HeaderMap;

/// The fields that were found in a head. It tells nothing of fields that were put in or taken out since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey(u16);

/// A field, or a kind of fields, that a proxy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Field {
    Connection = 1,
    KeepAlive = 1 << 1,
    ProxyConnection = 1 << 2,
    Te = 1 << 3,
    TransferEncoding = 1 << 4,
    Upgrade = 1 << 5,
    Expect = 1 << 6,
    Host = 1 << 7,
    Via = 1 << 8,
    /// Forwarded, X-Forwarded-* and X-Crossfade-Shadow, also where `_` stands for `-`: CGI-like services can't tell them apart.
    Claim = 1 << 9,
    /// More than one line of Host.
    SecondHost = 1 << 10,
    RequestId = 1 << 11,
}

impl Survey {
    /// Walks over all names of a head.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self(0);
        for name in headers.keys() {
            if let Some(field) = field(name) {
                survey.0 |= field as u16;
            }
        }
        // Only where lines outnumber names can there be two of one.
        if headers.len() > headers.keys_len()
            && survey.has(Field::Host)
            && headers.get_all(http::header::HOST).iter().nth(1).is_some()
        {
            survey.0 |= Field::SecondHost as u16;
        }
        survey
    }

    pub(super) fn has(self, field: Field) -> bool {
        self.0 & field as u16 != 0
    }

    /// Whether any of the fields of RFC 9110 §7.6.1 was found.
    pub(super) fn has_hop_by_hop(self) -> bool {
        const ALL: u16 = Field::Connection as u16
            | Field::KeepAlive as u16
            | Field::ProxyConnection as u16
            | Field::Te as u16
            | Field::TransferEncoding as u16
            | Field::Upgrade as u16;
        self.0 & ALL != 0
    }
}

fn field(name: &HeaderName) -> Option<Field> {
    let name = name.as_str();
    Some(match name {
        "te" => Field::Te,
        "via" => Field::Via,
        "host" => Field::Host,
        "expect" => Field::Expect,
        "upgrade" => Field::Upgrade,
        "connection" => Field::Connection,
        "keep-alive" => Field::KeepAlive,
        "x-request-id" => Field::RequestId,
        "proxy-connection" => Field::ProxyConnection,
        "transfer-encoding" => Field::TransferEncoding,
        _ if is_claim(name) => Field::Claim,
        _ => return None,
    })
}

/// Whether a field says who asked, and through whom, or marks a copy.
pub(super) fn is_claim(name: &str) -> bool {
    if !name.starts_with(['x', 'f']) {
        return false;
    }
    let begins = |prefix: &str| {
        let mut bytes = name
            .bytes()
            .map(|byte| if byte == b'_' { b'-' } else { byte });
        prefix.bytes().all(|byte| bytes.next() == Some(byte))
    };
    begins("x-forwarded-")
        || (name.len() == 9 && begins("forwarded"))
        || (name.len() == 18 && begins("x-crossfade-shadow"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_field_is_found_by_its_name_and_no_other() {
        let check = |names: &[&str], expected: &[Field]| {
            let mut headers = HeaderMap::new();
            for name in names {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_static("1"));
            }
            let bits = expected.iter().fold(0, |bits, field| bits | *field as u16);
            assert_eq!(Survey::of(&headers), Survey(bits), "{names:?}");
        };
        check(&[], &[]);
        check(
            &[
                "accept",
                "x-forwarder",
                "x_forwarded",
                "forwarded-by",
                "tea",
                "x-crossfade-shadows",
            ],
            &[],
        );
        check(
            &["TE", "Transfer-Encoding", "Via"],
            &[Field::Te, Field::TransferEncoding, Field::Via],
        );
        check(
            &["connection", "keep-alive", "proxy-connection"],
            &[Field::Connection, Field::KeepAlive, Field::ProxyConnection],
        );
        check(
            &["upgrade", "expect", "host", "X-Request-Id"],
            &[Field::Upgrade, Field::Expect, Field::Host, Field::RequestId],
        );
        for claim in [
            "forwarded",
            "x-forwarded-for",
            "x_forwarded_host",
            "X-Forwarded-Anything",
            "x-crossfade-shadow",
            "x_crossfade-shadow",
        ] {
            check(&[claim, "accept"], &[Field::Claim]);
        }
        check(&["via", "via", "host"], &[Field::Via, Field::Host]);
        check(
            &["host", "accept", "host"],
            &[Field::Host, Field::SecondHost],
        );
    }
}
