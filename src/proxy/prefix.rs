//! The beginning of a client's body, read before anybody is asked, because the route's key is made of it.

use crate::message::body::BodyError;
use crate::proxy::intake::Intake;
use http::HeaderMap;
use http_body::Frame;
use std::future::poll_fn;

/// The beginning of a body.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) ended: bool,
}

impl Prefix {
    /// Reads a body to its end, or until more than `limit` bytes are there.
    pub(super) async fn read(intake: &mut Intake, limit: usize) -> Result<Self, BodyError> {
        let mut prefix = Self::default();
        let mut held = intake.memory().holding();
        while prefix.bytes.len() <= limit {
            let frame = poll_fn(|cx| intake.poll_frame(cx)).await;
            match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => {
                    prefix.bytes.extend_from_slice(&data);
                    held.set(prefix.bytes.len());
                }
                Some(Err(other)) => prefix.trailers = other.into_trailers().ok(),
                None => {
                    prefix.ended = true;
                    break;
                }
            }
        }
        Ok(prefix)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none()
    }

    /// The body, if it is all there.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.ended.then_some(&self.bytes)
    }
}
