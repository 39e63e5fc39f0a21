//! What is kept of a request, but for its body, that may have to be sent once more.

use crate::message::body::Outgoing;
use crate::message::fields::Fields;
use crate::message::lines::Lines;
use http::{Method, Request, Uri};

/// A request's head. Its fields are not kept as a second map, which would cost more to make and to throw away: hardly any request is sent twice.
#[derive(Debug)]
pub struct Spare {
    method: Method,
    target: Uri,
    fields: Fields,
    /// Those of [`Outgoing::Stamped`].
    lines: Option<Lines>,
}

impl Spare {
    /// Keeps a head.
    #[must_use]
    pub fn of(request: &Request<Outgoing>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().clone(),
            fields: Fields::copy("", request.headers()),
            lines: match request.body() {
                Outgoing::Stamped(lines) => Some(lines.clone()),
                Outgoing::Empty | Outgoing::Full(_) | Outgoing::Stream(_) => None,
            },
        }
    }

    /// The request again, without a body.
    #[must_use]
    pub fn request(&self) -> Request<Outgoing> {
        let lines = self.lines.clone();
        let mut request = Request::new(lines.map_or(Outgoing::Empty, Outgoing::Stamped));
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.target);
        *request.headers_mut() = self.fields.map(0, |_| true);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::request_id::Names;
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_spare_is_the_request_again(
            fields in prop::collection::vec(("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..300)), 0..12),
            path in "/[a-z0-9/]{0,40}",
            lines in prop::option::of("x-added: [a-z]{0,20}\r\n"),
        ) {
            let lines = lines.map(|lines| Lines { shared: Bytes::from(lines), id: Some(Names::new(1).next()) });
            let mut request = Request::new(lines.clone().map_or(Outgoing::Empty, Outgoing::Stamped));
            *request.method_mut() = Method::HEAD;
            *request.uri_mut() = path.parse().unwrap();
            for (name, bytes) in fields {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
                }
            }
            let again = Spare::of(&request).request();
            prop_assert_eq!(again.method(), request.method());
            prop_assert_eq!(again.uri(), request.uri());
            prop_assert_eq!(again.headers(), request.headers());
            let kept = match again.body() {
                Outgoing::Stamped(lines) => Some(lines),
                Outgoing::Empty | Outgoing::Full(_) | Outgoing::Stream(_) => None,
            };
            prop_assert_eq!(kept, lines.as_ref());
        }
    }
}
