//! Connections to the old and the new side: endpoints with the limits of the process, pools of each worker, one exchange.
//!
//! A worker never shares a connection with another one; over HTTP/2 its own requests share them. What all share are the atomics and semaphores of an [`Endpoint`].

pub mod alarm;
mod breaker;
mod budget;
mod call;
pub mod check;
mod client;
pub mod connect;
pub mod endpoint;
mod exchange;
pub mod failure;
#[cfg(test)]
mod fixture;
mod flight;
pub mod group;
pub mod guard;
mod hush;
mod lane;
mod line;
mod multiplex;
pub mod names;
mod outliers;
mod overdue;
pub mod pem;
mod place;
mod plain;
pub mod pool;
mod send;
mod session;
mod sessions;
mod stream;
mod tls;
mod vigil;
mod wire;

pub use breaker::Change;
pub use endpoint::Endpoint;
pub use exchange::{Answer, Arriving, Dispatch, Switch};
pub use failure::{Fault, clients_part, is_bad_framing};
pub use group::{Endpoints, Group};
pub use guard::{Guard, Outcome, Pass, Probe};
pub use overdue::out_of_time;
pub use place::Place;
pub use pool::Pools;
pub use send::send;
pub use stream::Stream;
pub use tls::{Tls, TlsCause, TlsError};
pub use wire::Far;
