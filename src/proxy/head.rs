//! The head of a request, between its admission and its way to the sides.

use http::{HeaderMap, Method, Uri};

/// A request's head as both sides may see it, but for Host, which is the client's.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) headers: HeaderMap,
}
