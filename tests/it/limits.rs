//! What clients may take of the proxy: each limit by what the client sees, what the side sees, and what is counted.
//!
//! Limits of time are short here, and nothing is measured: where something must outlast a limit, another connection that the same limit ends
//! later is the witness that it had the time to.

mod connections;
mod in_flight;
mod leaving;
mod memory;
mod sizes;
mod slow_bodies;
mod slow_clients;

use crate::harness::Proxy;

/// Requests that were refused for a reason.
fn rejected(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric("crossfade_rejected_total", &[("reason", reason)])
}

/// Waits until this is all that was refused.
#[track_caller]
fn wait_for_rejected(proxy: &Proxy, reason: &str, count: f64) {
    proxy.wait_for_metric("crossfade_rejected_total", &[("reason", reason)], count);
    assert_eq!(proxy.metric("crossfade_rejected_total", &[]), count);
}
