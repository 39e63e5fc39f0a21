//! One exchange with an endpoint of a side, up to the head of the answer.
//!
//! A stale pooled connection is replaced by one new try, and only where that can't do a thing twice: the request was never
//! sent, or it is GET or HEAD without a body. The latter is a retry: it is counted, and there is a budget for it.
//! Where a side has several endpoints another one gets that try, also after a connection that could not be made, or a new one that broke.

use crate::config::settings::Protocol;
use crate::upstream::endpoint::{Endpoint, InFlight};
use crate::upstream::exchange::{Answer, Dispatch, Source, count, counted, finish};
use crate::upstream::failure::Fault;
use crate::upstream::group::Group;
use crate::upstream::multiplex;
use crate::upstream::overdue::out_of_time;
use crate::upstream::pool::Pools;
use crate::upstream::wire::{Asked, Wire};
use std::sync::Arc;
use tokio::time::Instant;

/// Sends a request to an endpoint of a side, and waits for the head of its answer. A failure is counted here, once.
pub async fn send(
    pools: &Arc<Pools>,
    group: &Group,
    mut dispatch: Dispatch<'_>,
) -> Result<Answer, Fault> {
    let (role, pool) = (pools.role(), pools.number());
    group.common().guard(role).asked(pool);
    // What is rare is boxed: it would make the future of every request large.
    let (endpoint, in_flight) = match group.begin(role, pool) {
        Some(begun) => begun,
        None => match Box::pin(group.begin_late(role, pool)).await {
            Ok(begun) => begun,
            Err(fault) => {
                if let Some(label) = fault.label() {
                    group.common().failed(role, label);
                }
                return Err(fault);
            }
        },
    };
    if let Protocol::Http2(multiplexing) = &endpoint.settings().protocol {
        let begun = (endpoint, in_flight);
        return Box::pin(multiplex::send(pools, group, dispatch, multiplexing, begun)).await;
    }
    dispatch.address_to(endpoint);
    let now = Instant::now();
    let (mut wire, started) = match pools.take_idle(endpoint, now) {
        Some(wire) => (wire, now),
        None => match Box::pin(pools.fresh(endpoint)).await {
            Ok(wire) => (wire, Instant::now()),
            Err(fault) => {
                let fault = counted(endpoint, pools.role(), fault);
                if group.is_several() && matches!(fault, Fault::Connect(_) | Fault::ConnectTimeout)
                {
                    let another = group.pick_after(endpoint);
                    let in_flight = in_flight.move_to(another);
                    return Box::pin(again(pools, another, in_flight, dispatch)).await;
                }
                return Err(fault);
            }
        },
    };
    wire.elsewhere = group.is_several();
    let asked = match dispatch.progress {
        None => {
            wire.ask(dispatch.request, Some(started + dispatch.timeout))
                .await
        }
        Some(_) => Box::pin(stream(&mut wire, started, &mut dispatch)).await,
    };
    match asked {
        Asked::Answered(response) => {
            let source = |content| Source::Own {
                content,
                wire: Some(wire),
            };
            finish(
                pools,
                dispatch.switch,
                (response, started),
                in_flight,
                source,
            )
        }
        Asked::Failed(fault) => {
            if matches!(fault, Fault::Reset(_)) && dispatch.request.is_none() {
                *dispatch.request = wire
                    .take_spare()
                    .filter(|_| group.common().may_retry(pools.role()));
            }
            let reused = wire.reused;
            drop(wire);
            // Whoever was refused before anything was said would be refused here again.
            let may_go = matches!(fault, Fault::Reset(_))
                || group.is_several() && matches!(fault, Fault::Connect(_));
            if !may_go || dispatch.request.is_none() {
                return Err(counted(endpoint, pools.role(), fault));
            }
            if group.is_several() && !reused {
                count(endpoint, pools.role(), &fault);
            }
            let another = group.pick_after(endpoint);
            let in_flight = in_flight.move_to(another);
            Box::pin(again(pools, another, in_flight, dispatch)).await
        }
        Asked::Late => Err(counted(endpoint, pools.role(), Fault::Timeout)),
    }
}

/// Sends a request again, on a new connection: it was not sent at all, or may be sent twice.
async fn again(
    pools: &Arc<Pools>,
    endpoint: &Arc<Endpoint>,
    in_flight: InFlight,
    mut dispatch: Dispatch<'_>,
) -> Result<Answer, Fault> {
    let failed = |fault| counted(endpoint, pools.role(), fault);
    dispatch.address_to(endpoint);
    let mut wire = pools.fresh(endpoint).await.map_err(failed)?;
    let started = Instant::now();
    match stream(&mut wire, started, &mut dispatch).await {
        Asked::Answered(response) => {
            let source = |content| Source::Own {
                content,
                wire: Some(wire),
            };
            finish(
                pools,
                dispatch.switch,
                (response, started),
                in_flight,
                source,
            )
        }
        Asked::Failed(fault) => Err(failed(fault)),
        Asked::Late => Err(failed(Fault::Timeout)),
    }
}

/// Asks, with a limit that follows a streamed body.
async fn stream(wire: &mut Wire, started: Instant, dispatch: &mut Dispatch<'_>) -> Asked {
    tokio::select! {
        biased;
        asked = wire.ask(dispatch.request, None) => asked,
        () = out_of_time(started, dispatch.timeout, dispatch.progress) => Asked::Late,
    }
}
