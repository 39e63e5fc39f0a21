//! Connections to the old and the new side: endpoints with the limits of the process, pools of each worker, one exchange.
//!
//! A worker never shares a connection with another one. What all share are the atomics and semaphores of an [`Endpoint`].

pub mod alarm;
mod breaker;
mod budget;
pub mod check;
mod client;
pub mod connect;
pub mod endpoint;
pub mod failure;
#[cfg(test)]
mod fixture;
mod flight;
pub mod group;
pub mod guard;
mod hush;
mod line;
pub mod names;
mod outliers;
pub mod pem;
mod place;
mod plain;
pub mod pool;
pub mod send;
mod stream;
mod tls;
mod wire;

pub use breaker::Change;
pub use endpoint::Endpoint;
pub use failure::{Fault, clients_part, is_bad_framing};
pub use group::{Endpoints, Group};
pub use guard::{Guard, Outcome, Pass, Probe};
pub use place::Place;
pub use pool::Pools;
pub use send::{Answer, Arriving, Dispatch, Switch, out_of_time, send};
pub use stream::Stream;
pub use tls::{Tls, TlsCause, TlsError};
pub use wire::Far;
