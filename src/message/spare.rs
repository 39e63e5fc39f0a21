//! What is kept of a request that may have to be sent once more.

use crate::message::body::Outgoing;
use crate::message::fields::Fields;
use http::{Method, Request, Uri};

/// A request's head. Its fields are not kept as a second map, which would cost more to make and to throw away: hardly any request is sent twice.
#[derive(Debug)]
pub struct Spare {
    method: Method,
    target: Uri,
    fields: Fields,
}

impl Spare {
    /// Keeps a head.
    #[must_use]
    pub fn of(request: &Request<Outgoing>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().clone(),
            fields: Fields::copy("", request.headers()),
        }
    }

    /// The request again, with a body of its own.
    #[must_use]
    pub fn request(&self, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.target);
        *request.headers_mut() = self.fields.map(0, |_| true);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_spare_is_the_request_again(
            fields in prop::collection::vec(("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..300)), 0..12),
            path in "/[a-z0-9/]{0,40}",
        ) {
            let mut request = Request::new(Outgoing::Empty);
            *request.method_mut() = Method::HEAD;
            *request.uri_mut() = path.parse().unwrap();
            for (name, bytes) in fields {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
                }
            }
            let again = Spare::of(&request).request(Outgoing::Empty);
            prop_assert_eq!(again.method(), request.method());
            prop_assert_eq!(again.uri(), request.uri());
            prop_assert_eq!(again.headers(), request.headers());
        }
    }
}
