//! Lines of a head that are written after its fields, instead of being put among them: what every request gets costs no map then.

use crate::message::request_id::{Made, X_REQUEST_ID};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Lines of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// What is the same for many requests of a connection, each line with its end.
    pub shared: Bytes,
    /// The request's own name, if it was made here.
    pub id: Option<Made>,
}

impl Lines {
    /// Writes them.
    pub fn write(&self, head: &mut Vec<u8>) {
        head.extend_from_slice(&self.shared);
        if let Some(id) = self.id {
            head.extend_from_slice(b"x-request-id: ");
            head.extend_from_slice(&id.digits());
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Puts them among the fields.
    pub fn put(&self, headers: &mut HeaderMap) {
        for line in self.shared.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let name = HeaderName::from_bytes(&line[..colon]);
            // Between the space and the end of the line stands what was written, to the byte.
            let value = &line[colon + 2..line.len() - 1];
            let value = HeaderValue::from_maybe_shared(self.shared.slice_ref(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        if let Some(id) = self.id {
            headers.append(X_REQUEST_ID, id.value());
        }
    }
}
