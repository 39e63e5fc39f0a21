//! A request on its way out: what is sent to the side that is asked first, and again to the other one.

use crate::message::body::Outgoing;
use crate::message::lines::Lines;
use crate::message::spare::Spare;
use http::request::Parts;
use http::{Method, Request};

/// A prepared request, until nobody has to be asked any more.
#[derive(Debug)]
pub(super) struct Outbox {
    method: Method,
    request: Option<Request<Outgoing>>,
    spare: Option<Spare>,
}

impl Outbox {
    /// A head as both sides may see it, but for Host, which is the client's; lines may go with it if it has no body.
    pub(super) fn new(head: Parts, lines: Option<Lines>) -> Self {
        let body = lines.map_or(Outgoing::Empty, Outgoing::Stamped);
        Self {
            method: head.method.clone(),
            request: Some(Request::from_parts(head, body)),
            spare: None,
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Makes it possible to ask twice. Call it before the first time.
    pub(super) fn keep_spare(&mut self) {
        self.spare = self.request.as_ref().map(Spare::of);
    }

    /// The request, with this body if it has one. It is there the first time, and again if a spare was kept.
    pub(super) fn attempt(&mut self, body: Option<Outgoing>) -> &mut Option<Request<Outgoing>> {
        if self.request.is_none() {
            let spare = self.spare.take();
            self.request = spare.map(|spare| spare.request());
        }
        if let (Some(request), Some(body)) = (&mut self.request, body) {
            Outgoing::settle(request);
            *request.body_mut() = body;
        }
        &mut self.request
    }
}
