//! One exchange with an endpoint of a side that speaks HTTP/2, up to the head of the answer.
//!
//! What the side has provably not processed (RFC 9113 §8.7: streams beyond the last one that its GOAWAY names, and REFUSED_STREAM) is sent once more
//! whatever the method, if its body can be, and is no retry. Else the rules are those of [`super::send`](mod@super::send).

use crate::config::settings::Multiplexing;
use crate::message::body::Outgoing;
use crate::message::spare::Spare;
use crate::upstream::call::{Heard, Terms, ask};
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::exchange::{Answer, Dispatch, Source, count, counted, finish};
use crate::upstream::failure::Fault;
use crate::upstream::group::Group;
use crate::upstream::pool::Pools;
use http::{Method, Request};
use std::sync::Arc;
use tokio::time::Instant;

/// What came of one attempt.
enum Tried {
    /// With a head, which may turn out to be none: that is counted then.
    Answered(Result<Answer, Fault>),
    /// There is no connection; nothing was sent.
    Unreached(Fault),
    /// The side has not processed it. The request is back, if it can be sent again.
    Unprocessed(Fault),
    /// The connection broke. The request is back, if nothing speaks against sending it again.
    Broke {
        fault: Fault,
        served: bool,
    },
    Failed(Fault),
}

/// Sends a request to an endpoint of a side, and waits for the head of its answer. A failure is counted here, once.
pub(super) async fn send(
    pools: &Arc<Pools>,
    group: &Group,
    mut dispatch: Dispatch<'_>,
    multiplexing: &Multiplexing,
    (endpoint, in_flight): (&Arc<Endpoint>, InFlight),
) -> Result<Answer, Fault> {
    let role = pools.role();
    let side = Multiplex {
        pools,
        multiplexing,
    };
    let mut in_flight = Some(in_flight);
    let fault = match side.attempt(endpoint, &mut in_flight, &mut dispatch).await {
        Tried::Answered(answer) => return answer,
        Tried::Unreached(fault) => {
            let another = matches!(fault, Fault::Connect(_) | Fault::ConnectTimeout);
            if !(another && group.is_several()) {
                return Err(counted(endpoint, role, fault));
            }
            count(endpoint, role, &fault);
            fault
        }
        Tried::Unprocessed(fault) => fault,
        Tried::Broke { fault, served } => {
            let may = (served || group.is_several()) && dispatch.request.is_some();
            if !(may && group.common().may_retry(role)) {
                return Err(counted(endpoint, role, fault));
            }
            if group.is_several() && !served {
                count(endpoint, role, &fault);
            }
            fault
        }
        Tried::Failed(fault) => return Err(counted(endpoint, role, fault)),
    };
    if dispatch.request.is_none() {
        return Err(counted(endpoint, role, fault));
    }
    let endpoint = group.pick_after(endpoint);
    in_flight = in_flight.map(|in_flight| in_flight.move_to(endpoint));
    match side.attempt(endpoint, &mut in_flight, &mut dispatch).await {
        Tried::Answered(answer) => answer,
        Tried::Unreached(fault)
        | Tried::Unprocessed(fault)
        | Tried::Broke { fault, .. }
        | Tried::Failed(fault) => Err(counted(endpoint, role, fault)),
    }
}

/// How a worker asks a side.
struct Multiplex<'a> {
    pools: &'a Arc<Pools>,
    multiplexing: &'a Multiplexing,
}

impl Multiplex<'_> {
    /// Asks once. The place in flight is taken by an answer.
    async fn attempt(
        &self,
        endpoint: &Arc<Endpoint>,
        in_flight: &mut Option<InFlight>,
        dispatch: &mut Dispatch<'_>,
    ) -> Tried {
        dispatch.address_to(endpoint);
        let place = match self.pools.place(endpoint, self.multiplexing).await {
            Ok(place) => place,
            Err(fault) => return Tried::Unreached(fault),
        };
        let mut request = dispatch
            .request
            .take()
            .expect("whoever sends has a request");
        let spare = Spare::of(&request);
        Outgoing::settle(&mut request);
        let copy = match request.body() {
            Outgoing::Full(bytes) => Some(Outgoing::Full(bytes.clone())),
            Outgoing::Empty | Outgoing::Stamped(_) | Outgoing::Stream(_) => None,
        };
        let harmless =
            matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_empty();
        let served = place.session.has_served();
        let started = Instant::now();
        let at = (place, endpoint.scheme());
        let terms = Terms {
            timeout: dispatch.timeout,
            progress: dispatch.progress,
            protocols: dispatch.switch.map(|switch| &switch.protocols),
        };
        let (heard, body) = ask(at, request, started, terms).await;
        match heard {
            Heard::Answer(response) => {
                let in_flight = in_flight.take().expect("whoever asks is in flight");
                let source = Source::Shared;
                let answer = (response, started);
                Tried::Answered(finish(
                    self.pools,
                    dispatch.switch,
                    answer,
                    in_flight,
                    source,
                ))
            }
            Heard::Unprocessed(fault) => {
                *dispatch.request = resent(&spare, copy.unwrap_or(body));
                Tried::Unprocessed(fault)
            }
            Heard::Broke(fault) => {
                *dispatch.request = harmless.then(|| spare.request());
                Tried::Broke { fault, served }
            }
            Heard::Failed(fault) => Tried::Failed(fault),
            Heard::Late => Tried::Failed(Fault::Timeout),
        }
    }
}

/// A request once more, if its body can be sent from its beginning.
fn resent(spare: &Spare, mut body: Outgoing) -> Option<Request<Outgoing>> {
    let mut request = spare.request();
    match &mut body {
        Outgoing::Empty | Outgoing::Stamped(_) => return Some(request),
        Outgoing::Full(_) => {}
        Outgoing::Stream(body) => {
            if !body.as_mut().rewind() {
                return None;
            }
        }
    }
    Outgoing::settle(&mut request);
    *request.body_mut() = body;
    Some(request)
}
