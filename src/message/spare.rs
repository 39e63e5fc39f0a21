//! What is kept of a request that may have to be sent once more.

use crate::message::body::Outgoing;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

/// A request's head. Its fields are in one text, which is cheaper to make and to throw away than a second map: hardly any request is sent twice.
#[derive(Debug)]
pub struct Spare {
    method: Method,
    target: Uri,
    /// For each field the lengths of name and value in four bytes each, name, value.
    fields: Vec<u8>,
}

impl Spare {
    /// Keeps a head.
    #[must_use]
    pub fn of(request: &Request<Outgoing>) -> Self {
        let mut fields = Vec::with_capacity(USUAL_SIZE);
        for (name, value) in request.headers() {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            // hyper takes no head as long as that.
            fields.extend_from_slice(&(name.len() as u32).to_ne_bytes());
            fields.extend_from_slice(&(value.len() as u32).to_ne_bytes());
            fields.extend_from_slice(name);
            fields.extend_from_slice(value);
        }
        Self {
            method: request.method().clone(),
            target: request.uri().clone(),
            fields,
        }
    }

    /// The request again, with a body of its own.
    #[must_use]
    pub fn request(&self, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.target);
        let mut rest = &self.fields[..];
        while let Some((name, value)) = field(&mut rest) {
            request.headers_mut().append(name, value);
        }
        request
    }
}

/// Most heads fit into this many bytes.
const USUAL_SIZE: usize = 768;

fn field(rest: &mut &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let mut length = || rest.split_off(..4)?.try_into().ok().map(u32::from_ne_bytes);
    let (name, value) = (length()? as usize, length()? as usize);
    let name = HeaderName::from_bytes(rest.split_off(..name)?).ok()?;
    let value = HeaderValue::from_bytes(rest.split_off(..value)?).ok()?;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
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
